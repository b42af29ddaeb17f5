//! Giving pending runs to hosts: pushed by every change that may let one start, never polled.

use agent_server_storage::{
    Cost, ReadTx, Scope, Timestamp, WriteTx,
    runs::{Lease, Run, RunStatus},
};

use super::{kwargs, stop::uncounted};
use crate::{
    Domain, Error, Result,
    measure::{self, Repair},
    ports::{Ending, GraphInfo, GraphStatus, Outcome, RunOrder},
    timer::PAUSE,
};

/// Most runs looked at per round; the next round follows at once while something was started.
const ROUND: u32 = 64;

/// How many deaths of the server a run may see for each attempt that it has. Graphs run in other processes: a run that
/// brings the server down is rare (it eats up the memory of the machine, say), but must not do so for ever.
const CRASHES: u32 = 10;

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
        trace: None,
    })
}

/// The lease that the next claim of a pending run gives.
fn next_lease(run: &Run) -> Lease {
    Lease { attempt: run.attempt + 1, ..run.lease() }
}

/// Claims a pending run: `None` if it is not pending any more or its thread has a running run.
fn claim(tx: &dyn WriteTx, mut run: Run, now: Timestamp) -> Result<Option<RunOrder>> {
    let busy =
        tx.inflight_runs(run.thread_id)?.iter().any(|other| other.status == RunStatus::Running);
    let expected = (RunStatus::Pending, run.attempt);
    let attempt = next_lease(&run).attempt;
    if busy || !tx.update_run_if(run.run_id, expected, RunStatus::Running, attempt, now)? {
        return Ok(None);
    }
    run.status = RunStatus::Running;
    run.attempt = attempt;
    order(tx, &run, false).map(Some)
}

/// Why the run was tried often enough, if so.
fn exhausted(run: &Run, max_attempts: u32) -> Option<String> {
    let Run { run_id, attempt, crashes, .. } = run;
    if *attempt >= max_attempts {
        return Some(format!(
            "Run {run_id} exceeded max attempts ({max_attempts}). The process that executed it ended each time before the \
             run did."
        ));
    }
    let is_deadly = *crashes >= max_attempts.saturating_mul(CRASHES);
    is_deadly.then(|| format!("The server died {crashes} times while run {run_id} was running."))
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
    /// Puts runs that a dead process left running back into the queue. Their attempts do not count: many runs die with the
    /// process, and hardly one of them is to blame. How often that happened is counted apart.
    pub(crate) async fn recover(&self) -> Result<()> {
        let now = self.now();
        let requeued = self
            .storage()
            .write(move |tx| {
                let runs = tx.running_runs()?;
                for run in &runs {
                    let (expected, attempt) =
                        ((RunStatus::Running, run.attempt), uncounted(run.lease()));
                    tx.update_run_if(run.run_id, expected, RunStatus::Pending, attempt, now)?;
                    tx.count_crash(run.run_id)?;
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
        self.on_time(&self.0.wake, "the dispatch of pending runs", PAUSE, || self.dispatch()).await;
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
            // First, because others wait for them; among the oldest they may not be.
            let nested = self.nested_runs(now).await?;
            let (mut started, mut waits) = (false, false);
            for run in nested.into_iter().chain(runs) {
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

    /// Runs that can be started and that other runs wait for, or that stand in front of such.
    async fn nested_runs(&self, now: Timestamp) -> Result<Vec<Run>> {
        let threads = self.0.nested.threads();
        if threads.is_empty() {
            return Ok(vec![]);
        }
        let inflight = self
            .storage()
            .read(Cost::Point, move |tx| {
                let of = |thread| Ok::<_, Error>((thread, tx.inflight_runs(thread)?));
                threads.into_iter().map(of).collect::<Result<Vec<_>>>()
            })
            .await?;
        let mut first = vec![];
        for (thread, runs) in inflight {
            let ids: Vec<_> = runs.iter().map(|run| run.run_id).collect();
            self.0.nested.retain(thread, &ids);
            let is_busy = runs.iter().any(|run| run.status == RunStatus::Running);
            let next = runs.into_iter().next().filter(|run| !is_busy && run.created_at <= now);
            first.extend(next);
        }
        Ok(first)
    }

    /// Starts one run if there is room for it.
    async fn dispatch_run(&self, run: Run, alone: bool) -> Result<Start> {
        if let Some(cause) = self.hopeless(&run) {
            let ended = self.fail_unstarted(run, cause).await?;
            return Ok(if ended { Start::Done } else { Start::Late });
        }
        let slot = match alone {
            true => self.reserve_alone(&run.graph_id),
            false => self.reserve(&run.graph_id, self.0.nested.depth_of(run.thread_id)),
        };
        let Some(slot) = slot else { return Ok(Start::NoRoom) };
        let resumable = kwargs::is_resumable(&run.kwargs);
        // A later attempt is due since the one before it ended.
        let due = run.created_at.max(run.updated_at);
        let (lease, now) = (next_lease(&run), self.now());
        let notifies = self.notifies(&run.kwargs);
        let buffer = self.0.buffers.open(lease, &run.graph_id, run.temporary, notifies);
        // Nobody waits for the flush: a claim that is lost with the power is made again by the next start.
        let claimed = self.storage().commit(move |tx| claim(tx, run, now)).await;
        let Ok((Some(order), _)) = claimed else {
            self.0.buffers.take_back(lease, &buffer);
            return claimed.map(|_| Start::Late);
        };
        self.0.streams.open(lease.run_id, lease.thread_id, resumable);
        self.launch(slot, order, &buffer, due);
        Ok(Start::Done)
    }

    /// Why the run can never start, if so: its graph is broken or gone, or it was tried too often.
    fn hopeless(&self, run: &Run) -> Option<(String, String)> {
        if let Some(message) = exhausted(run, self.0.options.max_attempts) {
            return Some(("RuntimeError".into(), message));
        }
        let is_broken = |graph: &GraphInfo| matches!(graph.status, GraphStatus::Failed(_));
        if self.0.options.needs_graphs && self.graphs().iter().all(is_broken) {
            return None;
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
        let lease = next_lease(&run);
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
            let notifies = self.notifies(&run.kwargs);
            self.0.buffers.open(lease, &run.graph_id, run.temporary, notifies);
            let outcome = Outcome { ending: Ending::Error { error, message }, live: None };
            self.end_attempt(lease, outcome).await;
        }
        Ok(claimed)
    }
}

#[cfg(test)]
mod tests {
    use agent_server_storage::{RawJson, RunId, ThreadId, runs::MultitaskStrategy};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn deaths_of_the_server_are_bounded_apart_from_attempts() {
        let time = Timestamp::UNIX_EPOCH;
        let run = |attempt, crashes| Run {
            run_id: RunId(Uuid::nil()),
            thread_id: ThreadId(Uuid::nil()),
            assistant_id: Uuid::nil().into(),
            graph_id: "g".into(),
            created_at: time,
            updated_at: time,
            status: RunStatus::Pending,
            metadata: Default::default(),
            kwargs: RawJson::null(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            attempt,
            crashes,
            temporary: false,
            owner: None,
        };
        let id = Uuid::nil();
        assert_eq!(exhausted(&run(2, 29), 3), None);
        let message = format!(
            "Run {id} exceeded max attempts (3). The process that executed it ended each time before the run did."
        );
        assert_eq!(exhausted(&run(3, 0), 3), Some(message));
        let message = format!("The server died 30 times while run {id} was running.");
        assert_eq!(exhausted(&run(0, 30), 3), Some(message));
    }
}
