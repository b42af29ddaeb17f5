//! One connected worker: its jobs, and what its frames mean for them.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent_server_domain::{
    Error,
    ports::{Answer, Ending, Event, LiveState, Outcome, Question, RunOrder, RunSink},
};
use agent_server_storage::{
    RawJson,
    checkpoints::{Base, SaverOp},
    runs::Lease,
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    connection::{Receiver, Sender},
    pool::PoolSlot,
    protocol::{self, Asked, FromWorker, Live},
};

/// A worker that has loaded the graphs.
pub(crate) struct Worker {
    /// Its place in the pool.
    pub(crate) index: usize,
    sender: Sender,
    sink: Arc<dyn RunSink>,
    tasks: TaskTracker,
    /// Set when the server stops: attempts are let go without a word and taken up by its next start.
    stopping: CancellationToken,
    jobs: Mutex<Jobs>,
    /// Slots that are taken.
    pub(crate) load: AtomicUsize,
    grace: Duration,
    /// Set when a node cannot be stopped: the worker takes no new runs and its process will be killed.
    pub(crate) retired: CancellationToken,
    /// Set when the connection has ended.
    gone: AtomicBool,
    /// Told when the last attempt has ended.
    idle: Notify,
}

#[derive(Default)]
struct Jobs {
    /// Why there can be no more jobs.
    closed: Option<String>,
    last: u64,
    attempts: HashMap<u64, Attempt>,
    questions: HashMap<u64, Pending>,
    by_lease: HashMap<Lease, u64>,
    /// Jobs whose synchronous nodes still work after the end.
    unsettled: HashSet<u64>,
}

struct Attempt {
    lease: Lease,
    slot: Box<PoolSlot>,
    /// Data of the last root `values` event, which the next base may refer to.
    values: Option<Bytes>,
    /// Values of the last root base, which the end may refer to.
    base: Option<RawJson>,
}

struct Pending {
    reply: oneshot::Sender<Result<Answer, Error>>,
    ops: Vec<SaverOp>,
}

impl Jobs {
    fn take(&mut self, job: u64) -> Option<Attempt> {
        let attempt = self.attempts.remove(&job)?;
        self.by_lease.remove(&attempt.lease);
        Some(attempt)
    }
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        sender: Sender,
        sink: Arc<dyn RunSink>,
        tasks: TaskTracker,
        stopping: CancellationToken,
        grace: Duration,
    ) -> Self {
        Self {
            index,
            sender,
            sink,
            tasks,
            stopping,
            jobs: Mutex::default(),
            load: AtomicUsize::new(0),
            grace,
            retired: CancellationToken::new(),
            gone: AtomicBool::new(false),
            idle: Notify::new(),
        }
    }

    /// Whether it takes new jobs.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.is_cancelled() && !self.gone.load(Ordering::Relaxed)
    }

    /// Starts an attempt. Gives the slot back if the worker is gone.
    pub(crate) fn start(&self, slot: Box<PoolSlot>, order: &RunOrder) -> Result<(), Box<PoolSlot>> {
        let mut jobs = self.jobs.lock();
        if jobs.closed.is_some() {
            return Err(slot);
        }
        jobs.last += 1;
        let job = jobs.last;
        let lease = order.lease;
        jobs.by_lease.insert(lease, job);
        jobs.attempts.insert(job, Attempt { lease, slot, values: None, base: None });
        // Sent under the lock: a cancel that finds the job must not overtake it.
        self.sender.send(protocol::run(job, order));
        Ok(())
    }

    /// Asks an attempt to stop, and makes sure that it does. `false` if it is not here.
    pub(crate) fn cancel(self: &Arc<Self>, lease: Lease) -> bool {
        let Some(job) = self.jobs.lock().by_lease.get(&lease).copied() else { return false };
        self.sender.send(protocol::cancel(job));
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            if !worker.patience().await {
                return;
            }
            let Some(attempt) = worker.jobs.lock().take(job) else { return };
            tracing::warn!(worker = worker.index, run_id = %lease.run_id,
                "a cancelled run does not stop; its worker is given up");
            worker.retired.cancel();
            worker.end(attempt, Outcome { ending: Ending::Cancelled, live: None }).await;
        });
        true
    }

    /// Waits as long as a cancelled run may take to end; `false` if the server stops meanwhile.
    async fn patience(&self) -> bool {
        self.stopping.run_until_cancelled(tokio::time::sleep(self.grace)).await.is_some()
    }

    /// Asks a question. The answer comes through the channel, which is dropped if the worker dies.
    pub(crate) fn ask(
        &self,
        graph_id: &str,
        question: &Question,
    ) -> oneshot::Receiver<Result<Answer, Error>> {
        let (reply, answer) = oneshot::channel();
        let mut jobs = self.jobs.lock();
        if jobs.closed.is_none() {
            jobs.last += 1;
            let job = jobs.last;
            jobs.questions.insert(job, Pending { reply, ops: vec![] });
            self.sender.send(protocol::ask(job, graph_id, question));
        }
        answer
    }

    /// Handles frames until the connection ends, then reports every attempt that was in progress as lost. Returns why it
    /// ended.
    pub(crate) async fn serve(self: Arc<Self>, mut receiver: Receiver) -> String {
        let reason = loop {
            let frame = match self.stopping.run_until_cancelled(receiver.next()).await {
                None => return "the server stops".into(),
                Some(Ok(Some(frame))) => frame,
                Some(Ok(None)) => break "its process ended".to_owned(),
                Some(Err(error)) => break format!("its connection failed: {error}"),
            };
            match protocol::decode(frame) {
                Ok(frame) => self.handle(frame),
                Err(error) => break error.to_string(),
            }
        };
        self.close(format!("worker {}: {reason}", self.index));
        reason
    }

    /// Ends every job: what the worker did not finish is lost.
    pub(crate) fn close(self: &Arc<Self>, reason: String) {
        self.gone.store(true, Ordering::Relaxed);
        let attempts: Vec<_> = {
            let mut jobs = self.jobs.lock();
            jobs.closed = Some(reason.clone());
            jobs.questions.clear();
            jobs.by_lease.clear();
            jobs.attempts.drain().map(|(_, attempt)| attempt).collect()
        };
        self.idle.notify_waiters();
        for attempt in attempts {
            let worker = Arc::clone(self);
            let outcome = Outcome { ending: Ending::Lost(reason.clone()), live: None };
            self.tasks.spawn(async move { worker.end(attempt, outcome).await });
        }
    }

    /// Returns when no attempt is in progress.
    pub(crate) async fn until_idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.jobs.lock().attempts.is_empty() {
                return;
            }
            notified.await;
        }
    }

    async fn end(&self, attempt: Attempt, outcome: Outcome) {
        // There is room at once; the dispatcher is told after the end, which may make more runs startable.
        attempt.slot.release();
        if self.jobs.lock().attempts.is_empty() {
            self.idle.notify_waiters();
        }
        self.sink.done(attempt.lease, outcome).await;
    }

    fn lease(&self, job: u64) -> Option<Lease> {
        self.jobs.lock().attempts.get(&job).map(|attempt| attempt.lease)
    }

    fn handle(self: &Arc<Self>, frame: FromWorker) {
        match frame {
            FromWorker::Event { job, name, data } => self.event(job, name, data),
            FromWorker::Save { job, op } => self.save(job, op),
            FromWorker::Base { job, ns, checkpoint_id, next, tasks, values } => {
                let mut jobs = self.jobs.lock();
                let Some(attempt) = jobs.attempts.get_mut(&job) else { return };
                let same = || attempt.values.as_deref().and_then(text);
                let Some(values) = values.or_else(same) else { return };
                if ns.is_empty() {
                    attempt.base = Some(values.clone());
                }
                let lease = attempt.lease;
                drop(jobs);
                self.sink
                    .save(lease, SaverOp::Base(Base { ns, checkpoint_id, values, next, tasks }));
            }
            FromWorker::Request { id, asked } => {
                let worker = Arc::clone(self);
                self.tasks.spawn(async move { worker.request(id, asked).await });
            }
            FromWorker::Done { job, ending, threads, live } => {
                self.done(job, ending, threads, live);
            }
            FromWorker::Answer { job, result } => self.answered(job, result),
            FromWorker::Settled { job } => {
                self.jobs.lock().unsettled.remove(&job);
            }
            FromWorker::Hello(_) | FromWorker::Exited { .. } => {}
        }
    }

    fn event(&self, job: u64, name: String, data: Bytes) {
        let mut jobs = self.jobs.lock();
        let Some(attempt) = jobs.attempts.get_mut(&job) else { return };
        if name == "values" {
            attempt.values = Some(data.clone());
        }
        let lease = attempt.lease;
        drop(jobs);
        self.sink.event(lease, Event { name, data });
    }

    fn save(&self, job: u64, mut op: SaverOp) {
        let mut jobs = self.jobs.lock();
        if let Some(question) = jobs.questions.get_mut(&job) {
            question.ops.push(op);
            return;
        }
        drop(jobs);
        let Some(lease) = self.lease(job) else { return };
        if let SaverOp::Put(put) = &mut op {
            put.run_id = Some(lease.run_id);
        }
        self.sink.save(lease, op);
    }

    async fn request(&self, id: u64, asked: Asked) {
        let gone = || Error::Conflict("the attempt has ended".into());
        let reply = match asked {
            Asked::Load { job, thread_id, ns, checkpoint_id } => {
                let lease = self.lease(job);
                if lease.is_none() && !self.jobs.lock().questions.contains_key(&job) {
                    Err(gone())
                } else {
                    let found = self.sink.load(lease, thread_id, ns, checkpoint_id).await;
                    found.map(|found| protocol::tuple_reply(id, found.as_ref()))
                }
            }
            Asked::Store { ops } => {
                self.sink.store(ops).await.map(|answers| protocol::stored(id, &answers))
            }
            Asked::Flush { job } => match self.lease(job) {
                Some(lease) => self.sink.flush(lease).await.map(|()| protocol::stored(id, &[])),
                None => Err(gone()),
            },
        };
        self.sender.send(reply.unwrap_or_else(|error| protocol::refusal(id, &error)));
    }

    fn done(self: &Arc<Self>, job: u64, ending: Ending, threads: u32, live: Option<Live>) {
        let Some(attempt) = self.jobs.lock().take(job) else { return };
        if threads > 0 {
            self.watch(job, attempt.lease);
        }
        let live = live.and_then(|live| assembled(live, attempt.base.as_ref()));
        let worker = Arc::clone(self);
        let outcome = Outcome { ending, live };
        self.tasks.spawn(async move { worker.end(attempt, outcome).await });
    }

    /// Gives the worker up if the synchronous nodes of an ended attempt do not return.
    fn watch(self: &Arc<Self>, job: u64, lease: Lease) {
        self.jobs.lock().unsettled.insert(job);
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            if !worker.patience().await {
                return;
            }
            let jobs = worker.jobs.lock();
            if jobs.closed.is_none() && jobs.unsettled.contains(&job) {
                tracing::warn!(worker = worker.index, run_id = %lease.run_id,
                    "a synchronous node of a cancelled run does not return; its worker is given up");
                worker.retired.cancel();
            }
        });
    }

    fn answered(&self, job: u64, result: Result<(RawJson, Option<Live>), protocol::AnswerError>) {
        let Some(Pending { reply, ops }) = self.jobs.lock().questions.remove(&job) else { return };
        let answer = match result {
            Ok((json, live)) => {
                Ok(Answer { json, live: live.and_then(|live| assembled(live, None)), ops })
            }
            Err(protocol::AnswerError { kind, message }) => Err(match kind.as_str() {
                "bad_graph" => Error::BadGraph(message),
                "invalid" => Error::Invalid(message),
                "refused" => Error::Refused(message),
                "unavailable" => Error::Unavailable(message),
                _ => Error::Internal(message),
            }),
        };
        let _ = reply.send(answer);
    }
}

/// JSON text from bytes that a worker vouches for.
fn text(bytes: &[u8]) -> Option<RawJson> {
    std::str::from_utf8(bytes).ok().map(RawJson::trusted)
}

/// Puts a live view together; `base` holds the values of the last root base.
fn assembled(live: Live, base: Option<&RawJson>) -> Option<LiveState> {
    let state = if live.head.of_base {
        // `{"next":…}` without its first brace follows the values.
        let rest = live.state.get().strip_prefix('{')?;
        RawJson::trusted(format!(r#"{{"values":{},{rest}"#, base?.get()))
    } else {
        live.state
    };
    Some(LiveState {
        checkpoint_id: live.head.checkpoint,
        state,
        pending: live.head.pending,
        interrupts: live.interrupts,
    })
}
