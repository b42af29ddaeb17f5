//! Black-box conformance suite of the Agent Server API, generated from openapi.json.
//!
//! Judges any server by its base URL, or one that it starts itself. What is sent comes from three places: generated cases
//! (`tests/generated/`, a file per tag), `scenarios` for documented answers that need a story to be told first, and
//! behaviour cases (`tests/behaviour/`) that compare whole bodies. Every answer is held against the document by
//! `contract`, and the rest of `judge` is about telling what was found.
//!
//! Start reading at `suite`. What an operation or field of `not_implemented.json` answers is demanded to be 501.
//!
//! The suite leaves data behind: point it at a disposable server.

mod answer;
#[path = "../tests/behaviour/mod.rs"]
mod behaviour;
mod cases;
mod contract;
mod events;
mod fixtures;
#[rustfmt::skip]
#[path = "../tests/generated/mod.rs"]
mod generated;
mod hostile;
mod launch;
mod names;
mod not_implemented;
mod program;
mod report;
mod request;
mod scenarios;
mod session;
mod statuses;
mod suite;

#[cfg(test)]
mod coverage;

pub use launch::{Graphs, Server};
pub use program::{TestGraphs, run_program, run_test};
pub use report::{Outcome, Report};
pub use statuses::Statuses;
pub use suite::{Options, judge};
