//! Runs users' graphs: worker pool, frame protocol, Python runner, Rust graphs in process.
//!
//! [`Pool`] is a [`GraphHost`](agent_server_domain::ports::GraphHost) whose runs are executed by Python processes; the
//! small program in `python/` is embedded and runs inside the user's own interpreter. [`native::NativeHost`] executes
//! Rust graphs, and [`Hosts`] puts several hosts together. Start reading at `supervise` for the life of a process, at
//! `worker` for what its frames mean, at `protocol` for the frames.

mod aside;
mod auth;
mod connection;
mod encryption;
mod hosts;
pub mod native;
mod options;
mod output;
mod pool;
mod process;
mod protocol;
mod python;
mod slots;
mod supervise;
mod template;
mod wear;
mod worker;

/// What [`native::NativeHost`] executes, for those who put hosts together.
pub use agent_server_graph as graph;
pub use auth::{AuthSettings, CustomAuth};
pub use encryption::{CustomEncryption, Hooks};
pub use hosts::Hosts;
pub use options::{GraphSpec, Options, StoreSpec};
pub use pool::Pool;
