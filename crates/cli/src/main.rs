//! The agent-server binary: reads flags, files and variables, puts the crates together, runs the server.

mod args;
mod config;
mod env;
mod listen;
mod ports;
mod python;
mod refusal;

fn main() {}

/// How a server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Beside the editor: installs what is missing, follows changes.
    Dev,
    /// In production: takes everything as it is.
    Serve,
}
