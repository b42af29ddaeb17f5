//! A host that is there before those who execute its graphs.
//!
//! Python graphs are `Loading` until an interpreter has been found or made, which happens while the server already answers.
//! What nobody here can execute is listed, too: as failed, with the reason.

use std::sync::Arc;

use agent_server_domain::{
    Error,
    ports::{
        Answer, EmbedOrder, Embedded, GraphHost, GraphInfo, GraphStatus, Question, RunOrder,
        RunSink, Slot, WorkerFigures,
    },
    storage::runs::Lease,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

/// What has become of the host that executes the graphs.
#[derive(Clone)]
enum Host {
    /// It is being prepared.
    Preparing,
    /// It is there.
    There(Arc<dyn GraphHost>),
    /// It cannot be had, for this reason.
    Failed(String),
}

/// Stands for a host until that is there, and in front of it afterwards.
pub(crate) struct LateHost {
    /// What is known without asking the host: those `Loading` are its graphs.
    configured: Vec<GraphInfo>,
    host: watch::Sender<Host>,
    listed: Mutex<Listed>,
    sink: Arc<dyn RunSink>,
}

/// The last list put together, and the host's list that it was made of.
struct Listed {
    of: Option<Arc<Vec<GraphInfo>>>,
    all: Arc<Vec<GraphInfo>>,
}

impl LateHost {
    /// A host of graphs that are `Loading`, and of others that failed already. Reports changes to `sink`.
    pub(crate) fn new(configured: Vec<GraphInfo>, sink: Arc<dyn RunSink>) -> Self {
        let listed = Listed { of: None, all: Arc::new(configured.clone()) };
        let host = watch::Sender::new(Host::Preparing);
        Self { configured, host, listed: Mutex::new(listed), sink }
    }

    /// From now on, `host` executes the graphs.
    pub(crate) fn arrived(&self, host: Arc<dyn GraphHost>) {
        self.decide(Host::There(host));
    }

    /// Nobody is going to execute the graphs.
    pub(crate) fn failed(&self, cause: &str) {
        let mut all = self.configured.clone();
        for graph in all.iter_mut().filter(|graph| graph.status == GraphStatus::Loading) {
            graph.status = GraphStatus::Failed(cause.into());
        }
        *self.listed.lock() = Listed { of: None, all: Arc::new(all) };
        self.decide(Host::Failed(cause.into()));
    }

    fn decide(&self, host: Host) {
        self.host.send_replace(host);
        self.sink.graphs_changed();
        self.sink.slot_freed();
    }

    fn present(&self) -> Option<Arc<dyn GraphHost>> {
        match &*self.host.borrow() {
            Host::There(host) => Some(Arc::clone(host)),
            Host::Preparing | Host::Failed(_) => None,
        }
    }

    fn find(&self, graph_id: &str) -> Option<&GraphInfo> {
        self.configured.iter().find(|graph| graph.graph_id == graph_id)
    }
}

#[async_trait]
impl GraphHost for LateHost {
    fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        let mut listed = self.listed.lock();
        let Some(said) = self.present().map(|host| host.graphs()) else {
            return Arc::clone(&listed.all);
        };
        // Asked for with every request about a graph, changed a few times at start-up.
        if !listed.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &said)) {
            let mut all = self.configured.clone();
            for graph in &mut all {
                if let Some(said) = said.iter().find(|said| said.graph_id == graph.graph_id) {
                    graph.clone_from(said);
                }
            }
            *listed = Listed { of: Some(said), all: Arc::new(all) };
        }
        Arc::clone(&listed.all)
    }

    fn reserve(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        self.present()?.reserve(graph_id)
    }

    fn reserve_nested(&self, graph_id: &str, depth: u32) -> Option<Box<dyn Slot>> {
        self.present()?.reserve_nested(graph_id, depth)
    }

    fn reserve_alone(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        self.present()?.reserve_alone(graph_id)
    }

    fn make_room(&self, wanted: bool) {
        if let Some(host) = self.present() {
            host.make_room(wanted);
        }
    }

    fn workers(&self) -> Vec<WorkerFigures> {
        self.present().map(|host| host.workers()).unwrap_or_default()
    }

    fn start(&self, slot: Box<dyn Slot>, order: RunOrder) {
        let host =
            self.present().expect("slots are reserved at a host that is there, and it stays");
        host.start(slot, order);
    }

    fn cancel(&self, lease: Lease) {
        if let Some(host) = self.present() {
            host.cancel(lease);
        }
    }

    fn let_go(&self) {
        if let Some(host) = self.present() {
            host.let_go();
        }
    }

    async fn ask(&self, graph_id: &str, question: Question) -> Result<Answer, Error> {
        let unusable =
            |cause: &str| Error::BadGraph(format!("Graph '{graph_id}' failed to load: {cause}"));
        match self.find(graph_id).map(|graph| &graph.status) {
            None => return Err(Error::NotFound(format!("Graph '{graph_id}' not found"))),
            Some(GraphStatus::Failed(cause)) => return Err(unusable(cause)),
            Some(GraphStatus::Loading | GraphStatus::Ready) => {}
        }
        let mut host = self.host.subscribe();
        let decided = host.wait_for(|host| !matches!(host, Host::Preparing)).await;
        // A clone, because what `wait_for` returns is a lock.
        match decided.map(|host| host.clone()) {
            Ok(Host::There(host)) => host.ask(graph_id, question).await,
            Ok(Host::Failed(cause)) => Err(unusable(&cause)),
            Ok(Host::Preparing) | Err(_) => {
                Err(Error::Unavailable("the server is stopping".into()))
            }
        }
    }

    async fn embed(&self, order: &EmbedOrder) -> Result<Option<Embedded>, Error> {
        let mut host = self.host.subscribe();
        let decided = host.wait_for(|host| !matches!(host, Host::Preparing)).await;
        match decided.map(|host| host.clone()) {
            Ok(Host::There(host)) => host.embed(order).await,
            Ok(Host::Failed(cause)) => Err(Error::Unavailable(cause)),
            Ok(Host::Preparing) | Err(_) => {
                Err(Error::Unavailable("the server is stopping".into()))
            }
        }
    }

    async fn shutdown(&self) {
        if let Some(host) = self.present() {
            host.shutdown().await;
        }
    }
}

#[cfg(test)]
#[path = "late_tests.rs"]
mod tests;
