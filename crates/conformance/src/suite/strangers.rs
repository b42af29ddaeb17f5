//! What a server that authenticates answers those whom it does not know, and those who may do nothing.

use agent_server_api::Operation;
use anyhow::{Result, ensure};

use super::{Options, Suite, build, exchange::Expected, find, scenario};
use crate::{
    cases::{self, Expect},
    fixtures::Fixtures,
    launch::{Graphs, Server, Special},
    report::{Entry, Report},
    request::Request,
    scenarios::OF_CALLERS,
    session::Session,
};

/// Where a project that authenticates is described, beside the one that does not (`tests/project`).
const GUARDED: &str = "guarded.json";
/// The header that its users say their name in.
const USER: &str = "x-user";

/// A caller who is refused.
struct Stranger {
    /// What is tried, for people.
    case: &'static str,
    header: (&'static str, &'static str),
    status: u16,
    detail: &'static str,
    /// Whether the handlers of operations refuse, and not the layer in front of them.
    is_known: bool,
}

/// Whom a server with API keys refuses.
const OF_KEYS: &[Stranger] = &[Stranger {
    case: "with a key that nobody made",
    header: ("x-api-key", "as_nobody"),
    status: 401,
    detail: "Invalid or missing credentials",
    is_known: false,
}];

/// Whom the project refuses.
const OF_PROJECT: &[Stranger] = &[
    Stranger {
        case: "without a name",
        header: (USER, ""),
        status: 401,
        detail: "Who are you?",
        is_known: false,
    },
    Stranger {
        case: "with a name that is locked out",
        header: (USER, "locked-out"),
        status: 403,
        detail: "Forbidden",
        is_known: false,
    },
    Stranger {
        case: "with a name that may do nothing",
        header: (USER, "powerless"),
        status: 403,
        detail: "Forbidden",
        is_known: true,
    },
];

/// Operations in which somebody who is known is not told by status that they may do nothing, and why.
const SAID_OTHERWISE: &[(&[&str], &str)] = &[
    (&["post_mcp", "post_a2a"], "refusals of users are told in the words of the protocol"),
    (&["send_thread_command"], "refusals of users are told in the words of the protocol"),
    (&["stream_thread_events"], "what may not be read is silent from the start"),
    (&["get_mcp", "delete_mcp"], "nobody decides about sessions, which are their user's alone"),
    (
        &["get_default_agent_card"],
        "the plain request names no agent, which is told first; other cards are seen",
    ),
];

/// Judges a server of its own.
///
/// # Errors
/// The server cannot be started, or what requests name cannot be made.
pub(super) async fn entries(options: &Options) -> Result<Vec<Entry>> {
    let all = cases::all()?;
    let wanted = wanted(options, &all)?;
    let (Some(binary), false) = (&options.binary, wanted.is_empty()) else { return Ok(Vec::new()) };
    let (graphs, special, strangers) = match options.graphs.as_ref().unwrap_or(&Graphs::Demo) {
        Graphs::Demo => (Graphs::Demo, Special::Keys, OF_KEYS),
        Graphs::Python { config, interpreter } => {
            let (config, interpreter) = (config.with_file_name(GUARDED), interpreter.clone());
            (Graphs::Python { config, interpreter }, Special::Nothing, OF_PROJECT)
        }
    };
    let server = Server::start_as(binary, &graphs, special).await?;
    let credentials = match server.key() {
        Some(key) => format!("x-api-key: {key}"),
        None => format!("{USER}: conformance"),
    };
    let options = Options { headers: vec![credentials], ..options.clone() };
    let session = Session::open(server.url(), &options, Some(&server)).await?;
    let mut suite = Suite { session: &session, options: &options, report: Report::default() };
    // Whoever is refused changes nothing, so they share what they name.
    let mut shared = Fixtures::new(&session);
    if strangers.iter().all(|stranger| stranger.status != 403) {
        let case = format!("{}, as every operation", scenario::name(403));
        suite.skip(wanted[0].0, &case, "only handlers of a project forbid anything");
    }
    for (operation, cases) in wanted {
        let plain = build::plain(operation, cases, &mut shared).await?;
        suite.of_operation(operation, &plain, strangers).await;
    }
    let entries = suite.report.entries;
    server.stop().await?;
    Ok(entries)
}

type Wanted<'a> = Vec<(&'static Operation, &'a cases::Operation)>;

fn wanted<'a>(options: &Options, all: &'a [cases::Operation]) -> Result<Wanted<'a>> {
    let mut wanted = Vec::new();
    for cases in all {
        let operation = find(&cases.operation)?;
        if OF_CALLERS.iter().any(|status| options.wants(operation, &scenario::name(*status))) {
            wanted.push((operation, cases));
        }
    }
    Ok(wanted)
}

impl Suite<'_> {
    async fn of_operation(
        &mut self,
        operation: &'static Operation,
        plain: &Request,
        strangers: &[Stranger],
    ) {
        let is_guarded = operation.error_statuses().any(|status| OF_CALLERS.contains(&status));
        for stranger in strangers {
            let request = plain.clone().header(stranger.header.0, stranger.header.1);
            if !is_guarded {
                let case = format!("is open to callers {}", stranger.case);
                let result = self.open_to(&request).await;
                self.add(operation, &case, result);
                continue;
            }
            let case = format!("{} {}", scenario::name(stranger.status), stranger.case);
            let otherwise = |(names, why): &(&[&str], &'static str)| {
                (stranger.is_known && names.contains(&operation.name)).then_some(*why)
            };
            if stranger.is_known && self.session.lacks(operation) {
                self.skip(operation, &case, "it is not implemented");
            } else if let Some(why) = SAID_OTHERWISE.iter().find_map(otherwise) {
                self.skip(operation, &case, why);
            } else {
                let result = self.refuses(request, stranger).await;
                self.add(operation, &case, result);
            }
        }
    }

    async fn refuses(&self, request: Request, stranger: &Stranger) -> Result<()> {
        let answer = self.session.send(&request).await?;
        let described = || format!("{}\n{}", self.session.describe(&request), answer.describe());
        ensure!(answer.status == stranger.status, "{}\nexpected {}", described(), stranger.status);
        let detail = answer.detail();
        ensure!(
            detail.as_deref() == Some(stranger.detail),
            "{}\nexpected the detail {:?}",
            described(),
            stranger.detail
        );
        self.session.contract.check(request.operation, &answer)
    }

    async fn open_to(&self, request: &Request) -> Result<()> {
        let expected = Expected {
            expect: Expect::Documented(cases::Documented::Documented),
            detail: None,
            without_fields: false,
        };
        self.exchange(request.clone(), &expected).await
    }
}
