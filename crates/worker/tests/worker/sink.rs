//! A sink that keeps everything: events and ends for the tests, checkpoints and items for the graphs.

use std::collections::{BTreeMap, HashMap};

use agent_server_domain::{
    Error,
    ports::{Event, Outcome, RunSink, StoreAnswer, StoreOp},
};
use agent_server_storage::{
    ThreadId, Timestamp,
    checkpoints::{Blob, CheckpointTuple, NewCheckpoint, SaverOp, TaskWrite},
    runs::Lease,
    store::{Found, Item, Namespace},
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

/// What is told about one attempt, in order.
#[derive(Debug)]
pub(crate) enum Told {
    Event(Event),
    Save(SaverOp),
    Flush,
    Done(Outcome),
}

/// Writes of a checkpoint: order of the library → write.
type Writes = BTreeMap<(String, String, i64), TaskWrite>;

/// Checkpoints of one thread.
#[derive(Default)]
struct Saved {
    puts: BTreeMap<(String, String), NewCheckpoint>,
    blobs: HashMap<(String, String, String), Blob>,
    writes: HashMap<(String, String), Writes>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Sink {
    told: Mutex<HashMap<Lease, mpsc::UnboundedSender<Told>>>,
    saved: Mutex<HashMap<ThreadId, Saved>>,
    items: Mutex<BTreeMap<(Namespace, String), Item>>,
    /// Counts `graphs_changed` and `slot_freed`.
    pub(crate) changes: watch::Sender<u64>,
    /// Thread and namespace of the checkpoints asked for.
    loads: Mutex<Vec<(ThreadId, String)>>,
    /// Whether saves fail from now on.
    pub(crate) broken: Mutex<bool>,
}

impl Sink {
    /// Namespaces of the checkpoints that were asked for of a thread. Other tests share the fixture.
    pub(crate) fn loads_of(&self, thread: ThreadId) -> Vec<String> {
        let loads = self.loads.lock();
        loads.iter().filter(|(of, _)| *of == thread).map(|(_, ns)| ns.clone()).collect()
    }

    /// Everything about the attempt.
    pub(crate) fn listen(&self, lease: Lease) -> mpsc::UnboundedReceiver<Told> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.told.lock().insert(lease, sender);
        receiver
    }

    fn tell(&self, lease: Lease, told: Told) {
        if let Some(sender) = self.told.lock().get(&lease) {
            let _ = sender.send(told);
        }
    }

    pub(crate) fn save_ops(&self, thread: ThreadId, ops: Vec<SaverOp>) {
        for op in ops {
            self.keep(thread, op);
        }
    }

    fn keep(&self, thread: ThreadId, op: SaverOp) {
        let mut saved = self.saved.lock();
        let saved = saved.entry(thread).or_default();
        match op {
            SaverOp::Put(put) => {
                for blob in &put.blobs {
                    let key = (put.ns.clone(), blob.channel.clone(), blob.version.clone());
                    let old = saved.blobs.insert(key, blob.clone());
                    assert!(old.is_none_or(|old| old == *blob), "a version was used twice");
                }
                saved.puts.insert((put.ns.clone(), put.id.clone()), put);
            }
            SaverOp::Writes(new) => {
                let writes = saved.writes.entry((new.ns, new.checkpoint_id)).or_default();
                for write in new.writes {
                    let key = (new.task_path.clone(), new.task_id.clone(), write.idx);
                    if write.idx < 0 {
                        writes.insert(key, write);
                    } else {
                        writes.entry(key).or_insert(write);
                    }
                }
            }
            SaverOp::Base(_) => {}
        }
    }

    /// The checkpoint, or the newest one.
    pub(crate) fn checkpoint(
        &self,
        thread: ThreadId,
        ns: &str,
        id: Option<&str>,
    ) -> Option<CheckpointTuple> {
        let saved = self.saved.lock();
        let saved = saved.get(&thread)?;
        let (_, put) = saved
            .puts
            .iter()
            .rev()
            .find(|((of, key), _)| of == ns && id.is_none_or(|id| id == key))?;
        let blobs = put
            .refs
            .iter()
            .map(|(channel, version)| {
                let key = (ns.to_owned(), channel.clone(), version.clone());
                saved.blobs.get(&key).cloned().unwrap_or_else(|| panic!("no blob for {key:?}"))
            })
            .collect();
        let writes = saved
            .writes
            .get(&(ns.to_owned(), put.id.clone()))
            .into_iter()
            .flatten()
            .map(|((_, task, _), write)| (task.clone(), write.clone()))
            .collect();
        Some(CheckpointTuple {
            ns: ns.to_owned(),
            id: put.id.clone(),
            parent_id: put.parent_id.clone(),
            metadata: put.metadata.clone(),
            small: Bytes::clone(&put.small),
            blobs,
            writes,
        })
    }

    fn store_one(&self, op: StoreOp) -> StoreAnswer {
        let mut items = self.items.lock();
        match op {
            StoreOp::Get { namespace, key, .. } => {
                StoreAnswer::Item(items.get(&(namespace, key)).cloned())
            }
            StoreOp::Put { namespace, key, value, .. } => {
                let at = (namespace.clone(), key.clone());
                match value {
                    None => drop(items.remove(&at)),
                    Some(value) => {
                        let created_at = Timestamp::UNIX_EPOCH;
                        let updated_at = created_at;
                        let item =
                            Item { namespace, key, value, created_at, updated_at, ttl: None };
                        items.insert(at, item);
                    }
                }
                StoreAnswer::Done
            }
            StoreOp::Search { prefix, .. } => StoreAnswer::Items(
                items
                    .values()
                    .filter(|item| item.namespace.starts_with(&prefix))
                    .map(|item| Found { item: item.clone(), score: None })
                    .collect(),
            ),
            StoreOp::ListNamespaces { .. } => {
                let mut namespaces: Vec<_> = items.keys().map(|(ns, _)| ns.clone()).collect();
                namespaces.dedup();
                StoreAnswer::Namespaces(namespaces)
            }
        }
    }
}

#[async_trait]
impl RunSink for Sink {
    fn event(&self, lease: Lease, event: Event) {
        serde_json::from_slice::<serde_json::Value>(&event.data).expect("events are JSON");
        self.tell(lease, Told::Event(event));
    }

    fn save(&self, lease: Lease, op: SaverOp) {
        self.keep(lease.thread_id, op.clone());
        self.tell(lease, Told::Save(op));
    }

    async fn flush(&self, lease: Lease) -> Result<(), Error> {
        self.tell(lease, Told::Flush);
        if *self.broken.lock() { Err(Error::Unavailable("disk full".into())) } else { Ok(()) }
    }

    async fn load(
        &self,
        _lease: Option<Lease>,
        thread_id: ThreadId,
        ns: String,
        checkpoint_id: Option<String>,
    ) -> Result<Option<CheckpointTuple>, Error> {
        let found = self.checkpoint(thread_id, &ns, checkpoint_id.as_deref());
        self.loads.lock().push((thread_id, ns));
        Ok(found)
    }

    async fn store(&self, ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>, Error> {
        Ok(ops.into_iter().map(|op| self.store_one(op)).collect())
    }

    async fn done(&self, lease: Lease, outcome: Outcome) {
        self.tell(lease, Told::Done(outcome));
        let more = self.told.lock().remove(&lease);
        assert!(more.is_some(), "an attempt ended twice: {lease:?}");
    }

    fn slot_freed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn graphs_changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
