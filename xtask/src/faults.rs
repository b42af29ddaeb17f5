//! `cargo xtask faults` and `cargo xtask soak`: the real server in bad times and over a long time.

use std::process::Command;

use anyhow::Result;

use crate::{env, files, process};

#[derive(clap::Args)]
pub(crate) struct Faults {
    /// Runs that are asked for while the server and its workers are killed
    #[arg(long, default_value_t = 1000)]
    runs: u64,
    /// What clients do and when something is killed; how the two meet is up to the machine
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kill without waiting for any run to end in between, also a server that has just begun to start
    #[arg(long)]
    restless: bool,
}

#[derive(clap::Args)]
pub(crate) struct Soak {
    /// Runs that are done
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// Threads that they are done on, each deleted afterwards
    #[arg(long, default_value_t = 2000)]
    threads: u64,
}

impl Faults {
    /// What fits between other tests: half a minute.
    pub(crate) fn short() -> Self {
        Self { runs: 150, seed: 1, restless: false }
    }

    /// How to type the command.
    pub(crate) fn shown(&self) -> String {
        format!("cargo xtask faults --runs {} --seed {}", self.runs, self.seed)
    }
}

pub(crate) fn faults(arguments: &Faults) -> Result<()> {
    let (runs, seed) = (arguments.runs.to_string(), arguments.seed.to_string());
    let mut command = trial("faults", "debug", &[])?;
    command.args(["--runs", &runs, "--seed", &seed]);
    if arguments.restless {
        command.arg("--restless");
    }
    process::run(command)
}

pub(crate) fn soak(arguments: &Soak) -> Result<()> {
    let (runs, threads) = (arguments.runs.to_string(), arguments.threads.to_string());
    let mut command = trial("soak", "release", &["--release"])?;
    command.args(["--runs", &runs, "--threads", &threads]);
    process::run(command)
}

/// Builds the server and the program that tries it. One command for both: what they have in common is built once.
pub(crate) fn build(flags: &[&str]) -> Command {
    let packages = ["build", "--package", "agent-server", "--package", "agent-server-faults"];
    process::command("cargo", packages.iter().chain(flags))
}

/// The program and what it needs, all of it built.
fn trial(name: &str, profile: &str, flags: &[&str]) -> Result<Command> {
    env::run(&env::Arguments { python: "python3".into(), only: Some(env::Language::Python) })?;
    process::run(build(flags))?;
    let built = files::built(profile);
    let mut command = process::command(built.join("agent-server-faults"), [name]);
    command.arg("--server").arg(built.join("agent-server"));
    command.arg("--python").arg(env::python());
    Ok(command)
}
