//! Wears the server out: creates, runs, deletes, and looks whether memory and data go back to what they were.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::Api,
    ledger::Ledger,
    processes,
    random::Random,
    server::{self, Options, Server},
    work::Work,
};

/// Share of all runs that come before the first look: what is made once and kept is made in them, and an interpreter's
/// heap finds its size (a worker of 71 MB grows to 82 in its first thousands of runs, and to 87 in thirty thousand more).
const WARM_UP: u64 = 2;
/// Clients at the same time.
const CLIENTS: usize = 16;
/// How much more there may be afterwards.
const LIMIT: f64 = 1.1;
/// How long memory and data may take to go back.
const SETTLE: Duration = Duration::from_secs(120);

/// How much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soak {
    pub(crate) runs: u64,
    pub(crate) threads: u64,
}

/// What is measured, MB.
#[derive(Clone, Debug)]
struct Look {
    server: f64,
    workers: Vec<f64>,
    data: f64,
}

impl Look {
    fn take(server: &Server, folder: &Path) -> Result<Self> {
        let workers = server.workers();
        ensure!(!workers.is_empty(), "no worker processes");
        let resident = |pid| processes::resident_mb(pid).context("a process has ended");
        Ok(Self {
            server: resident(server.pid())?,
            workers: workers.iter().map(|process| resident(process.pid)).collect::<Result<_>>()?,
            data: size_mb(&server::data(folder))?,
        })
    }

    /// Name, before and after of everything.
    fn beside(&self, after: &Self) -> Vec<(String, f64, f64)> {
        let mut rows = vec![("server".into(), self.server, after.server)];
        for (number, (before, after)) in self.workers.iter().zip(&after.workers).enumerate() {
            rows.push((format!("worker process {}", number + 1), *before, *after));
        }
        rows.push(("data folder".into(), self.data, after.data));
        rows
    }

    fn is_back(&self, after: &Self) -> bool {
        self.beside(after).iter().all(|(_, before, after)| *after <= LIMIT * before)
    }
}

/// Size of all files below a folder.
fn size_mb(folder: &Path) -> Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // What goes away meanwhile has no size.
        let Ok(about) = entry.metadata() else { continue };
        sum += if about.is_dir() { size_mb(&entry.path())? } else { about.len() as f64 / 1e6 };
    }
    Ok(sum)
}

/// Returns whether everything went back.
#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
pub(crate) async fn run(options: Options, soak: Soak, folder: &Path) -> Result<bool> {
    let mut server = Server::start(options, folder).await?;
    server.until_loaded().await?;
    let ledger = Arc::new(Ledger::new(server::journal(folder)));
    let api = Api::new(server.url(), ledger)?;
    let warm_up = Soak { runs: soak.runs / WARM_UP, threads: soak.threads / WARM_UP };
    println!("Warm-up: {} runs on {} threads …", warm_up.runs, warm_up.threads);
    wear(&api, warm_up, 1).await?;
    let before = settled(&server, folder).await?;
    let begin = Instant::now();
    wear(&api, soak, 2).await?;
    println!("Worn for {} s; waiting until it has settled …", begin.elapsed().as_secs());
    let since = Instant::now();
    let mut after = Look::take(&server, folder)?;
    while !before.is_back(&after) && since.elapsed() < SETTLE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        after = Look::take(&server, folder)?;
    }
    println!("\n| what | before | after | ratio | within 10 % |\n|---|---|---|---|---|");
    for (what, before, after) in before.beside(&after) {
        let mark = if after <= LIMIT * before { "yes" } else { "**no**" };
        println!("| {what} | {before:.1} MB | {after:.1} MB | {:.2} | {mark} |", after / before);
    }
    let violations = api.ledger.violations();
    violations.iter().for_each(|(_, what)| println!("- {what}"));
    Ok(before.is_back(&after) && violations.is_empty())
}

/// A look when nothing has changed for some seconds.
async fn settled(server: &Server, folder: &Path) -> Result<Look> {
    let since = Instant::now();
    let mut last = Look::take(server, folder)?;
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let look = Look::take(server, folder)?;
        let is_same =
            (look.data - last.data).abs() < 0.1 && (look.server - last.server).abs() < 0.5;
        if is_same || since.elapsed() > SETTLE {
            return Ok(look);
        }
        last = look;
    }
}

/// Uses threads one after the other, each for as many runs as there are for it, and deletes them.
#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
async fn wear(api: &Api, soak: Soak, seed: u64) -> Result<()> {
    let done = Arc::new(AtomicU64::new(0));
    let threads: VecDeque<u64> = (0..soak.threads).collect();
    let queue = Arc::new(Mutex::new(threads));
    let each = soak.runs / soak.threads.max(1);
    let clients = (0..CLIENTS).map(|number| {
        let (api, queue, done) = (api.clone(), Arc::clone(&queue), Arc::clone(&done));
        let mut random = Random::new(seed).child(number as u64);
        tokio::spawn(async move {
            while let Some(number) = { queue.lock().pop_front() } {
                use_thread(&api, &mut random, number, each).await?;
                done.fetch_add(each, Ordering::Relaxed);
            }
            anyhow::Ok(())
        })
    });
    let clients: Vec<_> = clients.collect();
    let lines = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                println!("  {} of {} runs", done.load(Ordering::Relaxed), soak.runs);
            }
        }
    });
    for client in clients {
        client.await??;
    }
    lines.abort();
    Ok(())
}

/// One thread's life: runs of all kinds, reads, the end.
async fn use_thread(api: &Api, random: &mut Random, number: u64, runs: u64) -> Result<()> {
    let thread = random.uuid();
    let path = format!("/threads/{thread}");
    for run in 0..runs {
        let work = Work::draw(random, format!("s{number}r{run}"));
        let mut body = work.body();
        body["if_not_exists"] = json!("create");
        body["stream_resumable"] = json!(random.percent(30));
        body["input"]["pause"] = json!(0);
        body["input"]["log"] = json!([filler(random)]);
        let how = random.pick(&["wait", "wait", "stream"]);
        let (place, is_json) = match random.percent(10) {
            true => ("/runs/wait".to_owned(), true),
            false => (format!("{path}/runs/{how}"), how == "wait"),
        };
        let response = api.open(Method::POST, &place, Some(&body), None).await;
        let response = response.with_context(|| format!("POST {place} was not answered"))?;
        ensure!(response.status().is_success(), "POST {place} was answered {}", response.status());
        let bytes = response.bytes().await?;
        ensure!(!is_json || serde_json::from_slice::<Value>(&bytes).is_ok(), "no result");
        if random.percent(20) {
            api.get(&format!("{path}/state")).await;
            let page = json!({"limit": 5});
            api.insist(Method::POST, &format!("{path}/history"), Some(&page)).await;
        }
    }
    api.insist(Method::DELETE, &path, None).await;
    Ok(())
}

/// Text that does not compress to nothing.
fn filler(random: &mut Random) -> String {
    (0..random.below(100)).map(|_| format!("{:016x}", random.next())).collect()
}
