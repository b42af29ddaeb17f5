//! Plays the same scenarios on the server and on its peer, `langgraph dev`, and compares every byte that counts.
//!
//! `cargo xtask parity` makes the peer's environment and calls this. Scenarios are data, `scenarios/*.json`, see
//! [`scenario`]; [`play`] plays them, [`compare`] finds what differs, [`deliberate`] knows which of it is meant.

mod compare;
mod deliberate;
mod free;
mod page;
mod pattern;
mod play;
mod program;
mod report;
mod scenario;
mod sse;
mod target;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match program::run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
