//! Runs without a thread of the client's.

use reqwest::Method;
use serde_json::{Value, json};

use super::Client;
use crate::{
    api::run_of,
    ledger::{Kind, Place, is_terminal},
    work::Work,
};

impl Client {
    /// A run on a thread of its own, which goes away or is kept.
    pub(super) async fn stateless(&mut self) {
        let (work, keeps) = (self.work(), self.random.percent(50));
        let place = if keeps { Place::Kept } else { Place::Temporary };
        self.api.ledger.send(&work, place, false);
        let mut body = work.body();
        body["on_completion"] = json!(if keeps { "keep" } else { "delete" });
        let waits = self.random.percent(50);
        let path = if waits { "/runs/wait" } else { "/runs" };
        let Some(response) = self.open(path, &body, &work.tag).await else { return };
        let Some(run) = run_of(&response) else { return };
        let whole = response.bytes().await.ok();
        let answer = whole.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match answer {
            Some(result) if waits => self.check_result(&work, &run, &result),
            _ if keeps => self.until_over(&run).await,
            _ => self.until_gone(&work, &run).await,
        }
    }

    async fn until_over(&mut self, run: &str) {
        loop {
            match self.api.status(&format!("/runs/{run}"), run).await {
                Some(status) if is_terminal(&status) => return,
                Some(_) => self.pause(20, 300).await,
                None => {
                    let text = format!("accepted, but not there: /runs/{run}");
                    return self.api.ledger.violate(Kind::Lost, text);
                }
            }
        }
    }

    /// Looks at a run until it goes away, which it may only with all its work done.
    async fn until_gone(&mut self, work: &Work, run: &str) {
        while self.api.status(&format!("/runs/{run}"), run).await.is_some() {
            self.pause(20, 300).await;
        }
        let undone = self.api.ledger.undone(work, &self.api.ledger.journal());
        if !undone.is_empty() {
            let text = format!("run {run} ({}) is gone before {}", work.graph, undone.join(", "));
            self.api.ledger.violate(Kind::Lost, text);
        }
    }

    /// Several with one request: all of them or none.
    pub(super) async fn batch(&mut self) {
        let works: Vec<_> = (0..2 + self.random.below(3)).map(|_| self.work()).collect();
        let member = |work: &Work| {
            self.api.ledger.send(work, Place::Kept, false);
            let mut body = work.body();
            body["on_completion"] = json!("keep");
            body
        };
        let body: Vec<_> = works.iter().map(member).collect();
        let answer = self.api.call(Method::POST, "/runs/batch", Some(&body.into())).await;
        let Some(answer) = answer else { return };
        let ids: Vec<_> = answer
            .body
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|run| run["run_id"].as_str())
            .collect();
        if answer.status != 200 || ids.len() != works.len() {
            let text = format!("a batch was answered {}: {}", answer.status, answer.body);
            return self.api.ledger.violate(Kind::Server, text);
        }
        for (work, run) in works.iter().zip(&ids) {
            self.api.ledger.accept(&work.tag, run);
        }
        for run in ids {
            self.until_over(run).await;
        }
    }
}
