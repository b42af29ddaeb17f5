//! A run that asks, and one that answers.

use super::Client;
use crate::{ledger::Kind, work::Work};

impl Client {
    /// Asks for a run that stops with a question, and answers it.
    pub(super) async fn human(&mut self) {
        let (thread, tag) = (self.new_thread(), self.tag());
        let asks = Work::of(&mut self.random, tag, "approval");
        let body = self.thread_body(&asks, &thread, false);
        let Some(run) = self.create(&thread, &body, &asks.tag).await else { return };
        self.follow(&thread, &run).await;
        let state = self.api.get(&format!("/threads/{thread}")).await.body;
        if state["status"] != "interrupted" || state["interrupts"] == serde_json::json!({}) {
            let text = format!("thread {thread} asks nothing: {state}");
            return self.api.ledger.violate(Kind::WrongState, text);
        }
        self.pause(0, 200).await;
        let tag = self.tag();
        let answers = Work::resuming(&mut self.random, tag);
        let body = self.thread_body(&answers, &thread, false);
        // Not repeated if it is not answered: it may have been accepted, and then nothing would be left to answer.
        if let Some(run) = self.create(&thread, &body, &answers.tag).await {
            self.follow(&thread, &run).await;
        }
    }
}
