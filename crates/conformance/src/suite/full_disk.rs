//! What the server answers when nothing can be written any more: 503, and everything stays as it was.

use agent_server_api::Operation;
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::{Options, Suite, build, entry, exchange::Expected, find, scenario};
use crate::{
    cases::{self, Expect},
    fixtures::Fixtures,
    launch::{Graphs, Server, Special},
    report::{Entry, Report},
    request::Request,
    scenarios::{self, Means},
    session::Session,
};

/// Sizes of what is written until nothing fits, bytes: the large ones fill, the small ones leave no gap.
const PORTIONS: [usize; 3] = [1 << 18, 1 << 12, 1];
const SMALL_PORTIONS: [usize; 2] = [1 << 12, 1];

/// Refusals in a row after which the disk counts as full; between two of them the server may have tidied up.
const FULL: usize = 5;

/// More portions than the largest file has.
const MOST_PORTIONS: usize = 10_000;

/// Judges a server of its own.
///
/// # Errors
/// The server cannot be started, or its disk cannot be filled.
pub(super) async fn entries(options: &Options) -> Result<Vec<Entry>> {
    let all = cases::all()?;
    let wanted = wanted(options, &all)?;
    let (Some(binary), false) = (&options.binary, wanted.is_empty()) else { return Ok(Vec::new()) };
    let graphs = options.graphs.as_ref().unwrap_or(&Graphs::Demo);
    let server = Server::start_as(binary, graphs, Special::SmallDisk).await?;
    let session = Session::open(server.url(), options, Some(&server)).await?;
    // Everything that requests name must be there before nothing can be made.
    let mut prepared = Vec::new();
    for (operation, cases) in wanted {
        let mut own = Fixtures::for_operation(&session, operation.name);
        prepared.push(build::plain(operation, cases, &mut own).await?);
    }
    fill(&session, &PORTIONS).await?;
    let suite = Suite { session: &session, options, report: Report::default() };
    let mut entries = Vec::new();
    for request in prepared {
        let operation = request.operation;
        // The server tidies up by itself, and may have found a little room since.
        fill(&session, &SMALL_PORTIONS).await?;
        entries.push(entry(operation, &scenario::name(503), suite.on_full_disk(request).await));
    }
    Ok(entries)
}

type Wanted<'a> = Vec<(&'static Operation, &'a cases::Operation)>;

fn wanted<'a>(options: &Options, all: &'a [cases::Operation]) -> Result<Wanted<'a>> {
    let mut wanted = Vec::new();
    for cases in all {
        let operation = find(&cases.operation)?;
        let applies = matches!(scenarios::find(operation.name, 503), Some(Means::FullDisk));
        if applies && options.wants(operation, &scenario::name(503)) {
            wanted.push((operation, cases));
        }
    }
    Ok(wanted)
}

/// Makes threads until none can be made.
async fn fill(session: &Session, portions: &[usize]) -> Result<()> {
    for &portion in portions {
        let mut refused = 0;
        let mut tried = 0;
        while refused < FULL {
            tried += 1;
            ensure!(tried < MOST_PORTIONS, "the disk does not become full");
            let body = json!({ "metadata": { "filling": incompressible(portion) } });
            let answer = session.send(&Request::to("create_thread")?.body(body)).await?;
            match answer.status {
                200 => refused = 0,
                503 => refused += 1,
                _ => bail!("a full disk is answered with {}", answer.describe()),
            }
        }
    }
    Ok(())
}

/// Text that takes up its length, compressed or not.
fn incompressible(length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        text += &crate::fixtures::new_id();
    }
    text.truncate(length);
    text
}

impl Suite<'_> {
    async fn on_full_disk(&self, request: Request) -> Result<()> {
        let before = self.thread_of(&request).await?;
        let expected =
            Expected { expect: Expect::Status(503), detail: None, without_fields: false };
        self.exchange(request.clone(), &expected).await?;
        let after = self.thread_of(&request).await?;
        ensure!(
            before == after,
            "503 says that nothing was changed\nbefore: {before}\nafter:  {after}"
        );
        Ok(())
    }

    /// The thread that the request is about, if it is about one.
    async fn thread_of(&self, request: &Request) -> Result<Value> {
        match request.path.get("thread_id") {
            Some(id) => self.session.call(Request::to("get_thread")?.path("thread_id", id)).await,
            None => Ok(Value::Null),
        }
    }
}
