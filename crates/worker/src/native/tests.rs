//! The host against a sink that keeps everything in memory.

use std::sync::Arc;

use agent_server_domain::{
    Error, Result,
    ports::{Ending, Event, GraphHost, Outcome, Question, RunOrder, RunSink, StoreAnswer, StoreOp},
};
use agent_server_graph::demo;
use agent_server_storage::{
    RawJson, RunId, ThreadId,
    checkpoints::{CheckpointTuple, SaverOp},
    runs::Lease,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use super::NativeHost;

/// Keeps what it is told; answers `load` from it.
struct Memory {
    events: Mutex<Vec<(String, Value)>>,
    ops: Mutex<Vec<SaverOp>>,
    done: UnboundedSender<Outcome>,
}

impl Memory {
    fn names(&self) -> Vec<String> {
        self.events.lock().iter().map(|(name, _)| name.clone()).collect()
    }

    /// What storage would give back for the newest checkpoint, or the one asked for.
    fn tuple(&self, id: Option<&str>) -> Option<CheckpointTuple> {
        let ops = self.ops.lock();
        let put = ops.iter().rev().find_map(|op| match op {
            SaverOp::Put(put) if id.is_none_or(|id| id == put.id) => Some(put.clone()),
            _ => None,
        })?;
        let mut writes: Vec<_> = vec![];
        for op in ops.iter() {
            if let SaverOp::Writes(new) = op
                && new.checkpoint_id == put.id
            {
                writes.retain(|(task, _)| *task != new.task_id);
                writes.extend(new.writes.iter().map(|w| (new.task_id.clone(), w.clone())));
            }
        }
        let (id, parent_id, metadata, small) = (put.id, put.parent_id, put.metadata, put.small);
        Some(CheckpointTuple { ns: put.ns, id, parent_id, metadata, small, blobs: vec![], writes })
    }
}

#[async_trait]
impl RunSink for Memory {
    fn event(&self, _: Lease, event: Event) {
        let data = serde_json::from_slice(&event.data).expect("events are JSON");
        self.events.lock().push((event.name, data));
    }
    fn save(&self, _: Lease, op: SaverOp) {
        self.ops.lock().push(op);
    }
    async fn flush(&self, _: Lease) -> Result<()> {
        Ok(())
    }
    async fn load(
        &self,
        _: Option<Lease>,
        _: ThreadId,
        _: String,
        checkpoint_id: Option<String>,
    ) -> Result<Option<CheckpointTuple>> {
        Ok(self.tuple(checkpoint_id.as_deref()))
    }
    async fn store(&self, _: Vec<StoreOp>) -> Result<Vec<StoreAnswer>> {
        Err(Error::NotImplemented("store".into()))
    }
    async fn done(&self, _: Lease, outcome: Outcome) {
        self.done.send(outcome).expect("the test waits for it");
    }
    fn slot_freed(&self) {}
    fn graphs_changed(&self) {}
}

struct Bench {
    host: NativeHost,
    memory: Arc<Memory>,
    done: UnboundedReceiver<Outcome>,
    runs: u128,
}

impl Bench {
    fn new() -> Self {
        let (sender, done) = unbounded_channel();
        let memory =
            Arc::new(Memory { events: Mutex::default(), ops: Mutex::default(), done: sender });
        let host = NativeHost::new(vec![("demo".into(), demo::graph())], 2, memory.clone());
        Self { host, memory, done, runs: 0 }
    }

    fn start(&mut self, kwargs: Value) -> Lease {
        self.runs += 1;
        let run_id = RunId(Uuid::from_u128(self.runs));
        let lease = Lease { run_id, thread_id: ThreadId(Uuid::nil()), attempt: 1 };
        let checkpoint = self.memory.tuple(None);
        self.memory.events.lock().clear();
        let order = RunOrder {
            trace: None,
            lease,
            graph_id: "demo".into(),
            assistant_id: Uuid::nil().into(),
            kwargs: RawJson::of(&kwargs),
            temporary: false,
            head_id: checkpoint.as_ref().map(|tuple| tuple.id.clone()),
            checkpoint,
        };
        let slot = self.host.reserve("demo").expect("there is room");
        self.host.start(slot, order);
        lease
    }

    async fn run(&mut self, kwargs: Value) -> Outcome {
        self.start(kwargs);
        self.done.recv().await.expect("done is told")
    }

    async fn state(&self) -> Value {
        let config = RawJson::trusted(r#"{"configurable": {}}"#);
        let thread_id = ThreadId(Uuid::nil());
        let question = Question::State { thread_id, config, subgraphs: false };
        let answer = self.host.ask("demo", question).await.expect("answers");
        answer.json.parse().expect("JSON")
    }
}

fn say(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_run_streams_saves_and_can_be_read() {
    let mut bench = Bench::new();
    let outcome = bench
        .run(json!({"input": say("hi"), "stream_mode": ["values", "updates", "messages-tuple"], "durability": "sync"}))
        .await;
    assert_eq!(outcome.ending, Ending::Success);
    let expected = ["values", "messages", "messages", "messages", "messages", "updates", "values"];
    assert_eq!(bench.memory.names(), expected);
    let live = outcome.live.expect("is kept");
    assert_eq!(live.state.parse::<Value>().expect("JSON"), bench.state().await);
    let state = bench.state().await;
    assert_eq!(state["values"]["messages"][1]["content"], "You said: hi");
    assert_eq!((&state["next"], &state["metadata"]["step"]), (&json!([]), &json!(1)));
    let kinds = bench
        .memory
        .ops
        .lock()
        .iter()
        .map(|op| match op {
            SaverOp::Put(_) => 'p',
            SaverOp::Writes(_) => 'w',
            SaverOp::Base(_) => 'b',
        })
        .collect::<String>();
    assert_eq!(kinds, "pbwpbwpb");
}

#[tokio::test]
async fn an_interrupt_is_shown_and_resumed() {
    let mut bench = Bench::new();
    let outcome = bench.run(json!({"input": say("ask Sure?"), "stream_mode": ["values"]})).await;
    let live = outcome.live.expect("is kept");
    assert!(live.pending);
    let interrupts: Value = live.interrupts.parse().expect("JSON");
    let state = bench.state().await;
    let id = state["tasks"][0]["id"].as_str().expect("text");
    assert_eq!(interrupts[id], state["interrupts"]);
    assert_eq!(state["interrupts"][0]["value"], json!({"question": "Sure?"}));
    let outcome = bench
        .run(json!({"command": {"resume": "yes"}, "stream_mode": ["messages"], "durability": "exit"}))
        .await;
    assert_eq!(outcome.ending, Ending::Success);
    assert_eq!(bench.memory.names()[..2], ["messages/metadata", "messages/partial"]);
    let messages = &bench.state().await["values"]["messages"];
    assert_eq!(messages[1]["content"], "You answered: yes");
    let last = bench.memory.events.lock().last().cloned().expect("events");
    assert_eq!(last.1[0], messages[1]);
}

#[tokio::test]
async fn failures_cancel_and_full_hosts() {
    let mut bench = Bench::new();
    let outcome = bench.run(json!({"input": say("fail")})).await;
    let (error, message) = ("ValueError".into(), "You asked for it.".into());
    assert_eq!(outcome.ending, Ending::Error { error, message });
    assert_eq!(bench.state().await["tasks"][0]["error"], "ValueError('You asked for it.')");

    let lease = bench.start(json!({"input": say("sleep 600000")}));
    let other = bench.host.reserve("demo");
    assert!(bench.host.reserve("demo").is_none(), "two slots are taken");
    drop(other);
    bench.host.cancel(lease);
    assert_eq!(bench.done.recv().await.expect("done is told").ending, Ending::Cancelled);
    bench.start(json!({"input": say("sleep 600000")}));
    bench.host.shutdown().await;
    assert!(bench.done.try_recv().is_err(), "attempts let go are taken up by the next start");
}

#[tokio::test]
async fn updates_come_back_as_operations() {
    let bench = Bench::new();
    let question = Question::UpdateState {
        thread_id: ThreadId(Uuid::nil()),
        config: RawJson::trusted(r#"{"configurable": {"k": "v"}}"#),
        values: RawJson::of(&say("hi")),
        as_node: None,
    };
    let answer = bench.host.ask("demo", question.clone()).await.expect("answers");
    let [SaverOp::Put(put), SaverOp::Base(base)] = &answer.ops[..] else { panic!("put and base") };
    assert_eq!((put.source.as_str(), base.next.get()), ("update", r#"["reply"]"#));
    assert!(put.metadata.get().contains(r#""k":"v""#));
    let Question::UpdateState { thread_id, config, values, .. } = question else { unreachable!() };
    let as_node = Some("zzz".into());
    let refused = Question::UpdateState { thread_id, config, values, as_node };
    let error = bench.host.ask("demo", refused).await.expect_err("no such node");
    assert_eq!(error.to_string(), "Node zzz does not exist");
}
