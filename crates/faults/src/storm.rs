//! The whole of it: start a server, let clients ask for runs while it is disturbed, wait until all is quiet, look.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    api::Api,
    disturb::Disturber,
    follow,
    jobs::Client,
    ledger::{Kind, Ledger, Place},
    processes::Process,
    random::Random,
    report,
    server::{self, Options, Server},
    verify,
};

/// Threads that all clients use.
const SHARED: usize = 3;
/// After the last kill everything has to be over within this time: longer than the longest pause before a worker is started
/// again, which is half a minute.
const QUIET: Duration = Duration::from_secs(120);
/// Longest time that runs are asked for when nobody waits for those before.
const RESTLESS: Duration = Duration::from_secs(150);
/// Time between two lines of progress.
const LINE: Duration = Duration::from_secs(5);

/// How much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    /// Runs that are asked for, at least.
    pub(crate) runs: u64,
    pub(crate) seed: u64,
    /// Clients at the same time.
    pub(crate) clients: u64,
    /// Whether kills wait for nothing.
    pub(crate) restless: bool,
}

/// Returns whether everything was as it should be. The folder keeps what is needed to find out why not.
#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
pub(crate) async fn run(options: Options, storm: Storm, folder: &std::path::Path) -> Result<bool> {
    let begin = Instant::now();
    let random = Random::new(storm.seed);
    let mut server = Server::start(options, folder).await?;
    let ledger = Arc::new(Ledger::new(server::journal(folder)));
    let api = Api::new(server.url(), Arc::clone(&ledger))?;
    server.until_loaded().await?;
    let mut draws = random.child(1_000_000);
    let shared: Arc<Vec<String>> = Arc::new((0..SHARED).map(|_| draws.uuid()).collect());
    let followers: Vec<_> = shared
        .iter()
        .map(|thread| tokio::spawn(follow::follow(api.clone(), thread.clone())))
        .collect();
    let observer = tokio::spawn(observe(api.clone(), random.child(1_000_001)));
    let lines = tokio::spawn({
        let ledger = Arc::clone(&ledger);
        async move {
            let mut told = 0;
            loop {
                tokio::time::sleep(LINE).await;
                println!("{}", report::progress(&ledger, begin.elapsed(), storm.runs));
                let violations = ledger.violations();
                violations[told..]
                    .iter()
                    .for_each(|(kind, what)| println!("  {}: {what}", kind.label()));
                told = violations.len();
            }
        }
    });

    let enough = Arc::new(AtomicBool::new(false));
    let disturber =
        Disturber::new(api.clone(), random.child(1_000_002), Arc::clone(&enough), storm.restless);
    let disturber = tokio::spawn(disturber.disturb(server));
    let mut clients = JoinSet::new();
    for number in 0..storm.clients {
        let random = random.child(number);
        let shared = Arc::clone(&shared);
        let mut client = Client { api: api.clone(), random, number, asked: 0, shared };
        let enough = Arc::clone(&enough);
        clients.spawn(async move {
            while !enough.load(Ordering::Relaxed) {
                client.job().await;
                client.rest().await;
                let counts = client.api.ledger.counts();
                if counts.get("runs asked for").is_some_and(|asked| *asked >= storm.runs) {
                    enough.store(true, Ordering::Relaxed);
                }
            }
        });
    }
    if storm.restless {
        let enough = Arc::clone(&enough);
        tokio::spawn(async move {
            tokio::time::sleep(RESTLESS).await;
            enough.store(true, Ordering::Relaxed);
        });
    }
    let (mut server, orphans) = disturber.await??;
    let quiet = Instant::now();
    let all = async { while clients.join_next().await.is_some_and(|ended| ended.is_ok()) {} };
    if tokio::time::timeout(QUIET, all).await.is_err() {
        let text = format!("{} clients wait for an end after {} s", clients.len(), QUIET.as_secs());
        ledger.violate(Kind::Stuck, text);
    }
    clients.shutdown().await;
    observer.abort();
    ledger.add("seconds from the last kill until all was quiet", quiet.elapsed().as_secs());
    verify_when_quiet(&api, quiet).await;
    followers.iter().for_each(tokio::task::JoinHandle::abort);
    lines.abort();
    check_orphans(&ledger, &orphans);
    if let Err(error) = server.stop().await {
        ledger.violate(Kind::Server, format!("{error:#}"));
    }
    if let Err(error) = server.examine() {
        ledger.violate(Kind::WrongState, format!("{error:#}"));
    }
    println!("\n{}", report::table(&ledger, begin.elapsed()));
    Ok(ledger.violations().is_empty())
}

/// Runs that nobody was told of may still be in progress: waits for them, then looks at everything.
async fn verify_when_quiet(api: &Api, since: Instant) {
    let body = serde_json::json!({"status": "busy"});
    while since.elapsed() < QUIET {
        let answer = api.call(reqwest::Method::POST, "/threads/count", Some(&body)).await;
        if answer.is_some_and(|answer| answer.body == 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let text = "the last look has not ended: some request is never answered";
    if tokio::time::timeout(QUIET, verify::verify(api)).await.is_err() {
        api.ledger.violate(Kind::Stuck, text);
    }
}

/// Looks at runs that are over again and again: they must stay as they are.
async fn observe(api: Api, mut random: Random) {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(run) = api.ledger.some_ended(random.next()) {
            let found = api.status(&format!("/runs/{run}"), &run).await;
            if found.is_none()
                && api
                    .ledger
                    .find_run(&run)
                    .is_some_and(|sent| sent.place != Place::Temporary && sent.removal.is_none())
            {
                api.ledger.violate(Kind::Lost, format!("run {run} was over and is gone"));
            }
        }
    }
}

/// A worker ends with its server.
fn check_orphans(ledger: &Ledger, orphans: &[Process]) {
    for orphan in orphans.iter().filter(|process| process.is_alive()) {
        ledger.violate(Kind::Orphan, format!("process {} has survived its server", orphan.pid));
    }
}
