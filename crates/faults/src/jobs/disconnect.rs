//! Runs that end with their client.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::Client;
use crate::{
    api::run_of,
    ledger::{Kind, is_terminal},
    work::Work,
};

/// How long a run may go on without its client: less than it would by itself.
const END: Duration = Duration::from_secs(6);

impl Client {
    /// Leaves a stream, or an answer that is waited for; the run has to end. A server that dies in between does not know of
    /// the client any more, and then the run goes on.
    pub(super) async fn disconnect(&mut self) {
        let (thread, tag) = (self.new_thread(), self.tag());
        let work = Work::long(&mut self.random, tag);
        let mut body = self.thread_body(&work, &thread, true);
        body["on_disconnect"] = json!("cancel");
        let how = self.random.pick(&["wait", "stream", "stream"]);
        let path = format!("/threads/{thread}/runs/{how}");
        let kills = self.api.kills();
        let Some(response) = self.open(&path, &body, &work.tag).await else { return };
        let Some(run) = run_of(&response) else { return };
        // Dropped with what it reads.
        let patience = self.random.millis(0, 800);
        let _ = tokio::time::timeout(patience, response.bytes()).await;
        self.api.ledger.count("clients that left");

        let (path, left) = (format!("/threads/{thread}/runs/{run}"), Instant::now());
        let status = loop {
            let Some(status) = self.api.status(&path, &run).await else {
                let text = format!("accepted, but not there: {path}");
                return self.api.ledger.violate(Kind::Lost, text);
            };
            let was_killed = self.api.kills() != kills;
            if is_terminal(&status) || was_killed || left.elapsed() > END {
                break status;
            }
            self.pause(20, 200).await;
        };
        if self.api.kills() == kills && status != "interrupted" {
            let text = format!("{path} is {status}, and its client has left");
            self.api.ledger.violate(Kind::Stuck, text);
        }
        if !is_terminal(&status) {
            self.insist_on(Method::POST, &format!("{path}/cancel")).await;
            self.follow(&thread, &run).await;
        }
        let row = self.api.get(&format!("/threads/{thread}")).await.body;
        if row["status"] == "busy" {
            let text = format!("thread {thread} is busy after the end of its only run");
            self.api.ledger.violate(Kind::Stuck, text);
        }
    }
}
