//! What hosts report while they execute: events are forwarded, saver operations are gathered and saved together.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use agent_server_storage::{
    Cost, RawJson, ThreadId,
    checkpoints::{CheckpointTuple, SaverOp},
    runs::Lease,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    Domain, Error, Inner, Result,
    ports::{Event, Outcome, RunSink, StoreAnswer, StoreOp},
};

/// What one attempt produced and is not saved yet.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) ops: Vec<SaverOp>,
    /// Values of the newest root checkpoint seen, for the thread row.
    pub(super) values: Option<RawJson>,
    /// Whether that checkpoint has tasks left.
    pub(super) pending: bool,
    /// Set when a save failed: the attempt cannot end well any more.
    pub(super) broken: Option<String>,
}

/// The buffer of one attempt.
pub(super) struct Buffer {
    /// Whether the thread goes away with the run.
    pub(super) temporary: bool,
    /// When the attempt began.
    opened: Instant,
    pub(super) gathered: Mutex<Gathered>,
    /// Held while taking and saving, so that operations reach storage in their order.
    pub(super) saving: tokio::sync::Mutex<()>,
}

/// Buffers of the attempts in progress.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<HashMap<Lease, Arc<Buffer>>>);

impl Buffers {
    pub(super) fn open(&self, lease: Lease, temporary: bool) {
        let buffer = Buffer {
            temporary,
            opened: Instant::now(),
            gathered: Mutex::default(),
            saving: tokio::sync::Mutex::default(),
        };
        self.0.lock().insert(lease, Arc::new(buffer));
    }

    pub(super) fn get(&self, lease: Lease) -> Option<Arc<Buffer>> {
        self.0.lock().get(&lease).cloned()
    }

    /// All attempts in progress, and when they began.
    pub(super) fn all(&self) -> Vec<(Lease, Instant)> {
        self.0.lock().iter().map(|(lease, buffer)| (*lease, buffer.opened)).collect()
    }

    /// Whatever comes for the lease from now on is dropped.
    pub(super) fn close(&self, lease: Lease) -> Option<Arc<Buffer>> {
        self.0.lock().remove(&lease)
    }
}

impl Gathered {
    /// Takes an operation in; `true` if it is the first since the last save.
    fn add(&mut self, op: SaverOp) -> bool {
        if let SaverOp::Base(base) = &op
            && base.ns.is_empty()
        {
            self.values = Some(base.values.clone());
            self.pending = base.next.get() != "[]";
        }
        self.ops.push(op);
        self.ops.len() == 1
    }
}

impl Domain {
    /// Saves what the attempt has gathered. `Err` if it could not be, or the lease is not held any more.
    pub(super) async fn save_gathered(&self, lease: Lease, buffer: &Buffer) -> Result<()> {
        let _order = buffer.saving.lock().await;
        let ops = {
            let mut gathered = buffer.gathered.lock();
            if let Some(cause) = &gathered.broken {
                return Err(Error::Unavailable(cause.clone()));
            }
            std::mem::take(&mut gathered.ops)
        };
        if ops.is_empty() {
            return Ok(());
        }
        let saved = self
            .storage()
            .write(move |tx| {
                if !tx.holds_lease(lease)? {
                    return Err(Error::Conflict(format!(
                        "the lease on run {} is not held any more",
                        lease.run_id
                    )));
                }
                Ok(tx.save(lease.thread_id, &ops)?)
            })
            .await;
        if let Err(error) = &saved {
            buffer.gathered.lock().broken = Some(error.to_string());
        }
        saved
    }
}

/// The domain's ear for hosts.
pub(crate) struct Sink(pub(crate) Weak<Inner>);

impl Sink {
    fn domain(&self) -> Option<Domain> {
        self.0.upgrade().map(Domain)
    }

    fn required(&self) -> Result<Domain> {
        self.domain().ok_or_else(|| Error::Unavailable("the server is stopping".into()))
    }
}

#[async_trait]
impl RunSink for Sink {
    fn event(&self, lease: Lease, event: Event) {
        let Some(domain) = self.domain() else { return };
        // A stale attempt has no buffer any more: its late events must not mix with its successor's.
        if domain.0.buffers.get(lease).is_some() {
            domain.0.streams.push(lease.run_id, domain.now(), event);
        }
    }

    fn save(&self, lease: Lease, op: SaverOp) {
        let Some(domain) = self.domain() else { return };
        let Some(buffer) = domain.0.buffers.get(lease) else { return };
        if !buffer.gathered.lock().add(op) {
            return;
        }
        let delay = Duration::from_millis(domain.0.options.save_delay_ms);
        let tasks = domain.0.tasks.clone();
        tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Err(error) = domain.save_gathered(lease, &buffer).await {
                tracing::debug!(%error, run_id = %lease.run_id, "checkpoints were not saved");
            }
        });
    }

    async fn flush(&self, lease: Lease) -> Result<()> {
        let domain = self.required()?;
        let buffer = domain.0.buffers.get(lease).ok_or_else(|| {
            Error::Conflict(format!("the lease on run {} is not held any more", lease.run_id))
        })?;
        domain.save_gathered(lease, &buffer).await
    }

    async fn load(
        &self,
        lease: Option<Lease>,
        thread_id: ThreadId,
        ns: String,
        checkpoint_id: Option<String>,
    ) -> Result<Option<CheckpointTuple>> {
        let domain = self.required()?;
        if let Some(lease) = lease {
            self.flush(lease).await?;
        }
        domain
            .storage()
            .read(Cost::Point, move |tx| {
                let scope = Default::default();
                tx.get_checkpoint(&scope, thread_id, &ns, checkpoint_id.as_deref())
                    .map_err(Error::from)
            })
            .await
    }

    async fn store(&self, ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>> {
        self.required()?.store_batch(ops).await
    }

    async fn done(&self, lease: Lease, outcome: Outcome) {
        if let Some(domain) = self.domain() {
            domain.end_attempt(lease, outcome).await;
        }
    }

    fn slot_freed(&self) {
        if let Some(domain) = self.domain() {
            domain.0.wake.notify_one();
        }
    }

    fn graphs_changed(&self) {
        let Some(domain) = self.domain() else { return };
        let tasks = domain.0.tasks.clone();
        tasks.spawn(async move {
            if let Err(error) = domain.register_graphs().await {
                tracing::error!(%error, "default assistants could not be updated");
            }
            domain.0.wake.notify_one();
        });
    }
}
