//! `cargo xtask conformance`: judges a server, any server, by the API document.

use anyhow::Result;

use crate::{env, process};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Server to judge, such as http://127.0.0.1:2024 [default: this workspace's, which is built and started]
    #[arg(long)]
    url: Option<String>,
    /// Instead of the cases, send requests that are wrong in random ways: good ones changed, and those of Schemathesis
    #[arg(long, conflicts_with = "url")]
    fuzz: bool,
    /// How many good ones to change
    #[arg(long, requires = "fuzz", default_value_t = 15_000)]
    requests: usize,
    /// Determines what is sent
    #[arg(long, requires = "fuzz", default_value_t = 1)]
    seed: u64,
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
    if arguments.fuzz {
        let program = env::schemathesis("python3")?;
        command.args(["--fuzz", &arguments.requests.to_string()]);
        command.args(["--seed", &arguments.seed.to_string()]);
        command.arg("--schemathesis").arg(program);
    }
    command.args(&arguments.rest);
    process::run(command)
}
