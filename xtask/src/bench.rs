//! `cargo xtask bench`: measures the server beside its peer and the bare library.

use anyhow::Result;

use crate::{env, files, peer, process};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Short loads, for a look while developing
    #[arg(long)]
    quick: bool,
    /// Leave the peer out
    #[arg(long)]
    no_peer: bool,
    /// How often everything is measured in turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only these parts, such as `rows,tokens`
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    env::run(&env::Arguments { python: "python3".into(), only: Some(env::Language::Python) })?;
    let packages = ["build", "--release", "-p", "agent-server", "-p", "agent-server-bench"];
    process::run(process::command("cargo", packages))?;
    let mut bench =
        process::command(files::built("release").join("agent-server-bench"), ["--server"]);
    bench.arg(files::built("release").join("agent-server"));
    bench.arg("--python").arg(env::python());
    bench.arg("--project").arg(files::at("crates/bench/project"));
    if !arguments.no_peer {
        bench.arg("--peer").arg(peer::environment()?);
    }
    bench.arg("--rounds").arg(arguments.rounds.to_string());
    if arguments.quick {
        bench.arg("--quick");
    }
    if let Some(parts) = &arguments.only {
        bench.arg("--only").arg(parts);
    }
    process::run(bench)
}
