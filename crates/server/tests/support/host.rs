//! A graph host without graphs: started attempts wait until the test says what they do.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use agent_server_domain::{
    Error,
    ports::{
        Answer, Ending, Event, GraphHost, GraphInfo, GraphStatus, LiveState, Outcome, Question,
        RunOrder, RunSink, Slot,
    },
    storage::{
        RawJson, Timestamp,
        checkpoints::{Base, NewCheckpoint, SaverOp},
        runs::Lease,
    },
};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;

/// Hands started attempts to the test.
pub(crate) struct ScriptedHost {
    sink: OnceLock<Arc<dyn RunSink>>,
    slots: Arc<Mutex<usize>>,
    /// How often a run was to have no company.
    pub(crate) alone: AtomicUsize,
    /// What the next start waits for.
    held: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    started: mpsc::UnboundedSender<RunOrder>,
    cancelled: mpsc::UnboundedSender<Lease>,
}

struct Room(Arc<Mutex<usize>>);

impl Slot for Room {}

impl Drop for Room {
    fn drop(&mut self) {
        *self.0.lock() += 1;
    }
}

impl ScriptedHost {
    /// A host with room for `slots` runs, and the ends at which the test sees what it was told.
    pub(crate) fn new(
        slots: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<RunOrder>, mpsc::UnboundedReceiver<Lease>) {
        let (started, starts) = mpsc::unbounded_channel();
        let (cancelled, cancels) = mpsc::unbounded_channel();
        let slots = Arc::new(Mutex::new(slots));
        let (sink, alone, held) = (OnceLock::new(), AtomicUsize::new(0), Mutex::default());
        (Arc::new(Self { sink, slots, alone, held, started, cancelled }), starts, cancels)
    }

    pub(crate) fn connect(&self, sink: Arc<dyn RunSink>) {
        assert!(self.sink.set(sink).is_ok(), "connected once");
    }

    fn sink(&self) -> &Arc<dyn RunSink> {
        self.sink.get().expect("connected before use")
    }

    /// Emits an event of an attempt.
    pub(crate) fn event(&self, lease: Lease, name: &str, data: &str) {
        self.sink().event(lease, Event { name: name.into(), data: data.to_owned().into() });
    }

    /// Lets the next start of an attempt wait until this is dropped.
    pub(crate) fn hold_start(&self) -> std::sync::mpsc::Sender<()> {
        let (hold, held) = std::sync::mpsc::channel();
        *self.held.lock() = Some(held);
        hold
    }

    /// Saves a root checkpoint with these values and next nodes.
    pub(crate) fn checkpoint(&self, lease: Lease, id: &str, values: &str, next: &str) {
        self.unrendered(lease, id);
        let nodes: Vec<String> = serde_json::from_str(next).expect("a list of nodes");
        let tasks: Vec<_> = nodes.iter().map(|node| json!({"id": node, "name": node})).collect();
        let base = Base {
            ns: String::new(),
            checkpoint_id: id.into(),
            values: RawJson::trusted(values),
            next: RawJson::trusted(next),
            tasks: RawJson::of(&tasks),
        };
        self.sink().save(lease, SaverOp::Base(base));
    }

    /// Saves a root checkpoint that nobody has rendered yet.
    pub(crate) fn unrendered(&self, lease: Lease, id: &str) {
        let put = NewCheckpoint {
            ns: String::new(),
            id: id.into(),
            parent_id: None,
            created_at: Timestamp::UNIX_EPOCH,
            step: 0,
            source: "loop".into(),
            run_id: Some(lease.run_id),
            metadata: RawJson::trusted(r#"{"source":"loop","step":0,"parents":{}}"#),
            small: "small".into(),
            refs: vec![],
            blobs: vec![],
        };
        self.sink().save(lease, SaverOp::Put(put));
    }

    /// Ends an attempt.
    pub(crate) async fn done(&self, lease: Lease, ending: Ending) {
        self.sink().done(lease, Outcome { ending, live: None }).await;
        self.sink().slot_freed();
    }

    /// Ends an attempt well, with a live state of this checkpoint.
    pub(crate) async fn succeed(&self, lease: Lease, checkpoint: &str, values: &str) {
        self.end(lease, Ending::Success, checkpoint, values).await;
    }

    /// Ends an attempt with a live state of this checkpoint.
    pub(crate) async fn end(&self, lease: Lease, ending: Ending, checkpoint: &str, values: &str) {
        let live = LiveState {
            checkpoint_id: Some(checkpoint.into()),
            state: RawJson::trusted(format!(r#"{{"values":{values},"next":[],"tasks":[]}}"#)),
            pending: false,
            interrupts: RawJson::trusted("{}"),
        };
        self.sink().done(lease, Outcome { ending, live: Some(live) }).await;
        self.sink().slot_freed();
    }
}

#[async_trait]
impl GraphHost for ScriptedHost {
    fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        Arc::new(vec![GraphInfo {
            graph_id: "g".into(),
            name: None,
            description: None,
            status: GraphStatus::Ready,
        }])
    }

    fn reserve(&self, _graph_id: &str) -> Option<Box<dyn Slot>> {
        let mut slots = self.slots.lock();
        *slots = slots.checked_sub(1)?;
        Some(Box::new(Room(Arc::clone(&self.slots))))
    }

    fn reserve_alone(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        self.alone.fetch_add(1, Ordering::Relaxed);
        self.reserve(graph_id)
    }

    fn start(&self, slot: Box<dyn Slot>, order: RunOrder) {
        drop(slot);
        let held = self.held.lock().take();
        self.started.send(order).expect("the test listens");
        if let Some(held) = held {
            // Ends with the other end.
            _ = held.recv();
        }
    }

    fn cancel(&self, lease: Lease) {
        self.cancelled.send(lease).expect("the test listens");
    }

    async fn ask(&self, _graph_id: &str, _question: Question) -> Result<Answer, Error> {
        Err(Error::Unavailable("this host answers nothing".into()))
    }

    async fn shutdown(&self) {}
}
