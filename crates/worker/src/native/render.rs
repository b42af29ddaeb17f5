//! Between the executor's values and what is stored and shown of them.
//!
//! A checkpoint is stored as one JSON text in its small part and needs no channel blobs; what a task left is one write.

use agent_server_domain::{Error, ports::LiveState};
use agent_server_graph::{Checkpoint, Graph, Interrupt, Progress, START, Task, TaskRecord, View};
use agent_server_storage::{
    Map, RawJson, RunId, ThreadId, Timestamp,
    checkpoints::{Base, CheckpointTuple, NewCheckpoint, TaskWrite, TaskWrites},
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

/// Members of `configurable` that belong to the request and not to the checkpoint.
const NOT_KEPT: [&str; 5] =
    ["checkpoint_ns", "checkpoint_id", "checkpoint_map", "run_id", "langgraph_auth_user"];

/// The members of `configurable` that checkpoint metadata shows.
pub(super) fn visible(configurable: &Map) -> Map {
    let shown = |key: &str| !key.starts_with("__") && !NOT_KEPT.contains(&key);
    let pairs = configurable.iter().filter(|(key, value)| shown(key) && !value.is_array());
    pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Metadata of a checkpoint: what its run brings, then what it is.
pub(super) fn metadata(mut map: Map, checkpoint: &Checkpoint) -> RawJson {
    map.insert("source".into(), json!(checkpoint.source));
    map.insert("step".into(), json!(checkpoint.step));
    map.insert("parents".into(), json!({}));
    RawJson::of(&map)
}

/// A checkpoint to be stored.
pub(super) fn put(
    checkpoint: &Checkpoint,
    metadata: &RawJson,
    parent_id: Option<String>,
    run_id: Option<RunId>,
) -> Result<NewCheckpoint, Error> {
    let small = serde_json::to_vec(checkpoint)
        .map_err(|error| Error::Internal(format!("checkpoint {}: {error}", checkpoint.id)))?;
    Ok(NewCheckpoint {
        ns: String::new(),
        id: checkpoint.id.clone(),
        parent_id,
        created_at: created_at(checkpoint),
        step: checkpoint.step,
        source: checkpoint.source.as_str().into(),
        run_id,
        metadata: metadata.clone(),
        small: small.into(),
        refs: vec![],
        blobs: vec![],
    })
}

/// What a task left, to be stored.
pub(super) fn writes(checkpoint: &Checkpoint, task_id: &str, record: &TaskRecord) -> TaskWrites {
    let position = checkpoint.tasks.iter().position(|task| task.id == task_id);
    let write = TaskWrite {
        // Negative: a later record of the task replaces it.
        idx: -1,
        channel: "task".into(),
        type_tag: "json".into(),
        bytes: Bytes::from(serde_json::to_vec(record).unwrap_or_default()),
    };
    TaskWrites {
        ns: String::new(),
        checkpoint_id: checkpoint.id.clone(),
        task_id: task_id.into(),
        task_path: position.map(|position| format!("{position:010}")).unwrap_or_default(),
        writes: vec![write],
        status: RawJson::of(&json!({
            "finished": record.update.is_some(),
            "result": record.update.as_ref().map(|update| &update.values),
            "interrupts": record.interrupts.iter().map(interrupt).collect::<Vec<_>>(),
            "error": record.error.as_ref().map(ToString::to_string),
        })),
    }
}

/// What [`put`] and [`writes`] stored.
pub(super) fn progress(tuple: &CheckpointTuple) -> serde_json::Result<Progress> {
    let mut checkpoint: Checkpoint = serde_json::from_slice(&tuple.small)?;
    // Copies and runs that save only their end have other parents than the executor knew.
    checkpoint.id.clone_from(&tuple.id);
    checkpoint.parent_id.clone_from(&tuple.parent_id);
    let record = |(task, write): &(String, TaskWrite)| {
        Ok((task.clone(), serde_json::from_slice(&write.bytes)?))
    };
    let records = tuple.writes.iter().map(record).collect::<serde_json::Result<_>>()?;
    Ok(Progress { checkpoint, records })
}

/// The rendered part of a checkpoint.
pub(super) fn base(graph: &Graph, progress: &Progress) -> Base {
    let View { values, tasks } = progress.record(graph);
    Base {
        ns: String::new(),
        checkpoint_id: progress.checkpoint.id.clone(),
        values: RawJson::of(&values),
        next: RawJson::of(&tasks.iter().map(|task| &task.node).collect::<Vec<_>>()),
        tasks: RawJson::of(
            &tasks
                .iter()
                .enumerate()
                .map(|(index, task)| json!({"id": task.id, "name": task.node, "path": path(index, task), "checkpoint": null}))
                .collect::<Vec<_>>(),
        ),
    }
}

/// A question as states show it.
fn interrupt(interrupt: &Interrupt) -> Value {
    json!({"id": interrupt.id, "value": interrupt.value})
}

pub(super) fn path(index: usize, task: &Task) -> Value {
    match task.input {
        Some(_) => json!(["__pregel_push", index, false]),
        None => json!(["__pregel_pull", task.node]),
    }
}

/// What makes a task run, as the library calls it.
pub(super) fn trigger(task: &Task) -> String {
    match (&task.input, task.node.as_str()) {
        (Some(_), _) => "__pregel_push".into(),
        (None, START) => START.into(),
        (None, node) => format!("branch:to:{node}"),
    }
}

fn created_at(checkpoint: &Checkpoint) -> Timestamp {
    Timestamp::from_timestamp_micros(checkpoint.created_micros).unwrap_or_default()
}

/// Creation time of a checkpoint as states show it: microseconds, none on a whole second.
pub(super) fn time_text(checkpoint: &Checkpoint) -> String {
    let whole = checkpoint.created_micros % 1_000_000 == 0;
    let format = if whole { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" };
    created_at(checkpoint).format(format).to_string()
}

/// A thread state; field order is the wire's.
#[derive(Serialize)]
struct State<'a> {
    values: RawJson,
    next: Vec<&'a str>,
    tasks: Vec<Value>,
    metadata: Option<&'a RawJson>,
    created_at: Option<String>,
    checkpoint: Option<Value>,
    parent_checkpoint: Option<Value>,
    interrupts: Vec<Value>,
    checkpoint_id: Option<&'a str>,
    parent_checkpoint_id: Option<&'a str>,
}

/// Where a checkpoint is, as states show it.
pub(super) fn checkpoint_json(thread: ThreadId, ns: &str, id: &str) -> Value {
    json!({"checkpoint_id": id, "thread_id": thread, "checkpoint_ns": ns})
}

/// The state of what has no checkpoint.
pub(super) fn empty(thread: ThreadId, ns: &str, id: Option<&str>) -> RawJson {
    RawJson::of(&State {
        values: RawJson::trusted("{}"),
        next: vec![],
        tasks: vec![],
        metadata: None,
        created_at: None,
        checkpoint: id.map(|id| checkpoint_json(thread, ns, id)),
        parent_checkpoint: None,
        interrupts: vec![],
        checkpoint_id: id,
        parent_checkpoint_id: None,
    })
}

/// Something reached, and what is needed to show it as a thread state.
pub(super) struct Shown<'a> {
    pub(super) graph: &'a Graph,
    pub(super) thread_id: ThreadId,
    pub(super) progress: &'a Progress,
    pub(super) metadata: &'a RawJson,
    pub(super) parent_id: Option<&'a str>,
}

impl Shown<'_> {
    /// The superstep as it was recorded.
    pub(super) fn record(&self) -> RawJson {
        let View { values, tasks } = self.progress.record(self.graph);
        let next = tasks.iter().map(|task| task.node.as_str()).collect();
        self.state(RawJson::of(&values), next, &tasks, true)
    }

    /// What has been done and what is still to do.
    pub(super) fn live(&self) -> LiveState {
        let all = self.progress.record(self.graph).tasks;
        let View { values, tasks } = self.progress.live(self.graph);
        let next = tasks.iter().map(|task| task.node.as_str()).collect();
        let waiting = |task: &Task| {
            let interrupts = &self.progress.records.get(&task.id)?.interrupts;
            let shown: Vec<_> = interrupts.iter().map(interrupt).collect();
            (!shown.is_empty()).then(|| (task.id.clone(), shown.into()))
        };
        LiveState {
            checkpoint_id: Some(self.progress.checkpoint.id.clone()),
            state: self.state(RawJson::of(&values), next, &all, false),
            pending: !tasks.is_empty(),
            interrupts: RawJson::of(&tasks.iter().filter_map(waiting).collect::<Map>()),
        }
    }

    fn state(&self, values: RawJson, next: Vec<&str>, tasks: &[Task], answered: bool) -> RawJson {
        let nothing = TaskRecord::default();
        let (mut shown, mut interrupts) = (vec![], vec![]);
        for (index, task) in tasks.iter().enumerate() {
            let record = self.progress.records.get(&task.id).unwrap_or(&nothing);
            let asked: Vec<_> = match answered || record.update.is_none() {
                true => record.interrupts.iter().map(interrupt).collect(),
                false => vec![],
            };
            shown.push(json!({
                "id": task.id,
                "name": task.node,
                "path": path(index, task),
                "error": record.error.as_ref().map(ToString::to_string),
                "interrupts": asked,
                "checkpoint": null,
                "state": null,
                "result": record.update.as_ref().map(|update| &update.values),
            }));
            interrupts.extend(asked);
        }
        let checkpoint = &self.progress.checkpoint;
        let json = |id: &str| checkpoint_json(self.thread_id, "", id);
        RawJson::of(&State {
            values,
            next,
            tasks: shown,
            metadata: Some(self.metadata),
            created_at: Some(time_text(checkpoint)),
            checkpoint: Some(json(&checkpoint.id)),
            parent_checkpoint: self.parent_id.map(json),
            interrupts,
            checkpoint_id: Some(&checkpoint.id),
            parent_checkpoint_id: self.parent_id,
        })
    }
}
