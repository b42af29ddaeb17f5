//! `agent-server completions`: commands and flags for the shells of people, made from the definitions that parse them.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{args::Cli, refusal::Result};

/// Prints the script of a shell.
///
/// Errors: nobody reads it.
pub(crate) fn run(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "agent-server", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
