//! Rendered records put together to what the wire shows.

use agent_server_storage::{Map, RawJson, ThreadId, Timestamp, checkpoints::Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Result};

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
pub(super) enum View {
    /// As recorded: all tasks of the step.
    Record,
    /// What is still to do.
    Live,
}

/// Times of the wire: microseconds and a numeric offset, no fraction on a whole second.
pub(crate) fn time_text(time: Timestamp) -> String {
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
pub(super) fn empty_state(thread: ThreadId, ns: &str, id: Option<&str>) -> RawJson {
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
pub(super) fn assemble(thread: ThreadId, record: &Record, view: View) -> Result<Option<RawJson>> {
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
