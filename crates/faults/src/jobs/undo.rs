//! Runs that are taken back: what they did is undone, and the thread is what it was before.

use reqwest::Method;
use serde_json::{Value, json};

use super::Client;
use crate::{
    ledger::{Kind, Removal, is_terminal},
    work::Work,
};

/// How a run is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    /// With a cancel.
    RollBack,
    /// By a run that takes its place.
    Replace,
    /// By its deletion.
    Delete,
}

impl Client {
    /// Rolls a run back.
    pub(super) async fn roll_back(&mut self) {
        self.undo(Undo::RollBack).await;
    }

    /// Lets a run take the place of another, which is rolled back.
    pub(super) async fn replace(&mut self) {
        self.undo(Undo::Replace).await;
    }

    /// Deletes a run, at work or over.
    pub(super) async fn delete_run(&mut self) {
        self.undo(Undo::Delete).await;
    }

    async fn undo(&mut self, how: Undo) {
        let thread = self.new_thread();
        let body = json!({"thread_id": thread, "if_exists": "do_nothing"});
        self.api.insist(Method::POST, "/threads", Some(&body)).await;
        // Sometimes the thread asks a question: then it has to ask it again. A run that takes the place of another cannot
        // know whether there is still something to answer.
        let asks = how != Undo::Replace && self.random.percent(30);
        if asks || self.random.percent(50) {
            let tag = self.tag();
            let work = match asks {
                true => Work::of(&mut self.random, tag, "approval"),
                false => Work::draw(&mut self.random, tag),
            };
            let body = self.thread_body(&work, &thread, false);
            let Some(run) = self.create(&thread, &body, &work.tag).await else { return };
            self.follow(&thread, &run).await;
        }
        let before = self.shown(&thread).await;
        let work = self.answer_or(asks, true);
        let body = self.thread_body(&work, &thread, false);
        let Some(run) = self.create(&thread, &body, &work.tag).await else { return };
        self.pause(0, 600).await;

        self.api.ledger.remove(&work.tag, Some(Removal::Asked));
        let path = format!("/threads/{thread}/runs/{run}");
        let next = match how {
            Undo::RollBack => {
                let path = format!("{path}/cancel?action=rollback");
                self.insist_on(Method::POST, &path).await;
                None
            }
            Undo::Delete => {
                self.insist_on(Method::DELETE, &path).await;
                None
            }
            Undo::Replace => {
                let next = self.answer_or(false, false);
                let mut body = self.thread_body(&next, &thread, false);
                body["multitask_strategy"] = json!("rollback");
                // Not known to be accepted: it may have happened, or not.
                let Some(next) = self.create(&thread, &body, &next.tag).await else { return };
                Some(next)
            }
        };
        let gone = match self.api.status(&path, &run).await {
            None => true,
            Some(status) => {
                // What is over is not rolled back.
                if how == Undo::Delete || !is_terminal(&status) {
                    let text = format!("{path} was taken back ({how:?}) and is {status}");
                    self.api.ledger.violate(Kind::Back, text);
                }
                false
            }
        };
        self.api.ledger.remove(&work.tag, gone.then_some(Removal::Told));
        if let Some(next) = next {
            self.follow(&thread, &next).await;
            return;
        }
        let after = self.shown(&thread).await;
        if gone && after != before {
            let graph = work.graph;
            let text = format!(
                "run {run} ({graph}) of thread {thread} was taken back ({how:?}), which left {after} of {before}"
            );
            self.api.ledger.violate(Kind::WrongState, text);
        }
        let work = self.answer_or(asks && gone, false);
        let body = self.thread_body(&work, &thread, false);
        if let Some(run) = self.create(&thread, &body, &work.tag).await {
            self.follow(&thread, &run).await;
        }
    }

    /// An answer to the question of a thread, or any work.
    fn answer_or(&mut self, asks: bool, may_be_long: bool) -> Work {
        let tag = self.tag();
        let long = may_be_long && self.random.percent(50);
        match (asks, long) {
            (true, _) => Work::resuming(&mut self.random, tag),
            (false, true) => Work::long(&mut self.random, tag),
            (false, false) => Work::draw(&mut self.random, tag),
        }
    }

    /// What a thread shows: its row and its newest checkpoint.
    async fn shown(&self, thread: &str) -> Value {
        let row = self.api.get(&format!("/threads/{thread}")).await.body;
        let state = self.api.get(&format!("/threads/{thread}/state")).await.body;
        json!({
            "status": row["status"],
            "values": row["values"],
            "interrupts": row["interrupts"],
            "state": state["values"],
            "next": state["next"],
            "asks": state["interrupts"],
            "checkpoint": state["checkpoint"]["checkpoint_id"],
        })
    }
}
