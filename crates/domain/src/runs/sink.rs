//! What hosts report while they execute: events are forwarded, saver operations are gathered and saved together.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_server_storage::{
    Cost, RawJson, RunId, Scope, ThreadId,
    checkpoints::{CheckpointTuple, SaverOp},
    runs::{Lease, RunStatus},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::SetOnce, time::Instant};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{circumstances::Circumstances, early::EarlyEnd};
use crate::{
    Domain, Error, Inner, Result, measure,
    ports::{Event, Outcome, RunSink, StoreAnswer, StoreOp},
    stream::Save,
};

/// The longest save delay of events that somebody waits for.
const AWAITED_DELAY: Duration = Duration::from_millis(4);

/// What a thread's row shows of a checkpoint.
pub(super) struct Rendered {
    pub(super) checkpoint_id: String,
    pub(super) values: RawJson,
}

/// What one attempt produced and is not saved yet.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) ops: Vec<SaverOp>,
    /// The newest root checkpoint that was rendered, for the thread row.
    pub(super) newest: Option<Rendered>,
    /// Set when a save failed: the attempt cannot end well any more.
    pub(super) broken: Option<String>,
}

/// The buffer of one attempt.
pub(super) struct Buffer {
    graph_id: String,
    /// Whether the thread goes away with the run.
    pub(super) temporary: bool,
    /// Whether somebody is told of the run's end.
    pub(super) notifies: bool,
    /// When the attempt began.
    opened: Instant,
    /// Set when the attempt was asked to stop.
    pub(super) early: OnceLock<EarlyEnd>,
    /// Set when the lease was taken away: the run is over, or gone.
    revoked: AtomicBool,
    /// Set with the end of the attempt: whether it ended because it was asked to.
    pub(super) ended_early: SetOnce<bool>,
    pub(super) gathered: Mutex<Gathered>,
    /// The attempt in the log and in a trace.
    pub(super) circumstances: Circumstances,
    /// Held while taking and saving, so that operations reach storage in their order.
    pub(super) saving: tokio::sync::Mutex<()>,
    /// Counts the attempt as long as the buffer is there, which is until its end is committed and told.
    _attempt: TaskTrackerToken,
}

/// Buffers of the attempts in progress.
#[derive(Default)]
pub(crate) struct Buffers {
    open: Mutex<HashMap<Lease, Arc<Buffer>>>,
    attempts: TaskTracker,
}

impl Buffers {
    /// Opens a buffer before the lease is claimed: whoever takes the claimed lease away finds it.
    pub(super) fn open(
        &self,
        lease: Lease,
        graph_id: &str,
        temporary: bool,
        notifies: bool,
    ) -> Arc<Buffer> {
        let buffer = Arc::new(Buffer {
            graph_id: graph_id.to_owned(),
            temporary,
            notifies,
            opened: Instant::now(),
            early: OnceLock::new(),
            revoked: AtomicBool::new(false),
            ended_early: SetOnce::new(),
            gathered: Mutex::default(),
            circumstances: Circumstances::default(),
            saving: tokio::sync::Mutex::default(),
            _attempt: self.attempts.token(),
        });
        self.open.lock().insert(lease, Arc::clone(&buffer));
        buffer
    }

    pub(super) fn get(&self, lease: Lease) -> Option<Arc<Buffer>> {
        self.open.lock().get(&lease).cloned()
    }

    /// The attempt of a run, whichever it is.
    pub(super) fn of_run(&self, run: RunId) -> Option<(Lease, Arc<Buffer>)> {
        let open = self.open.lock();
        open.iter()
            .find(|(lease, _)| lease.run_id == run)
            .map(|(lease, buffer)| (*lease, Arc::clone(buffer)))
    }

    /// All attempts in progress, and when they began.
    pub(super) fn all(&self) -> Vec<(Lease, Instant)> {
        self.open.lock().iter().map(|(lease, buffer)| (*lease, buffer.opened)).collect()
    }

    /// Whatever comes for the lease from now on is dropped.
    pub(super) fn close(&self, lease: Lease) -> Option<Arc<Buffer>> {
        self.open.lock().remove(&lease)
    }

    /// Takes a buffer back whose lease was not claimed by who opened it. Somebody else may have opened one for the same
    /// lease by now: that one stays.
    pub(super) fn take_back(&self, lease: Lease, own: &Arc<Buffer>) {
        let mut open = self.open.lock();
        if open.get(&lease).is_some_and(|known| Arc::ptr_eq(known, own)) {
            open.remove(&lease);
        }
    }

    /// The same as [`Buffers::close`], and the lease was taken away.
    pub(super) fn revoke(&self, lease: Lease) -> Option<Arc<Buffer>> {
        let buffer = self.close(lease)?;
        buffer.revoked.store(true, Ordering::SeqCst);
        Some(buffer)
    }

    /// Closes all: the leases that were held until now.
    pub(super) fn close_all(&self) -> HashMap<Lease, Arc<Buffer>> {
        std::mem::take(&mut *self.open.lock())
    }

    /// The attempts in progress.
    pub(super) fn attempts(&self) -> &TaskTracker {
        &self.attempts
    }
}

impl Buffer {
    /// Whether the attempt is not to go on.
    pub(super) fn is_unwanted(&self) -> bool {
        self.early.get().is_some() || self.is_revoked()
    }

    /// Whether the lease was taken away.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }

    /// Counts the end of the run with this attempt.
    pub(super) fn measure_end(&self, status: RunStatus) {
        measure::ended(&self.graph_id, status, self.opened.elapsed());
        self.circumstances.ended(status, self.opened.elapsed());
    }
}

impl Gathered {
    /// Takes an operation in; `true` if it is the first since the last save.
    fn add(&mut self, op: SaverOp) -> bool {
        if let SaverOp::Base(base) = &op
            && base.ns.is_empty()
        {
            self.newest = Some(Rendered {
                checkpoint_id: base.checkpoint_id.clone(),
                values: base.values.clone(),
            });
        }
        self.ops.push(op);
        self.ops.len() == 1
    }
}

impl Domain {
    /// Sends an event of an attempt to whoever listens. A stale attempt has no buffer any more: its late events must not
    /// mix with its successor's.
    pub(super) fn emit(&self, lease: Lease, event: Event) {
        let Some(buffer) = self.0.buffers.get(lease) else { return };
        match self.0.streams.push(lease.run_id, self.now(), event) {
            Save::No => {}
            Save::Soon => {
                // Who is given only what is stored had better not wait long for it.
                let is_awaited = self.0.streams.is_kept_followed(lease.thread_id);
                let delay = self.save_delay();
                let delay = if is_awaited { delay.min(AWAITED_DELAY) } else { delay };
                self.save_later(lease, buffer, delay);
            }
            Save::Now => self.save_later(lease, buffer, Duration::ZERO),
        }
    }

    fn save_delay(&self) -> Duration {
        Duration::from_millis(self.0.options.save_delay_ms)
    }

    fn save_later(&self, lease: Lease, buffer: Arc<Buffer>, delay: Duration) {
        let domain = self.clone();
        self.0.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Err(error) = domain.save_gathered(lease, &buffer).await {
                tracing::debug!(%error, run_id = %lease.run_id, "an attempt could not save what it produced");
            }
        });
    }

    /// Saves what the attempt of a run has gathered and what the run has sent; `false` if there is none, or if it could not.
    pub(crate) async fn save_attempt(&self, run: RunId) -> bool {
        match self.0.buffers.of_run(run) {
            Some((lease, buffer)) => self.save_gathered(lease, &buffer).await.is_ok(),
            None => false,
        }
    }

    /// Saves what the attempt has gathered. `Err` if it could not be, or the lease is not held any more.
    pub(super) async fn save_gathered(&self, lease: Lease, buffer: &Buffer) -> Result<()> {
        let _order = buffer.saving.lock().await;
        if let Some(cause) = &buffer.gathered.lock().broken {
            return Err(Error::Unavailable(cause.clone()));
        }
        let log = self.0.streams.find(lease.run_id).filter(|log| log.is_resumable());
        let _events_order = match &log {
            Some(log) => Some(log.saving().await),
            None => None,
        };
        // Events first: what was gathered before one of them is saved with it, not after it.
        let events = log.as_ref().map(|log| log.unsaved()).unwrap_or_default();
        let ops = std::mem::take(&mut buffer.gathered.lock().ops);
        if ops.is_empty() && events.is_empty() {
            return Ok(());
        }
        let (count, only_events) = (events.len(), ops.is_empty());
        let saved = self
            .storage()
            .write(move |tx| {
                if !tx.holds_lease(lease)? {
                    return Err(Error::Conflict(format!(
                        "the lease on run {} is not held any more",
                        lease.run_id
                    )));
                }
                tx.keep_before(lease.thread_id, lease.run_id, &ops)?;
                tx.save(lease.thread_id, &ops)?;
                Ok(tx.append_events(lease.run_id, &events)?)
            })
            .await;
        match (&saved, &log) {
            // Events stay in the log until a save succeeds; saver operations have left the buffer.
            (Err(_), _) if only_events => {}
            (Err(error), _) => buffer.gathered.lock().broken = Some(error.to_string()),
            (Ok(()), Some(log)) => self.0.streams.saved(log, count, self.now()),
            (Ok(()), None) => {}
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
        domain.emit(lease, event);
    }

    fn save(&self, lease: Lease, op: SaverOp) {
        let Some(domain) = self.domain() else { return };
        let Some(buffer) = domain.0.buffers.get(lease) else { return };
        if !buffer.gathered.lock().add(op) {
            return;
        }
        domain.save_later(lease, buffer, domain.save_delay());
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
                let scope = Scope::server();
                tx.get_checkpoint(&scope, thread_id, &ns, checkpoint_id.as_deref())
                    .map_err(Error::from)
            })
            .await
    }

    async fn store(&self, ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>> {
        let scope = agent_server_storage::Scope::server();
        self.required()?.store_batch(&scope, ops).await
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
        domain.0.introspections.clear();
        let tasks = domain.0.tasks.clone();
        tasks.spawn(async move {
            if let Err(error) = domain.register_graphs().await {
                tracing::error!(%error, "default assistants could not be updated");
            }
            domain.0.wake.notify_one();
        });
    }
}
