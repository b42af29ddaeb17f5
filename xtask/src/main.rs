//! Developer commands, `cargo xtask <command>`: everything that is done to this repository besides writing it.
//!
//! A file per command. Start with [`mod@test`], which is what the pipeline runs; [`regenerate`] is what follows a change of
//! openapi.json.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

mod assets;
mod bench;
mod conformance;
mod env;
mod faults;
mod files;
mod parity;
mod peer;
mod process;
mod regenerate;
mod spec;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of agent-server.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check and format openapi.json, rewrite the files that follow from it, say what changed
    Regenerate(regenerate::Arguments),
    /// Look at the API document
    #[command(subcommand)]
    Spec(spec::Command),
    /// Fetch the third-party files that the server shows its documentation with
    Assets,
    /// Check the rules of the house that no compiler checks
    Tidy,
    /// Fill the environments of the tests under target/: Python and JavaScript
    Env(env::Arguments),
    /// Everything that has to pass: what the pipeline runs
    Test(test::Arguments),
    /// Judge a server by the API document
    Conformance(conformance::Arguments),
    /// Compare the server's answers with its peer's
    Parity(parity::Arguments),
    /// Kill the server and its workers at random moments and look for what got lost
    Faults(faults::Faults),
    /// Wear the server out and look whether memory and data go back to what they were
    Soak(faults::Soak),
    /// Measure the server beside its peers
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Regenerate(arguments) => regenerate::run(&arguments),
        Command::Spec(command) => spec::run(&command),
        Command::Assets => assets::run(),
        Command::Tidy => tidy::run(),
        Command::Env(arguments) => env::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Parity(arguments) => parity::run(&arguments),
        Command::Faults(arguments) => faults::faults(&arguments),
        Command::Soak(arguments) => faults::soak(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    }
}
