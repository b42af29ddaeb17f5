//! One pass over everything: generated cases, scenarios, hostile bodies, behaviour, then a server on a full disk, one that
//! asks who one is, and one that limits how often.

mod build;
mod contexts;
mod exchange;
mod full_disk;
mod fuzz;
mod generated;
mod limited;
mod scenario;
mod strangers;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Instant,
};

use agent_server_api::Operation;
use anyhow::{Context, Result, bail};

use crate::{
    behaviour, cases,
    launch::{Graphs, Server},
    report::{Entry, Outcome, Report},
    session::Session,
    statuses::Statuses,
};

pub use fuzz::{Fuzz, fuzz};

/// What to judge.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A server that runs already; without it one is started from `binary`.
    pub url: Option<String>,
    /// Assistant or graph to run; without it the first one that the server has.
    pub assistant: Option<String>,
    /// Only cases whose tag, operation or name contains one of these; all of them if empty.
    pub filter: Vec<String>,
    /// Headers of every request, as `name: value`.
    pub headers: Vec<String>,
    /// The server's binary.
    pub binary: Option<PathBuf>,
    /// What the started server runs; the built-in graph if not given.
    pub graphs: Option<Graphs>,
    /// Whether it is a failure that the server lacks a graph which a scenario needs.
    pub complete: bool,
    /// What all servers of a pass have answered; filled by the pass.
    pub statuses: Statuses,
}

/// Judges a server.
///
/// # Errors
/// It cannot be started or does not answer at all. What it does wrong is in the report.
pub async fn judge(options: &Options) -> Result<Report> {
    let started = Instant::now();
    let server = match (&options.url, &options.binary) {
        (Some(_), _) => None,
        (None, Some(binary)) => {
            let graphs = options.graphs.as_ref().unwrap_or(&Graphs::Demo);
            Some(Server::start(binary, graphs).await?)
        }
        (None, None) => bail!("neither a URL nor a binary is given"),
    };
    let url = options.url.as_deref().or(server.as_ref().map(Server::url)).unwrap_or_default();
    let result = judge_at(url, server.as_ref(), options).await;
    let mut report = match (&server, result) {
        (Some(server), Err(error)) => bail!("{error:#}\n{}", server.log_end()),
        (_, result) => result?,
    };
    if let Some(server) = server {
        server.stop().await?;
        report.entries.extend(full_disk::entries(options).await?);
        report.entries.extend(strangers::entries(options).await?);
        report.entries.extend(limited::entries(options).await?);
        report.entries.extend(contexts::entries(options).await?);
    }
    report.statuses = options.statuses.clone();
    report.took = started.elapsed();
    Ok(report)
}

async fn judge_at(url: &str, server: Option<&Server>, options: &Options) -> Result<Report> {
    let session = Session::open(url, options, server).await?;
    let all = cases::all()?;
    let mut suite = Suite { session: &session, options, report: Report::default() };
    suite.generated(&all).await?;
    suite.scenarios(&all).await?;
    suite.behaviour().await;
    Ok(suite.report)
}

/// A pass over one server.
struct Suite<'a> {
    session: &'a Session,
    options: &'a Options,
    report: Report,
}

impl Suite<'_> {
    /// Whole bodies, by hand.
    async fn behaviour(&mut self) {
        for case in behaviour::cases() {
            let Some(operation) = Operation::find(case.operation) else { continue };
            let name = format!("behaviour: {}", case.name.replace('_', " "));
            if !self.options.wants(operation, &name) {
                continue;
            }
            if self.session.demo {
                let result = (case.run)(self.session).await;
                self.add(operation, &name, result);
            } else {
                self.skip(operation, &name, "the graph does not behave like the built-in demo");
            }
        }
    }

    fn add(&mut self, operation: &'static Operation, case: &str, result: Result<()>) {
        if result.is_err() {
            // A pass that waits for answers which do not come takes minutes: say so while it does.
            let _ = writeln!(io::stderr(), "failed: {}: {case}", operation.name);
        }
        self.report.entries.push(entry(operation, case, result));
    }

    fn skip(&mut self, operation: &'static Operation, case: &str, why: &str) {
        let outcome = Outcome::Skipped(why.to_owned());
        self.report.entries.push(Entry { outcome, ..entry(operation, case, Ok(())) });
    }
}

impl Options {
    fn wants(&self, operation: &Operation, case: &str) -> bool {
        let full = format!("{}: {}: {case}", operation.tag, operation.name);
        self.filter.is_empty() || self.filter.iter().any(|part| full.contains(part.as_str()))
    }
}

fn entry(operation: &'static Operation, case: &str, result: Result<()>) -> Entry {
    let outcome = match result {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    Entry { tag: operation.tag, operation: operation.name, case: case.to_owned(), outcome }
}

fn find(operation: &str) -> Result<&'static Operation> {
    let missing =
        "cases name an operation that is not in the document: run `cargo xtask regenerate`";
    Operation::find(operation).with_context(|| format!("{operation}: {missing}"))
}
