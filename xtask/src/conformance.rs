//! `cargo xtask conformance`: judges a server, any server, by the API document.

use anyhow::Result;

use crate::process;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Server to judge, such as http://127.0.0.1:2024 [default: this workspace's, which is built and started]
    #[arg(long)]
    url: Option<String>,
    /// Passed on to agent-server-conformance
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut command = process::command(
        "cargo",
        ["run", "--quiet", "--package", "agent-server-conformance", "--"],
    );
    if let Some(url) = &arguments.url {
        command.args(["--url", url]);
    }
    command.args(&arguments.rest);
    process::run(command)
}
