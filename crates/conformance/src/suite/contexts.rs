//! What a server whose project encrypts answers requests that name a context which is none.

use anyhow::Result;

use super::{Options, Suite, build, exchange::Expected, find, scenario};
use crate::{
    cases::{self, Expect},
    fixtures::Fixtures,
    launch::{Graphs, Server, Special},
    report::{Entry, Report},
    scenarios::OF_CALLERS,
    session::Session,
};

/// Where a project that encrypts is described, beside the one that does not (`tests/project`).
const ENCRYPTED: &str = "encrypted.json";
/// What is sent, and what is said to it.
const WRONG: [(&str, &str); 2] =
    [("W10=", "expected base64-encoded JSON object"), ("e", "Invalid input length: 1")];

/// Judges a server of its own. Where nobody is asked who they are, nothing is stored and contexts are nobody's concern.
///
/// # Errors
/// The server cannot be started, or what requests name cannot be made.
pub(super) async fn entries(options: &Options) -> Result<Vec<Entry>> {
    let all = cases::all()?;
    let mut wanted = Vec::new();
    for cases in &all {
        let operation = find(&cases.operation)?;
        let is_asked = operation.error_statuses().any(|status| OF_CALLERS.contains(&status));
        if is_asked && options.wants(operation, &scenario::name(422)) {
            wanted.push((operation, cases));
        }
    }
    let (Some(binary), Some(Graphs::Python { config, interpreter }), false) =
        (&options.binary, &options.graphs, wanted.is_empty())
    else {
        return Ok(Vec::new());
    };
    let graphs = Graphs::Python {
        config: config.with_file_name(ENCRYPTED),
        interpreter: interpreter.clone(),
    };
    let server = Server::start_as(binary, &graphs, Special::Nothing).await?;
    let session = Session::open(server.url(), options, Some(&server)).await?;
    let mut suite = Suite { session: &session, options, report: Report::default() };
    // Whoever is refused changes nothing, so all requests share what they name.
    let mut shared = Fixtures::new(&session);
    for (operation, cases) in wanted {
        let plain = build::plain(operation, cases, &mut shared).await?;
        for (context, why) in WRONG {
            let expected = Expected {
                expect: Expect::Status(422),
                detail: Some(format!("Invalid X-Encryption-Context header: {why}")),
                without_fields: false,
            };
            let request = plain.clone().header("x-encryption-context", context);
            let result = suite.exchange(request, &expected).await;
            let case = format!("{} to the encryption context {context:?}", scenario::name(422));
            suite.add(operation, &case, result);
        }
    }
    let entries = suite.report.entries;
    server.stop().await?;
    Ok(entries)
}
