//! Turns what the executor tells into events for streams and operations for the saver.
//!
//! Source: reference/streaming.md, sections 5 and 6.

use std::sync::Arc;

use agent_server_domain::ports::{Event as StreamEvent, LiveState, RunOrder, RunSink};
use agent_server_graph::{
    Accumulator, Checkpoint, Event, Failure, Graph, Interrupt, Observer, Progress, Task, TaskRecord,
};
use agent_server_storage::{Map, RawJson, checkpoints::SaverOp, runs::Lease};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    invocation::Kwargs,
    render::{self, Shown},
};

/// When checkpoints are saved.
enum Durability {
    /// Before the next superstep starts.
    Sync,
    /// Soon.
    Async,
    /// At the end; what is kept until then belongs to the newest checkpoint.
    Exit(Mutex<Vec<SaverOp>>),
    /// Never: the thread goes away with the run.
    Never,
}

/// Which streams the run was created with.
struct Modes {
    values: bool,
    updates: bool,
    custom: bool,
    tasks: bool,
    checkpoints: bool,
    debug: bool,
    messages: bool,
    messages_tuple: bool,
}

/// The newest checkpoint, as stored.
struct Head {
    metadata: RawJson,
    parent_id: Option<String>,
}

/// The observer of one attempt.
pub(super) struct Recorder {
    graph: Arc<Graph>,
    lease: Lease,
    sink: Arc<dyn RunSink>,
    modes: Modes,
    durability: Durability,
    /// Metadata of the run's checkpoints, tasks and messages.
    metadata: Map,
    /// The checkpoint that the run started from.
    start_id: Option<String>,
    head: Mutex<Head>,
    accumulated: Mutex<Accumulator>,
    /// Why something could not be saved.
    lost: Mutex<Option<String>>,
}

impl Recorder {
    pub(super) fn new(
        graph: Arc<Graph>,
        order: &RunOrder,
        kwargs: Kwargs,
        sink: Arc<dyn RunSink>,
    ) -> Self {
        let has = |mode: &str| kwargs.stream_mode.iter().any(|given| given == mode);
        let modes = Modes {
            values: has("values"),
            updates: has("updates"),
            custom: has("custom"),
            tasks: has("tasks"),
            checkpoints: has("checkpoints"),
            debug: has("debug"),
            messages: has("messages"),
            messages_tuple: has("messages-tuple"),
        };
        let durability = match kwargs.durability.as_str() {
            _ if order.temporary => Durability::Never,
            "sync" => Durability::Sync,
            "exit" => Durability::Exit(Mutex::default()),
            _ => Durability::Async,
        };
        let object = |key: &str| kwargs.config.get(key).and_then(Value::as_object);
        let mut metadata = object("configurable").map(render::visible).unwrap_or_default();
        metadata.extend(object("metadata").cloned().unwrap_or_default());
        let (thread_id, run_id) = (json!(order.lease.thread_id), json!(order.lease.run_id));
        metadata.insert("run_attempt".into(), json!(order.lease.attempt));
        metadata.insert("thread_id".into(), thread_id);
        metadata.insert("run_id".into(), run_id);
        let head = match &order.checkpoint {
            Some(tuple) => {
                Head { metadata: tuple.metadata.clone(), parent_id: tuple.parent_id.clone() }
            }
            None => Head { metadata: RawJson::trusted("{}"), parent_id: None },
        };
        Self {
            graph,
            lease: order.lease,
            sink,
            modes,
            durability,
            metadata,
            start_id: order.checkpoint.as_ref().map(|tuple| tuple.id.clone()),
            head: Mutex::new(head),
            accumulated: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// Saves what was kept for the end; the live view of what was reached.
    pub(super) fn finish(&self, progress: &Progress) -> Option<LiveState> {
        match &self.durability {
            Durability::Never => return None,
            Durability::Exit(kept) => {
                for op in std::mem::take(&mut *kept.lock()) {
                    self.sink.save(self.lease, op);
                }
            }
            Durability::Sync | Durability::Async => {}
        }
        let head = self.head.lock();
        let (thread_id, parent_id) = (self.lease.thread_id, head.parent_id.as_deref());
        let metadata = &head.metadata;
        Some(Shown { graph: &self.graph, thread_id, progress, metadata, parent_id }.live())
    }

    /// Why the attempt's state could not be saved, if so.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.lock().clone()
    }

    fn emit(&self, name: &str, data: &impl Serialize) {
        match serde_json::to_vec(data) {
            Ok(data) => {
                let event = StreamEvent { name: name.into(), data: data.into() };
                self.sink.event(self.lease, event);
            }
            Err(error) => tracing::error!(%error, name, "an event could not be written"),
        }
    }

    fn save(&self, op: SaverOp) {
        match &self.durability {
            Durability::Never => {}
            Durability::Exit(kept) => kept.lock().push(op),
            Durability::Sync | Durability::Async => self.sink.save(self.lease, op),
        }
    }

    fn checkpoint(&self, progress: &Progress, fresh: bool) {
        let checkpoint = &progress.checkpoint;
        if fresh {
            self.put(checkpoint);
        }
        if !matches!(self.durability, Durability::Never) {
            self.save(SaverOp::Base(render::base(&self.graph, progress)));
        }
        if self.modes.values && checkpoint.source != agent_server_graph::Source::Input {
            let values = progress.record(&self.graph).values;
            match self.graph.shows_all() {
                true => self.emit("values", &values),
                false => self.emit("values", &self.graph.output(&values)),
            }
        }
        if self.modes.checkpoints || self.modes.debug {
            let payload = self.checkpoint_payload(progress);
            if self.modes.checkpoints {
                self.emit("checkpoints", &payload);
            }
            self.debug("checkpoint", checkpoint.step, checkpoint, payload);
        }
    }

    fn put(&self, checkpoint: &Checkpoint) {
        let metadata = render::metadata(self.metadata.clone(), checkpoint);
        let parent_id = match &self.durability {
            Durability::Exit(kept) => {
                kept.lock().clear();
                self.start_id.clone()
            }
            _ => checkpoint.parent_id.clone(),
        };
        *self.head.lock() = Head { metadata: metadata.clone(), parent_id: parent_id.clone() };
        if matches!(self.durability, Durability::Never) {
            return;
        }
        match render::put(checkpoint, &metadata, parent_id, Some(self.lease.run_id)) {
            Ok(put) => self.save(SaverOp::Put(put)),
            Err(error) => *self.lost.lock() = Some(error.to_string()),
        }
    }

    fn checkpoint_payload(&self, progress: &Progress) -> Value {
        let checkpoint = &progress.checkpoint;
        let view = progress.record(&self.graph);
        let config = |id: &str| {
            let configurable = json!({"checkpoint_ns": "", "thread_id": self.lease.thread_id,
                "run_id": self.lease.run_id, "checkpoint_id": id});
            json!({"configurable": configurable})
        };
        let tasks = view.tasks.iter().map(|task| {
            let record = progress.records.get(&task.id);
            let interrupts = record.map(|record| shown(&record.interrupts)).unwrap_or_default();
            let mut shown =
                json!({"id": task.id, "name": task.node, "interrupts": interrupts, "state": null});
            if let Some(update) = record.and_then(|record| record.update.as_ref()) {
                shown["result"] = json!(update.values);
            }
            shown
        });
        json!({
            "config": config(&checkpoint.id),
            "parent_config": checkpoint.parent_id.as_deref().map(config),
            "values": *view.values,
            "metadata": {"source": checkpoint.source, "step": checkpoint.step, "parents": {}},
            "next": view.tasks.iter().map(|task| &task.node).collect::<Vec<_>>(),
            "tasks": tasks.collect::<Vec<_>>(),
        })
    }

    fn debug(&self, kind: &str, step: i64, at: &Checkpoint, mut payload: Value) {
        if !self.modes.debug {
            return;
        }
        if kind == "checkpoint" {
            let thread = self.lease.thread_id;
            payload["checkpoint"] = render::checkpoint_json(thread, "", &at.id);
            let parent = at.parent_id.as_deref();
            payload["parent_checkpoint"] =
                json!(parent.map(|id| render::checkpoint_json(thread, "", id)));
        }
        let timestamp = render::time_text(at);
        self.emit(
            "debug",
            &json!({"step": step, "timestamp": timestamp, "type": kind, "payload": payload}),
        );
    }

    fn ended(&self, checkpoint: &Checkpoint, task: &Task, record: &TaskRecord) {
        self.save(SaverOp::Writes(render::writes(checkpoint, &task.id, record)));
        let finished = record.update.as_ref();
        let asked = if finished.is_some() { vec![] } else { shown(&record.interrupts) };
        if self.modes.updates {
            if let Some(update) = finished {
                let values = self.graph.output(&update.values);
                let values = (!values.is_empty()).then_some(values);
                self.emit("updates", &json!({task.node.as_str(): values}));
            } else if !asked.is_empty() {
                self.emit("updates", &json!({"__interrupt__": asked}));
            }
        }
        if self.modes.values && !asked.is_empty() {
            let mut values = self.graph.output(&checkpoint.values);
            values.insert("__interrupt__".into(), json!(asked));
            self.emit("values", &values);
        }
        if self.modes.tasks || self.modes.debug {
            let result = finished.map(|update| update.values.clone()).unwrap_or_default();
            let payload = json!({"id": task.id, "name": task.node, "error": record.error,
                "result": result, "interrupts": asked});
            if self.modes.tasks {
                self.emit("tasks", &payload);
            }
            self.debug("task_result", checkpoint.step + 1, checkpoint, payload);
        }
    }

    fn started(&self, checkpoint: &Checkpoint, task: &Task, values: &Map) {
        if !self.modes.tasks && !self.modes.debug {
            return;
        }
        let input = task.input.clone().unwrap_or_else(|| json!(values));
        let payload = json!({"id": task.id, "name": task.node, "input": input,
            "triggers": [render::trigger(task)], "metadata": self.metadata});
        if self.modes.tasks {
            self.emit("tasks", &payload);
        }
        self.debug("task", checkpoint.step + 1, checkpoint, payload);
    }

    fn message(&self, step: i64, task: &Task, message: &Value) {
        if self.modes.messages_tuple {
            self.emit("messages", &(message, self.message_metadata(step, task)));
        } else if self.modes.messages {
            let mut accumulated = self.accumulated.lock();
            let (so_far, new) = accumulated.add(message);
            if new {
                let id = so_far["id"].as_str().unwrap_or_default();
                let metadata = self.message_metadata(step, task);
                self.emit("messages/metadata", &json!({id: {"metadata": metadata}}));
            }
            let part = message["type"] == "AIMessageChunk";
            let name = if part { "messages/partial" } else { "messages/complete" };
            self.emit(name, &[so_far]);
        }
    }

    fn message_metadata(&self, step: i64, task: &Task) -> Map {
        let mut metadata = self.metadata.clone();
        let ns = format!("{}:{}", task.node, task.id);
        for (key, value) in [
            ("langgraph_step", json!(step)),
            ("langgraph_node", json!(task.node)),
            ("langgraph_triggers", json!([render::trigger(task)])),
            ("langgraph_path", render::path(0, task)),
            ("langgraph_checkpoint_ns", json!(ns)),
            ("checkpoint_ns", json!(ns)),
        ] {
            metadata.insert(key.into(), value);
        }
        metadata
    }
}

/// Questions as streams show them.
fn shown(interrupts: &[Interrupt]) -> Vec<Value> {
    let shown =
        |asked: &Interrupt| json!({"value": asked.value, "id": asked.id, "response_schema": null});
    interrupts.iter().map(shown).collect()
}

#[async_trait]
impl Observer for Recorder {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Checkpoint { progress, fresh } => self.checkpoint(progress, fresh),
            Event::Commanded { checkpoint, task_id, record } => {
                self.save(SaverOp::Writes(render::writes(checkpoint, task_id, record)));
            }
            Event::Started { checkpoint, task, values } => self.started(checkpoint, task, values),
            Event::Ended { checkpoint, task, record } => self.ended(checkpoint, task, record),
            Event::Breakpoint if self.modes.updates => {
                self.emit("updates", &json!({"__interrupt__": []}));
            }
            Event::Custom(value) if self.modes.custom => self.emit("custom", value),
            Event::Breakpoint | Event::Custom(_) => {}
            Event::Message { step, task, message } => self.message(step, task, message),
        }
    }

    async fn superstep(&self) -> Result<(), Failure> {
        if let Durability::Sync = self.durability
            && let Err(error) = self.sink.flush(self.lease).await
        {
            *self.lost.lock() = Some(error.to_string());
        }
        match &*self.lost.lock() {
            Some(cause) => Err(Failure::new("RuntimeError", cause.clone())),
            None => Ok(()),
        }
    }
}
