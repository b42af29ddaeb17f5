//! What a node sees while it works, and how it ends.

use std::{fmt, pin::Pin, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Event, Interrupt, Invocation, Map, Observer, Task, Update, ids, invocation::Seen, messages,
};

/// A failure as clients see it: `{"error", "message"}`. Both texts are shown to callers: put no secrets in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Class of the error.
    pub error: String,
    /// Text.
    pub message: String,
}

impl Failure {
    /// A failure of the class `error`.
    pub fn new(error: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error: error.into(), message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}('{}')", self.error, self.message)
    }
}

/// Why a node did not return an update.
#[derive(Debug)]
pub enum NodeError {
    /// It waits for an answer; pass it on with `?`.
    Interrupt(Interrupt),
    /// It failed, and the run with it.
    Failed(Failure),
}

impl From<Failure> for NodeError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<E: std::error::Error> From<E> for NodeError {
    fn from(error: E) -> Self {
        let class = std::any::type_name::<E>().rsplit("::").next().unwrap_or("Error");
        Self::Failed(Failure::new(class, error.to_string()))
    }
}

/// What a node's future returns.
pub(crate) type NodeFuture = Pin<Box<dyn Future<Output = Result<Update, NodeError>> + Send>>;
/// A node's work.
pub(crate) type NodeFn = Arc<dyn Fn(Context) -> NodeFuture + Send + Sync>;

/// A node's view of the run.
pub struct Context {
    pub(crate) state: Arc<Map>,
    pub(crate) task: Task,
    pub(crate) step: i64,
    pub(crate) invocation: Arc<Invocation>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) seen: Seen,
    /// Answers to its questions, oldest first.
    pub(crate) answers: Vec<Value>,
    pub(crate) asked: usize,
}

impl Context {
    /// The state at the beginning of the superstep.
    pub fn state(&self) -> &Map {
        &self.state
    }

    /// One channel as a `T`.
    ///
    /// # Errors
    /// The channel is not set or is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, channel: &str) -> Result<T, NodeError> {
        let value = self.state.get(channel).ok_or_else(|| Failure::new("KeyError", channel))?;
        Ok(T::deserialize(value)?)
    }

    /// Input of its own, if the task was sent one.
    pub fn input(&self) -> Option<&Value> {
        self.task.input.as_ref()
    }

    /// The run's config (`configurable`, `metadata`, …).
    pub fn config(&self) -> &Map {
        &self.invocation.config
    }

    /// The run's static context.
    pub fn context(&self) -> &Value {
        &self.invocation.context
    }

    /// Sends an event of the stream mode `custom`.
    pub fn custom(&self, value: impl Into<Value>) {
        self.observer.on(Event::Custom(&value.into()));
    }

    /// Streams a part of the AI message `id`; return the whole message as an update at the end.
    pub fn token(&self, id: &str, text: &str) {
        self.message(&messages::chunk(id, text, false));
    }

    /// Ends the streaming of the AI message `id`.
    pub fn last_token(&self, id: &str) {
        self.message(&messages::chunk(id, "", true));
    }

    /// A new id for a message.
    pub fn message_id(&self) -> String {
        format!("run-{}", ids::random().as_hyphenated())
    }

    fn message(&self, message: &Value) {
        if let Some(id) = message["id"].as_str() {
            self.seen.add(id);
        }
        self.observer.on(Event::Message { step: self.step, task: &self.task, message });
    }

    /// Asks a human: stops the run the first time, returns the answer when the run is resumed. The node starts anew
    /// then, so what stands before the call happens again.
    ///
    /// # Errors
    /// No answer yet; pass it on with `?`.
    pub fn interrupt(&mut self, value: impl Into<Value>) -> Result<Value, NodeError> {
        let index = self.asked;
        self.asked += 1;
        match self.answers.get(index) {
            Some(answer) => Ok(answer.clone()),
            None => Err(NodeError::Interrupt(Interrupt {
                value: value.into(),
                id: ids::interrupt(&self.task.id, index),
            })),
        }
    }
}
