//! What the domain needs from outside, and what it offers to those who execute graphs.
//!
//! A [`GraphHost`] executes graphs (worker processes, Rust graphs in process). It speaks back through a [`RunSink`],
//! which the domain implements. [`Webhooks`] carries the news of ended runs to others. Bytes of events, blobs and rendered JSON pass through untouched.

use std::sync::Arc;

use agent_server_storage::{
    AssistantId, RawJson, ThreadId, Timestamp,
    checkpoints::{CheckpointTuple, SaverOp},
    runs::Lease,
    store,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, auth::User, storage::Map, trace::TraceContext};

/// Time, so that rules can be tested without one.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC with microseconds.
    fn now(&self) -> Timestamp;
}

/// Ids, so that tests can count them.
pub trait Ids: Send + Sync + 'static {
    /// A new time-ordered id (version 7) for threads and runs.
    fn ordered(&self) -> uuid::Uuid;
    /// A new random id (version 4) for assistants and requests.
    fn random(&self) -> uuid::Uuid;
}

/// What loading a graph came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphStatus {
    /// Not loaded yet.
    Loading,
    /// Can be run.
    Ready,
    /// Cannot be run: file, entry and cause.
    Failed(String),
}

/// A graph of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphInfo {
    /// Key in the configuration.
    pub graph_id: String,
    /// The graph's own name, once known and if it has one.
    pub name: Option<String>,
    /// Description in the configuration.
    pub description: Option<String>,
    /// See [`GraphStatus`].
    pub status: GraphStatus,
}

/// Everything a host needs to execute one attempt of a run.
#[derive(Clone, Debug)]
pub struct RunOrder {
    /// Whose attempt this is; goes with everything that comes back.
    pub lease: Lease,
    /// Graph to execute.
    pub graph_id: String,
    /// Assistant it is executed for.
    pub assistant_id: AssistantId,
    /// The run's kwargs, fourteen keys (reference/runs-and-threads.md, 5).
    pub kwargs: RawJson,
    /// Whether the run goes without checkpoints.
    pub temporary: bool,
    /// The checkpoint that the run starts from, so that the worker need not ask: the one asked for, else the head.
    pub checkpoint: Option<CheckpointTuple>,
    /// Id of the thread's newest root checkpoint.
    pub head_id: Option<String>,
    /// Where the attempt stands in a trace, if one is recorded. Else the kwargs say where the run does.
    pub trace: Option<TraceContext>,
}

/// One event of a run's stream.
#[derive(Clone, Debug)]
pub struct Event {
    /// SSE event name with its namespace suffix (`values`, `updates|child:…`).
    pub name: String,
    /// One JSON value.
    pub data: Bytes,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The graph ended, or stopped at an interrupt.
    Success,
    /// The graph raised: class name and the message that may be shown.
    Error {
        /// Class name of the exception.
        error: String,
        /// Text.
        message: String,
    },
    /// A cancel reached the graph.
    Cancelled,
    /// Infrastructure failed (its state could not be saved): another attempt may follow, and this one counts.
    Lost(String),
    /// The process that executed it died. That counts only if nothing else can have been the reason; the run goes on
    /// alone in any case.
    Died {
        /// How.
        cause: String,
        /// Whether the process executed nothing else.
        alone: bool,
    },
    /// The host let it go for the sake of others: it stopped between two supersteps, or fell with a process that had to be
    /// killed for another run. It goes on elsewhere, and this attempt does not count.
    Moved,
}

/// What a finished attempt left behind. Saver operations and events came before it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Live view of the root state as `GET /threads/{id}/state` shows it; `None` for temporary runs or when it could not
    /// be had.
    pub live: Option<LiveState>,
}

/// A rendered thread state and what rules need of it.
#[derive(Clone, Debug)]
pub struct LiveState {
    /// Checkpoint it shows; `None` if the thread has none.
    pub checkpoint_id: Option<String>,
    /// The whole state object.
    pub state: RawJson,
    /// Whether tasks remain (`next` is not empty).
    pub pending: bool,
    /// Object task id → array of interrupts, tasks without interrupts left out.
    pub interrupts: RawJson,
}

/// How far a drawing expands subgraphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Xray {
    /// Not at all, or all the way.
    All(bool),
    /// So many levels.
    Depth(u32),
}

/// A question about a graph, answered without a run.
#[derive(Clone, Debug)]
pub enum Question {
    /// JSON schemas: object with `input_schema`, `output_schema`, `state_schema`, `config_schema`, `context_schema`.
    Schemas {
        /// The assistant's config.
        config: RawJson,
    },
    /// The drawable graph: object with `nodes` and `edges`.
    Drawing {
        /// The assistant's config.
        config: RawJson,
        /// Expansion.
        xray: Xray,
    },
    /// The graphs nested in it: object namespace → schemas as [`Question::Schemas`] has them.
    Subgraphs {
        /// The assistant's config.
        config: RawJson,
        /// Whether those inside nested graphs are included.
        recurse: bool,
    },
    /// A thread's state, rendered by the library.
    State {
        /// Thread.
        thread_id: ThreadId,
        /// Runnable config with `configurable` (`checkpoint_id`, `checkpoint_ns`, …).
        config: RawJson,
        /// Whether nested states are shown.
        subgraphs: bool,
    },
    /// Apply an update as if a node had written it; the saver operations come back in the answer.
    UpdateState {
        /// Thread.
        thread_id: ThreadId,
        /// Runnable config with `configurable` and `metadata`.
        config: RawJson,
        /// The values, or `null`.
        values: RawJson,
        /// Node to write as.
        as_node: Option<String>,
    },
    /// Apply supersteps one after the other as if nodes had written them; answered like an update.
    Supersteps {
        /// Thread.
        thread_id: ThreadId,
        /// Runnable config with `configurable`.
        config: RawJson,
        /// Array of supersteps: `{"updates": [{"values", "command", "as_node"}]}`; a command wins over values.
        supersteps: RawJson,
    },
}

/// Texts to be embedded by the project's function.
#[derive(Clone, Debug, Default)]
pub struct EmbedOrder {
    /// Values, each with the paths at which its texts are found.
    pub values: Vec<(RawJson, Vec<String>)>,
    /// Texts.
    pub queries: Vec<String>,
}

/// What an [`EmbedOrder`] came to, as the function returned it.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Embedded {
    /// For each value its vectors, with the path of each.
    pub values: Vec<Vec<(String, Vec<f64>)>>,
    /// For each text its vector.
    pub queries: Vec<Vec<f64>>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct Answer {
    /// The answer itself. `UpdateState`, `Supersteps`: the new config, `{"configurable": {…}}`.
    pub json: RawJson,
    /// `State` of the head, `UpdateState` and `Supersteps`: the live view after it.
    pub live: Option<LiveState>,
    /// `UpdateState`, `Supersteps`: what is to be saved, in order; nothing is saved yet.
    pub ops: Vec<SaverOp>,
    /// Whether the answer will be the same, whatever the config, until the graph's code changes.
    pub lasting: bool,
}

/// Room for one run at a host; dropping it gives the room back and calls [`RunSink::slot_freed`].
///
/// `Any`, so that a host knows its own again in [`GraphHost::start`].
pub trait Slot: std::any::Any + Send {}

/// One process that executes runs.
#[derive(Clone, Debug)]
pub struct WorkerFigures {
    /// Its place among the others; a successor takes it over.
    pub index: usize,
    /// Process id.
    pub pid: i32,
    /// Runs that it can execute at a time.
    pub room: usize,
    /// Runs that it executes.
    pub runs: usize,
    /// Memory that it occupies, bytes, where the system tells.
    pub memory_bytes: Option<u64>,
    /// How long its event loop took for the last answer, or has taken so far for the one that is awaited, milliseconds.
    pub loop_lag_ms: f64,
}

/// Executes graphs.
#[async_trait]
pub trait GraphHost: Send + Sync + 'static {
    /// The configured graphs, in the order of the configuration.
    fn graphs(&self) -> Arc<Vec<GraphInfo>>;

    /// Takes room for a run of the graph, if there is some now. A graph that is still loading or failed has none.
    fn reserve(&self, graph_id: &str) -> Option<Box<dyn Slot>>;

    /// As [`GraphHost::reserve`], for a run that another run waits for, which keeps its own room meanwhile. A host whose
    /// graphs can call the server has room beyond its limit for each `depth`, from 1.
    fn reserve_nested(&self, graph_id: &str, _depth: u32) -> Option<Box<dyn Slot>> {
        self.reserve(graph_id)
    }

    /// As [`GraphHost::reserve`], but nothing else is executed by the same process as long as the slot is taken.
    fn reserve_alone(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        self.reserve(graph_id)
    }

    /// Says whether a run waits for [`GraphHost::reserve_alone`]: then some process gets no new runs until it has none.
    fn make_room(&self, _wanted: bool) {}

    /// Starts an attempt in `slot`. Never blocks and never fails here: [`RunSink::done`] is called exactly once for it,
    /// whatever happens.
    fn start(&self, slot: Box<dyn Slot>, order: RunOrder);

    /// Asks a running attempt to stop. Nothing happens if it is not running. The host makes sure that the attempt ends
    /// (`done` with [`Ending::Cancelled`]), even if its process has to be killed after a grace period.
    fn cancel(&self, lease: Lease);

    /// Asks all running attempts to stop at the end of their superstep ([`Ending::Moved`]). One that cannot goes on.
    fn let_go(&self) {}

    /// The processes that execute runs; none where graphs are executed in this one.
    fn workers(&self) -> Vec<WorkerFigures> {
        vec![]
    }

    /// Answers a question.
    ///
    /// # Errors
    /// `Invalid` for what the library refuses as a value error, `Unavailable` when no worker could answer.
    async fn ask(&self, graph_id: &str, question: Question) -> Result<Answer, Error>;

    /// Embeds texts with the project's function; `None` if this host cannot have one.
    ///
    /// # Errors
    /// `Unavailable`: the function failed or did not return in time, or no worker could be asked.
    async fn embed(&self, _order: &EmbedOrder) -> Result<Option<Embedded>, Error> {
        Ok(None)
    }

    /// Stops: lets running attempts go, ends the processes.
    async fn shutdown(&self);
}

/// One try at telling a receiver of a run's end.
#[derive(Clone, Debug)]
pub struct WebhookCall {
    /// Address, checked just now; a path is one of the server's own routes.
    pub url: String,
    /// The same for every try, so that a receiver can tell a repetition.
    pub event_id: String,
    /// Now.
    pub sent_at: Timestamp,
    /// JSON.
    pub body: Bytes,
    /// Where the try stands in a trace.
    pub trace: Option<TraceContext>,
}

/// Why a receiver could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookFailure {
    /// It may work later: nobody there, no answer, a name that could not be looked up.
    Unreachable(String),
    /// Its name leads to an address that must not be called.
    Blocked(String),
}

/// Speaks HTTP with receivers of webhooks.
#[async_trait]
pub trait Webhooks: std::fmt::Debug + Send + Sync + 'static {
    /// The addresses of a name; none if it has none, or they cannot be found out.
    async fn resolve(&self, name: &str) -> Vec<std::net::IpAddr>;

    /// Makes one try, with bounded time and without following redirects. Returns the status of the answer. Connects to no
    /// address that the policy of [`crate::webhooks::Options`] refuses.
    ///
    /// # Errors
    /// There was no answer.
    async fn send(&self, call: WebhookCall) -> Result<u16, WebhookFailure>;
}

/// One operation of a store batch.
#[derive(Clone, Debug)]
pub enum StoreOp {
    /// Answer: item or null.
    Get {
        /// Namespace.
        namespace: store::Namespace,
        /// Key.
        key: String,
        /// Whether its lifetime starts again; `None`: as configured.
        refresh: Option<bool>,
    },
    /// Answer: null. `value: None` deletes.
    Put {
        /// Namespace.
        namespace: store::Namespace,
        /// Key.
        key: String,
        /// New value.
        value: Option<RawJson>,
        /// What of it is embedded.
        index: StoreIndex,
        /// Until when it is kept.
        ttl: StoreTtl,
    },
    /// Answer: array of items.
    Search {
        /// Leading labels.
        prefix: store::Namespace,
        /// Store filter language.
        filter: Option<agent_server_storage::Map>,
        /// Text to rank by; of no effect without an index.
        query: Option<String>,
        /// Page.
        page: agent_server_storage::Page,
        /// Whether the lifetimes of what is found start again; `None`: as configured.
        refresh: Option<bool>,
    },
    /// Answer: array of namespaces.
    ListNamespaces {
        /// Conditions.
        filter: store::NamespaceFilter,
        /// Page.
        page: agent_server_storage::Page,
    },
}

/// What of a value is embedded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreIndex {
    /// The configured fields.
    #[default]
    Configured,
    /// Nothing.
    Nothing,
    /// What is at these paths.
    Paths(Vec<String>),
}

/// How long an item is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum StoreTtl {
    /// As configured.
    #[default]
    Configured,
    /// For ever.
    Never,
    /// So many minutes.
    Minutes(f64),
}

/// The answer to a [`StoreOp`].
#[derive(Clone, Debug)]
pub enum StoreAnswer {
    /// Put.
    Done,
    /// Get.
    Item(Option<store::Item>),
    /// Search.
    Items(Vec<store::Found>),
    /// List.
    Namespaces(Vec<store::Namespace>),
}

/// What a host reports and asks while it executes graphs; implemented by the domain.
///
/// For one lease, calls come in the order in which the graph produced them. Everything that carries a stale lease is
/// dropped without effect.
#[async_trait]
pub trait RunSink: Send + Sync + 'static {
    /// An event for the streams. Cheap; never blocks.
    fn event(&self, lease: Lease, event: Event);

    /// Something to save. Cheap; saved soon, at the latest with the next `flush`, `load` or `done` of the lease.
    fn save(&self, lease: Lease, op: SaverOp);

    /// Returns when everything before it is durable.
    ///
    /// # Errors
    /// Something before it could not be saved; the attempt must stop.
    async fn flush(&self, lease: Lease) -> Result<(), Error>;

    /// Reads a checkpoint for the library; sees what the same lease saved before. `lease` is `None` for questions.
    ///
    /// # Errors
    /// Storage failed.
    async fn load(
        &self,
        lease: Option<Lease>,
        thread_id: ThreadId,
        ns: String,
        checkpoint_id: Option<String>,
    ) -> Result<Option<CheckpointTuple>, Error>;

    /// Executes a batch of store operations: reads see the state before the batch's puts.
    ///
    /// # Errors
    /// Storage failed, or an operation is not valid.
    async fn store(&self, ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>, Error>;

    /// The attempt is over; called exactly once per started attempt.
    async fn done(&self, lease: Lease, outcome: Outcome);

    /// A slot became free, or a graph became ready: runs that wait may be started.
    fn slot_freed(&self);

    /// Names, descriptions or states of graphs changed.
    fn graphs_changed(&self);
}

/// Knows in which context what a request writes is encrypted.
#[async_trait]
pub trait EncryptionContexts: Send + Sync + 'static {
    /// The context of a request that sent `given`. Where it cannot be told, it is what was sent.
    async fn context(&self, user: &User, given: Map) -> Map;
}
