//! Measures the server beside `langgraph dev` and beside the bare library, in one run on one machine.
//!
//! `cargo xtask bench` makes the environments and calls this. Ratios count, absolute times do not.

mod alone;
mod crons;
mod guarded;
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
use target::{Programs, Target};

/// Measure the server beside its peer and the bare library.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    programs: Programs,
    /// Environment with `langgraph-cli[inmem]`; without it nothing is compared with the peer.
    #[arg(long)]
    peer: Option<PathBuf>,
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
        default_value = "rows,runs,tokens,growth,disk,rust,blocking,streams,crons,auth,store"
    )]
    only: Vec<Part>,
}

fn bare(arguments: &Arguments) -> Result<table::Bare> {
    let Programs { python, project, .. } = &arguments.programs;
    let output = Command::new(python)
        .arg("bare.py")
        .current_dir(project)
        .output()
        .with_context(|| format!("{} could not be started", python.display()))?;
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

async fn measure(
    target: Target,
    programs: &Programs,
    effort: Effort,
    parts: &[Part],
) -> Result<Figures> {
    scenario::measure(&target, programs, effort, parts).await.with_context(|| target.name)
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
    // Others take long to start: only where something is compared with them.
    let needs_bare = arguments.only.iter().any(|part| part.needs_bare());
    let peer = arguments.peer.as_ref();
    let peer = peer.filter(|_| arguments.only.iter().any(|part| part.needs_peer()));
    for round in 1..=arguments.rounds {
        println!("Round {round} of {} …", arguments.rounds);
        if needs_bare {
            println!("  the bare library …");
            bare_rounds.push(bare(&arguments)?);
        }
        println!("  agent-server …");
        let programs = &arguments.programs;
        let start = target::ours(programs).await?;
        our_rounds.push(measure(start, programs, effort, &arguments.only).await?);
        if let Some(environment) = peer {
            println!("  langgraph dev …");
            let start = target::peer(environment, &programs.project).await?;
            peer_rounds.push(measure(start, programs, effort, &arguments.only).await?);
        }
    }
    let ours = table::medians(&our_rounds)?.context("no round")?;
    let bare = table::medians(&bare_rounds)?.unwrap_or_default();
    let peer = table::medians(&peer_rounds)?;
    let (text, missed) = table::render(&ours, peer.as_ref(), &bare, flush_s);
    println!("\n{text}");
    println!("{missed} goals missed");
    Ok(())
}
