//! Giving pending runs to hosts: pushed by every change that may let one start, never polled.

use std::time::Duration;

use agent_server_storage::{
    Cost, ReadTx, Scope, Timestamp, WriteTx,
    runs::{Run, RunStatus},
};

use super::kwargs;
use crate::{
    Domain, Error, Result,
    measure::{self, Repair},
    ports::{Ending, GraphStatus, Outcome, RunOrder},
};

/// Most runs looked at per round; the next round follows at once while something was started.
const ROUND: u32 = 64;

/// Everything a host needs for the run's current attempt. A `new` thread has no checkpoints to look for.
pub(super) fn order(tx: &(impl ReadTx + ?Sized), run: &Run, new: bool) -> Result<RunOrder> {
    let scope = Scope::server();
    let asked = kwargs::checkpoint_id(&run.kwargs);
    let (checkpoint, head_id) = if run.temporary || new {
        (None, None)
    } else {
        let checkpoint = tx.get_checkpoint(&scope, run.thread_id, "", asked.as_deref())?;
        let head = match (&asked, &checkpoint) {
            (None, Some(head)) => Some(head.id.clone()),
            (None, None) => None,
            (Some(_), _) => tx.head_checkpoint(&scope, run.thread_id, "")?,
        };
        (checkpoint, head)
    };
    Ok(RunOrder {
        lease: run.lease(),
        graph_id: run.graph_id.clone(),
        assistant_id: run.assistant_id,
        kwargs: run.kwargs.clone(),
        temporary: run.temporary,
        checkpoint,
        head_id,
    })
}

/// Claims a pending run: `None` if it is not pending any more or its thread has a running run.
fn claim(tx: &dyn WriteTx, mut run: Run, now: Timestamp) -> Result<Option<RunOrder>> {
    let busy =
        tx.inflight_runs(run.thread_id)?.iter().any(|other| other.status == RunStatus::Running);
    let expected = (RunStatus::Pending, run.attempt);
    let attempt = run.attempt + 1;
    if busy || !tx.update_run_if(run.run_id, expected, RunStatus::Running, attempt, now)? {
        return Ok(None);
    }
    run.status = RunStatus::Running;
    run.attempt = attempt;
    order(tx, &run, false).map(Some)
}

/// What became of a run that could be started.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    /// It has been started, or ended because it can never be.
    Done,
    /// There is no room for it now.
    NoRoom,
    /// It is not pending any more, or somebody else of its thread is faster.
    Late,
}

impl Domain {
    /// Puts runs that a dead process left running back into the queue.
    pub(crate) async fn recover(&self) -> Result<()> {
        let now = self.now();
        let requeued = self
            .storage()
            .write(move |tx| {
                let runs = tx.running_runs()?;
                for run in &runs {
                    let expected = (RunStatus::Running, run.attempt);
                    tx.update_run_if(run.run_id, expected, RunStatus::Pending, run.attempt, now)?;
                }
                Ok::<_, Error>(runs.len())
            })
            .await?;
        if requeued > 0 {
            measure::repaired(Repair::Server, requeued);
            tracing::info!(runs = requeued, "runs of an earlier process are taken up again");
        }
        Ok(())
    }

    /// Starts what can be started whenever something changed, until shutdown.
    pub(crate) async fn dispatch_loop(&self) {
        while !self.0.shutdown.is_cancelled() {
            let wait = match self.dispatch().await {
                Ok(next) => next.map(|at| (at - self.now()).to_std().unwrap_or_default()),
                Err(error) => {
                    // Storage is in trouble.
                    tracing::error!(%error, "pending runs could not be dispatched");
                    Some(Duration::from_secs(1))
                }
            };
            let due = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = self.0.wake.notified() => {}
                () = due => {}
            }
        }
    }

    /// Starts what there is room for. Returns when the next delayed run becomes due, if there is one.
    async fn dispatch(&self) -> Result<Option<Timestamp>> {
        loop {
            let now = self.now();
            // Runs that wait for a process of their own must not hide those behind them.
            let round = ROUND + u32::try_from(self.0.apart.len()).unwrap_or(ROUND);
            let (runs, next) = self
                .storage()
                .read(Cost::Point, move |tx| {
                    Ok::<_, Error>((tx.claimable_runs(now, round)?, tx.next_due(now)?))
                })
                .await?;
            let (mut started, mut waits) = (false, false);
            for run in runs {
                if self.0.shutdown.is_cancelled() {
                    return Ok(None);
                }
                let alone = self.0.apart.has(run.run_id);
                let start = self.dispatch_run(run, alone).await?;
                started |= start == Start::Done;
                waits |= alone && start == Start::NoRoom;
            }
            if !started {
                self.host().make_room(waits);
                return Ok(next);
            }
        }
    }

    /// Starts one run if there is room for it.
    async fn dispatch_run(&self, run: Run, alone: bool) -> Result<Start> {
        if let Some(cause) = self.hopeless(&run) {
            let ended = self.fail_unstarted(run, cause).await?;
            return Ok(if ended { Start::Done } else { Start::Late });
        }
        let slot = match alone {
            true => self.reserve_alone(&run.graph_id),
            false => self.reserve(&run.graph_id),
        };
        let Some(slot) = slot else { return Ok(Start::NoRoom) };
        let resumable = kwargs::is_resumable(&run.kwargs);
        let (run_id, thread_id, due, now) = (run.run_id, run.thread_id, run.created_at, self.now());
        // Nobody waits for the flush: a claim that is lost with the power is made again by the next start.
        let (order, _) = self.storage().commit(move |tx| claim(tx, run, now)).await?;
        let Some(order) = order else { return Ok(Start::Late) };
        self.0.streams.open(run_id, thread_id, resumable);
        self.launch(slot, order, due);
        Ok(Start::Done)
    }

    /// Why the run can never start, if so: its graph is broken or gone, or it was tried too often.
    fn hopeless(&self, run: &Run) -> Option<(String, String)> {
        let max = self.0.options.max_attempts;
        if run.attempt >= max {
            let id = run.run_id;
            let message = format!(
                "Run {id} exceeded max attempts ({max}). The process that executed it ended each time before the run did."
            );
            return Some(("RuntimeError".into(), message));
        }
        match self.graph(&run.graph_id).map(|graph| graph.status) {
            Some(GraphStatus::Failed(cause)) => Some((
                "GraphLoadError".into(),
                format!("Graph '{}' failed to load: {cause}", run.graph_id),
            )),
            None => Some((
                "GraphLoadError".into(),
                format!("Graph '{}' is not configured.", run.graph_id),
            )),
            Some(GraphStatus::Loading | GraphStatus::Ready) => None,
        }
    }

    /// Ends a run that no host will ever see, through the same door as every other end.
    async fn fail_unstarted(&self, run: Run, (error, message): (String, String)) -> Result<bool> {
        let now = self.now();
        let mut lease = run.lease();
        lease.attempt += 1;
        let claimed = self
            .storage()
            .write(move |tx| {
                let expected = (RunStatus::Pending, run.attempt);
                let attempt = lease.attempt;
                Ok::<_, Error>(tx.update_run_if(
                    run.run_id,
                    expected,
                    RunStatus::Running,
                    attempt,
                    now,
                )?)
            })
            .await?;
        if claimed {
            let resumable = kwargs::is_resumable(&run.kwargs);
            self.0.streams.open(run.run_id, run.thread_id, resumable);
            self.0.buffers.open(lease, &run.graph_id, run.temporary);
            let outcome = Outcome { ending: Ending::Error { error, message }, live: None };
            self.end_attempt(lease, outcome).await;
        }
        Ok(claimed)
    }
}
