//! Creating a run: everything is decided (`plan`) and committed in one transaction, together with the thread's new status
//! and, where a slot is free, the claim. Only then is anything done.

use std::sync::Arc;

use agent_server_storage::{
    AssistantId, Cost, RawJson, RunId, ThreadId, Timestamp, WriteTx,
    runs::{MultitaskStrategy, Run},
    threads::Columns,
};
use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    cancel::CancelAction,
    kwargs::{self, RunRequest},
    once::{Outcome, Stored},
    plan::{Plan, missing, runnable},
    sink::Buffer,
};
use crate::{
    Caller, Domain, Error, Result,
    assistants::{configurable, default_assistant_id, refuse_both},
    measure,
    ports::{RunOrder, Slot},
    stream::{From, Listener},
    trace::{Span, SpanKind},
};

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

/// A plan with the slot that is reserved for it.
struct Prepared {
    plan: Plan,
    slot: Option<Box<dyn Slot>>,
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
            Some(graph_id) if request.after_seconds <= 0.0 => {
                self.reserve(graph_id, self.0.nested.depth_within(caller.within))
            }
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
            limits: self.0.options.limits,
            owner: self.0.options.limits.owner(caller),
        };
        Ok(Prepared { plan, slot })
    }

    /// Begins the creation's part of a trace, in which the run then stands: its attempts come later, maybe after a restart.
    fn trace_creation(&self, plan: &mut Plan) -> Span {
        let parent = plan.caller.trace.take();
        let traces = &self.0.options.traces;
        let mut span = traces.begin("create run", SpanKind::Producer, parent.as_ref());
        span.set("langgraph.run_id", plan.run_id.to_string());
        plan.caller.trace = span.context().or(parent);
        span
    }

    /// Asks the runs that this one interrupts to stop, so that what they hold is kept.
    async fn make_way(&self, plan: &Plan, once: Option<Stored>) -> Result<()> {
        let (caller, thread) = (plan.caller.clone(), plan.thread_id);
        let (assistant, is_default) = (plan.assistant_id, plan.is_default);
        let (limits, owner) = (plan.limits, plan.owner.clone());
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
                    Some(_) => {
                        let inflight = tx.inflight_runs(thread)?;
                        limits.check(tx, owner.as_deref(), assistant, &inflight)?;
                        Ok::<_, Error>(inflight)
                    }
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
        let within = prepared.first().and_then(|prepared| prepared.plan.caller.within);
        let depth = self.0.nested.depth_within(within);
        // Whether a thread is made that has a lifetime for the sake of replays.
        let mut replayed = false;
        let mut spans = vec![];
        for Prepared { mut plan, slot } in prepared {
            spans.push(self.trace_creation(&mut plan));
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
            for ((lease, _), room) in listeners.iter().zip(&rooms) {
                if let Some((_, buffer)) = room {
                    self.0.buffers.take_back(*lease, buffer);
                }
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
            if let Some(depth) = depth {
                // Before the dispatcher is woken, or a child of its own can ask.
                self.0.nested.note(decided.run.run_id, decided.run.thread_id, depth);
            }
            match (decided.order, room) {
                (Some(order), Some((slot, buffer))) => {
                    self.launch(slot, order, &buffer, decided.run.created_at);
                }
                (_, room) => {
                    if let Some((slot, buffer)) = room {
                        drop(slot);
                        self.0.buffers.take_back(lease, &buffer);
                    }
                    self.0.wake.notify_one();
                }
            }
            created.push(Created { run: decided.run, listener });
        }
        for (span, Created { run, .. }) in spans.iter_mut().zip(&created) {
            span.set("langgraph.thread_id", run.thread_id.to_string());
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
        let order = self.trace_attempt(order, buffer, due);
        let _entered = buffer.enter();
        tracing::debug!("an attempt of a run begins");
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
