//! The program: start both servers, play everything on both, compare, report.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Parser;
use futures::StreamExt as _;

use crate::{
    compare::{self, Comparison},
    deliberate::List,
    page, pattern,
    play::{self, Played, Stage},
    report::{self, Outcome},
    scenario::{self, Scenario},
    target::{self, Target},
};

/// Compare the server with its peer.
#[derive(Parser)]
struct Arguments {
    /// Our server: its binary, or the address of one that runs.
    #[arg(long)]
    server: Option<String>,
    /// The peer: an environment with `langgraph-cli[inmem]`, or the address of one that runs.
    #[arg(long)]
    peer: Option<String>,
    /// Only scenarios with such names; `*` stands for anything.
    #[arg(long)]
    only: Option<String>,
    /// Scenarios that are played at the same time.
    #[arg(long, default_value_t = 16)]
    parallel: usize,
    /// Show whole answers too.
    #[arg(long)]
    answers: bool,
    /// Only write docs/differences.md.
    #[arg(long)]
    page: bool,
}

fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
pub(crate) async fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut list = List::read(&own("differences.json"))?;
    if arguments.page {
        std::fs::write(own("../../docs/differences.md"), page::render(list.entries()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut scenarios = scenario::read(&own("scenarios"))?;
    if let Some(only) = &arguments.only {
        scenarios.retain(|scenario| pattern::matches(only, &scenario.name));
    }
    let (ours, peer) = targets(&arguments).await?;
    // The peer closes connections after failures of its own: every request has one for itself.
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(0)
        .build()?;
    let stage = |target: &Target| Stage { client: client.clone(), url: target.url.clone() };
    let (ours, peer) = (&stage(&ours), &stage(&peer));
    println!("{} scenarios …", scenarios.len());
    #[expect(clippy::disallowed_methods, reason = "a name that no earlier session has")]
    let session = uuid::Uuid::new_v4().simple().to_string();
    let session = &session[..8];
    let played: Vec<_> = futures::stream::iter(scenarios.iter().enumerate())
        .map(|(number, scenario)| async move {
            let tag = format!("tag-{session}-{number}");
            let both = (play::play(peer, scenario, &tag), play::play(ours, scenario, &tag));
            (scenario, futures::join!(both.0, both.1))
        })
        .buffered(arguments.parallel)
        .collect()
        .await;
    let mut outcomes = vec![];
    for (scenario, (peer_played, ours_played)) in &played {
        if arguments.answers {
            println!("{}", answers(scenario, peer_played, ours_played));
        }
        let outcome = judge(scenario, peer_played, ours_played, &mut list);
        match &outcome {
            Outcome::Differs(found) => println!("{}", report::differences(scenario, found)),
            Outcome::Broken(reason) => println!("{} is broken: {reason}\n", scenario.name),
            _ => {}
        }
        outcomes.push((*scenario, outcome));
    }
    let is_whole =
        |outcome: &Outcome| !matches!(outcome, Outcome::NotImplemented(_) | Outcome::Broken(_));
    let (whole, cut): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|(_, outcome)| is_whole(outcome));
    let names = |some: Vec<&(&Scenario, Outcome)>| -> Vec<String> {
        some.iter().map(|(scenario, _)| scenario.name.clone()).collect()
    };
    let (whole, cut) = (names(whole), names(cut));
    let stale = if arguments.only.is_some() { vec![] } else { list.stale(&whole, &cut) };
    println!("{}", report::summary(&outcomes, &stale));
    let bad = |(_, outcome): &(&Scenario, Outcome)| {
        matches!(outcome, Outcome::Differs(_) | Outcome::Broken(_))
    };
    let good = stale.is_empty() && !outcomes.iter().any(bad);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Both servers, started unless they run.
async fn targets(arguments: &Arguments) -> Result<(Target, Target)> {
    let project = own("project");
    let server = arguments.server.as_deref().context("--server is missing")?;
    let peer = arguments.peer.as_deref().context("--peer is missing")?;
    let start_ours = async {
        if server.starts_with("http") {
            return Ok(target::running(server));
        }
        // Both run the same versions of the libraries, so that what differs is the servers' doing.
        let python = Path::new(peer).join("bin/python");
        target::ours(Path::new(server), &python, &project).await
    };
    let start_peer = async {
        if peer.starts_with("http") {
            return Ok(target::running(peer));
        }
        target::peer(Path::new(peer), &project).await
    };
    futures::try_join!(start_ours, start_peer)
}

/// Compares what two servers answered.
fn judge(scenario: &Scenario, peer: &Played, ours: &Played, list: &mut List) -> Outcome {
    if let (Some(reason), Some(_)) = (&peer.stopped, &ours.stopped) {
        return Outcome::Broken(reason.clone());
    }
    let mut comparison = Comparison::default();
    for (number, step) in scenario.steps.iter().enumerate() {
        let (Some(one), Some(other)) = (peer.answers.get(number), ours.answers.get(number)) else {
            break;
        };
        if other["status"] == 501 && one["status"] != 501 {
            return Outcome::NotImplemented(step.label());
        }
        comparison.step(number, step, one, other);
    }
    let mut found = comparison.differences;
    let reached = peer.answers.len().min(ours.answers.len()).min(scenario.steps.len() - 1);
    if peer.stopped.is_some() || ours.stopped.is_some() {
        let (peer, ours) = (peer.stopped.as_deref(), ours.stopped.as_deref());
        found.push(compare::stopped(reached, peer, ours));
    }
    let all = found.len();
    found.retain(|difference| !list.covers(scenario, difference));
    match (all, found.len()) {
        (0, _) => Outcome::Equal,
        (_, 0) => Outcome::Deliberate(all),
        _ => Outcome::Differs(found),
    }
}

fn answers(scenario: &Scenario, peer: &Played, ours: &Played) -> String {
    let mut text = format!("=== {}\n", scenario.name);
    for (number, step) in scenario.steps.iter().enumerate() {
        text.push_str(&format!("{}: {}\n", number + 1, step.label()));
        for (who, played) in [("peer", peer), ("ours", ours)] {
            let answer = played.answers.get(number).map(ToString::to_string);
            text.push_str(&format!("  {who}: {}\n", answer.unwrap_or_default()));
        }
    }
    for (who, played) in [("peer", peer), ("ours", ours)] {
        if let Some(reason) = &played.stopped {
            text.push_str(&format!("{who} stopped: {reason}\n"));
        }
    }
    text
}
