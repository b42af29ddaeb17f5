//! What a run costs through the pool, and how many tokens it carries; compare with `examples/bare.py`.
//!
//! `cargo run --release -p agent-server-worker --example cost -- [python] [workers]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people")]
#![allow(clippy::disallowed_methods, reason = "a tool for people")]

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use agent_server_domain::{
    Error,
    ports::{Event, GraphHost, GraphStatus, Outcome, RunOrder, RunSink, StoreAnswer, StoreOp},
};
use agent_server_storage::{
    RawJson, ThreadId,
    checkpoints::{CheckpointTuple, SaverOp},
    runs::Lease,
};
use agent_server_worker::{GraphSpec, Options, Pool};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Counts, and keeps nothing.
#[derive(Default)]
struct Sink {
    ends: Mutex<HashMap<Lease, oneshot::Sender<Outcome>>>,
    events: AtomicU64,
    bytes: AtomicU64,
}

#[async_trait]
impl RunSink for Sink {
    fn event(&self, _: Lease, event: Event) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(event.data.len() as u64, Ordering::Relaxed);
    }

    fn save(&self, _: Lease, _: SaverOp) {}

    async fn flush(&self, _: Lease) -> Result<(), Error> {
        Ok(())
    }

    async fn load(
        &self,
        _: Option<Lease>,
        _: ThreadId,
        _: String,
        _: Option<String>,
    ) -> Result<Option<CheckpointTuple>, Error> {
        Ok(None)
    }

    async fn store(&self, _: Vec<StoreOp>) -> Result<Vec<StoreAnswer>, Error> {
        Ok(vec![])
    }

    async fn done(&self, lease: Lease, outcome: Outcome) {
        if let Some(end) = self.ends.lock().remove(&lease) {
            let _ = end.send(outcome);
        }
    }

    fn slot_freed(&self) {}

    fn graphs_changed(&self) {}
}

async fn run(pool: &Pool, sink: &Sink, graph: &str, input: Value, modes: &[&str]) {
    let (run_id, thread_id) = (Uuid::now_v7(), Uuid::now_v7());
    let lease = Lease { run_id: run_id.into(), thread_id: thread_id.into(), attempt: 1 };
    let kwargs = json!({
        "input": input, "command": null,
        "config": {"configurable": {"run_id": run_id, "thread_id": thread_id, "graph_id": graph,
            "assistant_id": Uuid::nil(), "user_id": ""}, "metadata": {"created_by": "system"}},
        "context": {}, "stream_mode": modes, "interrupt_before": null, "interrupt_after": null,
        "subgraphs": false, "durability": "async",
    });
    let (sender, end) = oneshot::channel();
    sink.ends.lock().insert(lease, sender);
    let slot = loop {
        match pool.reserve(graph) {
            Some(slot) => break slot,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    pool.start(
        slot,
        RunOrder {
            trace: None,
            lease,
            graph_id: graph.into(),
            assistant_id: Uuid::nil().into(),
            kwargs: RawJson::of(&kwargs),
            temporary: false,
            checkpoint: None,
            head_id: None,
        },
    );
    let outcome = end.await.unwrap();
    assert_eq!(outcome.ending, agent_server_domain::ports::Ending::Success);
}

#[tokio::main]
async fn main() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let default = manifest.join("../../target/python/venv/bin/python");
    let python = std::env::args().nth(1).map_or(default, Into::into);
    let workers = std::env::args().nth(2).map_or(2, |text| text.parse().unwrap());
    let spec = |id: &str, path: &str| GraphSpec {
        graph_id: id.into(),
        path: path.into(),
        description: None,
    };
    let graphs = vec![
        spec("simple", "./basic.py:simple"),
        spec("counter", "./basic.py:counter"),
        spec("tokens", "./chat.py:tokens"),
    ];
    let mut options = Options::new(python, manifest.join("tests/graphs"), graphs);
    options.workers = workers;
    options.jobs_per_worker = 16;
    let sink = Arc::new(Sink::default());
    let started = Instant::now();
    let pool = Pool::start(options, Arc::clone(&sink) as _).unwrap();
    while pool.graphs().iter().any(|graph| graph.status == GraphStatus::Loading) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("ready after {:?}", started.elapsed());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let input = json!({"foo": "x"});
    for round in 0..4 {
        let start = Instant::now();
        for _ in 0..300 {
            run(&pool, &sink, "simple", input.clone(), &["values"]).await;
        }
        println!("round {round}: {:.3} ms per two-node run", start.elapsed().as_secs_f64() / 0.3);
        let start = Instant::now();
        for _ in 0..3 {
            run(&pool, &sink, "counter", json!({"until": 100}), &["values"]).await;
        }
        println!("         {:.1} ms per 100 supersteps", start.elapsed().as_secs_f64() / 0.003);
        let start = Instant::now();
        let runs = (0..16).map(|_| async {
            for _ in 0..20 {
                run(&pool, &sink, "simple", input.clone(), &["values"]).await;
            }
        });
        futures::future::join_all(runs).await;
        println!("         {:.0} runs/s, 16 at a time", 320.0 / start.elapsed().as_secs_f64());
        let (events, start) = (sink.events.load(Ordering::Relaxed), Instant::now());
        let stream = |_| run(&pool, &sink, "tokens", json!({"count": 500}), &["messages-tuple"]);
        futures::future::join_all((0..16).map(stream)).await;
        let events = (sink.events.load(Ordering::Relaxed) - events) as f64;
        println!(
            "         {:.0} token events/s, 16 streams",
            events / start.elapsed().as_secs_f64()
        );
    }
    pool.shutdown().await;
}
