//! The agent-server binary: reads flags, files and variables, puts the crates together, runs the server.
//!
//! [`args`] are the flags, [`config`] everything that can be set, [`serve`] the assembly and the order of start and stop.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod app;
mod archive;
mod args;
mod auth;
mod banner;
mod call;
mod check;
mod completions;
mod config;
mod data_folder;
mod doctor;
mod encryption;
mod env;
mod graphs;
mod keys;
mod late;
mod listen;
mod log;
mod ports;
mod python;
mod refusal;
mod reload;
mod remote;
mod serve;
mod telemetry;
mod webhooks;
mod workers;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command, DevArgs};
use refusal::Result;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(unix))]
compile_error!("agent-server runs on Linux and macOS; on Windows, build and run it inside WSL");

/// How a server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Beside the editor: installs what is missing, follows changes.
    Dev,
    /// In production: takes everything as it is.
    Serve,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::from(refusal::exit_code(&error))
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Dev(args) => serve::run(Mode::Dev, &args),
        Command::Serve(args) => {
            serve::run(Mode::Serve, &DevArgs { server: *args, ..DevArgs::default() })
        }
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args.data_dir),
        Command::Export(args) => archive::run_export(&args),
        Command::Import(args) => archive::run_import(&args),
        Command::Keys(command) => keys::run(command),
        Command::Webhooks(command) => webhooks::run(command),
        Command::Call(args) => call::run(&args),
        Command::Completions(args) => completions::run(args.shell),
    }
}
