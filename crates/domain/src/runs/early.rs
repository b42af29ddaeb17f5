//! Ending a run before its graph has: the graph is asked to stop and gets a moment to hand over what it holds, which for
//! durability `exit` is all that it did. Its end is then committed like any other, with another status. Whoever asked does
//! not depend on it: a run that did not end in that moment loses its lease.

use std::{sync::Arc, time::Duration};

use agent_server_storage::{
    RawJson, RunId,
    runs::{Lease, Run, RunStatus},
};
use tokio::time::{Instant, timeout_at};

use super::sink::Buffer;
use crate::Domain;

/// What a graph that can be stopped needs to end and to hand over its last checkpoint. One that cannot costs whoever
/// cancels it this much.
const MOMENT: Duration = Duration::from_millis(500);

/// Why a run ends early, and how it shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EarlyEnd {
    /// `interrupted` or `timeout`.
    pub(super) status: RunStatus,
    /// Class name for the `error` of the thread.
    pub(super) error: &'static str,
    /// Its message.
    pub(super) message: String,
}

impl EarlyEnd {
    /// Of a run that somebody cancelled.
    pub(super) fn interrupt(reason: &str) -> Self {
        Self { status: RunStatus::Interrupted, error: "UserInterrupt", message: reason.to_owned() }
    }

    /// Of a run that took too long.
    pub(super) fn timeout() -> Self {
        Self { status: RunStatus::Timeout, error: "TimeoutError", message: String::new() }
    }

    /// The error object of the thread.
    pub(super) fn error_json(&self) -> RawJson {
        super::end::error_json(self.error, &self.message)
    }

    /// Whether the thread shows that its last run failed.
    pub(super) fn is_failure(&self) -> bool {
        self.status == RunStatus::Timeout
    }
}

/// An attempt in progress with what it gathered.
type Attempt = (Lease, Arc<Buffer>);

impl Domain {
    /// Asks runs to stop and waits a moment for their ends; returns those that ended for this reason. Of the others, what
    /// they sent so far is saved. The rows may be old, so attempts are found by their runs.
    pub(super) async fn end_early(&self, runs: &[Run], why: &EarlyEnd) -> Vec<RunId> {
        let attempts = runs.iter().filter_map(|run| self.0.buffers.of_run(run.run_id)).collect();
        self.end_attempts_early(attempts, why).await
    }

    /// The same for attempts.
    pub(super) async fn end_attempts_early(
        &self,
        attempts: Vec<Attempt>,
        why: &EarlyEnd,
    ) -> Vec<RunId> {
        for (lease, buffer) in &attempts {
            // Of several reasons the first one counts.
            let _ = buffer.early.set(why.clone());
            self.host().cancel(*lease);
        }
        let deadline = Instant::now() + MOMENT;
        let mut ended = vec![];
        for (lease, buffer) in attempts {
            match timeout_at(deadline, buffer.ended_early.wait()).await {
                Ok(true) => ended.push(lease.run_id),
                Ok(false) => {}
                // A lease that is lost by now has nothing to save, which the decision finds out.
                Err(_) => _ = self.save_gathered(lease, &buffer).await,
            }
        }
        ended
    }
}
