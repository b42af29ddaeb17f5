//! `cargo xtask test`: everything that has to pass, in the order in which it fails fastest. The pipeline runs this.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{env, faults, files, process, regenerate, tidy};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stop at the first step that fails
    #[arg(long)]
    fail_fast: bool,
    /// Interpreter that the Python environment is made with
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
}

/// One step: what it is called and how to run it alone.
struct Step {
    name: &'static str,
    rerun: String,
    work: Box<dyn FnOnce() -> Result<()>>,
}

impl Step {
    /// A step that is a command of this program.
    fn own(name: &'static str, rerun: &str, work: impl FnOnce() -> Result<()> + 'static) -> Self {
        Self { name, rerun: rerun.to_owned(), work: Box::new(work) }
    }

    /// A step that is another program.
    fn program(name: &'static str, command: Command) -> Self {
        Self { name, rerun: process::shown(&command), work: Box::new(|| process::run(command)) }
    }

    /// A step that is another program, which runs tests.
    fn tests(name: &'static str, command: Command) -> Self {
        let rerun = process::shown(&command);
        Self { name, rerun, work: Box::new(|| process::run_tests(command)) }
    }
}

/// How a step went.
struct Done {
    name: &'static str,
    rerun: String,
    took: Duration,
    error: Option<anyhow::Error>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut done = vec![];
    for Step { name, rerun, work } in steps(arguments) {
        println!("\n=== {name}: {rerun}");
        let start = Instant::now();
        let error = work().err();
        if let Some(error) = &error {
            eprintln!("error: {error:#}");
        }
        let stop = error.is_some() && arguments.fail_fast;
        done.push(Done { name, rerun, took: start.elapsed(), error });
        if stop {
            break;
        }
    }
    summary(&done)
}

/// What went how; what failed is told again, with why, so that it stands at the end.
fn summary(done: &[Done]) -> Result<()> {
    println!("\n=== Summary");
    for step in done {
        let word = if step.error.is_some() { "FAILED" } else { "ok" };
        println!("{:<12} {word:<7} {:>6.1} s", step.name, step.took.as_secs_f64());
    }
    let mut failed = 0;
    for Done { name, error, .. } in done {
        let Some(error) = error else { continue };
        println!("\n=== {name} failed: {error:#}");
        failed += 1;
    }
    if failed == 0 {
        return Ok(());
    }
    println!("\nTo run again what failed:");
    for step in done.iter().filter(|step| step.error.is_some()) {
        println!("  {}", step.rerun);
    }
    bail!("{failed} of {} steps failed", done.len())
}

fn steps(arguments: &Arguments) -> Vec<Step> {
    let cargo = |words: &str| process::command("cargo", words.split_whitespace());
    let interpreter = arguments.python.clone();
    let check = regenerate::Arguments { check: true, print: None };
    let mut doc = cargo("doc --workspace --no-deps");
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let mut steps = vec![
        Step::own("env", "cargo xtask env", move || {
            env::run(&env::Arguments { python: interpreter, only: None })
        }),
        Step::program("fmt", cargo("fmt --all --check")),
        Step::own("tidy", "cargo xtask tidy", tidy::run),
        Step::own("regenerate", "cargo xtask regenerate --check", move || regenerate::run(&check)),
        Step::program("clippy", cargo("clippy --workspace --all-targets -- -D warnings")),
        // One after the other: the targets that start servers measure time.
        Step::tests("test", cargo("test --workspace --no-fail-fast")),
        Step::program("doc", doc),
    ];
    steps.extend(sdk_steps());
    let short = faults::Faults::short();
    steps.push(Step::own("faults", &short.shown(), move || faults::faults(&short)));
    steps
}

/// Tests of the binary with the official clients, where there are some.
fn sdk_steps() -> Vec<Step> {
    let mut steps = vec![];
    if files::at("tests/python/pytest.ini").exists() {
        let build = faults::build(&[]);
        // Tests mostly wait. Two at a time, each with servers of its own, are calm on two cores; file by file, because
        // those of a file share a server.
        let words = "-m pytest -n 2 --dist loadfile tests/python".split_whitespace();
        let pytest = process::command(env::python(), words);
        let rerun = format!("{} && {}", process::shown(&build), process::shown(&pytest));
        steps.push(Step::own("python", &rerun, || {
            process::run(build)?;
            process::run_tests(pytest)
        }));
    }
    let tests = std::fs::read_dir(files::at("tests/js")).into_iter().flatten().flatten();
    let mut names: Vec<_> = tests
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".test."))
        .collect();
    names.sort();
    if !names.is_empty() {
        let paths = names.iter().map(|name| format!("target/js/tests/{name}"));
        let mut node = process::command("node", std::iter::once("--test".to_owned()).chain(paths));
        node.env("NODE_OPTIONS", "--preserve-symlinks --preserve-symlinks-main");
        node.env("AGENT_SERVER_BIN", files::at("target/debug/agent-server"));
        node.env("AGENT_SERVER_TEST_PYTHON", env::python());
        steps.push(Step::tests("javascript", node));
    }
    steps
}
