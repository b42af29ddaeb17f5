//! Good requests, changed at random: no failure, no status or body that the document does not know, no hang, no panic.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use agent_server_api::Operation;
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{Options, Suite, build, exchange::Expected, find};
use crate::{
    cases::{self, Documented, Expect},
    fixtures::Fixtures,
    launch::{Graphs, Server, workspace},
    mutate,
    report::Report,
    request::{Payload, Request},
    session::Session,
};

/// Requests that share what they name. They may delete it, so it is made anew after so many.
const OF_ONE_MAKING: usize = 25;
/// Requests under way at a time.
const AT_A_TIME: usize = 8;

/// Paths whose answers go on for ever; changed requests to them are ours alone, which stop reading.
const ENDLESS: [&str; 2] = ["/threads/{thread_id}/stream", "/threads/{thread_id}/stream/events"];

/// How much to try.
#[derive(Clone, Debug)]
pub struct Fuzz {
    /// Requests over all operations.
    pub requests: usize,
    /// Determines the requests, though not in which order they are served.
    pub seed: u64,
    /// The program `schemathesis`, which then makes requests of its own from the document.
    pub schemathesis: Option<PathBuf>,
}

/// Sends changed requests to a server of its own.
///
/// # Errors
/// It cannot be started, or it ends. What it does wrong is in the report.
pub async fn fuzz(options: &Options, fuzz: Fuzz) -> Result<Report> {
    let started = Instant::now();
    let binary = options.binary.as_deref().unwrap_or(Path::new("agent-server"));
    let server = Server::start(binary, options.graphs.as_ref().unwrap_or(&Graphs::Demo)).await?;
    let session = Session::open(server.url(), options, Some(&server)).await?;
    let mut suite = Suite { session: &session, options, report: Report::default() };
    let all = cases::all()?;
    let rounds = fuzz.requests.div_ceil(all.len() * OF_ONE_MAKING);
    let mut work = Vec::new();
    for round in 0..rounds {
        for (number, cases) in all.iter().enumerate() {
            let seed = fuzz.seed
                ^ ((round * all.len() + number) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            work.push((find(&cases.operation)?, cases, seed));
        }
    }
    let shared = &suite;
    let outcomes: Vec<_> = stream::iter(work)
        .map(|(operation, cases, seed)| async move {
            (operation, seed, shared.changed(operation, cases, seed).await)
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    for (operation, seed, outcome) in outcomes {
        suite.add(operation, &format!("changed requests, seed {seed}"), outcome);
    }
    if let Some(program) = &fuzz.schemathesis {
        let outcome = schemathesis(program, server.url(), fuzz.seed).await;
        suite.add(find("get_openapi")?, "schemathesis finds nothing", outcome);
    }
    let mut report = suite.report;
    report.statuses = options.statuses.clone();
    report.took = started.elapsed();
    ensure!(!server.log().contains("panicked"), "the server panicked\n{}", server.log_end());
    server.stop().await?;
    Ok(report)
}

/// Lets Schemathesis judge failures, statuses, media types and schemas.
async fn schemathesis(program: &Path, url: &str, seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = tokio::process::Command::new(program);
    command.arg("run").arg(workspace().canonicalize()?.join("openapi.json"));
    command.args(["--url", url, "--seed", &seed.to_string(), "--max-examples", "90"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--request-timeout", "20"]);
    command.args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"]);
    command.args(["--continue-on-failure", "--no-shrink", "--warnings", "off"]);
    command.args(ENDLESS.iter().flat_map(|path| ["--exclude-path", path]));
    // It leaves a folder with its examples behind where it runs.
    let status = command.current_dir(folder.path()).kill_on_drop(true).status().await;
    let status = status.with_context(|| program.display().to_string())?;
    ensure!(status.success(), "it ended with {status}, see above");
    Ok(())
}

impl<'a> Suite<'a> {
    async fn changed(
        &self,
        operation: &'static Operation,
        cases: &cases::Operation,
        seed: u64,
    ) -> Result<()> {
        let mut random = Rng::with_seed(seed);
        let mut own: Fixtures<'a> = Fixtures::for_operation(self.session, operation.name);
        let taken: Vec<_> = cases.cases.iter().filter(|case| case.expect.may_succeed()).collect();
        for _ in 0..OF_ONE_MAKING {
            let mut request = match random.choice(&taken) {
                Some(case) => build::request(operation, cases, case, &mut own).await?,
                None => build::plain(operation, cases, &mut own).await?,
            };
            change(&mut random, &mut request);
            let expect = Expect::Documented(Documented::Documented);
            let expected = Expected { expect, detail: None, without_fields: false };
            self.exchange(request, &expected).await?;
        }
        Ok(())
    }
}

/// Changes the body most of the time, and now and then where the request goes.
fn change(random: &mut Rng, request: &mut Request) {
    if let Payload::Json(body) = &mut request.payload {
        if random.u8(..10) > 0 {
            mutate::body(random, body);
        }
        mutate::without_pauses(body);
        if random.u8(..40) == 0 {
            request.payload = Payload::Bytes(broken(random, body));
        }
    }
    if random.u8(..6) == 0 {
        for value in request.path.values_mut() {
            // An empty segment would be the path of another operation.
            *value = Some(mutate::odd_text(random))
                .filter(|text| !is_of_paths(text))
                .unwrap_or("x".into());
        }
    }
    if random.u8(..4) == 0 {
        let names =
            ["limit", "offset", "before", "status", "stream_mode", "select", "xray", "namespace"];
        let name = match random.choice(&request.query) {
            Some((name, _)) => name.clone(),
            None => random.choice(names).unwrap_or_default().to_owned(),
        };
        request.query.push((name, mutate::odd_text(random)));
    }
}

/// Texts that a client resolves before it sends them.
fn is_of_paths(text: &str) -> bool {
    matches!(text, "" | "." | "..")
}

/// The body as bytes of which one is another.
fn broken(random: &mut Rng, body: &Value) -> Vec<u8> {
    let mut bytes = body.to_string().into_bytes();
    let index = random.usize(..bytes.len());
    bytes[index] = random.u8(..);
    bytes
}
