//! Thread state and history: reads from rendered records, updates through the graph.
//!
//! Source: reference/runs-and-threads.md, section 4; reference/langgraph-python-worker.md, section 6 (the live and the
//! record view of a checkpoint).

use std::collections::BTreeMap;

use agent_server_storage::{
    Cost, Map, RawJson, ReadTx, ThreadId, Timestamp, WriteTx,
    checkpoints::{Filter, Record},
    threads::{Changes, Columns, Thread, ThreadStatus},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Caller, Domain, Error, Result,
    ports::{Answer, LiveState, Question},
    threads::not_found,
};

const BUSY: &str = "Thread is busy with a running job. Cannot update state.";

/// Which state of a thread is asked for.
#[derive(Clone, Debug, Default)]
pub struct StateAt {
    /// Namespace; `""` is the root graph.
    pub ns: String,
    /// Checkpoint; `None` is the latest.
    pub checkpoint_id: Option<String>,
    /// Whether states of subgraphs are nested into their tasks.
    pub subgraphs: bool,
}

/// Body of a state update.
#[derive(Clone, Debug)]
pub struct StateUpdate {
    /// Values, or `null`.
    pub values: RawJson,
    /// Node to write as.
    pub as_node: Option<String>,
    /// Members of the checkpoint to start from (`checkpoint_id`, `checkpoint_ns`, …).
    pub checkpoint: Map,
}

/// One state as the wire shows it; field order is the wire's.
#[derive(Serialize)]
struct State<'a> {
    values: RawJson,
    next: Value,
    tasks: Vec<Task>,
    metadata: Option<&'a RawJson>,
    created_at: Option<String>,
    checkpoint: Option<Value>,
    parent_checkpoint: Option<Value>,
    interrupts: Vec<RawJson>,
    checkpoint_id: Option<&'a str>,
    parent_checkpoint_id: Option<&'a str>,
}

#[derive(Deserialize, Serialize)]
struct Task {
    id: String,
    name: Value,
    path: Value,
    error: Value,
    interrupts: Vec<RawJson>,
    checkpoint: Value,
    state: Value,
    result: RawJson,
}

#[derive(Deserialize)]
struct BaseTask {
    id: String,
    name: Value,
    #[serde(default)]
    path: Value,
    #[serde(default)]
    checkpoint: Value,
}

/// What the worker says of a task, see `checkpoints::TaskWrites::status`.
#[derive(Deserialize)]
struct TaskStatus {
    #[serde(default)]
    finished: bool,
    result: Option<RawJson>,
    #[serde(default)]
    interrupts: Vec<RawJson>,
    #[serde(default)]
    error: Value,
}

/// How an open superstep is shown.
#[derive(Clone, Copy, PartialEq)]
enum View {
    /// As recorded: all tasks of the step.
    Record,
    /// What is still to do.
    Live,
}

/// Times of states: microseconds and a numeric offset, no fraction on a whole second.
fn time_text(time: Timestamp) -> String {
    use chrono::{SecondsFormat, Timelike};
    let format = if time.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    time.to_rfc3339_opts(format, false)
}

fn checkpoint_json(thread: ThreadId, ns: &str, id: &str, metadata: &RawJson) -> Value {
    let mut checkpoint =
        json!({"checkpoint_id": id, "thread_id": thread.to_string(), "checkpoint_ns": ns});
    if !ns.is_empty() {
        let parents = metadata.parse::<Map>().ok().and_then(|mut map| map.remove("parents"));
        let mut map = match parents {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        map.insert(ns.into(), json!(id));
        checkpoint["checkpoint_map"] = Value::Object(map);
    }
    checkpoint
}

/// The all-empty state; with an id, the answer to a checkpoint that does not exist (the wire echoes it).
fn empty_state(thread: ThreadId, ns: &str, id: Option<&str>) -> RawJson {
    let checkpoint = id.map(
        |id| json!({"checkpoint_id": id, "thread_id": thread.to_string(), "checkpoint_ns": ns}),
    );
    RawJson::of(&State {
        values: RawJson::trusted("{}"),
        next: json!([]),
        tasks: vec![],
        metadata: None,
        created_at: None,
        checkpoint,
        parent_checkpoint: None,
        interrupts: vec![],
        checkpoint_id: id,
        parent_checkpoint_id: None,
    })
}

/// Puts a record together; `None` when no worker has rendered it.
fn assemble(thread: ThreadId, record: &Record, view: View) -> Result<Option<RawJson>> {
    let Some(base) = &record.base else { return Ok(None) };
    let damaged = |error: serde_json::Error| {
        Error::Internal(format!("checkpoint {} of thread {thread}: {error}", record.id))
    };
    let base_tasks: Vec<BaseTask> = base.tasks.parse().map_err(damaged)?;
    let mut tasks = Vec::with_capacity(base_tasks.len());
    let mut unfinished = vec![];
    for task in base_tasks {
        let status = record.tasks.iter().find(|(id, _)| *id == task.id);
        let status: Option<TaskStatus> =
            status.map(|(_, json)| json.parse()).transpose().map_err(damaged)?;
        let finished = status.as_ref().is_some_and(|status| status.finished);
        if !finished {
            unfinished.push(task.name.clone());
        }
        let (result, mut interrupts, error) = match status {
            Some(status) => (status.result, status.interrupts, status.error),
            None => (None, vec![], Value::Null),
        };
        if view == View::Live && finished {
            interrupts.clear();
        }
        tasks.push(Task {
            id: task.id,
            name: task.name,
            path: task.path,
            error,
            interrupts,
            checkpoint: task.checkpoint,
            state: Value::Null,
            result: result.unwrap_or_else(RawJson::null),
        });
    }
    let next = match view {
        View::Record => base.next.parse().map_err(damaged)?,
        View::Live => Value::Array(unfinished),
    };
    let ns = &record.ns;
    let state = State {
        values: base.values.clone(),
        next,
        interrupts: tasks.iter().flat_map(|task| task.interrupts.clone()).collect(),
        tasks,
        metadata: Some(&record.metadata),
        created_at: Some(time_text(record.created_at)),
        checkpoint: Some(checkpoint_json(thread, ns, &record.id, &record.metadata)),
        parent_checkpoint: record
            .parent_id
            .as_deref()
            .map(|id| checkpoint_json(thread, ns, id, &record.metadata)),
        checkpoint_id: Some(&record.id),
        parent_checkpoint_id: record.parent_id.as_deref(),
    };
    Ok(Some(RawJson::of(&state)))
}

/// Rendered values of the thread's newest root checkpoint, and whether tasks remain there.
pub(crate) fn head_values(tx: &dyn ReadTx, thread: ThreadId) -> Result<Option<(RawJson, bool)>> {
    let records = tx.list_records(&Default::default(), thread, &Filter::default(), 1)?;
    Ok(records.into_iter().next().and_then(|record| record.base).map(|base| {
        let pending = base.next.get() != "[]";
        (base.values, pending)
    }))
}

/// Questions that the thread's newest root checkpoint waits for, by task, as the thread's row has them.
pub(crate) fn head_interrupts(tx: &dyn ReadTx, thread: ThreadId) -> Result<RawJson> {
    #[derive(Deserialize)]
    struct Tasks {
        tasks: Vec<Task>,
    }
    let record = tx.list_records(&Default::default(), thread, &Filter::default(), 1)?.pop();
    let state = match &record {
        Some(record) => assemble(thread, record, View::Live)?,
        None => None,
    };
    let Some(state) = state else { return Ok(RawJson::trusted("{}")) };
    let tasks: Tasks = state.parse().map_err(|error| {
        Error::Internal(format!("the newest checkpoint of thread {thread}: {error}"))
    })?;
    let asking = tasks.tasks.into_iter().filter(|task| !task.interrupts.is_empty());
    let by_task: serde_json::Map<_, _> =
        asking.map(|task| (task.id, json!(task.interrupts))).collect();
    Ok(RawJson::of(&by_task))
}

/// What a read of a thread's state found without asking a worker.
enum Stored {
    /// The answer.
    Rendered(RawJson),
    /// The thread's graph must render it; the thread is given for its graph id.
    Ask(Box<Thread>),
}

impl Domain {
    /// The state of a thread.
    ///
    /// # Errors
    /// `NotFound` for the thread, or what the host says when it had to be asked.
    pub async fn thread_state(
        &self,
        caller: &Caller,
        id: ThreadId,
        at: StateAt,
    ) -> Result<RawJson> {
        let scope = caller.scope.clone();
        let wanted = at.clone();
        let stored = self
            .storage()
            .read(Cost::Point, move |tx| {
                let at = wanted;
                let latest_root = at.ns.is_empty() && at.checkpoint_id.is_none() && !at.subgraphs;
                if latest_root && let Some(live) = tx.get_live_state(&scope, id)? {
                    return Ok::<_, Error>(Stored::Rendered(live));
                }
                let thread =
                    tx.get_thread(&scope, id, Columns::Header)?.ok_or_else(|| not_found(id))?;
                let filter = Filter {
                    ns: at.ns.clone(),
                    id: at.checkpoint_id.clone(),
                    ..Default::default()
                };
                let Some(record) = tx.list_records(&scope, id, &filter, 1)?.into_iter().next()
                else {
                    let empty = empty_state(id, &at.ns, at.checkpoint_id.as_deref());
                    return Ok(Stored::Rendered(empty));
                };
                let busy = thread.status == ThreadStatus::Busy;
                let live = at.checkpoint_id.is_none();
                // The live view of a thread at rest may need the graph's reducers; that of a busy one is on the move
                // anyway, and its graph may be what is stuck.
                if at.subgraphs || (live && !busy) {
                    return Ok(Stored::Ask(Box::new(thread)));
                }
                let view = if live { View::Live } else { View::Record };
                Ok(match assemble(id, &record, view)? {
                    Some(state) => Stored::Rendered(state),
                    None => Stored::Ask(Box::new(thread)),
                })
            })
            .await?;
        match stored {
            Stored::Rendered(state) => Ok(state),
            Stored::Ask(thread) => self.ask_state(&thread, at).await,
        }
    }

    /// Has the graph render a state, and keeps it if it is the live view of the root.
    async fn ask_state(&self, thread: &Thread, at: StateAt) -> Result<RawJson> {
        let id = thread.thread_id;
        let Some(graph_id) = graph_of(thread) else {
            return Ok(empty_state(id, &at.ns, at.checkpoint_id.as_deref()));
        };
        self.ready_graph(&graph_id)?;
        let mut configurable = Map::new();
        configurable.insert("thread_id".into(), json!(id.to_string()));
        configurable.insert("checkpoint_ns".into(), json!(at.ns));
        configurable.insert("graph_id".into(), json!(graph_id));
        if let Some(checkpoint) = &at.checkpoint_id {
            configurable.insert("checkpoint_id".into(), json!(checkpoint));
        }
        let config = RawJson::of(&json!({"configurable": configurable}));
        let question = Question::State { thread_id: id, config, subgraphs: at.subgraphs };
        let answer = self.host().ask(&graph_id, question).await?;
        let keep = at.ns.is_empty() && at.checkpoint_id.is_none() && !at.subgraphs;
        if keep && let Some(LiveState { checkpoint_id: Some(checkpoint), state, .. }) = answer.live
        {
            self.storage()
                .write(move |tx| {
                    // A run may have started meanwhile: only the state of the head may be kept.
                    let head = tx.head_checkpoint(&Default::default(), id, "")?;
                    if head.as_deref() == Some(&checkpoint) && tx.inflight_runs(id)?.is_empty() {
                        tx.put_live_state(id, &checkpoint, &state)?;
                    }
                    Ok::<_, Error>(())
                })
                .await?;
        }
        Ok(answer.json)
    }

    /// Past states of a thread, newest first.
    ///
    /// # Errors
    /// `NotFound` for the thread, or what the host says when it had to be asked.
    pub async fn thread_history(
        &self,
        caller: &Caller,
        id: ThreadId,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<RawJson>> {
        let scope = caller.scope.clone();
        let ns = filter.ns.clone();
        let cost = if limit <= 20 { Cost::Point } else { Cost::Scan };
        let (thread, rendered) = self
            .storage()
            .read(cost, move |tx| {
                let thread =
                    tx.get_thread(&scope, id, Columns::Header)?.ok_or_else(|| not_found(id))?;
                let records = tx.list_records(&scope, id, &filter, limit)?;
                let rendered: Result<Vec<_>> = records
                    .iter()
                    .map(|record| Ok((record.id.clone(), assemble(id, record, View::Record)?)))
                    .collect();
                Ok::<_, Error>((thread, rendered?))
            })
            .await?;
        let mut states = Vec::with_capacity(rendered.len());
        for (checkpoint, state) in rendered {
            let at = || StateAt {
                ns: ns.clone(),
                checkpoint_id: Some(checkpoint.clone()),
                subgraphs: false,
            };
            states.push(match state {
                Some(state) => state,
                None => self.ask_state(&thread, at()).await?,
            });
        }
        Ok(states)
    }

    /// Applies an update as if a node had returned it. Returns the new config, `{"configurable": {…}}`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while runs are in flight; `Refused` for a thread without graph or what the library refuses.
    pub async fn update_thread_state(
        &self,
        caller: &Caller,
        id: ThreadId,
        update: StateUpdate,
    ) -> Result<Map> {
        let thread = self.thread_header(&caller.scope, id).await?;
        if thread.status == ThreadStatus::Busy {
            return Err(Error::Conflict(BUSY.into()));
        }
        let graph_id = graph_of(&thread).ok_or_else(|| Error::Refused(no_graph(id)))?;
        self.ready_graph(&graph_id)?;
        let mut configurable = match thread.config.get("configurable") {
            Some(Value::Object(map)) => map.clone(),
            _ => Map::new(),
        };
        configurable.insert("checkpoint_ns".into(), json!(""));
        for (key, value) in &update.checkpoint {
            configurable.insert(key.clone(), value.clone());
        }
        configurable.insert("thread_id".into(), json!(id.to_string()));
        configurable.insert("graph_id".into(), json!(graph_id));
        let config = RawJson::of(&json!({"configurable": configurable}));
        let question = Question::UpdateState {
            thread_id: id,
            config,
            values: update.values,
            as_node: update.as_node,
        };
        let answer = self.host().ask(&graph_id, question).await?;
        let now = self.now();
        let place = answer.json.clone();
        self.storage()
            .write(move |tx| {
                if !tx.inflight_runs(id)?.is_empty() {
                    return Err(Error::Conflict(BUSY.into()));
                }
                save_update(tx, id, &answer, now)
            })
            .await?;
        self.tell_state(caller, id).await;
        #[derive(Deserialize)]
        struct Config {
            configurable: Map,
        }
        let config: Config = place.parse().map_err(|error| {
            Error::Internal(format!("a worker answered an update with an odd config: {error}"))
        })?;
        Ok(config.configurable)
    }
}

/// `values` of a rendered state.
pub(crate) fn values_of(state: &RawJson) -> Result<Option<RawJson>> {
    #[derive(Deserialize)]
    struct Values {
        values: RawJson,
    }
    let parsed: Values = state
        .parse()
        .map_err(|error| Error::Internal(format!("a worker rendered an odd state: {error}")))?;
    Ok(Some(parsed.values))
}

/// Saves what a graph made of an update, and shows it on the thread.
pub(crate) fn save_update(
    tx: &dyn WriteTx,
    id: ThreadId,
    answer: &Answer,
    now: Timestamp,
) -> Result<()> {
    tx.save(id, &answer.ops)?;
    let mut changes = Changes {
        updated_at: Some(now),
        state_updated_at: Some(now),
        error: Some(Some(RawJson::null())),
        ..Default::default()
    };
    if let Some(live) = &answer.live {
        if let Some(checkpoint) = &live.checkpoint_id {
            tx.put_live_state(id, checkpoint, &live.state)?;
        }
        let status = if live.pending { ThreadStatus::Interrupted } else { ThreadStatus::Idle };
        changes.status = Some(status);
        changes.values = Some(values_of(&live.state)?);
        changes.interrupts = Some(Some(live.interrupts.clone()));
    }
    if !tx.update_thread(&Default::default(), id, &changes)? {
        return Err(not_found(id));
    }
    Ok(())
}

/// What a thread's row shows of its newest root checkpoint.
pub(crate) struct HeadView {
    pub(crate) values: RawJson,
    /// Object task id → interrupts.
    pub(crate) interrupts: RawJson,
    /// Whether tasks remain.
    pub(crate) pending: bool,
}

/// The view of the thread's head; `None` without checkpoints, and when no worker has rendered the newest.
pub(crate) fn head_view(tx: &dyn ReadTx, id: ThreadId) -> Result<Option<HeadView>> {
    #[derive(Deserialize)]
    struct Shown {
        values: RawJson,
        next: Vec<RawJson>,
        tasks: Vec<ShownTask>,
    }
    #[derive(Deserialize)]
    struct ShownTask {
        id: String,
        interrupts: Vec<RawJson>,
    }
    let state = match tx.get_live_state(&Default::default(), id)? {
        Some(live) => Some(live),
        None => {
            let records = tx.list_records(&Default::default(), id, &Filter::default(), 1)?;
            let record = records.first();
            record.map(|record| assemble(id, record, View::Live)).transpose()?.flatten()
        }
    };
    let Some(state) = state else { return Ok(None) };
    let shown: Shown = state
        .parse()
        .map_err(|error| Error::Internal(format!("the state of thread {id} is odd: {error}")))?;
    // Sorted by id, which is as good as any order.
    let interrupts: BTreeMap<_, _> = shown
        .tasks
        .into_iter()
        .filter(|task| !task.interrupts.is_empty())
        .map(|task| (task.id, task.interrupts))
        .collect();
    let (values, pending) = (shown.values, !shown.next.is_empty());
    Ok(Some(HeadView { values, interrupts: RawJson::of(&interrupts), pending }))
}

/// Why a thread's state cannot be updated.
pub(crate) fn no_graph(id: ThreadId) -> String {
    format!(
        "Thread '{id}' has no assigned graph ID. Run it once, or create it with a graph_id in its metadata."
    )
}

/// The graph that made the thread's checkpoints.
pub(crate) fn graph_of(thread: &Thread) -> Option<String> {
    thread.metadata.get("graph_id").and_then(Value::as_str).map(str::to_owned)
}
