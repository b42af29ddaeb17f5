//! Rust graphs in process: a [`GraphHost`] whose runs are tasks of the server's own runtime.
//!
//! A node must not block its thread (use `spawn_blocking`): unlike a worker process, this one cannot be killed.

mod invocation;
mod recorder;
mod render;
#[cfg(test)]
mod tests;
mod update;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use agent_server_domain::{
    Error,
    ports::{
        Answer, Ending, GraphHost, GraphInfo, GraphStatus, Outcome, Question, RunOrder, RunSink,
        Slot,
    },
};
use agent_server_graph::{Failure, Graph, Progress, run};
use agent_server_storage::{Map, RawJson, ThreadId, runs::Lease};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{invocation::Kwargs, recorder::Recorder, render::Shown, update::single_updates};

/// Executes Rust graphs.
pub struct NativeHost(Arc<Inner>);

struct Inner {
    graphs: HashMap<String, Arc<Graph>>,
    infos: Arc<Vec<GraphInfo>>,
    slots: Arc<Semaphore>,
    sink: Arc<dyn RunSink>,
    /// Attempts in progress and how to stop them.
    running: Mutex<HashMap<Lease, CancellationToken>>,
    tasks: TaskTracker,
    /// Attempts let go at shutdown: they end without a word and are taken up by the next start.
    stopping: CancellationToken,
}

/// Room for one run.
struct NativeSlot {
    permit: Option<OwnedSemaphorePermit>,
    host: Weak<Inner>,
}

impl Slot for NativeSlot {}

impl Drop for NativeSlot {
    fn drop(&mut self) {
        drop(self.permit.take());
        if let Some(host) = self.host.upgrade() {
            host.sink.slot_freed();
        }
    }
}

impl NativeHost {
    /// A host of `graphs` (id and graph, in the order in which they are listed) that executes at most `slots` runs at a
    /// time.
    pub fn new(graphs: Vec<(String, Graph)>, slots: usize, sink: Arc<dyn RunSink>) -> Self {
        let info = |(id, graph): &(String, Graph)| GraphInfo {
            graph_id: id.clone(),
            name: Some(graph.name().to_owned()),
            description: graph.description().map(str::to_owned),
            status: GraphStatus::Ready,
        };
        let infos = graphs.iter().map(info).collect();
        Self(Arc::new(Inner {
            infos: Arc::new(infos),
            graphs: graphs.into_iter().map(|(id, graph)| (id, Arc::new(graph))).collect(),
            slots: Arc::new(Semaphore::new(slots)),
            sink,
            running: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }))
    }

    fn graph(&self, id: &str) -> Result<&Arc<Graph>, Error> {
        let graph = self.0.graphs.get(id);
        graph.ok_or_else(|| Error::NotFound(format!("Graph '{id}' not found")))
    }
}

#[async_trait]
impl GraphHost for NativeHost {
    fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        Arc::clone(&self.0.infos)
    }

    fn reserve(&self, graph_id: &str) -> Option<Box<dyn Slot>> {
        self.0.graphs.get(graph_id)?;
        if self.0.stopping.is_cancelled() {
            return None;
        }
        let permit = Arc::clone(&self.0.slots).try_acquire_owned().ok()?;
        Some(Box::new(NativeSlot { permit: Some(permit), host: Arc::downgrade(&self.0) }))
    }

    fn start(&self, slot: Box<dyn Slot>, order: RunOrder) {
        let host = Arc::clone(&self.0);
        let stop = CancellationToken::new();
        host.running.lock().insert(order.lease, stop.clone());
        self.0.tasks.spawn(async move {
            let lease = order.lease;
            let graph = host.graphs.get(&order.graph_id).cloned();
            // In a task of its own: a panic of the graph's code ends the attempt and nothing else.
            let mut attempts = JoinSet::new();
            attempts.spawn(attempt(graph, order, Arc::clone(&host.sink)));
            let outcome = tokio::select! {
                () = host.stopping.cancelled() => None,
                () = stop.cancelled() => Some(Outcome { ending: Ending::Cancelled, live: None }),
                joined = attempts.join_next() => Some(match joined {
                    Some(Ok(outcome)) => outcome,
                    _ => failed(Failure::new("Panic", "The graph panicked.")),
                }),
            };
            host.running.lock().remove(&lease);
            if let Some(outcome) = outcome {
                // Stopped before the end is told: nothing of the attempt may follow it.
                attempts.shutdown().await;
                host.sink.done(lease, outcome).await;
            }
            drop(slot);
        });
    }

    fn cancel(&self, lease: Lease) {
        if let Some(stop) = self.0.running.lock().get(&lease) {
            stop.cancel();
        }
    }

    async fn ask(&self, graph_id: &str, question: Question) -> Result<Answer, Error> {
        let graph = self.graph(graph_id)?;
        let plain = |json| Answer { json, live: None, ops: vec![], lasting: false };
        let lasting = |json| Answer { lasting: true, ..plain(json) };
        match question {
            Question::Schemas { .. } => Ok(lasting(RawJson::of(&graph.schemas()))),
            // There are no subgraphs to expand.
            Question::Drawing { .. } => Ok(lasting(RawJson::of(&graph.drawing()))),
            Question::Subgraphs { .. } => Ok(lasting(RawJson::trusted("{}"))),
            Question::State { thread_id, config, .. } => {
                let at = Place::of(&config)?;
                let saved = at.load(&*self.0.sink, thread_id).await?;
                let Some((progress, metadata)) = saved else {
                    return Ok(plain(render::empty(
                        thread_id,
                        &at.ns,
                        at.checkpoint_id.as_deref(),
                    )));
                };
                let parent_id = progress.checkpoint.parent_id.as_deref();
                let shown =
                    Shown { graph, thread_id, progress: &progress, metadata: &metadata, parent_id };
                if at.checkpoint_id.is_some() {
                    return Ok(plain(shown.record()));
                }
                let live = shown.live();
                Ok(Answer { live: Some(live.clone()), ..plain(live.state) })
            }
            Question::UpdateState { thread_id, config, values, as_node } => {
                let values = values.parse().map_err(damaged)?;
                self.update(graph, thread_id, &config, vec![(values, as_node)]).await
            }
            Question::Supersteps { thread_id, config, supersteps } => {
                let updates = single_updates(&supersteps)?;
                self.update(graph, thread_id, &config, updates).await
            }
        }
    }

    async fn shutdown(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

fn failed(Failure { error, message }: Failure) -> Outcome {
    Outcome { ending: Ending::Error { error, message }, live: None }
}

fn damaged(error: serde_json::Error) -> Error {
    Error::Refused(format!("not usable by a Rust graph: {error}"))
}

/// Executes one attempt from order to outcome.
async fn attempt(graph: Option<Arc<Graph>>, order: RunOrder, sink: Arc<dyn RunSink>) -> Outcome {
    let Some(graph) = graph else {
        return failed(Failure::new("ValueError", format!("Graph '{}' not found", order.graph_id)));
    };
    let prepared = Kwargs::parse(&order).and_then(|kwargs| {
        let saved = order.checkpoint.as_ref().map(render::progress).transpose();
        let saved = saved.map_err(|error| Failure::new("CheckpointError", error.to_string()))?;
        Ok((kwargs.invocation(&order)?, saved, kwargs))
    });
    let (invocation, saved, kwargs) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return failed(failure),
    };
    let recorder = Arc::new(Recorder::new(Arc::clone(&graph), &order, kwargs, sink));
    let finished = run(graph, saved, invocation, Arc::clone(&recorder) as _).await;
    let live = finished.progress.as_ref().and_then(|progress| recorder.finish(progress));
    let ending = match (recorder.lost(), finished.result) {
        (Some(cause), _) => Ending::Lost(cause),
        (None, Ok(_)) => Ending::Success,
        (None, Err(Failure { error, message })) => Ending::Error { error, message },
    };
    Outcome { ending, live }
}

/// The checkpoint that a question is about.
struct Place {
    ns: String,
    checkpoint_id: Option<String>,
    configurable: Map,
}

impl Place {
    fn of(config: &RawJson) -> Result<Self, Error> {
        let mut config: Map = config.parse().map_err(damaged)?;
        let configurable = match config.remove("configurable") {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let text = |key: &str| configurable.get(key).and_then(Value::as_str).map(str::to_owned);
        let (ns, checkpoint_id) =
            (text("checkpoint_ns").unwrap_or_default(), text("checkpoint_id"));
        Ok(Self { ns, checkpoint_id, configurable })
    }

    fn metadata(&self) -> Map {
        render::visible(&self.configurable)
    }

    async fn load(
        &self,
        sink: &dyn RunSink,
        thread: ThreadId,
    ) -> Result<Option<(Progress, RawJson)>, Error> {
        let tuple = sink.load(None, thread, self.ns.clone(), self.checkpoint_id.clone()).await?;
        tuple
            .map(|tuple| Ok((render::progress(&tuple).map_err(damaged)?, tuple.metadata)))
            .transpose()
    }
}
