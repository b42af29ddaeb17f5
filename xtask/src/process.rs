//! Running other programs.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

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

/// The same for a program that runs tests: the error repeats the lines that say which of them failed, because the
/// output is long and a pipeline may keep the end of it alone.
pub(crate) fn run_tests(mut command: Command) -> Result<()> {
    command.stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| not_started(&command))?;
    let stdout = child.stdout.take().context("the standard output is piped")?;
    let mut told = vec![];
    let mut more = 0_usize;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if tells_of_failure(&line) {
            more = LINES_AFTER;
        } else if more == 0 {
            continue;
        } else {
            more -= 1;
        }
        if told.len() < LINES_REPEATED {
            told.push(format!("  {line}"));
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed ({status})\n{}", shown(&command), told.join("\n"));
    }
    Ok(())
}

/// Most lines that an error repeats, and how many after each that tells of a failure.
const LINES_REPEATED: usize = 120;
const LINES_AFTER: usize = 3;

/// Whether cargo, pytest or node says here that a test failed, or why.
fn tells_of_failure(line: &str) -> bool {
    line.starts_with("not ok")
        || line.starts_with("FAILED ")
        || line.starts_with("ERROR ")
        || line.starts_with("E   ")
        || line.starts_with("+++ Timeout")
        || line.contains("panicked at")
        || (line.starts_with("test ") && line.ends_with("FAILED"))
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
