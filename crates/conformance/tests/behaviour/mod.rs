//! Behaviour by hand: whole bodies, with stable names in the place of ids and times.
//!
//! A file per tag or part of one, each with a table of its cases. They need a graph that behaves like the built-in demo: it answers
//! `hello` with `You said: hello`, stops for an answer to `ask …`, and fails on `fail`.

mod a2a;
mod assistants;
mod crons;
mod helpers;
mod mcp;
mod odd_values;
mod run_streams;
mod stateless_runs;
mod store;
mod streaming;
mod system;
mod thread_runs;
mod thread_state;
mod threads;
mod webhooks;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::session::Session;

/// One case.
pub(crate) struct Behaviour {
    /// The operation that it is about.
    pub(crate) operation: &'static str,
    /// A sentence, with underscores.
    pub(crate) name: &'static str,
    /// Does and compares.
    pub(crate) run: for<'a> fn(&'a Session) -> BoxFuture<'a, Result<()>>,
}

/// All cases.
pub(crate) fn cases() -> impl Iterator<Item = &'static Behaviour> {
    [
        system::CASES,
        assistants::CASES,
        threads::CASES,
        thread_state::CASES,
        thread_runs::CASES,
        run_streams::CASES,
        stateless_runs::CASES,
        webhooks::CASES,
        crons::CASES,
        store::CASES,
        odd_values::CASES,
        mcp::CASES,
        a2a::CASES,
        streaming::CASES,
    ]
    .into_iter()
    .flatten()
}

/// A table of cases: the operation that each is about, and the function.
macro_rules! behaviours {
    ($($operation:ident: $name:ident;)*) => {
        pub(super) const CASES: &[super::Behaviour] = &[$(super::Behaviour {
            operation: stringify!($operation),
            name: stringify!($name),
            run: |session| Box::pin($name(session)),
        }),*];
    };
}
use behaviours;
