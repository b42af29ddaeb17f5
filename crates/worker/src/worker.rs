//! One connected worker: its jobs, what stops them, and how it is replaced.

mod frames;
mod jobs;
mod pulse;

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agent_server_domain::{
    Error,
    ports::{Answer, Ending, Outcome, RunOrder, RunSink, WorkerFigures},
};
use agent_server_storage::runs::Lease;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    connection::{Receiver, Sender},
    pool::Inner,
    protocol,
    slots::PoolSlot,
    wear::Wear,
};

use jobs::{Attempt, Jobs, Pending};
use pulse::Pulse;

/// A worker that has loaded the graphs.
pub(crate) struct Worker {
    /// Its place in the pool.
    pub(crate) index: usize,
    sender: Sender,
    pool: Weak<Inner>,
    sink: Arc<dyn RunSink>,
    tasks: TaskTracker,
    /// Set when the server stops: attempts are let go without a word and taken up by its next start.
    stopping: CancellationToken,
    jobs: Mutex<Jobs>,
    /// Slots that are taken.
    pub(crate) load: AtomicUsize,
    /// Slots of those that are beyond the limit, by depth.
    pub(crate) nested: Mutex<HashMap<u32, usize>>,
    /// Whether its only slot was taken by a run that must have no company.
    pub(crate) is_alone: AtomicBool,
    /// Whether it is kept free of new runs for one that must have no company.
    pub(crate) is_held: AtomicBool,
    grace: Duration,
    /// Whether it answers.
    pub(crate) pulse: Pulse,
    wear: Wear,
    /// Set when it has done enough: another is to take its place.
    pub(crate) worn: CancellationToken,
    /// Set when it takes no new runs; its process ends with those it has.
    pub(crate) retired: CancellationToken,
    /// Set when a node cannot be stopped: its process will be killed. Implies `retired`.
    pub(crate) given_up: CancellationToken,
    /// Set when the process was killed: ends the connection even if nobody can tell.
    killed: CancellationToken,
    /// Set when the connection has ended.
    gone: AtomicBool,
    /// Told when a job is over.
    changes: Notify,
}

impl Worker {
    pub(crate) fn new(index: usize, pid: i32, sender: Sender, pool: &Arc<Inner>) -> Self {
        Self {
            index,
            sender,
            pool: Arc::downgrade(pool),
            sink: Arc::clone(&pool.sink),
            tasks: pool.tasks.clone(),
            stopping: pool.stopping.clone(),
            jobs: Mutex::default(),
            load: AtomicUsize::new(0),
            nested: Mutex::default(),
            is_alone: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            grace: pool.options.grace,
            pulse: Pulse::default(),
            wear: Wear::new(pid, &pool.options),
            worn: CancellationToken::new(),
            retired: CancellationToken::new(),
            given_up: CancellationToken::new(),
            killed: CancellationToken::new(),
            gone: AtomicBool::new(false),
            changes: Notify::new(),
        }
    }

    /// How it stands; `room` is how many runs it may be given.
    pub(crate) fn figures(&self, room: usize) -> WorkerFigures {
        WorkerFigures {
            index: self.index,
            pid: self.wear.pid(),
            room: if self.is_usable() { room } else { 0 },
            runs: self.load.load(Ordering::Relaxed),
            memory_bytes: self.wear.memory(),
            loop_lag_ms: self.pulse.lag().as_secs_f64() * 1e3,
        }
    }

    /// Whether it takes new jobs.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.is_cancelled() && !self.gone.load(Ordering::Relaxed)
    }

    /// Whether it has executed or answered anything.
    pub(crate) fn has_served(&self) -> bool {
        self.jobs.lock().upcoming() > 1
    }

    /// Whether nothing of any run is left in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.load.load(Ordering::Relaxed) == 0 && self.jobs.lock().unsettled.is_empty()
    }

    /// Starts an attempt. Gives slot and lease back if the worker is gone.
    pub(crate) fn start(
        &self,
        slot: Box<PoolSlot>,
        order: RunOrder,
    ) -> Result<(), (Box<PoolSlot>, Lease)> {
        let mut jobs = self.jobs.lock();
        if jobs.closed.is_some() {
            return Err((slot, order.lease));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "compared with the worker's clock, never kept"
        )]
        let sent = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Sent under the lock: a cancel that finds the job must not overtake it.
        self.sender.send(protocol::run(jobs.upcoming(), sent.as_secs_f64(), &order));
        jobs.add(order, slot);
        Ok(())
    }

    /// Asks an attempt to stop, and makes sure that it does. `false` if it is not here.
    pub(crate) fn cancel(self: &Arc<Self>, lease: Lease) -> bool {
        let Some(job) = self.jobs.lock().of(lease) else { return false };
        self.sender.send(protocol::cancel(job));
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            if !worker.patience().await {
                return;
            }
            let Some(attempt) = worker.jobs.lock().take(job) else { return };
            tracing::warn!(worker = worker.index, run_id = %lease.run_id,
                "a cancelled run does not stop; its worker is given up");
            worker.give_up();
            worker.end(attempt, Outcome { ending: Ending::Cancelled, live: None }).await;
        });
        true
    }

    /// Waits as long as a cancelled run may take to end; `false` if the server stops meanwhile.
    async fn patience(&self) -> bool {
        self.stopping.run_until_cancelled(tokio::time::sleep(self.grace)).await.is_some()
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
                worker.give_up();
            }
        });
    }

    /// It takes no new runs, and its process will be killed.
    pub(crate) fn give_up(&self) {
        self.given_up.cancel();
        self.retired.cancel();
    }

    /// Asks all attempts to stop at the end of their superstep and to go on elsewhere.
    pub(crate) fn let_go(&self) {
        for job in self.jobs.lock().attempts.keys() {
            self.sender.send(protocol::let_go(*job));
        }
    }

    /// Asks a question; `frame` makes it for a job. The answer comes through the channel, which is dropped if the worker
    /// dies. Returns the job, too, if there is one.
    pub(crate) fn ask(
        &self,
        frame: impl FnOnce(u64) -> Vec<u8>,
    ) -> (Option<u64>, oneshot::Receiver<Result<Answer, Error>>) {
        let (reply, answer) = oneshot::channel();
        let mut jobs = self.jobs.lock();
        if jobs.closed.is_some() {
            return (None, answer);
        }
        let job = jobs.next();
        jobs.questions.insert(job, Pending { reply, ops: vec![] });
        self.sender.send(frame(job));
        (Some(job), answer)
    }

    /// Asks a question's handler to stop.
    pub(crate) fn drop_question(&self, job: u64) {
        self.sender.send(protocol::cancel(job));
    }

    /// Handles frames until the connection ends, then reports what became of every attempt that was in progress. Returns
    /// why it ended.
    pub(crate) async fn serve(self: Arc<Self>, mut receiver: Receiver) -> String {
        let mut looks = pulse::looks();
        let reason = loop {
            // Frames first: a worker is judged by what it has sent.
            let frame = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return "the server stops".into(),
                () = self.killed.cancelled() => break "its process was killed".to_owned(),
                frame = receiver.next() => frame,
                _ = looks.tick() => {
                    self.look();
                    continue;
                }
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => break "its process ended".to_owned(),
                Err(error) => break format!("its connection failed: {error}"),
            };
            match protocol::decode(frame) {
                Ok(frame) => self.handle(frame),
                Err(error) => break error.to_string(),
            }
        };
        self.close(&format!("worker {}: {reason}", self.index));
        reason
    }

    /// Ends the connection.
    pub(crate) fn cut(&self) {
        self.killed.cancel();
    }

    /// Ends every job. Called where frames are handled, so that nothing that came before is lost and nothing follows.
    fn close(self: &Arc<Self>, reason: &str) {
        self.gone.store(true, Ordering::Relaxed);
        let attempts = self.jobs.lock().close(reason, self.given_up.is_cancelled());
        self.changes.notify_waiters();
        for (attempt, ending) in attempts {
            let worker = Arc::clone(self);
            let outcome = Outcome { ending, live: None };
            self.tasks.spawn(async move { worker.end(attempt, outcome).await });
        }
    }

    /// Takes an attempt out that has not begun; the process asks before it begins, or never hears of it.
    pub(crate) fn take_order(&self, job: u64) -> Option<(Box<PoolSlot>, RunOrder)> {
        self.jobs.lock().take_order(job)
    }

    /// Room was given back.
    pub(crate) fn freed(&self) {
        self.changes.notify_waiters();
    }

    /// Returns when no attempt is in progress or about to be, and no question open.
    pub(crate) async fn until_idle(&self) {
        self.until(Jobs::is_idle).await;
    }

    /// The same, and no node of an ended attempt works any more.
    pub(crate) async fn until_settled(&self) {
        self.until(|jobs| jobs.is_idle() && jobs.unsettled.is_empty()).await;
    }

    async fn until(&self, wanted: impl Fn(&Jobs) -> bool) {
        loop {
            let changed = self.changes.notified();
            if self.load.load(Ordering::Relaxed) == 0 && wanted(&self.jobs.lock()) {
                return;
            }
            changed.await;
        }
    }

    async fn end(&self, attempt: Attempt, outcome: Outcome) {
        // There is room at once; the dispatcher is told after the end, which may make more runs startable.
        attempt.slot.release();
        if self.wear.is_reached(self.jobs.lock().started) {
            self.worn.cancel();
        }
        self.sink.done(attempt.lease, outcome).await;
    }
}
