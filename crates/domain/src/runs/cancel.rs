//! Cancelling. A run that keeps what it produced is asked to stop first (`early`). Whatever has not ended by then is ended
//! by decision: the run's end is committed and its lease revoked in one transaction; only then is the host told, so that
//! nothing the graph still does can write.

use agent_server_storage::{
    Cost, ReadTx, RunId, Scope, ThreadId, Timestamp, WriteTx,
    runs::{Lease, Run, RunStatus},
    threads::{Changes, ThreadStatus},
};

use super::{early::EarlyEnd, end::error_json, vanishes};
use crate::{Caller, Domain, Error, Result, ports::Event, state::head_view};

const NOTHING: &str = "No runs found to cancel.";
const ALL_OVER: &str = "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs \
                        haven't been deleted or completed.";

/// What becomes of a cancelled run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAction {
    /// It stays, with status `interrupted`, and so do its checkpoints.
    Interrupt,
    /// It is deleted with its checkpoints.
    Rollback,
}

impl CancelAction {
    /// As the wire names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Rollback => "rollback",
        }
    }
}

/// Which runs one request cancels.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These of a thread.
    Ids(ThreadId, Vec<RunId>),
    /// All of all threads that are pending, running, or either (`None`).
    Status(Option<RunStatus>),
}

impl Selection {
    /// The runs of it that can be cancelled, and whether there are any others.
    fn find(&self, tx: &(impl ReadTx + ?Sized), scope: &Scope) -> Result<(Vec<Run>, bool)> {
        let (thread, ids) = match self {
            Self::Status(status) => return Ok((tx.inflight_runs_of_all(scope, *status)?, false)),
            Self::Ids(thread, ids) => (*thread, ids),
        };
        let (mut found, mut others) = (vec![], false);
        for id in ids {
            match tx.get_run(scope, thread, *id)? {
                // The same id twice is one run.
                Some(run) if found.iter().any(|known: &Run| known.run_id == run.run_id) => {}
                Some(run) if run.status.is_terminal() => others = true,
                Some(run) => found.push(run),
                None => {}
            }
        }
        Ok((found, others))
    }
}

/// A cancel that was decided in a transaction, to be carried out after it.
pub(super) struct Cancelled {
    lease: Lease,
    was_running: bool,
    /// What the run has become, for figures.
    status: RunStatus,
}

impl Cancelled {
    /// `run` as it was, and its status now.
    pub(super) fn of(run: &Run, status: RunStatus) -> Self {
        Self { lease: run.lease(), was_running: run.status == RunStatus::Running, status }
    }
}

/// Ends `run` within the caller's transaction.
pub(super) fn decide(
    tx: &dyn WriteTx,
    run: Run,
    action: CancelAction,
    reason: &str,
    now: Timestamp,
) -> Result<Cancelled> {
    let (thread, cancelled) = (run.thread_id, Cancelled::of(&run, RunStatus::Interrupted));
    let expected = (run.status, run.attempt);
    if !tx.update_run_if(run.run_id, expected, RunStatus::Interrupted, run.attempt, now)? {
        return Err(Error::NotFound(ALL_OVER.into()));
    }
    if vanishes(&run) {
        tx.delete_thread(&Scope::server(), thread)?;
        return Ok(cancelled);
    }
    let mut changes =
        Changes { updated_at: Some(now), state_updated_at: Some(now), ..Default::default() };
    if action == CancelAction::Rollback {
        tx.delete_run(&Scope::server(), run.run_id)?;
        tx.delete_checkpoints_of_run(thread, run.run_id)?;
    }
    // After a rollback the row shows what was before the run, and so does the head.
    let head = head_view(tx, thread)?;
    let pending = head.as_ref().is_some_and(|head| head.pending);
    match action {
        CancelAction::Interrupt if cancelled.was_running => {
            changes.error = Some(Some(EarlyEnd::interrupt(reason).error_json()));
            if let Some(head) = head {
                changes.values = Some(Some(head.values));
                changes.interrupts = Some(Some(head.interrupts));
            }
        }
        // It did nothing that the thread could show.
        CancelAction::Interrupt => {}
        CancelAction::Rollback => changes.error = Some(Some(error_json("UserRollback", reason))),
    }
    changes.status = Some(match (tx.inflight_runs(thread)?.is_empty(), pending) {
        (false, _) => ThreadStatus::Busy,
        (true, true) => ThreadStatus::Interrupted,
        (true, false) => ThreadStatus::Idle,
    });
    tx.update_thread(&Scope::server(), thread, &changes)?;
    Ok(cancelled)
}

impl Domain {
    /// Cancels a run of a thread.
    ///
    /// # Errors
    /// `NotFound` when there is no such run, or it is over.
    pub async fn cancel_run(
        &self,
        caller: &Caller,
        thread: ThreadId,
        id: RunId,
        action: CancelAction,
    ) -> Result<()> {
        let run = match self.get_run(caller, thread, id).await {
            Ok(run) if run.status.is_terminal() => return Err(Error::NotFound(ALL_OVER.into())),
            Err(Error::NotFound(_)) => return Err(Error::NotFound(NOTHING.into())),
            other => other?,
        };
        let word = action.word();
        let reason =
            format!("{word} requested via POST /threads/{{thread_id}}/runs/{{run_id}}/cancel");
        self.cancel(&run, action, &reason).await
    }

    /// Cancels all runs of a selection that are not over, in one transaction.
    ///
    /// # Errors
    /// `NotFound` when it holds none.
    pub async fn cancel_runs(
        &self,
        caller: &Caller,
        selection: Selection,
        action: CancelAction,
    ) -> Result<()> {
        let (scope, chosen) = (caller.threads.clone(), selection.clone());
        let looked = self.storage().read(Cost::Scan, move |tx| chosen.find(tx, &scope));
        let (runs, _) = looked.await?;
        let reason = format!("{} requested via POST /runs/cancel", action.word());
        let ended = self.ended_by(&runs, action, &reason).await?;
        let (scope, now) = (caller.threads.clone(), self.now());
        let cancelled = self
            .storage()
            .write(move |tx| {
                let (runs, others) = selection.find(tx, &scope)?;
                if runs.is_empty() && ended.is_empty() {
                    return Err(Error::NotFound(if others { ALL_OVER } else { NOTHING }.into()));
                }
                runs.into_iter()
                    .map(|run| {
                        match tx.get_run(&Scope::server(), run.thread_id, run.run_id)? {
                            Some(run) => decide(tx, run, action, &reason, now),
                            // It went away with the temporary thread of a run before it.
                            None => Ok(Cancelled::of(&run, RunStatus::Interrupted)),
                        }
                    })
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        for cancelled in &cancelled {
            self.after_cancel(cancelled);
        }
        Ok(())
    }

    /// Interrupts a run for a reason of the server's.
    ///
    /// # Errors
    /// Storage failed. That the run is over already is no error.
    pub async fn interrupt(&self, run: &Run, reason: &str) -> Result<()> {
        match self.cancel(run, CancelAction::Interrupt, reason).await {
            Err(Error::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    async fn cancel(&self, run: &Run, action: CancelAction, reason: &str) -> Result<()> {
        if !self.ended_by(std::slice::from_ref(run), action, reason).await?.is_empty() {
            return Ok(());
        }
        let (thread, id, now) = (run.thread_id, run.run_id, self.now());
        let reason = reason.to_owned();
        let cancelled = self
            .storage()
            .write(move |tx| {
                // Read again: between the look and the decision the run may have started, moved on or ended.
                let run = tx.get_run(&Scope::server(), thread, id)?;
                let run = run.filter(|run| !run.status.is_terminal());
                let run = run.ok_or_else(|| Error::NotFound(ALL_OVER.into()))?;
                decide(tx, run, action, &reason, now)
            })
            .await?;
        self.after_cancel(&cancelled);
        Ok(())
    }

    /// Lets runs end by themselves where they can, and returns those that did. Those of a rollback are not asked: what they
    /// hold is not wanted.
    pub(super) async fn ended_by(
        &self,
        runs: &[Run],
        action: CancelAction,
        reason: &str,
    ) -> Result<Vec<RunId>> {
        if action == CancelAction::Rollback {
            return Ok(vec![]);
        }
        let is_waiting = |run: &&Run| run.status == RunStatus::Pending;
        let waiting: Vec<Run> = runs.iter().filter(is_waiting).cloned().collect();
        // They go first: the end of a run that they wait for would start them.
        let mut ended = match waiting.len() {
            all if all == runs.len() => vec![],
            _ => self.cancel_waiting(waiting, reason).await?,
        };
        ended.extend(self.end_early(runs, &EarlyEnd::interrupt(reason)).await);
        Ok(ended)
    }

    /// Ends those of the runs that have not started yet.
    async fn cancel_waiting(&self, runs: Vec<Run>, reason: &str) -> Result<Vec<RunId>> {
        if runs.is_empty() {
            return Ok(vec![]);
        }
        let (reason, now) = (reason.to_owned(), self.now());
        let cancelled = self
            .storage()
            .write(move |tx| {
                let mut cancelled = vec![];
                for run in runs {
                    let run = tx.get_run(&Scope::server(), run.thread_id, run.run_id)?;
                    if let Some(run) = run.filter(|run| run.status == RunStatus::Pending) {
                        cancelled.push(decide(tx, run, CancelAction::Interrupt, &reason, now)?);
                    }
                }
                Ok::<_, Error>(cancelled)
            })
            .await?;
        for cancelled in &cancelled {
            self.after_cancel(cancelled);
        }
        Ok(cancelled.iter().map(|cancelled| cancelled.lease.run_id).collect())
    }

    /// Carries out a committed cancel.
    pub(super) fn after_cancel(&self, cancelled: &Cancelled) {
        if cancelled.was_running {
            if let Some(buffer) = self.0.buffers.close(cancelled.lease) {
                buffer.measure_end(cancelled.status);
            }
            self.host().cancel(cancelled.lease);
        }
        self.close_stream(cancelled.lease.run_id, cancelled.lease.thread_id);
        self.0.wake.notify_one();
    }

    /// Lets go of a run in flight whose row is gone already.
    pub(crate) fn abandon(&self, run: &Run) {
        if !run.temporary {
            let data = error_json("HTTPException", "404: Run not found");
            let event = Event { name: "error".into(), data: data.get().to_owned().into() };
            self.0.streams.push(run.run_id, self.now(), event);
        }
        self.after_cancel(&Cancelled::of(run, RunStatus::Interrupted));
    }
}
