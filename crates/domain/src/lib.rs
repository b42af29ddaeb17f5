//! The rules of the Agent Server: no HTTP, no SQL, no processes, no clock of its own.
//!
//! [`Domain`] is the one handle that the server sees; a module per resource adds its verbs to it. What the domain needs
//! from outside is in [`ports`]. Start reading at [`runs`]: everything else serves it.

pub mod assistants;
pub mod auth;
mod caller;
pub mod crons;
mod error;
pub mod measure;
pub mod ports;
pub mod runs;
pub mod state;
pub mod store;
pub mod stream;
pub mod threads;
mod timer;
pub mod trace;
pub mod webhooks;

use std::sync::{Arc, OnceLock};

use agent_server_storage::{Storage, Timestamp};
use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use agent_server_storage as storage;
pub use caller::Caller;
pub use error::{Error, Result};

use ports::{Clock, GraphHost, GraphInfo, GraphStatus, Ids};

/// Numbers that bound the engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tries of one run after infrastructure failures, the first included (upstream's `BG_JOB_MAX_RETRIES`).
    pub max_attempts: u32,
    /// Longest time that one attempt of a run may take, seconds (upstream's `BG_JOB_TIMEOUT_SECS`).
    pub timeout_seconds: f64,
    /// How long checkpoints and events of a running graph may wait to be saved together, milliseconds. A crash repeats
    /// at most this much work, and loses so much of what a resumable run can replay; `durability: "sync"` does not wait.
    pub save_delay_ms: u64,
    /// How long the events of a resumable run stay replayable after its end, seconds.
    pub replay_seconds: u64,
    /// How long runs in progress get to end when the server stops, seconds (upstream's
    /// `BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS`).
    pub shutdown_grace_seconds: u64,
    /// Most bytes of events that one run keeps in memory for its listeners.
    pub log_bytes: usize,
    /// Whether the server ends where no graph works. Until then it ends no run for that: the next start may do better.
    pub needs_graphs: bool,
    /// Lifetime of threads that are made without one; `None` is for ever.
    pub thread_ttl: Option<storage::threads::Ttl>,
    /// How many runs may be in flight at a time.
    pub limits: runs::Limits,
    /// Who is told of the ends of runs, and how.
    pub webhooks: webhooks::Options,
    /// Who records what the server does as parts of traces.
    pub traces: trace::Traces,
    /// Settings of the store.
    pub store: store::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            timeout_seconds: 86_400.0,
            save_delay_ms: 20,
            replay_seconds: 120,
            shutdown_grace_seconds: 180,
            log_bytes: 64 << 20,
            needs_graphs: false,
            thread_ttl: None,
            limits: runs::Limits::default(),
            webhooks: webhooks::Options::default(),
            traces: trace::Traces::default(),
            store: store::Options::default(),
        }
    }
}

/// A page of a search.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The page.
    pub items: Vec<T>,
    /// Whether at least one more follows.
    pub more: bool,
}

impl<T> Found<T> {
    /// Makes a page of `limit` from a query that asked for one row more.
    fn from_lookahead(mut items: Vec<T>, limit: u32) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Self { items, more }
    }
}

/// The handle to everything. Cheap to clone.
#[derive(Clone)]
pub struct Domain(Arc<Inner>);

struct Inner {
    storage: Arc<dyn Storage>,
    /// Set once, right after construction: host and domain know each other.
    host: OnceLock<Arc<dyn GraphHost>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    options: Options,
    streams: stream::Streams,
    /// When a resumable run last ended whose events may not be swept yet.
    last_kept: Mutex<Option<Timestamp>>,
    buffers: runs::Buffers,
    apart: runs::Apart,
    nested: runs::Nested,
    courier: webhooks::Courier,
    introspections: assistants::Introspections,
    /// Wakes the dispatcher.
    wake: tokio::sync::Notify,
    /// Wakes the sweep of threads whose lifetime is over.
    lifetimes: tokio::sync::Notify,
    /// Wakes the sweep of store items whose lifetime is over.
    item_lifetimes: tokio::sync::Notify,
    /// Wakes the scheduler of crons.
    crons: tokio::sync::Notify,
    /// Background tasks: saves in progress, the dispatcher, the sweep. Awaited at shutdown.
    tasks: TaskTracker,
    /// Cancelled when everything ends.
    shutdown: CancellationToken,
    /// Cancelled when no more runs are started: before `shutdown`, or with it.
    draining: CancellationToken,
}

impl Domain {
    /// Builds the domain over a storage. Call [`Domain::start`] with the host before anything else.
    pub fn new(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        options: Options,
    ) -> Self {
        let shutdown = CancellationToken::new();
        Self(Arc::new(Inner {
            streams: stream::Streams::new(options.log_bytes),
            last_kept: Mutex::default(),
            introspections: assistants::Introspections::default(),
            courier: webhooks::Courier::new(options.webhooks.outbox()),
            storage,
            host: OnceLock::new(),
            clock,
            ids,
            options,
            buffers: runs::Buffers::default(),
            apart: runs::Apart::default(),
            nested: runs::Nested::default(),
            wake: tokio::sync::Notify::new(),
            lifetimes: tokio::sync::Notify::new(),
            item_lifetimes: tokio::sync::Notify::new(),
            crons: tokio::sync::Notify::new(),
            tasks: TaskTracker::new(),
            draining: shutdown.child_token(),
            shutdown,
        }))
    }

    /// A handle for the host to report to. Weak inside, so that the host does not keep the domain alive.
    pub fn sink(&self) -> Arc<dyn ports::RunSink> {
        Arc::new(runs::Sink(Arc::downgrade(&self.0)))
    }

    /// Connects the host, repairs what a dead process left behind, registers the graphs' assistants and starts to
    /// dispatch runs.
    ///
    /// # Errors
    /// Storage failed, or `start` was called before.
    pub async fn start(&self, host: Arc<dyn GraphHost>) -> Result<()> {
        if self.0.host.set(host).is_err() {
            return Err(Error::Internal("the domain was started twice".into()));
        }
        self.keep_events().await?;
        self.recover().await?;
        self.register_graphs().await?;
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.dispatch_loop().await });
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.expiry_loop().await });
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.timeout_loop().await });
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.item_expiry_loop().await });
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.cron_loop().await });
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.delivery_loop().await });
        let domain = self.clone();
        self.0.tasks.spawn(async move { domain.keys_loop().await });
        Ok(())
    }

    /// Stops dispatching, ends the host's processes, saves what is buffered. Runs that did not end are taken up by the
    /// next start, and to them this attempt is none. [`Domain::drain`] before it lets them end.
    pub async fn shutdown(&self) {
        self.0.shutdown.cancel();
        if let Some(host) = self.0.host.get() {
            host.shutdown().await;
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.give_leases_back().await;
        self.0.storage.close().await;
    }

    /// Told when everything ends: who listens to a run must not wait for its end any longer, which will not come.
    pub fn stopping(&self) -> CancellationToken {
        self.0.shutdown.clone()
    }

    /// Where ids come from, for protocols that name things of their own.
    pub fn ids(&self) -> &dyn Ids {
        &*self.0.ids
    }

    /// The configured graphs.
    pub fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        self.host().graphs()
    }

    /// Whether storage answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_storage(&self) -> Result<()> {
        self.storage()
            .read(storage::Cost::Point, |tx| tx.next_due(Timestamp::MIN_UTC).map(drop))
            .await
            .map_err(|error: storage::Error| Error::Unavailable(error.to_string()))
    }

    fn storage(&self) -> &dyn Storage {
        &*self.0.storage
    }

    fn host(&self) -> &Arc<dyn GraphHost> {
        self.0.host.get().expect("start comes before every other call")
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn graph(&self, graph_id: &str) -> Option<GraphInfo> {
        self.graphs().iter().find(|graph| graph.graph_id == graph_id).cloned()
    }

    /// The graph, or why it cannot be used now.
    fn ready_graph(&self, graph_id: &str) -> Result<GraphInfo> {
        let graph = self
            .graph(graph_id)
            .ok_or_else(|| Error::NotFound(format!("Graph '{graph_id}' not found")))?;
        match graph.status {
            GraphStatus::Failed(ref cause) => {
                Err(Error::BadGraph(format!("Graph '{graph_id}' failed to load: {cause}")))
            }
            GraphStatus::Loading | GraphStatus::Ready => Ok(graph),
        }
    }
}
