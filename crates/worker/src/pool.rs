//! The pool of Python workers: starts processes, keeps them alive, gives runs to the least busy one.

use std::{
    any::Any,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agent_server_domain::{
    Error,
    ports::{
        Answer, EmbedOrder, Embedded, Ending, GraphHost, GraphInfo, GraphStatus, Outcome, Question,
        RunOrder, RunSink, Slot, WorkerFigures,
    },
};
use agent_server_storage::runs::Lease;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Options,
    app::AppState,
    protocol::{self, Handlers, Hello},
    python::RunDir,
    slots::{self, PoolSlot},
    supervise,
    template::Forking,
    worker::Worker,
};

/// A host of Python graphs. Cheap to clone.
#[derive(Clone)]
pub struct Pool(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) sink: Arc<dyn RunSink>,
    pub(crate) dir: RunDir,
    graphs: Mutex<Arc<Vec<GraphInfo>>>,
    handlers: Mutex<Loading>,
    /// The project's own application, where the pool serves that.
    pub(crate) app: watch::Sender<AppState>,
    /// Workers that have loaded the graphs, retired ones included until their process is gone.
    pub(crate) workers: Mutex<Vec<Arc<Worker>>>,
    /// Changes when a worker comes or loading fails, for questions that wait.
    changes: watch::Sender<()>,
    /// Held while the process that forks workers is started.
    pub(crate) forking: tokio::sync::Mutex<Forking>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

/// What became of a project's authentication or encryption.
#[derive(Clone, Default)]
pub(crate) enum Loading {
    /// Nothing yet.
    #[default]
    Going,
    /// It was loaded.
    Done(Arc<Handlers>),
    /// It could not be loaded.
    Failed(String),
}

impl Pool {
    /// Starts the workers. Returns at once; graphs are [`GraphStatus::Loading`] until the first worker is there.
    ///
    /// # Errors
    /// The directory for sockets cannot be made.
    pub fn start(options: Options, sink: Arc<dyn RunSink>) -> io::Result<Self> {
        let graphs = options
            .graphs
            .iter()
            .map(|spec| GraphInfo {
                graph_id: spec.graph_id.clone(),
                name: None,
                description: spec.description.clone(),
                status: GraphStatus::Loading,
            })
            .collect();
        // A process beside a single worker would share its memory with nobody.
        let forking = match options.fork && options.workers > 1 {
            true => Forking::Unknown,
            false => Forking::Impossible,
        };
        let inner = Arc::new(Inner {
            forking: tokio::sync::Mutex::new(forking),
            dir: RunDir::create(options.socket_dir.as_deref())?,
            options,
            sink,
            graphs: Mutex::new(Arc::new(graphs)),
            handlers: Mutex::default(),
            app: watch::Sender::default(),
            workers: Mutex::default(),
            changes: watch::Sender::new(()),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        supervise::start(&inner);
        Ok(Self(inner))
    }
}

impl Inner {
    /// The worker for a question: the least busy one, rather one that answers and whose runs may have company.
    fn least_busy(&self) -> Option<Arc<Worker>> {
        let workers = self.workers.lock();
        let usable = workers.iter().filter(|worker| worker.is_usable());
        let least = usable.min_by_key(|worker| {
            let alone = worker.is_alone.load(Ordering::Relaxed);
            (worker.pulse.is_missing(), alone, worker.load.load(Ordering::Relaxed), worker.index)
        });
        least.map(Arc::clone)
    }

    /// Whether the graph can be executed now.
    fn takes(&self, graph_id: &str) -> bool {
        !self.stopping.is_cancelled() && self.status(graph_id) == Some(GraphStatus::Ready)
    }

    /// A worker has loaded the graphs, or the authentication.
    pub(crate) fn joined(&self, worker: Arc<Worker>, hello: &Hello) {
        self.workers.lock().push(worker);
        if let Some(handlers) = hello.auth.as_ref().or(hello.encryption.as_ref()) {
            *self.handlers.lock() = Loading::Done(Arc::new(handlers.clone()));
        }
        if let Some(app) = &hello.app {
            self.app.send_replace(AppState::There(Arc::new(app.clone())));
        }
        self.update(|graph| {
            let Some(loaded) = hello.graphs.iter().find(|each| each.graph_id == graph.graph_id)
            else {
                return;
            };
            graph.name.clone_from(&loaded.name);
            graph.status = match &loaded.error {
                None => GraphStatus::Ready,
                Some(error) => GraphStatus::Failed(error.clone()),
            };
        });
        self.sink.slot_freed();
    }

    /// A worker is no more.
    pub(crate) fn left(&self, worker: &Arc<Worker>) {
        self.workers.lock().retain(|other| !Arc::ptr_eq(other, worker));
        self.app.send_modify(AppState::left);
    }

    /// An attempt could not be started: it goes elsewhere.
    pub(crate) fn tell_moved(&self, slot: Box<PoolSlot>, lease: Lease) {
        let sink = Arc::clone(&self.sink);
        self.tasks.spawn(async move {
            sink.done(lease, Outcome { ending: Ending::Moved, live: None }).await;
            drop(slot);
        });
    }

    /// No worker could be started. What was never loaded cannot be run.
    pub(crate) fn failed(&self, reason: &str) {
        let mut handlers = self.handlers.lock();
        if !matches!(*handlers, Loading::Done(_)) {
            *handlers = Loading::Failed(reason.to_owned());
        }
        drop(handlers);
        self.app.send_modify(|app| app.failed(reason));
        self.update(|graph| {
            if graph.status != GraphStatus::Ready {
                graph.status = GraphStatus::Failed(reason.to_owned());
            }
        });
    }

    fn update(&self, change: impl FnMut(&mut GraphInfo)) {
        let changed = {
            let mut graphs = self.graphs.lock();
            let mut new = Vec::clone(&graphs);
            new.iter_mut().for_each(change);
            let changed = new != **graphs;
            *graphs = Arc::new(new);
            changed
        };
        self.changes.send_replace(());
        if changed {
            self.sink.graphs_changed();
        }
    }

    fn status(&self, graph_id: &str) -> Option<GraphStatus> {
        let graphs = self.graphs.lock();
        graphs.iter().find(|graph| graph.graph_id == graph_id).map(|graph| graph.status.clone())
    }

    /// What became of the authentication, waited for while it is loading. One that failed is tried again meanwhile.
    pub(crate) async fn handlers(&self) -> Result<Arc<Handlers>, String> {
        let mut changes = self.changes.subscribe();
        loop {
            match self.handlers.lock().clone() {
                Loading::Going => {}
                Loading::Done(handlers) => return Ok(handlers),
                Loading::Failed(reason) => return Err(reason),
            }
            if changes.changed().await.is_err() {
                return Err("the server is stopping".into());
            }
        }
    }

    /// A worker that can be asked, waited for while there is none.
    pub(crate) async fn any_worker(&self) -> Option<Arc<Worker>> {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(worker) = self.least_busy() {
                return Some(worker);
            }
            changes.changed().await.ok()?;
        }
    }

    /// A worker for what has nothing to do with a graph, waited for while the graphs are loading.
    async fn worker_for_all(&self) -> Result<Arc<Worker>, Error> {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(worker) = self.least_busy() {
                return Ok(worker);
            }
            let failed = |graph: &GraphInfo| matches!(graph.status, GraphStatus::Failed(_));
            if self.graphs.lock().iter().all(failed) {
                return Err(Error::Unavailable("no worker could be started; see the log".into()));
            }
            if changes.changed().await.is_err() {
                return Err(Error::Unavailable("the server is stopping".into()));
            }
        }
    }

    /// A worker for a question, waited for while the graphs are loading.
    async fn worker_for(&self, graph_id: &str) -> Result<Arc<Worker>, Error> {
        let mut changes = self.changes.subscribe();
        loop {
            match self.status(graph_id) {
                None => return Err(Error::NotFound(format!("Graph '{graph_id}' not found"))),
                Some(GraphStatus::Failed(cause)) => {
                    return Err(Error::BadGraph(format!(
                        "Graph '{graph_id}' failed to load: {cause}"
                    )));
                }
                Some(GraphStatus::Loading | GraphStatus::Ready) => {}
            }
            if let Some(worker) = self.least_busy() {
                return Ok(worker);
            }
            if changes.changed().await.is_err() {
                return Err(Error::Unavailable("the server is stopping".into()));
            }
        }
    }
}

#[async_trait]
impl GraphHost for Pool {
    fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        Arc::clone(&self.0.graphs.lock())
    }

    fn reserve(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        if !self.0.takes(graph_id) {
            return None;
        }
        slots::shared(&self.0).map(|slot| slot as Box<dyn Slot>)
    }

    fn reserve_nested(&self, graph_id: &str, depth: u32) -> Option<Box<dyn Slot>> {
        if !self.0.takes(graph_id) {
            return None;
        }
        slots::nested(&self.0, depth).map(|slot| slot as Box<dyn Slot>)
    }

    fn reserve_alone(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        if !self.0.takes(graph_id) {
            return None;
        }
        slots::alone(&self.0).map(|slot| slot as Box<dyn Slot>)
    }

    fn make_room(&self, wanted: bool) {
        slots::make_room(&self.0, wanted);
    }

    fn start(&self, slot: Box<dyn Slot>, order: RunOrder) {
        let slot: Box<dyn Any> = slot;
        let slot = slot.downcast::<PoolSlot>().expect("slots go back to the host they are of");
        let worker = Arc::clone(slot.worker());
        // Its worker died since: any other will do.
        let Err((slot, lease)) = worker.start(slot, order) else { return };
        self.0.tell_moved(slot, lease);
    }

    fn cancel(&self, lease: Lease) {
        let workers = self.0.workers.lock();
        workers.iter().any(|worker| worker.cancel(lease));
    }

    fn let_go(&self) {
        self.0.workers.lock().iter().for_each(|worker| worker.let_go());
    }

    fn workers(&self) -> Vec<WorkerFigures> {
        let room = self.0.options.jobs_per_worker;
        let workers = self.0.workers.lock().clone();
        workers.iter().map(|worker| worker.figures(room)).collect()
    }

    async fn ask(&self, graph_id: &str, question: Question) -> Result<Answer, Error> {
        let limit = self.0.options.ask_timeout;
        let late = |_| Error::Unavailable(format!("no worker answered within {limit:?}"));
        tokio::time::timeout(limit, async {
            let worker = self.0.worker_for(graph_id).await?;
            let gone = |_| Error::Unavailable("the worker that was asked has died".into());
            let (_, answer) = worker.ask(|job| protocol::ask(job, graph_id, &question));
            answer.await.map_err(gone)?
        })
        .await
        .map_err(late)?
    }

    async fn embed(&self, order: &EmbedOrder) -> Result<Option<Embedded>, Error> {
        let limit = self.0.options.embed_timeout;
        let late = |_| {
            Error::Unavailable(format!(
                "store.index.embed did not return within {limit:?}; nothing was changed"
            ))
        };
        tokio::time::timeout(limit, async {
            let worker = self.0.worker_for_all().await?;
            let gone = |_| Error::Unavailable("the worker that was to embed has died".into());
            let answer = worker.ask(|job| protocol::embed(job, order)).1.await.map_err(gone)??;
            let embedded = answer.json.parse().map_err(|error| {
                Error::Unavailable(format!("store.index.embed returned no vectors: {error}"))
            })?;
            Ok(Some(embedded))
        })
        .await
        .map_err(late)?
    }

    async fn shutdown(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        // Every task ends with its process, which ends with its connection.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.0.tasks.wait()).await;
    }
}
