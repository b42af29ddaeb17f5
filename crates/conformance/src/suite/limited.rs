//! What a server that limits its callers answers one who has asked for too much.

use agent_server_api::Operation;
use anyhow::{Context, Result, bail, ensure};

use super::{Options, Suite, build, exchange::Expected, find, scenario};
use crate::{
    cases::{self, Expect},
    fixtures::Fixtures,
    launch::{Graphs, Server, Special},
    report::{Entry, Report},
    request::Request,
    scenarios::OF_LIMITS,
    session::Session,
};

/// Says where a request comes from; the server takes it from a proxy. What requests name is made by somebody else.
const FROM: (&str, &str) = ("x-forwarded-for", "192.0.2.1");
/// More requests than the server allows at once.
const MOST_REQUESTS: u32 = Server::BURST + 1;

/// Judges a server of its own.
///
/// # Errors
/// The server cannot be started, never refuses, or what requests name cannot be made.
pub(super) async fn entries(options: &Options) -> Result<Vec<Entry>> {
    let all = cases::all()?;
    let mut wanted = Vec::new();
    for cases in &all {
        let operation = find(&cases.operation)?;
        if options.wants(operation, &scenario::name(OF_LIMITS)) {
            wanted.push((operation, cases));
        }
    }
    let (Some(binary), false) = (&options.binary, wanted.is_empty()) else { return Ok(Vec::new()) };
    let graphs = options.graphs.as_ref().unwrap_or(&Graphs::Demo);
    let server = Server::start_as(binary, graphs, Special::Limits).await?;
    let session = Session::open(server.url(), options, Some(&server)).await?;
    let mut suite = Suite { session: &session, options, report: Report::default() };
    // Whoever is refused changes nothing, so all requests share what they name.
    let mut shared = Fixtures::new(&session);
    let mut prepared = Vec::new();
    for (operation, cases) in wanted {
        let plain = build::plain(operation, cases, &mut shared).await?;
        prepared.push((operation, plain.header(FROM.0, FROM.1)));
    }
    exhaust(&session).await?;
    for (operation, request) in prepared {
        suite.too_often(operation, &request).await;
    }
    let entries = suite.report.entries;
    server.stop().await?;
    Ok(entries)
}

/// Asks until the server has had enough.
async fn exhaust(session: &Session) -> Result<()> {
    let request = Request::to("count_threads")?.body(serde_json::json!({}));
    let request = request.header(FROM.0, FROM.1);
    for _ in 0..MOST_REQUESTS {
        match session.send(&request).await?.status {
            200 => {}
            OF_LIMITS => return Ok(()),
            other => {
                bail!("{}\nexpected 200 or {OF_LIMITS}, not {other}", session.describe(&request))
            }
        }
    }
    bail!("{MOST_REQUESTS} requests were not too many")
}

impl Suite<'_> {
    async fn too_often(&mut self, operation: &'static Operation, request: &Request) {
        if operation.error_statuses().any(|status| status == OF_LIMITS) {
            let result = self.refuses_too_many(request).await;
            self.add(operation, &scenario::name(OF_LIMITS), result);
        } else {
            let expected = Expected {
                expect: Expect::Documented(cases::Documented::Documented),
                detail: None,
                without_fields: false,
            };
            let result = self.exchange(request.clone(), &expected).await;
            self.add(operation, "is never limited", result);
        }
    }

    async fn refuses_too_many(&self, request: &Request) -> Result<()> {
        let answer = self.session.send(request).await?;
        let described = || format!("{}\n{}", self.session.describe(request), answer.describe());
        ensure!(answer.status == OF_LIMITS, "{}\nexpected {OF_LIMITS}", described());
        let after = answer.headers.get("retry-after").context("there is no Retry-After")?;
        let after: u64 = after.to_str()?.parse().with_context(described)?;
        ensure!(after >= 1, "{}\nexpected a Retry-After of at least 1", described());
        let detail = format!(
            "Rate limit exceeded: requests of one address are limited to {} per second, {} at once. Wait {after} s and \
             try again.",
            Server::RATE,
            Server::BURST
        );
        ensure!(
            answer.detail().as_ref() == Some(&detail),
            "{}\nexpected the detail {detail:?}",
            described()
        );
        self.session.contract.check(request.operation, &answer)
    }
}
