//! Creating a run: everything is decided and committed in one transaction, together with the thread's new status and,
//! where a slot is free, the claim. Only then is anything done.

use std::sync::Arc;

use agent_server_storage::{
    AssistantId, Cost, RawJson, ReadTx, RunId, Scope, ThreadId, Timestamp, WriteTx,
    assistants::Assistant,
    runs::{Lease, MultitaskStrategy, Run, RunStatus},
    threads::{Changes, Columns, Thread, ThreadStatus, Ttl},
};
use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    cancel::{CancelAction, Cancelled},
    kwargs::{self, Facts, RunRequest},
    once::{Outcome, Stored},
    sink::Buffer,
};
use crate::{
    Caller, Domain, Error, Result,
    assistants::{configurable, default_assistant_id, is_system, refuse_both},
    measure,
    ports::{RunOrder, Slot},
    stream::{From, Listener},
    threads::fresh_thread,
    webhooks::Outbox,
};

const BUSY: &str = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.";

/// Which thread a run works on.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// This one.
    Thread(ThreadId),
    /// One of its own.
    Stateless,
}

/// A run that was accepted: durable, and listened to from before its first event.
pub struct Created {
    /// The run as it was created (`pending`).
    pub run: Run,
    /// Its events from the first on.
    pub listener: Listener,
}

/// A run as it will be created, before the transaction.
struct Plan {
    run_id: RunId,
    thread_id: ThreadId,
    stateless: bool,
    assistant_id: AssistantId,
    request: RunRequest,
    caller: Caller,
    /// Whether the assistant's id is that of a configured graph's default one.
    is_default: bool,
    now: Timestamp,
    delay: TimeDelta,
    /// The graph that a slot is reserved for.
    slot_graph: Option<String>,
    /// Lifetime of a thread that the run makes.
    thread_ttl: Option<Ttl>,
    /// The same where the thread is there for replays only.
    replay_ttl: Ttl,
}

/// A plan with the slot that is reserved for it.
struct Prepared {
    plan: Plan,
    slot: Option<Box<dyn Slot>>,
}

/// What the transaction decided.
struct Decided {
    run: Run,
    /// Set when the run was claimed.
    order: Option<RunOrder>,
    cancelled: Vec<Cancelled>,
}

impl Domain {
    /// Creates a run.
    ///
    /// # Errors
    /// `Invalid` for an assistant id that is neither id nor graph; `NotFound` for thread or assistant; `Conflict` for a busy
    /// thread with strategy `reject`; `Refused` for configurable with context or a resume without thread.
    pub async fn create_run(
        &self,
        caller: &Caller,
        target: Target,
        request: RunRequest,
    ) -> Result<Created> {
        let created = self.create_run_if(caller, target, request, |_, _| Ok(true)).await?;
        Ok(created.expect("nothing was against it"))
    }

    /// Creates a run if `mark` agrees, which is asked in the transaction of the run and may write in it what has to be
    /// written with the run, or instead of it. An error of it, or of the creation, undoes both.
    ///
    /// # Errors
    /// As [`Self::create_run`], or what `mark` says.
    pub(crate) async fn create_run_if(
        &self,
        caller: &Caller,
        target: Target,
        request: RunRequest,
        mark: impl FnOnce(&dyn WriteTx, RunId) -> Result<bool> + Send + 'static,
    ) -> Result<Option<Created>> {
        let prepared = self.prepared_one(caller, target, request, None).await?;
        let run_id = prepared.plan.run_id;
        let mark = move |tx: &dyn WriteTx| mark(tx, run_id);
        match self.create_prepared(vec![prepared], None, mark).await? {
            Outcome::New(mut created) => Ok(created.pop()),
            Outcome::Known(_) => unreachable!("nothing is known without a key"),
        }
    }

    pub(super) async fn create_one(
        &self,
        caller: &Caller,
        target: Target,
        request: RunRequest,
        once: Option<Stored>,
    ) -> Result<Outcome> {
        let prepared = self.prepared_one(caller, target, request, once.clone()).await?;
        self.create_prepared(vec![prepared], once, |_| Ok(true)).await
    }

    async fn prepared_one(
        &self,
        caller: &Caller,
        target: Target,
        request: RunRequest,
        once: Option<Stored>,
    ) -> Result<Prepared> {
        self.check_webhooks([&request]).await?;
        let prepared = self.prepare(caller, target, request)?;
        if prepared.plan.request.multitask_strategy == MultitaskStrategy::Interrupt {
            self.make_way(&prepared.plan, once.clone()).await?;
        }
        Ok(prepared)
    }

    /// Creates stateless runs: all of them or none.
    ///
    /// # Errors
    /// As [`Self::create_run`], for the first that is refused.
    pub async fn create_runs(
        &self,
        caller: &Caller,
        requests: Vec<RunRequest>,
    ) -> Result<Vec<Created>> {
        match self.create_several(caller, requests, None).await? {
            Outcome::New(created) => Ok(created),
            Outcome::Known(_) => unreachable!("nothing is known without a key"),
        }
    }

    pub(super) async fn create_several(
        &self,
        caller: &Caller,
        requests: Vec<RunRequest>,
        once: Option<Stored>,
    ) -> Result<Outcome> {
        self.check_webhooks(&requests).await?;
        let prepared = requests
            .into_iter()
            .map(|request| self.prepare(caller, Target::Stateless, request))
            .collect::<Result<_>>()?;
        self.create_prepared(prepared, once, |_| Ok(true)).await
    }

    async fn check_webhooks(&self, requests: impl IntoIterator<Item = &RunRequest>) -> Result<()> {
        for address in requests.into_iter().filter_map(|request| request.webhook.as_ref()) {
            self.check_webhook(address).await?;
        }
        Ok(())
    }

    /// Everything about a creation that needs no transaction.
    fn prepare(&self, caller: &Caller, target: Target, request: RunRequest) -> Result<Prepared> {
        refuse_both(configurable(&request.config), Some(&request.context))?;
        let delay = delay(request.after_seconds)?;
        let assistant_id = self.resolve_assistant(&request.assistant_id)?;
        let (thread_id, stateless) = match target {
            Target::Thread(id) => (id, false),
            Target::Stateless => (self.0.ids.ordered().into(), true),
        };
        if stateless && resumes(&request) {
            return Err(Error::Refused("You must provide a thread_id when resuming.".into()));
        }
        // Only the graph of a default assistant can be guessed before the transaction. Other assistants' runs, and those
        // of a default assistant that was moved to another graph, are dispatched by the queue right after it.
        let graphs = self.graphs();
        let graph = graphs
            .iter()
            .map(|graph| &graph.graph_id)
            .find(|graph_id| default_assistant_id(graph_id) == assistant_id);
        let slot = match graph {
            Some(graph_id) if request.after_seconds <= 0.0 => self.reserve(graph_id),
            _ => None,
        };
        let slot_graph = slot.as_ref().and(graph).cloned();
        let plan = Plan {
            run_id: request.run_id.unwrap_or_else(|| self.new_run_id()),
            thread_id,
            stateless,
            assistant_id,
            request,
            caller: caller.clone(),
            is_default: graph.is_some(),
            now: self.now(),
            delay,
            slot_graph,
            thread_ttl: self.0.options.thread_ttl,
            replay_ttl: self.replay_ttl(),
        };
        Ok(Prepared { plan, slot })
    }

    /// Asks the runs that this one interrupts to stop, so that what they hold is kept.
    async fn make_way(&self, plan: &Plan, once: Option<Stored>) -> Result<()> {
        let (caller, thread) = (plan.caller.clone(), plan.thread_id);
        let (assistant, is_default) = (plan.assistant_id, plan.is_default);
        let graphs = self.graphs();
        let inflight = self
            .storage()
            .read(Cost::Point, move |tx| {
                // A run that will be refused, or is there already, stops nothing.
                if let Some(once) = once
                    && once.find(tx)?.is_some()
                {
                    return Ok(vec![]);
                }
                let known = |id: &str| graphs.iter().any(|graph| graph.graph_id == id);
                runnable(tx, &caller, assistant, is_default, &known)?.ok_or_else(missing)?;
                match tx.get_thread(&caller.threads, thread, Columns::Header)? {
                    Some(_) => Ok::<_, Error>(tx.inflight_runs(thread)?),
                    None => Ok(vec![]),
                }
            })
            .await?;
        self.ended_by(&inflight, CancelAction::Interrupt, &plan.superseded()).await?;
        Ok(())
    }

    /// Commits the runs in one transaction, if `mark` agrees in it, starts those that were claimed, and returns when all are
    /// durable.
    async fn create_prepared(
        &self,
        prepared: Vec<Prepared>,
        once: Option<Stored>,
        mark: impl FnOnce(&dyn WriteTx) -> Result<bool> + Send + 'static,
    ) -> Result<Outcome> {
        let (mut plans, mut rooms, mut listeners) = (vec![], vec![], vec![]);
        // Whether a thread is made that has a lifetime for the sake of replays.
        let mut replayed = false;
        for Prepared { plan, slot } in prepared {
            // Before the commit, so that not even the first event can be missed; closed again if nothing is committed.
            let resumable = plan.request.stream_resumable;
            replayed |= resumable && plan.stateless;
            let log = self.0.streams.open_new(plan.run_id, plan.thread_id, resumable);
            let listener = self.listen_to(log, From::Start);
            listeners.push((plan.lease(), listener));
            let graph_id = plan.slot_graph.as_deref().unwrap_or_default();
            let notifies = self.0.courier.outbox.enabled && plan.request.webhook.is_some();
            rooms.push(slot.map(|slot| {
                let temporary = plan.temporary();
                (slot, self.0.buffers.open(plan.lease(), graph_id, temporary, notifies))
            }));
            plans.push(plan);
        }
        let (graphs, outbox) = (self.graphs(), self.outbox());
        let committed = self
            .storage()
            .commit(move |tx| {
                if let Some(once) = &once
                    && let Some(runs) = once.find(tx)?
                {
                    return Ok(Err(runs));
                }
                if !mark(tx)? {
                    return Ok(Ok(vec![]));
                }
                let known = |id: &str| graphs.iter().any(|graph| graph.graph_id == id);
                let decided = plans.into_iter().map(|plan| plan.decide(tx, &known, &outbox));
                let decided = decided.collect::<Result<Vec<_>>>()?;
                if let Some(once) = &once {
                    once.keep(tx, decided.iter().map(|decided| decided.run.run_id).collect())?;
                }
                Ok::<_, Error>(Ok(decided))
            })
            .await;
        let is_created = matches!(&committed, Ok((Ok(decided), _)) if !decided.is_empty());
        if !is_created {
            for (lease, _) in &listeners {
                self.0.buffers.close(*lease);
                self.0.streams.discard(lease.run_id);
            }
        }
        let (decided, flush) = committed?;
        let decided = match decided {
            Ok(decided) => decided,
            Err(runs) => {
                flush.await?;
                return Ok(Outcome::Known(runs));
            }
        };
        let mut created = Vec::with_capacity(decided.len());
        if replayed {
            self.0.lifetimes.notify_one();
        }
        for ((decided, room), (lease, listener)) in decided.into_iter().zip(rooms).zip(listeners) {
            for cancelled in &decided.cancelled {
                self.after_cancel(cancelled);
            }
            match (decided.order, room) {
                (Some(order), Some((slot, buffer))) => {
                    self.launch(slot, order, &buffer, decided.run.created_at);
                }
                (_, room) => {
                    drop(room);
                    self.0.buffers.close(lease);
                    self.0.wake.notify_one();
                }
            }
            created.push(Created { run: decided.run, listener });
        }
        // The graph begins meanwhile; the caller hears of the run only when it cannot be lost any more.
        flush.await?;
        Ok(Outcome::New(created))
    }

    /// An id for a run, for who has to name it before it is created.
    pub fn new_run_id(&self) -> RunId {
        self.0.ids.ordered().into()
    }

    /// A graph id stands for its default assistant, anything else must be a UUID.
    ///
    /// # Errors
    /// `Invalid` for what is neither.
    pub fn resolve_assistant(&self, text: &str) -> Result<AssistantId> {
        if self.graph(text).is_some() {
            return Ok(default_assistant_id(text));
        }
        Uuid::try_parse(text).map(AssistantId::from).map_err(|_| {
            let graphs: Vec<_> =
                self.graphs().iter().map(|graph| graph.graph_id.clone()).collect();
            Error::Invalid(format!(
                "Invalid assistant: '{text}'. Must be either:\n- A valid assistant UUID, or\n- One of the registered \
                 graphs: {}",
                graphs.join(", ")
            ))
        })
    }
}

/// Furthest start of a run from now, seconds: a hundred years, within what every time of the wire can say.
const MAX_DELAY_SECONDS: f64 = 3_155_760_000.0;

/// The delay of a run's start.
fn delay(seconds: f64) -> Result<TimeDelta> {
    if seconds.abs() > MAX_DELAY_SECONDS {
        return Err(Error::Invalid(format!(
            "after_seconds is {seconds}; it may be at most {MAX_DELAY_SECONDS} (a hundred years)"
        )));
    }
    Ok(TimeDelta::microseconds((seconds * 1e6) as i64))
}

/// Whether the request answers an interrupt.
fn resumes(request: &RunRequest) -> bool {
    let command: Option<agent_server_storage::Map> =
        request.command.as_ref().and_then(|command| command.parse().ok());
    let resume = command.and_then(|mut command| command.remove("resume"));
    match resume {
        None | Some(serde_json::Value::Null) => false,
        Some(serde_json::Value::Bool(given)) => given,
        Some(serde_json::Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(serde_json::Value::String(text)) => !text.is_empty(),
        Some(serde_json::Value::Array(items)) => !items.is_empty(),
        Some(serde_json::Value::Object(map)) => !map.is_empty(),
    }
}

fn missing() -> Error {
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
    fn superseded(&self) -> String {
        let strategy = self.request.multitask_strategy.as_str();
        format!("superseded by run {} (multitask_strategy={strategy})", self.run_id)
    }

    /// The lease, if the run is claimed at once.
    fn lease(&self) -> Lease {
        Lease { run_id: self.run_id, thread_id: self.thread_id, attempt: 1 }
    }

    /// Whether the thread goes away with the run.
    fn temporary(&self) -> bool {
        self.stateless && !self.request.keep_thread
    }

    fn decide(
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

impl Domain {
    /// Whether somebody is told of the end of a run with these kwargs.
    pub(super) fn notifies(&self, kwargs: &RawJson) -> bool {
        self.0.courier.outbox.enabled && kwargs::webhook(kwargs).is_some()
    }

    /// Announces a claimed attempt of a run that was due at `due`, and hands it to the host.
    pub(super) fn launch(
        &self,
        slot: Box<dyn Slot>,
        order: RunOrder,
        buffer: &Buffer,
        due: Timestamp,
    ) {
        let lease = order.lease;
        measure::started(&order.graph_id, lease.attempt, due, self.now());
        let data =
            serde_json::json!({"run_id": lease.run_id.to_string(), "attempt": lease.attempt});
        let event = crate::ports::Event { name: "metadata".into(), data: data.to_string().into() };
        self.emit(lease, event);
        Arc::clone(self.host()).start(slot, order);
        // Ended between its claim and its start, the attempt was not there yet to be stopped.
        if buffer.is_unwanted() {
            self.host().cancel(lease);
        }
        if buffer.is_revoked() {
            self.0.streams.discard(lease.run_id);
        }
    }
}
