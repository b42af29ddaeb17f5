//! `cargo xtask parity`: plays the same scenarios on the server and on its peer and shows what differs.

use anyhow::Result;

use crate::{files, peer, process};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only write docs/differences.md from the list of deliberate differences
    #[arg(long)]
    page: bool,
    /// Passed on to agent-server-parity, such as `--only 'threads/*'`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let own = ["run", "--quiet", "--package", "agent-server-parity", "--"];
    let mut command = process::command("cargo", own);
    if arguments.page {
        command.arg("--page");
        return process::run(command);
    }
    let peer = peer::environment()?;
    process::run(process::command("cargo", ["build", "--quiet", "--package", "agent-server"]))?;
    command.arg("--server").arg(files::built("debug").join("agent-server"));
    command.arg("--peer").arg(peer).args(&arguments.rest);
    process::run(command)
}
