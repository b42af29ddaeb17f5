//! `cargo xtask bench`: measures the server beside its peer and the bare library.
//!
//! The peer gets an environment of its own under `target/`, so that nothing of it is ever near the project's.

use anyhow::{Context as _, Result};

use crate::{env, files, process};

/// What the peer's environment is made of.
const PEER: &str = "langgraph-cli[inmem]";

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
    let peer = files::at("target/peer");
    if !arguments.no_peer && !peer.join("bin/langgraph").exists() {
        println!("target/peer: {PEER} …");
        let venv = ["-m", "venv", "--clear", "target/peer"];
        process::run(process::command("python3", venv))?;
        let python = peer.join("bin/python");
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER];
        process::run(process::command(&python, install)).context("the peer cannot be installed")?;
        let mut compile = process::command(&python, ["-m", "compileall", "-q", "target/peer/lib"]);
        compile.env_remove("PYTHONDONTWRITEBYTECODE");
        // Templates that are no valid Python fail to compile; they are never imported.
        let _ = compile.output().context("compileall")?;
    }
    let packages = ["build", "--release", "-p", "agent-server", "-p", "agent-server-bench"];
    process::run(process::command("cargo", packages))?;
    let mut bench = process::command(files::at("target/release/agent-server-bench"), ["--server"]);
    bench.arg(files::at("target/release/agent-server"));
    bench.arg("--python").arg(env::python());
    bench.arg("--project").arg(files::at("crates/bench/project"));
    if !arguments.no_peer {
        bench.arg("--peer").arg(peer);
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
