//! What is measured, the same for every server.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    alone, crons, guarded,
    http::{Connection, request},
    load::{self, percentile},
    store,
    target::{Programs, Target},
};

/// Figures of one server. What was not measured is zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) start_ms: f64,
    pub(crate) idle_mb: f64,
    pub(crate) ok: f64,
    pub(crate) get_run: f64,
    pub(crate) get_run_p99_ms: f64,
    pub(crate) get_thread: f64,
    pub(crate) get_state: f64,
    pub(crate) history: f64,
    pub(crate) search: f64,
    pub(crate) create_thread: f64,
    pub(crate) run_ms: f64,
    pub(crate) runs_per_s: f64,
    pub(crate) steps_ms: f64,
    pub(crate) first_token_ms: f64,
    pub(crate) token_events_per_s: f64,
    pub(crate) short_ms: f64,
    pub(crate) long_ms: f64,
    pub(crate) chat_mb: f64,
    pub(crate) deleted_mb: f64,
    pub(crate) native_runs_per_s: f64,
    pub(crate) streams_mb: f64,
    pub(crate) blocked_ok_p99_ms: f64,
    pub(crate) cron_late_p99_ms: f64,
    pub(crate) auth_handler: f64,
    pub(crate) auth_keys: f64,
    pub(crate) auth_tokens: f64,
    pub(crate) store_put: f64,
    pub(crate) store_get: f64,
    pub(crate) store_put_full: f64,
    pub(crate) store_get_full: f64,
    pub(crate) store_search_ms: f64,
}

/// Connections of the loads.
pub(crate) const CONNECTIONS: usize = 16;
/// Threads that exist while reads are measured.
const THREADS: usize = 100;

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Length of one load.
    pub(crate) load: Duration,
    /// Rounds of single-client measurements.
    pub(crate) rounds: usize,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Threads and runs, read and created.
    Rows,
    /// Whole runs.
    Runs,
    /// Token streams.
    Tokens,
    /// Runs of long threads (our own server only, as all that follow).
    Growth,
    /// A chat on disk.
    Disk,
    /// Graphs in Rust.
    Rust,
    /// Many open streams.
    Streams,
    /// Nodes that block.
    Blocking,
    /// A thousand crons (a minute and more).
    Crons,
    /// Reads on servers that ask who one is, beside one that does not.
    Auth,
    /// Store items, few on every server and a million on our own.
    Store,
}

impl Part {
    /// Whether its figures stand beside those of the bare library.
    pub(crate) fn needs_bare(self) -> bool {
        matches!(self, Self::Runs | Self::Tokens | Self::Growth)
    }

    /// Whether it is measured at the peer too.
    pub(crate) fn needs_peer(self) -> bool {
        matches!(self, Self::Rows | Self::Runs | Self::Tokens | Self::Store)
    }
}

pub(crate) fn unique_thread() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let seed = u64::from(std::process::id());
    format!("{seed:08x}-0000-4000-8000-{number:012x}")
}

pub(crate) fn run_request(path: &str, assistant: &str, input: &Value, mode: &str) -> Vec<u8> {
    let body = json!({
        "assistant_id": assistant, "input": input, "stream_mode": mode, "if_not_exists": "create",
    });
    request("POST", &format!("/threads/{}/runs/{path}", unique_thread()), Some(&body.to_string()))
}

fn simple_run() -> Vec<u8> {
    run_request("wait", "simple", &json!({"foo": "x", "log": []}), "values")
}

fn chat_run() -> Vec<u8> {
    let input = json!({"messages": [{"role": "user", "content": "hi"}]});
    run_request("stream", "chat", &input, "messages-tuple")
}

/// Waits until the graphs are loaded: the first run must succeed, however long it queues.
async fn warm_up(target: &Target) -> Result<()> {
    let mut connection = Connection::open(target.address).await?;
    for _ in 0..5 {
        let answer = connection.call(&simple_run()).await?;
        ensure!(answer.json()?["log"] == json!(["a", "b"]), "odd answer: {}", answer.json()?);
    }
    let steps = run_request("wait", "steps", &json!({"n": 0}), "values");
    ensure!(connection.call(&steps).await?.json()?["n"] == 100, "the steps graph did not run");
    connection.stream(&chat_run(), |_| {}).await?;
    Ok(())
}

struct Rows {
    thread: String,
    run: String,
}

/// Makes what is read later: threads that have had runs, as they have in life.
async fn rows(target: &Target) -> Result<Rows> {
    let runs = (0..THREADS).map(|_| simple_run()).collect();
    load::each(target.address, CONNECTIONS, runs).await?;
    let mut connection = Connection::open(target.address).await?;
    let create = request("POST", "/threads", Some("{}"));
    let thread =
        connection.call(&create).await?.json()?["thread_id"].as_str().context("no id")?.to_owned();
    let body = json!({"assistant_id": "simple", "input": {"foo": "x", "log": []}}).to_string();
    for _ in 0..3 {
        connection
            .call(&request("POST", &format!("/threads/{thread}/runs/wait"), Some(&body)))
            .await?;
    }
    let runs =
        connection.call(&request("GET", &format!("/threads/{thread}/runs"), None)).await?.json()?;
    let run = runs[0]["run_id"].as_str().context("no run")?.to_owned();
    Ok(Rows { thread, run })
}

pub(crate) async fn median_ms(
    target: &Target,
    rounds: usize,
    make: impl Fn() -> Vec<u8>,
) -> Result<f64> {
    let mut connection = Connection::open(target.address).await?;
    let mut times = vec![];
    for _ in 0..rounds {
        let request = make();
        let sent = Instant::now();
        let answer = connection.call(&request).await?;
        times.push(sent.elapsed());
        ensure!(answer.status == 200, "status {}", answer.status);
    }
    times.sort_unstable();
    Ok(percentile(&times, 0.5))
}

async fn first_token_ms(target: &Target, rounds: usize) -> Result<f64> {
    let mut connection = Connection::open(target.address).await?;
    let mut times = vec![];
    for _ in 0..rounds {
        let request = chat_run();
        let sent = Instant::now();
        let mut first = None;
        let mut seen = vec![];
        connection
            .stream(&request, |bytes| {
                if first.is_none() {
                    seen.extend_from_slice(bytes);
                    if seen.windows(15).any(|window| window == b"event: messages") {
                        first = Some(sent.elapsed());
                    }
                }
            })
            .await?;
        times.push(first.context("a stream without tokens")?);
    }
    times.sort_unstable();
    Ok(percentile(&times, 0.5))
}

async fn token_events_per_s(target: &Target, time: Duration) -> Result<f64> {
    let (address, begin) = (target.address, Instant::now());
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut events = 0_usize;
                while begin.elapsed() < time {
                    let mut tail = vec![];
                    connection
                        .stream(&chat_run(), |bytes| {
                            tail.extend_from_slice(bytes);
                            let needle = b"event: messages";
                            events += tail
                                .windows(needle.len())
                                .filter(|window| window == needle)
                                .count();
                            // What could be the beginning of the next needle stays.
                            tail.drain(..tail.len().saturating_sub(needle.len() - 1));
                        })
                        .await?;
                }
                anyhow::Ok(events)
            })
        })
        .collect();
    let mut events = 0;
    for client in clients {
        events += client.await??;
    }
    Ok(events as f64 / begin.elapsed().as_secs_f64())
}

/// Measures one server; figures of parts that are left out stay zero.
pub(crate) async fn measure(
    target: &Target,
    programs: &Programs,
    effort: Effort,
    parts: &[Part],
) -> Result<Figures> {
    let mut figures = Figures { start_ms: target.start.as_secs_f64() * 1e3, ..Default::default() };
    warm_up(target).await?;
    figures.idle_mb = target.resident_mb()?;
    for part in parts {
        match part {
            Part::Rows => measure_rows(target, effort, &mut figures).await?,
            Part::Runs => measure_runs(target, effort, &mut figures).await?,
            Part::Tokens => {
                figures.first_token_ms = first_token_ms(target, effort.rounds.min(30)).await?;
                figures.token_events_per_s = token_events_per_s(target, effort.load * 2).await?;
            }
            Part::Store => store::measure(target, effort, &mut figures).await?,
            _ if !target.is_ours => {}
            Part::Growth => alone::growth(target, effort, &mut figures).await?,
            Part::Disk => alone::disk(target, &mut figures).await?,
            Part::Rust => alone::native(target, effort, &mut figures).await?,
            Part::Streams => alone::streams(target, &mut figures).await?,
            Part::Blocking => alone::blocking(target, &mut figures).await?,
            Part::Crons => crons::measure(target, &mut figures).await?,
            Part::Auth => guarded::measure(programs, effort, &mut figures).await?,
        }
    }
    Ok(figures)
}

async fn measure_rows(target: &Target, effort: Effort, figures: &mut Figures) -> Result<()> {
    let Rows { thread, run } = rows(target).await?;
    let load = |method, path: String, body| {
        let requests = vec![request(method, &path, body)];
        load::run(target.address, CONNECTIONS, effort.load, requests)
    };
    let reads = |path: String| load("GET", path, None);
    let posts = |path: String, body| load("POST", path, Some(body));
    figures.ok = reads("/ok".into()).await?.per_second;
    let get_run = reads(format!("/threads/{thread}/runs/{run}")).await?;
    (figures.get_run, figures.get_run_p99_ms) = (get_run.per_second, get_run.p99_ms);
    figures.get_thread = reads(format!("/threads/{thread}")).await?.per_second;
    figures.get_state = reads(format!("/threads/{thread}/state")).await?.per_second;
    figures.history =
        posts(format!("/threads/{thread}/history"), r#"{"limit":10}"#).await?.per_second;
    figures.search = posts("/threads/search".into(), r#"{"limit":10}"#).await?.per_second;
    figures.create_thread = posts("/threads".into(), "{}").await?.per_second;
    Ok(())
}

async fn measure_runs(target: &Target, effort: Effort, figures: &mut Figures) -> Result<()> {
    figures.run_ms = median_ms(target, effort.rounds, simple_run).await?;
    let runs = (0..4000 * effort.load.as_secs()).map(|_| simple_run()).collect();
    figures.runs_per_s =
        load::run(target.address, CONNECTIONS, effort.load * 2, runs).await?.per_second;
    let steps = || run_request("wait", "steps", &json!({"n": 0}), "values");
    figures.steps_ms = median_ms(target, effort.rounds.min(15), steps).await?;
    Ok(())
}
