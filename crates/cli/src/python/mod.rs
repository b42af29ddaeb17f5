//! The interpreter for a project's graphs: found, checked, and where needed and allowed, made.
//!
//! Order: [`find`] names the interpreter that the project means; where what the project [`needs`] is not there, an
//! [`environment`] of our own is made on top of it.

mod environment;
mod find;
mod needs;
mod syntax;

use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{config::project::Project, env::Env};
use environment::Environment;
use find::Candidate;
use needs::Needs;

pub(crate) use syntax::syntax_error;

/// Program that an interpreter runs on itself.
const CHECK: &str = include_str!("check.py");
/// Oldest Python that the graph library runs on.
const OLDEST: [u32; 2] = [3, 10];

/// Number of the signal that nobody sends to themselves: an operator does, or a machine short of memory.
const KILLED: i32 = 9;
/// Times that an interpreter may be killed while it is looked at until that is its own fault.
const KILLS: u32 = 5;

/// What is known when the interpreter is chosen.
pub(crate) struct Wish<'a> {
    /// Interpreter that was asked for.
    pub(crate) asked: Option<&'a Path>,
    /// Project whose graphs it will run.
    pub(crate) project: &'a Project,
    /// Where an environment of our own may be made.
    pub(crate) data_dir: &'a Path,
    /// Whether anything may be installed.
    pub(crate) install: bool,
    /// Variables of the process.
    pub(crate) env: &'a Env,
}

/// The interpreter that was chosen.
#[derive(Debug)]
pub(crate) struct Interpreter {
    /// Path of the program.
    pub(crate) path: PathBuf,
    /// Version of the graph library that it has, if that is known.
    pub(crate) langgraph: Option<String>,
}

/// What an interpreter says about itself.
#[derive(Debug, Deserialize)]
struct Report {
    version: Vec<u32>,
    executable: PathBuf,
    langgraph: Option<String>,
    missing: Vec<String>,
}

/// Chooses the interpreter, which may take minutes where packages are installed.
///
/// Errors: text for the user that says what was tried and what would help.
pub(crate) async fn prepare(wish: &Wish<'_>) -> Result<Interpreter, String> {
    let needs = Needs::of(wish.project).map_err(|error| error.to_string())?;
    let base = find::find(wish.asked, &wish.project.directory, wish.env)?;
    let sources = Needs::sources(wish.project);
    let ours = Environment::new(wish.data_dir, &base, &needs, &sources);
    if ours.is_current() {
        return Ok(ours.interpreter());
    }
    let report = check(&base, &needs, &wish.project.directory).await?;
    let version = report.version.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    let program = base.path.display();
    if report.version[..] < OLDEST[..] {
        let [major, minor] = OLDEST;
        return Err(format!(
            "{program} is Python {version}, too old for the graph library, which needs {major}.{minor}; \
             name another one with --python"
        ));
    }
    if report.missing.is_empty() {
        // Its own word, because what was found may be a script that chooses the interpreter anew at every start.
        return Ok(Interpreter { path: report.executable, langgraph: report.langgraph });
    }
    let missing = report.missing.join(", ");
    if !wish.install {
        let lacking = format!("{program} (Python {version}) lacks {missing}");
        if report.missing.iter().any(|name| name == "langgraph") {
            return Err(format!(
                "{lacking}; install that there, or let agent-server dev make an environment (without --offline)"
            ));
        }
        // Graphs may well run without: versions are often pinned more narrowly than need be.
        tracing::warn!("{lacking}");
        return Ok(Interpreter { path: report.executable, langgraph: report.langgraph });
    }
    let place = ours.directory.display();
    eprintln!("Installing what {program} (Python {version}) lacks into {place}: {missing}");
    ours.install(&needs, &wish.project.directory).await.map_err(|error| {
        format!("the project's dependencies could not be installed into {place}: {error}")
    })?;
    eprintln!("Installed. The next start finds it in place.");
    Ok(ours.interpreter())
}

/// Files whose change may call for another environment.
pub(crate) fn sources(project: &Project) -> Vec<PathBuf> {
    Needs::sources(project)
}

async fn check(base: &Candidate, needs: &Needs, project: &Path) -> Result<Report, String> {
    let program = base.path.display();
    let broken = |error: &dyn std::fmt::Display| format!("{program} does not work: {error}");
    let mut output = ask(base, needs, project).await.map_err(|error| broken(&error))?;
    for _ in 1..KILLS {
        if output.status.signal() != Some(KILLED) {
            break;
        }
        tracing::warn!("{program} was killed while it was looked at; once more");
        output = ask(base, needs, project).await.map_err(|error| broken(&error))?;
    }
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(broken(&errors.lines().last().unwrap_or("it says nothing")));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| broken(&error))
}

async fn ask(base: &Candidate, needs: &Needs, project: &Path) -> std::io::Result<Output> {
    let input = serde_json::to_vec(needs)?;
    run(&base.path, &["-c", CHECK], Some(project), &input).await
}

/// Runs an interpreter to its end.
async fn run(
    program: &Path,
    arguments: &[&str],
    directory: Option<&Path>,
    input: &[u8],
) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ended before it read says why on stderr.
        let _ = stdin.write_all(input).await;
    }
    child.wait_with_output().await
}
