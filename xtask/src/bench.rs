//! `cargo xtask bench`: measures the server beside its peer and the bare library.

use anyhow::{Result, bail};

#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_arguments: &Arguments) -> Result<()> {
    bail!(
        "this command is not connected yet: run `cargo run --release --package agent-server-bench -- --help`"
    )
}
