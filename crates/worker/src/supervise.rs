//! The life of a worker: start, service, end, and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{pool::Inner, process::Joined, template, worker::Worker};

/// A worker that lived this long is started again with the shortest pause.
const HEALTHY: Duration = Duration::from_secs(10);
/// First and longest pause before a worker that ended is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Starts the pool's workers.
pub(crate) fn start(pool: &Arc<Inner>) {
    for index in 0..pool.options.workers.max(1) {
        let pool = Arc::clone(pool);
        pool.tasks.clone().spawn(async move { keep_alive(&pool, index).await });
    }
}

/// How the life of a process ended.
enum End {
    /// It was given up; another takes its place while it winds down.
    Retired,
    /// It ended, or could not be started.
    Died(String),
    /// The server stops.
    Stopped,
}

async fn keep_alive(pool: &Arc<Inner>, index: usize) {
    let mut pause = PAUSE.0;
    for life in 0.. {
        let start = Instant::now();
        match live(pool, index, life).await {
            End::Stopped => return,
            End::Retired => {}
            End::Died(reason) => {
                tracing::error!(worker = index, "worker ended: {reason}");
                if start.elapsed() >= HEALTHY {
                    pause = PAUSE.0;
                }
                pool.stopping.run_until_cancelled(tokio::time::sleep(pause)).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

async fn live(pool: &Arc<Inner>, index: usize, life: u32) -> End {
    let joined = pool.stopping.run_until_cancelled(template::worker(pool, index, life)).await;
    let Joined { mut process, sender, receiver, hello } = match joined {
        None => return End::Stopped,
        Some(Ok(joined)) => joined,
        Some(Err(reason)) => {
            pool.failed(&reason);
            return End::Died(reason);
        }
    };
    let (python, langgraph) = (&hello.python, &hello.langgraph);
    tracing::info!(worker = index, pid = hello.pid, python, langgraph, "worker is ready");
    let worker = Arc::new(Worker::new(
        index,
        sender,
        Arc::clone(&pool.sink),
        pool.tasks.clone(),
        pool.stopping.clone(),
        pool.options.grace,
    ));
    pool.joined(Arc::clone(&worker), &hello);
    let served = pool.tasks.spawn(Arc::clone(&worker).serve(receiver));
    tokio::select! {
        ended = served => {
            pool.left(&worker);
            let reason = ended.unwrap_or_else(|error| error.to_string());
            let reason = process.explained(reason).await;
            if pool.stopping.is_cancelled() { End::Stopped } else { End::Died(reason) }
        }
        () = worker.retired.cancelled() => {
            let pool = Arc::clone(pool);
            pool.tasks.clone().spawn(async move {
                tokio::select! {
                    () = pool.stopping.cancelled() => {}
                    _ = tokio::time::timeout(pool.options.drain, worker.until_idle()) => {}
                }
                process.kill().await;
                pool.left(&worker);
            });
            End::Retired
        }
    }
}
