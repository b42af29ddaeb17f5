//! Graphs written in Rust: a small builder, and an executor that works in supersteps and can stop and go on anywhere
//! between them.
//!
//! [`GraphBuilder`] makes a [`Graph`] of channels, nodes and edges; [`run`] executes it and tells an [`Observer`] what
//! happens. What must survive between runs is one value, [`Progress`]. Nothing here knows of threads, storage or HTTP:
//! a host (the `worker` crate, or a test) decides what is saved and streamed. Start reading at [`demo`].
//!
//! Dropping the future of [`run`] cancels it: nodes are owned by it and stop at their next await.

mod builder;
mod channel;
pub mod demo;
mod executor;
mod ids;
mod invocation;
mod messages;
mod node;
mod progress;
mod update;

/// A JSON object; keeps the order of its keys.
pub type Map = serde_json::Map<String, serde_json::Value>;

pub use builder::{Graph, GraphBuilder};
pub use channel::{Channel, Reducer};
pub use executor::run;
pub use invocation::{Command, Event, Finished, Input, Invocation, Names, Observer, Stop};
pub use messages::{Accumulator, ai_message, text_of};
pub use node::{Context, Failure, NodeError};
pub use progress::{
    Checkpoint, Interrupt, NO_TASK, Progress, Source, Target, Task, TaskRecord, Update, View,
};
pub use update::update_state;

/// Name of the virtual node that edges of the entry start from.
pub const START: &str = "__start__";
/// Name of the virtual node that ends a path.
pub const END: &str = "__end__";
