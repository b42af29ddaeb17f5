//! Closed-loop load: every connection sends its next request when the last was answered.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::http::{Answer, Connection};

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Answers per second, all connections together.
    pub(crate) per_second: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
}

/// The value below which `share` of the sorted samples lie.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// Sends every request once, over `connections`. Every answer must be a success.
pub(crate) async fn each(
    address: SocketAddr,
    connections: usize,
    requests: Vec<Vec<u8>>,
) -> Result<()> {
    let queue = Arc::new(parking_lot::Mutex::new(requests));
    let clients = (0..connections).map(|_| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            while let Some(request) = { queue.lock().pop() } {
                succeeded(&connection.call(&request).await?)?;
            }
            anyhow::Ok(())
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    Ok(())
}

fn succeeded(answer: &Answer) -> Result<()> {
    let body = String::from_utf8_lossy(&answer.body);
    ensure!((200..300).contains(&answer.status), "status {}: {body}", answer.status);
    Ok(())
}

/// Runs `requests` over `connections` for `time`, each connection its own share of them again and again, so that none meets
/// the thread or the item of another. Every answer must be a success.
pub(crate) async fn run(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    requests: Vec<Vec<u8>>,
) -> Result<Load> {
    let requests = Arc::new(requests);
    let begin = Instant::now();
    let clients = (0..connections).map(|offset| {
        let requests = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut times = vec![];
            let mut next = offset;
            while begin.elapsed() < time {
                let sent = Instant::now();
                let answer = connection.call(&requests[next % requests.len()]).await?;
                succeeded(&answer)?;
                times.push(sent.elapsed());
                next += connections;
            }
            anyhow::Ok(times)
        })
    });
    let mut times = vec![];
    for client in clients.collect::<Vec<_>>() {
        times.extend(client.await??);
    }
    let elapsed = begin.elapsed().as_secs_f64();
    times.sort_unstable();
    Ok(Load { per_second: times.len() as f64 / elapsed, p99_ms: percentile(&times, 0.99) })
}
