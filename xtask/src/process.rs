//! Running other programs.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::files;

/// A program with its arguments, to be run in the root of the workspace.
pub(crate) fn command<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(files::root());
    command
}

/// How to type the command.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![];
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}='{}'", name.to_string_lossy(), value.to_string_lossy()));
        }
    }
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Runs it with the terminal's input and output; an error unless it succeeds.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| not_started(&command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(&command));
    }
    Ok(())
}

/// Its standard output; an error, with what it wrote to standard error, unless it succeeds.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| not_started(&command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({})\n{}", shown(&command), output.status, said.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| shown(&command))
}

fn not_started(command: &Command) -> String {
    format!("`{}` could not be started", command.get_program().to_string_lossy())
}
