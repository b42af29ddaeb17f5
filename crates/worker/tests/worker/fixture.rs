//! A pool over the test graphs, and runs in it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_server_domain::ports::{Ending, GraphHost, GraphStatus, Outcome, RunOrder};
use agent_server_storage::{RawJson, RunId, ThreadId, checkpoints::SaverOp, runs::Lease};
use agent_server_worker::{GraphSpec, Options, Pool};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::mpsc};
use uuid::Uuid;

use crate::{
    sink::{Sink, Told},
    transcript::Names,
};

/// The interpreter of the tests.
pub(crate) fn python() -> PathBuf {
    let default =
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/venv/bin/python");
    let given = std::env::var_os("AGENT_SERVER_TEST_PYTHON").map(PathBuf::from);
    let python = given.unwrap_or_else(default);
    assert!(
        python.is_file(),
        "these tests need Python with langgraph: there is none at {}; `cargo xtask test` makes it, or set AGENT_SERVER_TEST_PYTHON",
        python.display()
    );
    python
}

/// The directory of the test graphs.
pub(crate) fn graphs_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs")
}

/// Options over the test graphs; a spec is `id`, `path:variable`.
pub(crate) fn options(graphs: &[(&str, &str)]) -> Options {
    let graphs = graphs
        .iter()
        .map(|(id, path)| GraphSpec {
            graph_id: (*id).into(),
            path: (*path).into(),
            description: None,
        })
        .collect();
    let mut options = Options::new(python(), graphs_dir(), graphs);
    options.workers = 1;
    // The library goes through sets: transcripts need the same order every time.
    options.env = vec![("PYTHONHASHSEED".into(), "0".into())];
    options.facts = vec![("langgraph_host".into(), "self-hosted".into())];
    options
}

/// A pool and its sink.
pub(crate) struct Fixture {
    pub(crate) pool: Pool,
    pub(crate) sink: Arc<Sink>,
}

impl Fixture {
    /// Starts a pool and waits until no graph is loading.
    pub(crate) async fn start(options: Options) -> Self {
        let sink = Arc::new(Sink::default());
        let pool = Pool::start(options, Arc::clone(&sink) as _).unwrap();
        let fixture = Self { pool, sink };
        fixture.wait(|pool| pool.graphs().iter().all(|g| g.status != GraphStatus::Loading)).await;
        fixture
    }

    /// Waits until the pool is as wanted.
    pub(crate) async fn wait(&self, wanted: impl Fn(&Pool) -> bool) {
        let mut changes = self.sink.changes.subscribe();
        let waiting = async {
            while !wanted(&self.pool) {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the pool changes");
    }

    /// Status of a graph.
    pub(crate) fn status(&self, graph_id: &str) -> GraphStatus {
        let graphs = self.pool.graphs();
        graphs.iter().find(|graph| graph.graph_id == graph_id).unwrap().status.clone()
    }

    /// Begins an attempt.
    pub(crate) fn begin(&self, run: &Run) -> Started {
        let lease = Lease { run_id: run.run_id, thread_id: run.thread_id, attempt: run.attempt };
        let told = self.sink.listen(lease);
        let slot = self.pool.reserve(&run.graph).expect("a free slot");
        let asked = run.kwargs["config"]["configurable"]["checkpoint_id"].as_str();
        let load = |id| self.sink.checkpoint(run.thread_id, "", id);
        let (checkpoint, head) =
            if run.temporary { (None, None) } else { (load(asked), load(None)) };
        let order = RunOrder {
            trace: None,
            lease,
            graph_id: run.graph.clone(),
            assistant_id: Uuid::nil().into(),
            kwargs: RawJson::of(&run.kwargs),
            temporary: run.temporary,
            checkpoint,
            head_id: head.map(|head| head.id),
        };
        self.pool.start(slot, order);
        Started { lease, told }
    }

    /// Executes a run to its end.
    pub(crate) async fn run(&self, run: &Run) -> Ended {
        self.begin(run).ended().await
    }
}

/// A run to be made.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) graph: String,
    pub(crate) run_id: RunId,
    pub(crate) thread_id: ThreadId,
    pub(crate) attempt: u32,
    pub(crate) temporary: bool,
    pub(crate) kwargs: Value,
}

impl Run {
    /// A run on a new thread, as the server orders it.
    #[expect(clippy::disallowed_methods, reason = "tests need ids")]
    pub(crate) fn new(graph: &str, input: Value) -> Self {
        let (run_id, thread_id) = (Uuid::now_v7(), Uuid::now_v7());
        let assistant_id = Uuid::nil();
        let kwargs = json!({
            "input": input, "command": null,
            "config": {
                "configurable": {
                    "langgraph_auth_user": null, "langgraph_auth_user_id": "",
                    "langgraph_auth_permissions": [], "langgraph_request_id": "req-1",
                    "__request_start_time_ms__": 7, "__after_seconds__": 0,
                    "run_id": run_id, "thread_id": thread_id, "graph_id": graph,
                    "assistant_id": assistant_id, "user_id": "",
                },
                "metadata": {"created_by": "system", "graph_id": graph, "assistant_id": assistant_id},
            },
            "context": {}, "stream_mode": ["values"], "interrupt_before": null,
            "interrupt_after": null, "webhook": null, "feedback_keys": null, "temporary": false,
            "subgraphs": false, "resumable": false, "checkpoint_during": true,
            "durability": "async",
        });
        Self {
            graph: graph.into(),
            run_id: run_id.into(),
            thread_id: thread_id.into(),
            attempt: 1,
            temporary: false,
            kwargs,
        }
    }

    /// Another run on the same thread.
    #[expect(clippy::disallowed_methods, reason = "tests need ids")]
    pub(crate) fn next(&self, input: Value) -> Self {
        let mut next = Self { run_id: Uuid::now_v7().into(), ..self.clone() };
        next.kwargs["config"]["configurable"]["run_id"] = json!(next.run_id);
        next.kwargs["input"] = input;
        next
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.kwargs[key] = value;
        self
    }

    pub(crate) fn configurable(mut self, key: &str, value: Value) -> Self {
        self.kwargs["config"]["configurable"][key] = value;
        self
    }

    pub(crate) fn modes(self, modes: &[&str]) -> Self {
        self.with("stream_mode", json!(modes))
    }
}

/// An attempt in progress.
pub(crate) struct Started {
    pub(crate) lease: Lease,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
}

impl Started {
    /// Waits for the next event of the name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            match self.next().await {
                Told::Event(event) if event.name == name => {
                    return serde_json::from_slice(&event.data).unwrap();
                }
                Told::Done(outcome) => panic!("the attempt ended: {outcome:?}"),
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Told {
        let next = tokio::time::timeout(Duration::from_secs(60), self.told.recv());
        next.await.expect("news of the attempt").expect("an end of the attempt")
    }

    /// Waits for the end.
    pub(crate) async fn ended(mut self) -> Ended {
        let (mut events, mut ops, mut order) = (vec![], vec![], vec![]);
        loop {
            match self.next().await {
                Told::Event(event) => {
                    let data: Value = serde_json::from_slice(&event.data).unwrap();
                    order.push("event");
                    events.push((event.name, data));
                }
                Told::Save(op) => {
                    order.push(match &op {
                        SaverOp::Put(_) => "put",
                        SaverOp::Writes(_) => "writes",
                        SaverOp::Base(_) => "base",
                    });
                    ops.push(op);
                }
                Told::Flush => order.push("flush"),
                Told::Done(outcome) => return Ended { events, ops, order, outcome },
            }
        }
    }
}

/// Everything that an attempt told.
pub(crate) struct Ended {
    pub(crate) events: Vec<(String, Value)>,
    pub(crate) ops: Vec<SaverOp>,
    /// Kinds of everything, in order.
    pub(crate) order: Vec<&'static str>,
    pub(crate) outcome: Outcome,
}

impl Ended {
    /// Events as text, one a line.
    pub(crate) fn transcript(&self) -> String {
        let mut names = Names::default();
        let lines = self.events.iter().map(|(name, data)| {
            let name = names.text(name);
            format!("{name} {}\n", names.apply(data.clone()))
        });
        lines.collect()
    }

    /// The live state; fails unless the run left one.
    pub(crate) fn state(&self) -> Value {
        self.outcome.live.as_ref().expect("a live state").state.parse().unwrap()
    }

    pub(crate) fn interrupts(&self) -> Value {
        self.outcome.live.as_ref().expect("a live state").interrupts.parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.outcome.ending, Ending::Success);
    }
}

/// The graphs that may be run side by side.
const SHARED: &[(&str, &str)] = &[
    ("simple", "./basic.py:simple"),
    ("builder", "./basic.py:builder"),
    ("parallel", "./basic.py:parallel"),
    ("asking", "./basic.py:asking"),
    ("failing", "./basic.py:failing"),
    ("masked", "./basic.py:masked"),
    ("nested", "./basic.py:nested"),
    ("nested_ask", "./basic.py:nested_ask"),
    ("fan", "./basic.py:fan"),
    ("counter", "./basic.py:counter"),
    ("waiting", "./basic.py:waiting"),
    ("chat", "./chat.py:chat"),
    ("custom", "./chat.py:custom"),
    ("functional", "./chat.py:functional"),
    ("context", "chat:context"),
    ("remembering", "./chat.py:remembering"),
    ("odd_values", "./special.py:odd_values"),
    ("sync", "./special.py:sync"),
    ("calls_twice", "./special.py:calls_twice"),
    ("keeps_subgraph", "./special.py:keeps_subgraph"),
    ("history", "./special.py:history"),
    ("user", "./special.py:user"),
    ("delta", "./special.py:delta"),
    ("nothing", "./factories.py:nothing"),
    ("config", "./factories.py:config"),
    ("runtime", "./factories.py:runtime"),
    ("both", "./factories.py:both"),
    ("opened", "./factories.py:opened"),
    ("sync_opened", "./factories.py:sync_opened"),
    ("wrong", "./factories.py:wrong"),
    ("raising", "./factories.py:raising"),
];

/// Executes a test with the pool that all of them share: an interpreter takes a second to start.
pub(crate) fn shared<F: Future>(test: impl FnOnce(&'static Fixture) -> F) -> F::Output {
    static SHARED_POOL: OnceLock<(Runtime, Fixture)> = OnceLock::new();
    let (runtime, fixture) = SHARED_POOL.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let fixture = runtime.block_on(Fixture::start(options(SHARED)));
        (runtime, fixture)
    });
    let handle = runtime.handle();
    std::thread::scope(|scope| {
        let _guard = handle.enter();
        let _ = scope;
        handle.block_on(test(fixture))
    })
}
