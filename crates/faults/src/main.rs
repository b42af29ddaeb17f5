//! Two trials of the real server, the binary with its Python workers.
//!
//! `faults` kills it and its workers at random moments while clients ask for runs, and looks for anything lost, stuck, done
//! twice or wrong ([`storm`]). `soak` wears it out and looks whether memory and data go back to what they were ([`soak`]).
//! `cargo xtask faults` and `cargo xtask soak` call this.

mod api;
mod disturb;
mod follow;
mod jobs;
mod ledger;
mod processes;
mod random;
mod report;
mod server;
mod soak;
mod sse;
mod storm;
mod verify;
mod work;

use std::{
    path::{PathBuf, absolute},
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{server::Options, soak::Soak, storm::Storm};

/// Try the server in bad times.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Subcommand)]
enum Trial {
    /// Kill the server and its workers while clients ask for runs
    Faults {
        #[command(flatten)]
        target: Target,
        /// Runs that are asked for
        #[arg(long, default_value_t = 1000)]
        runs: u64,
        /// What clients do and when something is killed; how the two meet is up to the machine
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Clients at the same time
        #[arg(long, default_value_t = 24)]
        clients: u64,
        /// Kill without waiting for any run to end in between, also a server that has just begun to start
        #[arg(long)]
        restless: bool,
    },
    /// Create, run and delete, and look whether memory and data go back to what they were
    Soak {
        #[command(flatten)]
        target: Target,
        /// Runs that are done
        #[arg(long, default_value_t = 10_000)]
        runs: u64,
        /// Threads that they are done on
        #[arg(long, default_value_t = 2000)]
        threads: u64,
    },
}

/// How long events are kept: through a whole storm, and not beyond the last run of a soak.
const REPLAY_SECONDS: (u32, u32) = (3600, 5);

/// What is tried.
#[derive(Args)]
struct Target {
    /// The server's binary
    #[arg(long)]
    server: PathBuf,
    /// Interpreter with langgraph installed
    #[arg(long)]
    python: PathBuf,
}

impl Target {
    fn options(&self, replay_seconds: u32) -> Result<Options> {
        let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("project");
        // The server works in a folder of its own.
        let (binary, python) = (absolute(&self.server)?, absolute(&self.python)?);
        Ok(Options { binary, python, project, replay_seconds })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // Returned from, not died of: the server that was started must not be left behind.
    let stopped = async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result?,
            _ = terminate.recv() => {}
        }
        bail!("stopped by a signal")
    };
    let ended = tokio::select! {
        ended = run(Arguments::parse().trial) => ended,
        stopped = stopped => stopped,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(trial: Trial) -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("agent-server-trial-").tempdir()?;
    let good = match trial {
        Trial::Faults { target, runs, seed, clients, restless } => {
            storm::run(
                target.options(REPLAY_SECONDS.0)?,
                Storm { runs, seed, clients, restless },
                folder.path(),
            )
            .await
        }
        Trial::Soak { target, runs, threads } => {
            soak::run(target.options(REPLAY_SECONDS.1)?, Soak { runs, threads }, folder.path())
                .await
        }
    };
    if !matches!(good, Ok(true)) {
        eprintln!("Data and log are kept: {}", folder.keep().display());
    }
    good
}
