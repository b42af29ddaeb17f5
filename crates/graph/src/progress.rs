//! What a graph has reached: the state at a superstep boundary, and what tasks of the open superstep have left.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Failure, Graph, Map, ids};

/// Key of the record of what belongs to no task: the update and the jumps of a command.
pub const NO_TASK: &str = "00000000-0000-0000-0000-000000000000";

/// What a checkpoint came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// New input.
    Input,
    /// A superstep.
    Loop,
    /// An update from outside.
    Update,
    /// A copy of an older checkpoint, to go on from there.
    Fork,
}

impl Source {
    /// The word in metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Loop => "loop",
            Self::Update => "update",
            Self::Fork => "fork",
        }
    }
}

/// State at a superstep boundary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Version 6 UUID; text order is creation order.
    pub id: String,
    /// The checkpoint it grew from.
    pub parent_id: Option<String>,
    /// Superstep, from -1, grows over the life of a thread.
    pub step: i64,
    /// See [`Source`].
    pub source: Source,
    /// Creation, microseconds since 1970.
    pub created_micros: i64,
    /// Channel values.
    pub values: Arc<Map>,
    /// Tasks of the superstep that follows.
    pub tasks: Vec<Task>,
    /// Nodes whose writes made it.
    pub writers: Vec<String>,
}

/// One node's work in a superstep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The same whenever the superstep is taken up again.
    pub id: String,
    /// Node.
    pub node: String,
    /// Input of its own, if it was sent one; else the node gets the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// Where to go next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A node, with the state.
    Node(String),
    /// A node, with an input of its own.
    Send {
        /// Node.
        node: String,
        /// Input.
        input: Value,
    },
}

impl Target {
    pub(crate) fn node(&self) -> &str {
        let (Self::Node(node) | Self::Send { node, .. }) = self;
        node
    }
}

impl From<&str> for Target {
    fn from(node: &str) -> Self {
        Self::Node(node.into())
    }
}

/// What a node returns: writes to channels, and where to go besides its edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Channel → write.
    pub values: Map,
    /// Additional next nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goto: Vec<Target>,
}

impl Update {
    /// Nothing is written.
    pub fn none() -> Self {
        Self::default()
    }

    /// Writes one more channel.
    pub fn set(mut self, channel: &str, value: impl Into<Value>) -> Self {
        self.values.insert(channel.into(), value.into());
        self
    }

    /// Goes to one more node.
    pub fn goto(mut self, target: impl Into<Target>) -> Self {
        self.goto.push(target.into());
        self
    }
}

/// A pause that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interrupt {
    /// The question.
    pub value: Value,
    /// 32 hex digits; the same when the same task asks again.
    pub id: String,
}

/// What a task of the open superstep has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its result, once it has finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
    /// Questions it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interrupts: Vec<Interrupt>,
    /// Answers it was given, in the order of its questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Value>,
    /// How it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Everything that must survive between runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The last checkpoint.
    pub checkpoint: Checkpoint,
    /// By task id, see also [`NO_TASK`].
    pub records: HashMap<String, TaskRecord>,
}

/// A state as it is shown or worked on.
#[derive(Clone, Debug)]
pub struct View {
    /// Values.
    pub values: Arc<Map>,
    /// Tasks of the open superstep.
    pub tasks: Vec<Task>,
}

impl Progress {
    pub(crate) fn new(checkpoint: Checkpoint) -> Self {
        Self { checkpoint, records: HashMap::new() }
    }

    /// Whether the task has a result.
    pub fn is_finished(&self, task: &Task) -> bool {
        self.records.get(&task.id).is_some_and(|record| record.update.is_some())
    }

    /// The open superstep as recorded: the checkpoint with what a command added.
    pub fn record(&self, graph: &Graph) -> View {
        let mut values = Arc::clone(&self.checkpoint.values);
        let mut tasks = self.checkpoint.tasks.clone();
        if let Some(Update { values: writes, goto }) = self.command() {
            if !writes.is_empty() {
                graph.apply(Arc::make_mut(&mut values), writes);
            }
            let added = graph.tasks(&self.checkpoint.id, tasks.len(), goto.clone());
            let new = added.into_iter().filter(|task| {
                let mut known = self.checkpoint.tasks.iter();
                task.input.is_some() || !known.any(|other| other.node == task.node)
            });
            tasks.extend(new);
        }
        View { values, tasks }
    }

    /// The state as it is now: results of finished tasks applied, only unfinished tasks left.
    pub fn live(&self, graph: &Graph) -> View {
        let View { mut values, mut tasks } = self.record(graph);
        for task in &tasks {
            if let Some(update) =
                self.records.get(&task.id).and_then(|record| record.update.as_ref())
            {
                graph.apply(Arc::make_mut(&mut values), &update.values);
            }
        }
        tasks.retain(|task| !self.is_finished(task));
        View { values, tasks }
    }

    pub(crate) fn command(&self) -> Option<&Update> {
        self.records.get(NO_TASK)?.update.as_ref()
    }

    /// The checkpoint that follows: `values` after the writes of `writers`, then `targets`.
    pub(crate) fn next(
        &self,
        graph: &Graph,
        source: Source,
        values: Arc<Map>,
        writers: Vec<String>,
        targets: Vec<Target>,
    ) -> Self {
        let step = self.checkpoint.step + 1;
        let (id, created_micros) = ids::checkpoint(step);
        let tasks = graph.tasks(&id, 0, targets);
        Self::new(Checkpoint {
            id,
            parent_id: Some(self.checkpoint.id.clone()),
            step,
            source,
            created_micros,
            values,
            tasks,
            writers,
        })
    }
}
