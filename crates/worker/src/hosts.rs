//! Several hosts as one: each graph belongs to one of them.

use std::{any::Any, sync::Arc};

use agent_server_domain::{
    Error,
    ports::{
        Answer, EmbedOrder, Embedded, GraphHost, GraphInfo, Question, RunOrder, Slot, WorkerFigures,
    },
};
use agent_server_storage::runs::Lease;
use async_trait::async_trait;

/// A host that asks the host of the graph.
pub struct Hosts {
    hosts: Vec<Arc<dyn GraphHost>>,
    /// Graph ids in the order of the configuration.
    order: Vec<String>,
}

/// A slot with the host it is of.
struct Routed {
    slot: Box<dyn Slot>,
    host: Arc<dyn GraphHost>,
}

impl Slot for Routed {}

impl Hosts {
    /// Puts hosts together. `order` lists all graph ids as they are to be shown; the first host that has a graph gets it.
    pub fn new(hosts: Vec<Arc<dyn GraphHost>>, order: Vec<String>) -> Self {
        Self { hosts, order }
    }

    fn of(&self, graph_id: &str) -> Option<&Arc<dyn GraphHost>> {
        self.hosts.iter().find(|host| host.graphs().iter().any(|graph| graph.graph_id == graph_id))
    }
}

#[async_trait]
impl GraphHost for Hosts {
    fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        if let [only] = &self.hosts[..] {
            return only.graphs();
        }
        let all: Vec<GraphInfo> =
            self.hosts.iter().flat_map(|host| Vec::clone(&host.graphs())).collect();
        let find = |id: &String| all.iter().find(|graph| graph.graph_id == *id).cloned();
        Arc::new(self.order.iter().filter_map(find).collect())
    }

    fn reserve(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        let host = Arc::clone(self.of(graph_id)?);
        let slot = host.reserve(graph_id)?;
        Some(Box::new(Routed { slot, host }))
    }

    fn reserve_nested(&self, graph_id: &str, depth: u32) -> Option<Box<dyn Slot>> {
        let host = Arc::clone(self.of(graph_id)?);
        let slot = host.reserve_nested(graph_id, depth)?;
        Some(Box::new(Routed { slot, host }))
    }

    fn reserve_alone(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        let host = Arc::clone(self.of(graph_id)?);
        let slot = host.reserve_alone(graph_id)?;
        Some(Box::new(Routed { slot, host }))
    }

    fn make_room(&self, wanted: bool) {
        for host in &self.hosts {
            host.make_room(wanted);
        }
    }

    fn start(&self, slot: Box<dyn Slot>, order: RunOrder) {
        let slot: Box<dyn Any> = slot;
        let routed = slot.downcast::<Routed>().expect("slots go back to the host they are of");
        let Routed { slot, host } = *routed;
        host.start(slot, order);
    }

    fn cancel(&self, lease: Lease) {
        for host in &self.hosts {
            host.cancel(lease);
        }
    }

    fn let_go(&self) {
        for host in &self.hosts {
            host.let_go();
        }
    }

    fn workers(&self) -> Vec<WorkerFigures> {
        self.hosts.iter().flat_map(|host| host.workers()).collect()
    }

    async fn ask(&self, graph_id: &str, question: Question) -> Result<Answer, Error> {
        match self.of(graph_id) {
            Some(host) => host.ask(graph_id, question).await,
            None => Err(Error::NotFound(format!("Graph '{graph_id}' not found"))),
        }
    }

    async fn embed(&self, order: &EmbedOrder) -> Result<Option<Embedded>, Error> {
        for host in &self.hosts {
            if let Some(embedded) = host.embed(order).await? {
                return Ok(Some(embedded));
            }
        }
        Ok(None)
    }

    async fn shutdown(&self) {
        let ends = self.hosts.iter().map(|host| host.shutdown());
        futures::future::join_all(ends).await;
    }
}
