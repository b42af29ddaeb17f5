//! The life of a worker: start, service, end, and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::{
    connection::Receiver,
    pool::Inner,
    process::{Joined, Process},
    template,
    worker::Worker,
};

/// A worker that lived this long, or died of a run, is started again with the shortest pause.
const HEALTHY: Duration = Duration::from_secs(10);
/// First and longest pause before a worker that ended is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How long the connection of a killed process may take to end by itself.
const LAST: Duration = Duration::from_secs(2);

/// Starts the pool's workers.
pub(crate) fn start(pool: &Arc<Inner>) {
    for index in 0..pool.options.workers.max(1) {
        let pool = Arc::clone(pool);
        pool.tasks.clone().spawn(async move { keep_alive(&pool, index).await });
    }
}

async fn keep_alive(pool: &Arc<Inner>, index: usize) {
    let mut pause = PAUSE.0;
    // One that has done enough serves until another is there.
    let mut old: Option<Arc<Worker>> = None;
    for life in 0.. {
        let start = Instant::now();
        let mut has_served = false;
        let joined = template::worker(pool, index, life);
        let has_died = match pool.stopping.run_until_cancelled(joined).await {
            None => return,
            Some(Err(reason)) => {
                pool.failed(&reason);
                tell(index, &reason);
                true
            }
            Some(Ok(joined)) => {
                let (worker, mut end) = serve(pool, index, joined);
                if let Some(old) = old.take() {
                    old.retired.cancel();
                }
                let has_died = tokio::select! {
                    _ = &mut end => true,
                    () = worker.retired.cancelled() => false,
                    () = worker.worn.cancelled() => {
                        old = Some(Arc::clone(&worker));
                        false
                    }
                };
                has_served = worker.has_served();
                has_died
            }
        };
        if pool.stopping.is_cancelled() {
            return;
        }
        if !has_died {
            continue;
        }
        if has_served || start.elapsed() >= HEALTHY {
            pause = PAUSE.0;
        }
        pool.stopping.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

fn tell(index: usize, reason: &str) {
    tracing::error!(worker = index, "worker ended: {reason}");
}

/// Puts a process to work. The task ends with it.
fn serve(pool: &Arc<Inner>, index: usize, joined: Joined) -> (Arc<Worker>, JoinHandle<()>) {
    let Joined { process, sender, receiver, hello } = joined;
    let (python, langgraph) = (&hello.python, &hello.langgraph);
    tracing::info!(worker = index, pid = hello.pid, python, langgraph, "worker is ready");
    let worker = Arc::new(Worker::new(index, hello.pid, sender, pool));
    pool.joined(Arc::clone(&worker), &hello);
    let end = attend(Arc::clone(pool), Arc::clone(&worker), process, receiver);
    (worker, pool.tasks.spawn(end))
}

async fn attend(pool: Arc<Inner>, worker: Arc<Worker>, mut process: Process, receiver: Receiver) {
    let mut served = pool.tasks.spawn(Arc::clone(&worker).serve(receiver));
    let ended = tokio::select! {
        ended = &mut served => Some(ended),
        () = finish(&pool, &worker) => None,
    };
    let Some(ended) = ended else {
        // Should a run have come at the last moment: it goes elsewhere.
        worker.give_up();
        process.kill().await;
        // Its end is noticed where frames are handled. Should nobody have killed it, it ends with its connection.
        if tokio::time::timeout(LAST, &mut served).await.is_err() {
            worker.cut();
            let _ = served.await;
        }
        pool.left(&worker);
        return;
    };
    pool.left(&worker);
    let reason = process.explained(ended.unwrap_or_else(|error| error.to_string())).await;
    if !pool.stopping.is_cancelled() {
        tell(worker.index, &reason);
    }
}

/// Returns when a worker takes no new runs and can be killed.
async fn finish(pool: &Inner, worker: &Worker) {
    worker.retired.cancelled().await;
    tokio::select! {
        () = pool.stopping.cancelled() => return,
        () = worker.given_up.cancelled() => {}
        () = worker.until_settled() => return,
    }
    worker.let_go();
    tokio::select! {
        () = pool.stopping.cancelled() => {}
        // Nobody in it can hear that it is to stop: waiting would only keep the others from going on elsewhere.
        () = worker.pulse.until_silent() => {}
        _ = tokio::time::timeout(pool.options.drain, worker.until_idle()) => {}
    }
}
