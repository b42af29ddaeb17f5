//! Measures the server beside `langgraph dev` and beside the bare library, in one run on one machine.
//!
//! `cargo xtask bench` makes the environments and calls this. Ratios count, absolute times do not.

mod alone;
mod http;
mod load;
mod scenario;
mod store;
mod table;
mod target;

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use scenario::{Effort, Figures, Part};
use target::Target;

/// Measure the server beside its peer and the bare library.
#[derive(Parser)]
struct Arguments {
    /// The server's release binary.
    #[arg(long)]
    server: PathBuf,
    /// Interpreter with langgraph installed, for our workers and the bare library.
    #[arg(long)]
    python: PathBuf,
    /// Environment with `langgraph-cli[inmem]`; without it nothing is compared with the peer.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Folder with the graphs.
    #[arg(long)]
    project: PathBuf,
    /// Short loads, for a look while developing.
    #[arg(long)]
    quick: bool,
    /// How often everything is measured in turn; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these parts, in this order.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "rows,runs,tokens,growth,disk,rust,blocking,streams,store"
    )]
    only: Vec<Part>,
}

fn bare(arguments: &Arguments) -> Result<table::Bare> {
    let output = Command::new(&arguments.python)
        .arg("bare.py")
        .current_dir(&arguments.project)
        .output()
        .with_context(|| format!("{} could not be started", arguments.python.display()))?;
    if !output.status.success() {
        bail!("bare.py failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("bare.py printed no figures")
}

/// As many open files as may be, for us and for the servers that we start: every stream is one.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, opening the streams will tell.
    let _ =
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
}

async fn measure(target: Target, effort: Effort, parts: &[Part]) -> Result<Figures> {
    scenario::measure(&target, effort, parts).await.with_context(|| target.name)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    raise_file_limit();
    let seconds = if arguments.quick { 1 } else { 4 };
    let effort = Effort {
        load: Duration::from_secs(seconds),
        rounds: if arguments.quick { 20 } else { 100 },
    };
    let flush_s = table::flush_seconds(&std::env::temp_dir())?;
    let (mut bare_rounds, mut our_rounds, mut peer_rounds) = (vec![], vec![], vec![]);
    for round in 1..=arguments.rounds {
        println!("Round {round} of {}: the bare library …", arguments.rounds);
        bare_rounds.push(bare(&arguments)?);
        println!("  agent-server …");
        let start = target::ours(&arguments.server, &arguments.python, &arguments.project);
        our_rounds.push(measure(start.await?, effort, &arguments.only).await?);
        if let Some(environment) = &arguments.peer {
            println!("  langgraph dev …");
            let start = target::peer(environment, &arguments.project);
            peer_rounds.push(measure(start.await?, effort, &arguments.only).await?);
        }
    }
    let (bare, ours) = (table::medians(&bare_rounds)?, table::medians(&our_rounds)?);
    let peer = (!peer_rounds.is_empty()).then(|| table::medians(&peer_rounds)).transpose()?;
    let (text, missed) = table::render(&ours, peer.as_ref(), &bare, flush_s);
    println!("\n{text}");
    println!("{missed} goals missed");
    Ok(())
}
