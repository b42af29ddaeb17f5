//! The peer, `langgraph dev`: an environment of its own under `target/`, so that nothing of it is ever near the project's.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{files, process};

/// What the environment is made of.
const PEER: &str = "langgraph-cli[inmem]";

/// The peer's environment, made unless it is there.
pub(crate) fn environment() -> Result<PathBuf> {
    let peer = files::at("target/peer");
    if !peer.join("bin/langgraph").exists() {
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
    Ok(peer)
}
