//! Run events: order, ids, listeners, replay.
//!
//! A log exists while a run is in flight, or somebody follows a thread. Whoever ends a run closes its log, after the final
//! status is committed; that a server stops closes none, for the run goes on. The events of resumable runs are stored as
//! well, together with whatever else the attempt saves, and a listener reads there what memory does not hold: from before a
//! restart, from before the end of the run, or from before the oldest event of a log that grew too long.
//!
//! Source: reference/streaming.md, sections 8 to 10.

mod keep;
mod listener;
mod log;
mod sender;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use agent_server_storage::{RunId, ThreadId, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::ports::Event;

pub use agent_server_storage::events::EventId;
pub use listener::{From, Listener, Step};
pub use log::Logged;
use log::Subject;
pub(crate) use log::{Log, Save};
pub use sender::Sender;

/// Reads what a client sends as `Last-Event-ID`: `<ms>`, `<ms>-<seq>` or `<ms>-*`; `-`, `-1` and `0` mean "from the
/// beginning". `None` for text that is no id.
pub(crate) fn parse_id(text: &str) -> Option<EventId> {
    let text = text.trim();
    if matches!(text, "-" | "-1") {
        return Some(EventId::MIN);
    }
    let (millis, seq) = text.split_once('-').unwrap_or((text, "0"));
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // More than any id has.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let seq = if seq == "*" { u64::MAX } else { number(seq)? };
    Some(EventId { millis: number(millis)?, seq })
}

/// The logs of all runs in flight and of all threads that are followed.
pub(crate) struct Streams {
    limit: usize,
    /// The largest id given out, of whatever run: ids increase in every thread, and so in every run.
    last: Mutex<EventId>,
    logs: Mutex<HashMap<RunId, Arc<Log>>>,
    /// Kept by their listeners.
    threads: RwLock<HashMap<ThreadId, Weak<Log>>>,
    /// The same for those who get only what is stored, as soon as it is.
    kept: RwLock<HashMap<ThreadId, Weak<Log>>>,
}

impl Streams {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            last: Mutex::new(EventId::MIN),
            logs: Mutex::default(),
            threads: RwLock::default(),
            kept: RwLock::default(),
        }
    }

    /// Gives out larger ids than this one from now on: it was given out by an earlier process.
    pub(crate) fn go_on_after(&self, id: EventId) {
        let mut last = self.last.lock();
        *last = id.max(*last);
    }

    fn next_id(&self, now: Timestamp) -> EventId {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let mut last = self.last.lock();
        *last = if millis > last.millis {
            EventId { millis, seq: 0 }
        } else {
            EventId { millis: last.millis, seq: last.seq + 1 }
        };
        *last
    }

    /// The log of a run that is about to be created.
    pub(crate) fn open_new(&self, run_id: RunId, thread_id: ThreadId, resumable: bool) -> Arc<Log> {
        self.open_at(run_id, thread_id, resumable, EventId::MIN)
    }

    /// The run's log, made if there is none yet. Only for runs that are not over: somebody must close it.
    pub(crate) fn open(&self, run_id: RunId, thread_id: ThreadId, resumable: bool) -> Arc<Log> {
        // What an earlier process stored was given smaller ids than any that follows.
        let floor = *self.last.lock();
        self.open_at(run_id, thread_id, resumable, floor)
    }

    fn open_at(
        &self,
        run_id: RunId,
        thread_id: ThreadId,
        resumable: bool,
        floor: EventId,
    ) -> Arc<Log> {
        let make =
            || Arc::new(Log::new(thread_id, Subject::Run(run_id), resumable, floor, self.limit));
        Arc::clone(self.logs.lock().entry(run_id).or_insert_with(make))
    }

    /// The run's log, if there is one.
    pub(crate) fn find(&self, run_id: RunId) -> Option<Arc<Log>> {
        self.logs.lock().get(&run_id).cloned()
    }

    /// Adds an event and says whether it must be saved. Without a log nobody listens and nobody ever will from the start,
    /// so it is dropped.
    pub(crate) fn push(&self, run_id: RunId, now: Timestamp, event: Event) -> Save {
        let Some(log) = self.find(run_id) else { return Save::No };
        let logged = Logged { id: EventId::MIN, of_run: None, event, thread_only: false };
        self.add(&log, logged, false, now);
        if log.is_resumable() { log.ask() } else { Save::No }
    }

    /// Gives an event its id, so that it can be stored before anybody sees it.
    pub(crate) fn stamp(&self, now: Timestamp, event: Event, thread_only: bool) -> Logged {
        Logged { id: self.next_id(now), of_run: None, event, thread_only }
    }

    /// Adds events that are stored already, if the run is one whose events are.
    pub(crate) fn publish(&self, log: &Log, events: Vec<Logged>, now: Timestamp) {
        let added = events.into_iter().filter_map(|logged| self.add(log, logged, true, now));
        let added: Vec<_> = added.collect();
        if log.is_resumable()
            && let Some(kept) = self.find_kept(log.thread_id)
        {
            kept.keep(added, || self.next_id(now));
        }
    }

    /// The oldest `count` of what was unsaved in a log is stored.
    pub(crate) fn saved(&self, log: &Log, count: usize, now: Timestamp) {
        // Whoever comes after this look reads in storage what is stored by now.
        let kept = self.find_kept(log.thread_id);
        let saved = log.saved(count, kept.is_some());
        if let Some(kept) = kept {
            kept.keep(saved, || self.next_id(now));
        }
    }

    fn add(&self, log: &Log, logged: Logged, is_saved: bool, now: Timestamp) -> Option<Logged> {
        let threads = self.threads.read();
        let thread = threads.get(&log.thread_id).and_then(Weak::upgrade);
        let _order = thread.as_ref().map(|thread| thread.order.lock());
        let added = log.push(logged, is_saved, || self.next_id(now))?;
        if let Some(thread) = &thread {
            // It keeps its id, unless another run of the thread began while its end was being stored.
            thread.push(added.clone(), true, || self.next_id(now));
        }
        Some(added)
    }

    /// Adds an event that belongs to the thread alone.
    pub(crate) fn push_thread(&self, thread_id: ThreadId, now: Timestamp, event: Event) {
        if let Some(thread) = self.find_thread(thread_id) {
            let _order = thread.order.lock();
            let logged = Logged { id: EventId::MIN, of_run: None, event, thread_only: true };
            thread.push(logged, true, || self.next_id(now));
        }
    }

    /// Tells those who follow the thread that a run is over.
    pub(crate) fn push_done(&self, run_id: RunId, thread_id: ThreadId, now: Timestamp) {
        match self.find(run_id) {
            Some(log) => {
                let event = done(run_id);
                let logged = Logged { id: EventId::MIN, of_run: None, event, thread_only: true };
                self.add(&log, logged, false, now);
            }
            None => self.push_thread(thread_id, now, done(run_id)),
        }
    }

    /// Ends the run's stream. Its log stays until [`Streams::forget`].
    pub(crate) fn close(&self, run_id: RunId) -> Option<Arc<Log>> {
        let log = self.find(run_id)?;
        log.close();
        Some(log)
    }

    /// Drops the log of an ended run.
    pub(crate) fn forget(&self, run_id: RunId) {
        self.logs.lock().remove(&run_id);
    }

    /// Ends the run's stream and keeps nothing of it.
    pub(crate) fn discard(&self, run_id: RunId) {
        if let Some(log) = self.logs.lock().remove(&run_id) {
            log.close();
        }
    }

    /// The log of a thread, made if nobody follows the thread yet.
    fn open_thread(&self, thread_id: ThreadId) -> Arc<Log> {
        self.open_in(&self.threads, thread_id)
    }

    /// The log of what a thread has stored, made if nobody follows that yet.
    fn open_kept(&self, thread_id: ThreadId) -> Arc<Log> {
        self.open_in(&self.kept, thread_id)
    }

    fn open_in(
        &self,
        threads: &RwLock<HashMap<ThreadId, Weak<Log>>>,
        thread_id: ThreadId,
    ) -> Arc<Log> {
        let mut threads = threads.write();
        if let Some(log) = threads.get(&thread_id).and_then(Weak::upgrade) {
            return log;
        }
        threads.retain(|_, log| log.strong_count() > 0);
        // Under the lock: whatever is given a larger id is given to this log as well.
        let floor = *self.last.lock();
        let log = Arc::new(Log::new(thread_id, Subject::Thread, false, floor, self.limit));
        threads.insert(thread_id, Arc::downgrade(&log));
        log
    }

    /// Whether somebody waits for the thread's events to be stored.
    pub(crate) fn is_kept_followed(&self, thread_id: ThreadId) -> bool {
        self.find_kept(thread_id).is_some()
    }

    /// Whether somebody follows the thread.
    fn is_followed(&self, thread_id: ThreadId) -> bool {
        self.find_thread(thread_id).is_some()
    }

    /// The log of a thread that somebody follows.
    fn find_thread(&self, thread_id: ThreadId) -> Option<Arc<Log>> {
        self.threads.read().get(&thread_id).and_then(Weak::upgrade)
    }

    fn find_kept(&self, thread_id: ThreadId) -> Option<Arc<Log>> {
        self.kept.read().get(&thread_id).and_then(Weak::upgrade)
    }

    /// The logs of the thread's runs.
    fn of_thread(&self, thread_id: ThreadId) -> Vec<Arc<Log>> {
        self.logs.lock().values().filter(|log| log.thread_id == thread_id).cloned().collect()
    }

    /// Ends the stream of a thread that is gone.
    pub(crate) fn close_thread(&self, thread_id: ThreadId) {
        for logs in [&self.threads, &self.kept] {
            // Taken out: a thread with the same id that is made later is another one.
            if let Some(log) = logs.write().remove(&thread_id).and_then(|log| log.upgrade()) {
                log.close();
            }
        }
    }
}

/// What those who follow a thread get after the last event of a run.
pub(crate) fn done(run_id: RunId) -> Event {
    let data = serde_json::json!({"status": "run_done", "run_id": run_id.to_string()});
    Event { name: "metadata".into(), data: data.to_string().into() }
}
