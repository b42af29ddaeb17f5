//! Runs that take too long: each attempt has the same time, and whoever is over it loses its lease.

use std::time::Duration;

use agent_server_storage::{
    Scope, Timestamp, WriteTx,
    runs::{Lease, RunStatus},
    threads::{Changes, ThreadStatus},
};
use tokio::time::Instant;

use super::{cancel::Cancelled, early::EarlyEnd, vanishes};
use crate::{Domain, Result, state::head_view};

/// How long storage is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends a run that is still in the attempt of the lease; `None` if it is not, and nothing changes.
fn expire(tx: &dyn WriteTx, lease: Lease, now: Timestamp) -> Result<Option<Cancelled>> {
    let Lease { run_id, thread_id, attempt } = lease;
    let expected = (RunStatus::Running, attempt);
    let all = &Scope::server();
    let Some(run) = tx.get_run(all, thread_id, run_id)? else { return Ok(None) };
    if !tx.update_run_if(run_id, expected, RunStatus::Timeout, attempt, now)? {
        return Ok(None);
    }
    let cancelled = Cancelled::of(&run, RunStatus::Timeout);
    if vanishes(&run) {
        tx.delete_thread(all, thread_id)?;
        return Ok(Some(cancelled));
    }
    let is_last = tx.inflight_runs(thread_id)?.is_empty();
    let (values, interrupts) = match head_view(tx, thread_id)? {
        Some(head) => (Some(Some(head.values)), Some(Some(head.interrupts))),
        None => (None, None),
    };
    let changes = Changes {
        updated_at: Some(now),
        state_updated_at: Some(now),
        status: Some(if is_last { ThreadStatus::Error } else { ThreadStatus::Busy }),
        values,
        interrupts,
        error: Some(Some(EarlyEnd::timeout().error_json())),
        ..Default::default()
    };
    tx.update_thread(all, thread_id, &changes)?;
    Ok(Some(cancelled))
}

impl Domain {
    /// Ends attempts that are over their time, until shutdown. Sleeps until the oldest is; one that begins meanwhile is
    /// over later than that.
    pub(crate) async fn timeout_loop(&self) {
        let limit = Duration::from_secs_f64(self.0.options.timeout_seconds);
        loop {
            let now = Instant::now();
            let (mut next, mut due) = (now + limit, vec![]);
            for (lease, opened) in self.0.buffers.all() {
                match opened + limit {
                    at if at <= now => due.push(lease),
                    at => next = next.min(at),
                }
            }
            if !due.is_empty()
                && let Err(error) = self.expire(due).await
            {
                tracing::error!(%error, "runs that are over their time could not be ended");
                next = next.min(Instant::now() + PAUSE);
            }
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    async fn expire(&self, leases: Vec<Lease>) -> Result<()> {
        for Lease { run_id, .. } in &leases {
            tracing::info!(%run_id, "a run took longer than is allowed");
        }
        let opened = |lease: &Lease| Some((*lease, self.0.buffers.get(*lease)?));
        let attempts = leases.iter().filter_map(opened).collect();
        self.end_attempts_early(attempts, &EarlyEnd::timeout()).await;
        let now = self.now();
        let decide = move |tx: &dyn WriteTx| {
            leases.into_iter().map(|lease| expire(tx, lease, now)).collect::<Result<Vec<_>>>()
        };
        for cancelled in self.storage().write(decide).await?.iter().flatten() {
            self.after_cancel(cancelled);
        }
        Ok(())
    }
}
