//! How the engine stops: nothing is started any more, what runs gets time to end, and leases that are still held go back.

use std::time::Duration;

use agent_server_storage::runs::{Lease, RunStatus};

use crate::{Domain, Error, ports::Slot};

/// The last part of the time that runs get to end, in which they are asked to stop between supersteps: one of so many.
const SUPERSTEPS: u32 = 3;
/// How long requests are still answered after the last run has ended. Clients whose stream or wait is over ask for the run
/// or the state then; the official ones always do, to tell an end from a connection that was cut.
const LAST_QUESTIONS: Duration = Duration::from_secs(1);

/// The count of a run whose attempt is taken back: as if it had not been claimed.
///
/// The next claim uses the number again. That is safe because whoever takes an attempt back has closed its buffer before:
/// from then on nothing that still comes for the lease is heard.
pub(super) fn uncounted(lease: Lease) -> u32 {
    lease.attempt.saturating_sub(1)
}

impl Domain {
    /// Starts no more runs and waits until those in progress have ended, at most as long as the options say, and a moment
    /// more for questions about them. Everything else goes on: runs are accepted for the next start, and those in progress
    /// can be listened to and cancelled.
    ///
    /// In the last part of this time runs are asked to stop at the end of their superstep, so that the next start need not
    /// repeat any of it.
    pub async fn drain(&self) {
        if self.starts_no_more() == 0 {
            return;
        }
        let grace = Duration::from_secs(self.0.options.shutdown_grace_seconds);
        let runs = self.0.buffers.attempts().len();
        tracing::info!(runs, "runs in progress get {} s to end", grace.as_secs());
        let last = grace / SUPERSTEPS;
        if self.have_ended(grace - last).await {
            tokio::time::sleep(LAST_QUESTIONS).await;
        } else {
            self.hand_over(last).await;
        }
    }

    /// Starts no more runs, asks those in progress to stop at the end of their superstep, and waits for that as long as
    /// `limit`. The next start takes them up.
    pub async fn hand_over(&self, limit: Duration) {
        if self.starts_no_more() == 0 {
            return;
        }
        self.host().let_go();
        if !self.have_ended(limit).await {
            let runs = self.0.buffers.attempts().len();
            tracing::info!(
                runs,
                "runs are cut off within a superstep; the next start repeats that"
            );
        }
    }

    /// From now on no run is started. Returns how many are in progress.
    fn starts_no_more(&self) -> usize {
        self.0.draining.cancel();
        let attempts = self.0.buffers.attempts();
        attempts.close();
        attempts.len()
    }

    /// Whether no run is in progress any more, within a time.
    async fn have_ended(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.0.buffers.attempts().wait()).await.is_ok()
    }

    /// Room for a run of the graph, unless the server is about to stop. `depth`: of one that another run waits for; it goes
    /// on also when the server is about to stop, for its parent's sake.
    pub(super) fn reserve(&self, graph_id: &str, depth: Option<u32>) -> Option<Box<dyn Slot>> {
        match depth {
            Some(depth) => self.host().reserve_nested(graph_id, depth),
            None if self.0.draining.is_cancelled() => None,
            None => self.host().reserve(graph_id),
        }
    }

    /// The same, at a process that executes nothing else.
    pub(super) fn reserve_alone(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        if self.0.draining.is_cancelled() {
            return None;
        }
        self.host().reserve_alone(graph_id)
    }

    /// Gives back the leases that are still held once the hosts have ended, so that the next start takes the runs up again
    /// and nobody is charged for the stop. A process that dies before this leaves them `running`, which counts.
    pub(crate) async fn give_leases_back(&self) {
        let mut leases = vec![];
        for (lease, buffer) in self.0.buffers.close_all() {
            // What does not get saved is done again.
            let _ = self.save_gathered(lease, &buffer).await;
            // A straggler that holds the buffer still saves nothing.
            let _order = buffer.saving.lock().await;
            buffer.gathered.lock().broken = Some("the server has stopped".into());
            leases.push(lease);
        }
        if leases.is_empty() {
            return;
        }
        let now = self.now();
        let given_back = self.storage().write(move |tx| {
            for lease in leases {
                let expected = (RunStatus::Running, lease.attempt);
                let (pending, attempt) = (RunStatus::Pending, uncounted(lease));
                tx.update_run_if(lease.run_id, expected, pending, attempt, now)?;
            }
            Ok::<_, Error>(())
        });
        if let Err(error) = given_back.await {
            tracing::warn!(%error, "attempts that the stop cut short count");
        }
    }
}
