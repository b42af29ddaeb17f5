//! Measures the server beside `langgraph dev` and beside the bare library, in one run on one machine.
//!
//! `cargo xtask bench` makes the environments and calls this. Ratios count, absolute times do not.

mod http;
mod load;
mod scenario;
mod table;
mod target;

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use scenario::{Effort, Part};

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
    /// Only these parts, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rows,runs,tokens")]
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

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seconds = if arguments.quick { 1 } else { 4 };
    let effort = Effort {
        load: Duration::from_secs(seconds),
        rounds: if arguments.quick { 20 } else { 100 },
    };
    println!("The bare library …");
    let bare = bare(&arguments)?;
    println!("  {bare:?}");
    let flush_s = table::flush_seconds(&std::env::temp_dir())?;
    println!("agent-server …");
    let ours = {
        let target = target::ours(&arguments.server, &arguments.python, &arguments.project).await?;
        scenario::measure(&target, effort, &arguments.only).await.with_context(|| target.name)?
    };
    println!("  {ours:?}");
    let peer = match &arguments.peer {
        Some(environment) => {
            println!("langgraph dev …");
            let target = target::peer(environment, &arguments.project).await?;
            let figures = scenario::measure(&target, effort, &arguments.only).await.with_context(|| target.name)?;
            println!("  {figures:?}");
            Some(figures)
        }
        None => None,
    };
    let (text, missed) = table::render(&ours, peer.as_ref(), &bare, flush_s);
    println!("\n{text}");
    println!("{missed} goals missed");
    Ok(())
}
