//! Runs that somebody ends early.

use reqwest::Method;
use serde_json::json;

use super::Client;

impl Client {
    /// Cancels a run at some moment.
    pub(super) async fn cancel(&mut self) {
        let (thread, work) = (self.new_thread(), self.work());
        let body = self.thread_body(&work, &thread, true);
        let Some(run) = self.create(&thread, &body, &work.tag).await else { return };
        self.pause(0, 400).await;
        let path = format!("/threads/{thread}/runs/{run}/cancel");
        self.insist_on(Method::POST, &path).await;
        self.follow(&thread, &run).await;
        // The thread can be used again.
        let work = self.work();
        let body = self.thread_body(&work, &thread, false);
        if let Some(run) = self.create(&thread, &body, &work.tag).await {
            self.follow(&thread, &run).await;
        }
    }

    /// Interrupts a run by another.
    pub(super) async fn supersede(&mut self) {
        let thread = self.new_thread();
        let first = self.work();
        let body = self.thread_body(&first, &thread, true);
        let Some(run) = self.create(&thread, &body, &first.tag).await else { return };
        self.pause(0, 400).await;
        let second = self.work();
        let mut body = self.thread_body(&second, &thread, false);
        body["multitask_strategy"] = json!("interrupt");
        let other = self.create(&thread, &body, &second.tag).await;
        self.follow(&thread, &run).await;
        if let Some(other) = other {
            self.follow(&thread, &other).await;
        }
    }
}
