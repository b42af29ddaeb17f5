//! What a run is asked to do, what it tells while it works, and how it ends.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;

use crate::{Checkpoint, Failure, Map, Progress, Target, Task, TaskRecord};

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What to start from.
    pub input: Input,
    /// Most supersteps of this run.
    pub recursion_limit: u64,
    /// Nodes to stop before.
    pub interrupt_before: Names,
    /// Nodes to stop after.
    pub interrupt_after: Names,
    /// The saved progress was made by an earlier attempt of the same run: the input is in it already.
    pub retry: bool,
    /// The saved progress is not the newest of its thread: going on from it makes a copy first.
    pub fork: bool,
    /// The run's config, for nodes.
    pub config: Map,
    /// The run's static context, for nodes.
    pub context: Value,
}

impl Default for Invocation {
    fn default() -> Self {
        Self {
            input: Input::Continue,
            // The default of the Python library.
            recursion_limit: 10_007,
            interrupt_before: Names::default(),
            interrupt_after: Names::default(),
            retry: false,
            fork: false,
            config: Map::new(),
            context: Value::Null,
        }
    }
}

/// Node names.
#[derive(Clone, Debug)]
pub enum Names {
    /// All nodes.
    All,
    /// These.
    Some(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Some(vec![])
    }
}

impl Names {
    pub(crate) fn has(&self, tasks: &[Task]) -> bool {
        match self {
            Self::All => !tasks.is_empty(),
            Self::Some(names) => tasks.iter().any(|task| names.contains(&task.node)),
        }
    }
}

/// What a run starts from.
#[derive(Clone, Debug)]
pub enum Input {
    /// Channel values for a new turn.
    Values(Value),
    /// See [`Command`].
    Command(Command),
    /// The tasks that are left.
    Continue,
}

/// Goes on with answers, changes or jumps.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The answer to the one question there is, or an object interrupt id → answer.
    pub resume: Option<Value>,
    /// Written to the state first.
    pub update: Map,
    /// Executed in addition.
    pub goto: Vec<Target>,
}

/// What an observer is told, in the order in which it happened.
pub enum Event<'a> {
    /// A checkpoint was made, or (`fresh: false`) is taken up again.
    Checkpoint {
        /// What was reached.
        progress: &'a Progress,
        /// Whether it is new.
        fresh: bool,
    },
    /// A command left something with a task, or with [`crate::NO_TASK`].
    Commanded {
        /// Where.
        checkpoint: &'a Checkpoint,
        /// Task.
        task_id: &'a str,
        /// What it has now.
        record: &'a TaskRecord,
    },
    /// A task starts.
    Started {
        /// Checkpoint that it belongs to.
        checkpoint: &'a Checkpoint,
        /// Task.
        task: &'a Task,
        /// The state it sees.
        values: &'a Map,
    },
    /// A task has ended: finished, waits for an answer, or failed.
    Ended {
        /// Checkpoint that it belongs to.
        checkpoint: &'a Checkpoint,
        /// Task.
        task: &'a Task,
        /// What it left.
        record: &'a TaskRecord,
    },
    /// The run stops before or after a node, as asked.
    Breakpoint,
    /// A node's own event.
    Custom(&'a Value),
    /// A message or a part of one.
    Message {
        /// Superstep that the task is part of.
        step: i64,
        /// Task.
        task: &'a Task,
        /// The message.
        message: &'a Value,
    },
}

/// Hears what a run does.
#[async_trait]
pub trait Observer: Send + Sync + 'static {
    /// Something happened. Must not block.
    fn on(&self, event: Event<'_>);

    /// A superstep is over; returns when the run may go on (when it is durable, if that was asked).
    async fn superstep(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// How a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// No tasks are left.
    End,
    /// Waits for an answer, or stopped where asked.
    Interrupted,
}

/// A run that is over.
pub struct Finished {
    /// What it reached; `None` if it had nothing to start from.
    pub progress: Option<Progress>,
    /// How it ended.
    pub result: Result<Stop, Failure>,
}

/// Ids of messages that were streamed already.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<HashSet<String>>>);

impl Seen {
    /// Whether the id was new.
    pub(crate) fn add(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }
}
