//! What the transaction of a creation decides: whether the run may be, what it is, and what becomes of those it replaces.

use agent_server_storage::{
    AssistantId, ReadTx, RunId, Scope, ThreadId, Timestamp, WriteTx,
    assistants::Assistant,
    runs::{Lease, MultitaskStrategy, Run, RunStatus},
    threads::{Changes, Columns, Thread, ThreadStatus, Ttl},
};
use chrono::TimeDelta;

use super::{
    Limits,
    cancel::{CancelAction, Cancelled},
    kwargs::{self, Facts, RunRequest},
};
use crate::{
    Caller, Error, Result, assistants::is_system, ports::RunOrder, threads::fresh_thread,
    webhooks::Outbox,
};

const BUSY: &str = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.";
/// A run as it will be created, before the transaction.
pub(super) struct Plan {
    pub(super) run_id: RunId,
    pub(super) thread_id: ThreadId,
    pub(super) stateless: bool,
    pub(super) assistant_id: AssistantId,
    pub(super) request: RunRequest,
    pub(super) caller: Caller,
    /// Whether the assistant's id is that of a configured graph's default one.
    pub(super) is_default: bool,
    pub(super) now: Timestamp,
    pub(super) delay: TimeDelta,
    /// The graph that a slot is reserved for.
    pub(super) slot_graph: Option<String>,
    /// Lifetime of a thread that the run makes.
    pub(super) thread_ttl: Option<Ttl>,
    /// The same where the thread is there for replays only.
    pub(super) replay_ttl: Ttl,
    /// How many runs may be in flight.
    pub(super) limits: Limits,
    /// Under whose name the run counts there.
    pub(super) owner: Option<String>,
}

/// What the transaction decided.
pub(super) struct Decided {
    pub(super) run: Run,
    /// Set when the run was claimed.
    pub(super) order: Option<RunOrder>,
    pub(super) cancelled: Vec<Cancelled>,
}

/// The wire says the same of both.
pub(super) fn missing() -> Error {
    Error::NotFound("Thread or assistant not found.".into())
}

/// The assistant, if it is there for the caller and its graph is configured.
pub(crate) fn runnable(
    tx: &(impl ReadTx + ?Sized),
    caller: &Caller,
    id: AssistantId,
    is_default: bool,
    known_graph: &dyn Fn(&str) -> bool,
) -> Result<Option<Assistant>> {
    // Those that the server made for its graphs may be run by everybody, although filters hide them.
    let for_all = |assistant: &Assistant| is_default && is_system(assistant);
    Ok(tx
        .get_assistant(&Scope::server(), id)?
        .filter(|found| for_all(found) || caller.assistants.allows(&found.metadata))
        .filter(|assistant| known_graph(&assistant.graph_id)))
}

impl Plan {
    /// Why runs end that this one interrupts or rolls back.
    pub(super) fn superseded(&self) -> String {
        let strategy = self.request.multitask_strategy.as_str();
        format!("superseded by run {} (multitask_strategy={strategy})", self.run_id)
    }

    /// The lease, if the run is claimed at once.
    pub(super) fn lease(&self) -> Lease {
        Lease { run_id: self.run_id, thread_id: self.thread_id, attempt: 1 }
    }

    /// Whether the thread goes away with the run.
    pub(super) fn temporary(&self) -> bool {
        self.stateless && !self.request.keep_thread
    }

    pub(super) fn decide(
        self,
        tx: &dyn WriteTx,
        known_graph: &dyn Fn(&str) -> bool,
        outbox: &Outbox,
    ) -> Result<Decided> {
        let assistant =
            runnable(tx, &self.caller, self.assistant_id, self.is_default, known_graph)?
                .ok_or_else(missing)?;
        let temporary = self.temporary();
        let known = tx.get_thread(&self.caller.threads, self.thread_id, Columns::Header)?;
        let is_new = known.is_none();
        if is_new && !self.stateless && !self.request.create_thread {
            return Err(missing());
        }
        let mut thread = known.unwrap_or_else(|| {
            let thread = fresh_thread(self.thread_id, self.new_thread_metadata(), self.now);
            let ttl = match (temporary, self.request.stream_resumable) {
                (true, true) => Some(self.replay_ttl),
                (true, false) => None,
                (false, _) => self.thread_ttl,
            };
            Thread { ttl, ..thread }
        });
        let mut inflight = if is_new { vec![] } else { tx.inflight_runs(self.thread_id)? };
        let mut cancelled = vec![];
        if !inflight.is_empty() {
            let action = match self.request.multitask_strategy {
                MultitaskStrategy::Reject => return Err(Error::Conflict(BUSY.into())),
                MultitaskStrategy::Enqueue => None,
                MultitaskStrategy::Interrupt => Some(CancelAction::Interrupt),
                MultitaskStrategy::Rollback => Some(CancelAction::Rollback),
            };
            if let Some(action) = action {
                let reason = self.superseded();
                for run in inflight.drain(..) {
                    cancelled
                        .push(super::cancel::decide(tx, outbox, run, action, &reason, self.now)?);
                }
                thread = tx
                    .get_thread(&self.caller.threads, self.thread_id, Columns::Header)?
                    .ok_or_else(missing)?;
            }
        }

        self.limits.check(tx, self.owner.as_deref(), self.assistant_id, &[])?;

        let facts = Facts {
            run_id: self.run_id,
            caller: &self.caller,
            now_millis: self.now.timestamp_millis(),
            temporary,
        };
        let merged = kwargs::merge(&self.request, &assistant, &thread, facts);
        let run = Run {
            run_id: self.run_id,
            thread_id: self.thread_id,
            assistant_id: self.assistant_id,
            graph_id: assistant.graph_id,
            created_at: self.now + self.delay,
            updated_at: self.now,
            status: RunStatus::Pending,
            metadata: merged.metadata,
            kwargs: merged.kwargs,
            multitask_strategy: self.request.multitask_strategy,
            attempt: 0,
            crashes: 0,
            temporary,
            owner: self.owner.clone(),
        };
        if is_new {
            thread.status = ThreadStatus::Busy;
            thread.config = merged.thread_config;
            thread.metadata = merged.thread_metadata;
            match tx.insert_thread(&thread) {
                // There, but of somebody else.
                Err(agent_server_storage::Error::Duplicate(_)) => return Err(missing()),
                other => other?,
            }
        } else {
            let mut changes = Changes { status: Some(ThreadStatus::Busy), ..Default::default() };
            if thread.status != ThreadStatus::Busy {
                changes.updated_at = Some(self.now);
                changes.config = Some(merged.thread_config);
                changes.metadata = Some(merged.thread_metadata);
            }
            tx.update_thread(&Scope::server(), self.thread_id, &changes)?;
        }

        let mut order = None;
        let mut stored = run.clone();
        // Earlier runs of the thread go first; a delayed run is behind one that is due.
        let first = inflight.iter().all(|other| other.created_at > run.created_at);
        let has_slot = self.slot_graph.as_ref() == Some(&run.graph_id);
        if has_slot && first && inflight.iter().all(|other| other.status == RunStatus::Pending) {
            stored.status = RunStatus::Running;
            stored.attempt = self.lease().attempt;
            order = Some(super::dispatch::order(tx, &stored, is_new)?);
        }
        tx.insert_run(&stored)?;
        Ok(Decided { run, order, cancelled })
    }

    fn new_thread_metadata(&self) -> agent_server_storage::Map {
        let config = self.request.config.get("metadata").and_then(|value| value.as_object());
        let config = config.cloned().unwrap_or_default();
        crate::assistants::merged(config, &self.request.metadata)
    }
}
