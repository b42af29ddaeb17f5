//! Runs that take too long: each attempt has the same time, and whoever is over it loses its lease.

use std::time::Duration;

use agent_server_storage::{
    Scope, Timestamp, WriteTx,
    runs::{Lease, RunStatus},
};
use tokio::time::Instant;

use super::{
    cancel::Cancelled,
    early::EarlyEnd,
    row::{self, Ended},
    vanishes,
};
use crate::{Domain, Result, timer::PAUSE, webhooks::Outbox};

/// Ends a run that is still in the attempt of the lease; `None` if it is not, and nothing changes.
fn expire(
    tx: &dyn WriteTx,
    outbox: &Outbox,
    lease: Lease,
    now: Timestamp,
) -> Result<Option<Cancelled>> {
    let Lease { run_id, thread_id, attempt } = lease;
    let expected = (RunStatus::Running, attempt);
    let all = &Scope::server();
    let Some(run) = tx.get_run(all, thread_id, run_id)? else { return Ok(None) };
    if !tx.update_run_if(run_id, expected, RunStatus::Timeout, attempt, now)? {
        return Ok(None);
    }
    let notice = outbox.notice(tx, &run)?;
    if vanishes(&run) {
        tx.delete_thread(all, thread_id)?;
    } else {
        let error = Some(EarlyEnd::timeout().error_json());
        row::write(tx, thread_id, Ended { failed: true, error, now })?;
    }
    if let Some(notice) = notice {
        let (status, error) = (RunStatus::Timeout.as_str(), EarlyEnd::timeout().error_json());
        notice.write(tx, status, error, now)?;
    }
    Ok(Some(Cancelled::of(&run, RunStatus::Timeout)))
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
        let (now, outbox) = (self.now(), self.outbox());
        let decide = move |tx: &dyn WriteTx| {
            let expired = leases.into_iter().map(|lease| expire(tx, &outbox, lease, now));
            expired.collect::<Result<Vec<_>>>()
        };
        for cancelled in self.storage().write(decide).await?.iter().flatten() {
            self.after_cancel(cancelled);
        }
        Ok(())
    }
}
