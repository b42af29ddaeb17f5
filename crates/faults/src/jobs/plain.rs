//! Runs on threads: looked at, waited for, left alone.

use reqwest::Method;
use serde_json::Value;

use super::Client;
use crate::{api::run_of, ledger::Kind, work::Work};

impl Client {
    /// Creates a run and looks until it is over; perhaps another on the same thread, then.
    pub(super) async fn poll(&mut self) {
        let thread = self.new_thread();
        for _ in 0..=self.random.below(2) {
            let work = self.work();
            let body = self.thread_body(&work, &thread, false);
            let Some(run) = self.create(&thread, &body, &work.tag).await else { return };
            self.follow(&thread, &run).await;
        }
    }

    /// Waits for the result, and joins the run when the connection breaks.
    pub(super) async fn wait(&mut self) {
        let (thread, work) = (self.new_thread(), self.work());
        let body = self.thread_body(&work, &thread, false);
        let path = format!("/threads/{thread}/runs/wait");
        let Some(response) = self.open(&path, &body, &work.tag).await else { return };
        let Some(run) = run_of(&response) else { return };
        let whole = response.bytes().await.ok();
        let result = whole.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let result = match result {
            Some(result) => result,
            None => {
                self.api.ledger.count("waits that were broken off");
                let path = format!("/threads/{thread}/runs/{run}/join");
                self.api.insist(Method::GET, &path, None).await.body
            }
        };
        self.check_result(&work, &run, &result);
        // Whoever was given a result may rely on it that the run is over.
        let path = format!("/threads/{thread}/runs/{run}");
        if let Some(status) = self.api.status(&path, &run).await
            && status != "success"
        {
            let text = format!("run {run} ({}) is {status} behind its result", work.graph);
            self.api.ledger.violate(Kind::WrongStatus, text);
        }
    }

    pub(super) fn check_result(&self, work: &Work, run: &str, result: &Value) {
        let log: Vec<_> = result["log"].as_array().into_iter().flatten().cloned().collect();
        if log != work.entries() {
            let text = format!("the result of run {run} ({}) is {result}", work.graph);
            self.api.ledger.violate(Kind::WrongState, text);
        }
    }

    /// Leaves in the middle of a request. Whether it was accepted is known only if the answer came before.
    pub(super) async fn vanish(&mut self) {
        let (thread, work) = (self.new_thread(), self.work());
        let body = self.thread_body(&work, &thread, false);
        let how = self.random.pick(&["", "/wait", "/stream"]);
        let path = format!("/threads/{thread}/runs{how}");
        let patience = self.random.millis(0, 40);
        self.api.ledger.count("clients that left");
        let opened =
            tokio::time::timeout(patience, self.open(&path, &body, &work.tag)).await.ok().flatten();
        if let Some(response) = opened {
            // The headers are there: leave while the body comes.
            let _ = tokio::time::timeout(patience, response.bytes()).await;
        }
    }
}
