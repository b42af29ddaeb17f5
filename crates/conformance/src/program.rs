//! The program, and the test targets that are made of it.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{
    launch::{self, Graphs},
    suite::{Fuzz, Options, fuzz, judge},
};

/// Judges a server by the document of the Agent Server API: the one at a URL, or this workspace's, which it then starts.
///
/// It leaves threads, runs and assistants behind. Point it at a disposable server.
#[derive(Debug, Parser)]
#[command(name = "agent-server-conformance", version)]
struct Arguments {
    /// Server to judge, such as http://127.0.0.1:2024
    #[arg(long)]
    url: Option<String>,
    /// Assistant or graph to run [default: the server's first]
    #[arg(long)]
    assistant: Option<String>,
    /// Only cases with this text in tag, operation or name; may be repeated
    #[arg(long)]
    filter: Vec<String>,
    /// Header of every request, such as an API key; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Binary of the server to start [default: built from this workspace]
    #[arg(long, env = "AGENT_SERVER_BIN")]
    bin: Option<PathBuf>,
    /// Instead of the cases, send so many good requests changed at random to a server of its own
    #[arg(long, value_name = "REQUESTS", conflicts_with = "url")]
    fuzz: Option<usize>,
    /// Determines how they are changed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program schemathesis, which then adds its own
    #[arg(long, value_name = "PROGRAM", requires = "fuzz")]
    schemathesis: Option<PathBuf>,
}

/// Runs the program with the arguments of the process.
pub fn run_program() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        url: arguments.url,
        assistant: arguments.assistant,
        filter: arguments.filter,
        headers: arguments.header,
        binary: arguments.bin,
        ..Options::default()
    };
    let changed = arguments.fuzz.map(|requests| Fuzz {
        requests,
        seed: arguments.seed,
        schemathesis: arguments.schemathesis,
    });
    end(run(options, changed))
}

/// The arguments that cargo passes to a test target.
#[derive(Debug, Parser)]
#[command(name = "conformance", disable_help_flag = true)]
struct TestArguments {
    /// Only cases with one of these texts in tag, operation or name
    filter: Vec<String>,
    #[arg(long, env = "AGENT_SERVER_BIN")]
    bin: Option<PathBuf>,
    /// Interpreter with what `tests/project` needs.
    #[arg(long, env = "AGENT_SERVER_TEST_PYTHON")]
    python: Option<PathBuf>,
    /// Lists nothing: the cases are known only when the server runs
    #[arg(long)]
    list: bool,
    /// Flags of the usual harness, which mean nothing here
    #[arg(long)]
    nocapture: bool,
    #[arg(long)]
    test_threads: Option<String>,
    #[arg(long)]
    format: Option<String>,
    #[arg(long, short)]
    quiet: bool,
}

/// Which graphs a test target judges the server with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestGraphs {
    /// The graph that is built in.
    Demo,
    /// The Python project in `tests/project`.
    Python,
}

/// Runs a test target with the arguments of the process.
pub fn run_test(graphs: TestGraphs) -> ExitCode {
    let arguments = TestArguments::parse();
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let graphs = match graphs {
        TestGraphs::Demo => Ok(Graphs::Demo),
        TestGraphs::Python => project(arguments.python),
    };
    end(graphs.and_then(|graphs| {
        let python = matches!(graphs, Graphs::Python { .. });
        let options = Options {
            // The others of the project are broken on purpose.
            assistant: python.then(|| "agent".to_owned()),
            filter: arguments.filter,
            binary: arguments.bin,
            complete: python,
            graphs: Some(graphs),
            ..Options::default()
        };
        run(options, None)
    }))
}

/// The project of the tests, and an interpreter that can run it.
fn project(interpreter: Option<PathBuf>) -> Result<Graphs> {
    let root = launch::workspace().canonicalize()?;
    let interpreter = interpreter.unwrap_or_else(|| root.join("target/python/venv/bin/python"));
    ensure!(
        interpreter.exists(),
        "{} is not there: run `cargo xtask env`, or name an interpreter with langgraph in AGENT_SERVER_TEST_PYTHON",
        interpreter.display()
    );
    let config = root.join("crates/conformance/tests/project/langgraph.json");
    Ok(Graphs::Python { config, interpreter })
}

/// Judges and prints; whether all is well.
fn run(mut options: Options, changed: Option<Fuzz>) -> Result<bool> {
    if options.url.is_none() && options.binary.is_none() {
        options.binary = Some(launch::build()?);
    }
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    let report = match changed {
        Some(changed) => runtime.block_on(fuzz(&options, changed))?,
        None => runtime.block_on(judge(&options))?,
    };
    io::stdout().write_all(report.table().as_bytes())?;
    Ok(!report.failed())
}

fn end(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
