//! Runs that wait for each other.

use super::Client;

impl Client {
    /// Several runs on one thread, asked for one after the other, executed in that order.
    pub(super) async fn queue(&mut self) {
        let thread = self.new_thread();
        let mut runs = vec![];
        for _ in 0..2 + self.random.below(4) {
            let work = self.work();
            let body = self.thread_body(&work, &thread, false);
            runs.extend(self.create(&thread, &body, &work.tag).await);
        }
        for run in runs {
            self.follow(&thread, &run).await;
        }
    }

    /// A run on a thread that other clients use at the same time.
    pub(super) async fn share(&mut self) {
        let index = self.random.below(self.shared.len() as u64);
        let thread = self.shared[usize::try_from(index).unwrap_or_default()].clone();
        let work = self.work();
        let mut body = self.thread_body(&work, &thread, false);
        // Those who follow the thread see what such runs send, also afterwards.
        body["stream_resumable"] = self.random.percent(50).into();
        if let Some(run) = self.create(&thread, &body, &work.tag).await {
            self.follow(&thread, &run).await;
        }
    }
}
