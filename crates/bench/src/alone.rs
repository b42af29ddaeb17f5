//! What only our own server is measured at: growth, disk, memory, graphs in Rust, graphs that block.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    http::{Connection, request},
    load::{self, percentile},
    scenario::{CONNECTIONS, Effort, Figures, run_request, unique_thread},
    target::Target,
};

/// Messages of the short and of the long thread.
const MESSAGES: [usize; 2] = [10, 1000];
/// Turns of the chat that is weighed.
const TURNS: usize = 500;
/// Streams that are open while nothing happens.
const STREAMS: usize = 10_000;
/// How long the blocking node takes is up to the graph: five seconds.
const BLOCKED: Duration = Duration::from_millis(4500);
/// How long the data folder may take to shrink.
const SHRINK: Duration = Duration::from_secs(30);

/// A message of a chat as people write them: words, not repeated.
fn text(seed: u64, words: u64) -> String {
    const WORDS: [&str; 16] = [
        "the", "graph", "answers", "when", "every", "node", "has", "told", "what", "it", "found",
        "in", "a", "long", "thread", "today",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[(state >> 60) as usize];
        if (state >> 32).is_multiple_of(5) {
            format!("{word}{}", (state >> 40) % 1000)
        } else {
            word.into()
        }
    };
    (0..words).map(word).collect::<Vec<String>>().join(" ")
}

fn message(seed: u64) -> Value {
    json!({"role": "user", "content": text(seed, 25)})
}

async fn turn(connection: &mut Connection, thread: &str, messages: &[Value]) -> Result<()> {
    let body = json!({
        "assistant_id": "turn", "input": {"messages": messages}, "stream_mode": "values", "if_not_exists": "create",
    });
    let path = format!("/threads/{thread}/runs/wait");
    let answer = connection.call(&request("POST", &path, Some(&body.to_string()))).await?;
    ensure!(answer.status == 200, "status {}", answer.status);
    Ok(())
}

/// Run and state read of a short and of a long thread, milliseconds.
pub(crate) async fn growth(target: &Target, effort: Effort, figures: &mut Figures) -> Result<()> {
    let mut connection = Connection::open(target.address).await?;
    let mut medians = [0.0; 2];
    for (median, count) in medians.iter_mut().zip(MESSAGES) {
        let thread = unique_thread();
        let messages: Vec<_> = (0..count as u64).map(message).collect();
        turn(&mut connection, &thread, &messages).await?;
        let mut times = vec![];
        for round in 0..effort.rounds.min(30) {
            let next = [message(round as u64)];
            let begin = Instant::now();
            turn(&mut connection, &thread, &next).await?;
            let state = request("GET", &format!("/threads/{thread}/state"), None);
            let answer = connection.call(&state).await?;
            times.push(begin.elapsed());
            ensure!(answer.status == 200, "status {}", answer.status);
        }
        times.sort_unstable();
        *median = percentile(&times, 0.5);
    }
    [figures.short_ms, figures.long_ms] = medians;
    Ok(())
}

/// What a chat of many turns weighs on disk, and what is left of it when it is deleted.
pub(crate) async fn disk(target: &Target, figures: &mut Figures) -> Result<()> {
    let mut connection = Connection::open(target.address).await?;
    let before = settled_mb(&target.data()).await?;
    let thread = unique_thread();
    for number in 0..TURNS {
        turn(&mut connection, &thread, &[message(number as u64)]).await?;
    }
    let with = settled_mb(&target.data()).await?;
    let answer = connection.call(&request("DELETE", &format!("/threads/{thread}"), None)).await?;
    ensure!(answer.status == 204, "status {}", answer.status);
    let begin = Instant::now();
    let mut after = size_mb(&target.data())?;
    while after - before > 0.1 * (with - before) && begin.elapsed() < SHRINK {
        tokio::time::sleep(Duration::from_millis(200)).await;
        after = size_mb(&target.data())?;
    }
    figures.chat_mb = with - before;
    // A folder that is smaller than before is measured all the same.
    figures.deleted_mb = (after - before).max(0.01);
    Ok(())
}

/// Size of a folder's files when it does not change any more.
async fn settled_mb(folder: &Path) -> Result<f64> {
    let (begin, mut last) = (Instant::now(), size_mb(folder)?);
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let size = size_mb(folder)?;
        if (size - last).abs() < 0.01 || begin.elapsed() > SHRINK {
            return Ok(size);
        }
        last = size;
    }
}

fn size_mb(folder: &Path) -> Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let about = entry?.metadata()?;
        sum += if about.is_file() { about.len() as f64 / 1e6 } else { 0.0 };
    }
    Ok(sum)
}

/// Runs of a graph in Rust.
pub(crate) async fn native(target: &Target, effort: Effort, figures: &mut Figures) -> Result<()> {
    let run = || {
        let input = json!({"messages": [{"role": "user", "content": "hi"}]});
        run_request("wait", "native", &input, "values")
    };
    let runs = (0..20_000 * effort.load.as_secs()).map(|_| run()).collect();
    figures.native_runs_per_s =
        load::run(target.address, CONNECTIONS, effort.load * 2, runs).await?.per_second;
    Ok(())
}

/// Memory of the server while many follow threads on which nothing happens.
pub(crate) async fn streams(target: &Target, figures: &mut Figures) -> Result<()> {
    let threads: Vec<_> = (0..STREAMS).map(|_| unique_thread()).collect();
    let create = |thread: &String| {
        request("POST", "/threads", Some(&json!({"thread_id": thread}).to_string()))
    };
    load::each(target.address, CONNECTIONS, threads.iter().map(create).collect()).await?;
    let mut open = Vec::with_capacity(STREAMS);
    for thread in &threads {
        let mut connection = Connection::open(target.address)
            .await
            .with_context(|| format!("{} streams were open", open.len()))?;
        let path = format!("/threads/{thread}/stream");
        let status = connection.begin(&request("GET", &path, None)).await?;
        ensure!(status == 200, "status {status}");
        open.push(connection);
    }
    // Past the first heartbeat.
    tokio::time::sleep(Duration::from_secs(7)).await;
    figures.streams_mb = target.resident_mb()?;
    Ok(())
}

/// How long `/ok` takes while nodes block every worker.
pub(crate) async fn blocking(target: &Target, figures: &mut Figures) -> Result<()> {
    let runs: Vec<_> = ["blocking", "holding"]
        .into_iter()
        .map(|graph| {
            let (address, request) =
                (target.address, run_request("wait", graph, &json!({"foo": "x"}), "values"));
            tokio::spawn(async move { Connection::open(address).await?.call(&request).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ok = vec![request("GET", "/ok", None)];
    figures.blocked_ok_p99_ms = load::run(target.address, 1, BLOCKED, ok).await?.p99_ms;
    for run in runs {
        let answer = run.await??;
        ensure!(answer.status == 200, "status {}", answer.status);
    }
    Ok(())
}
