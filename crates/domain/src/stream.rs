//! Run events in memory: order, ids, listeners, replay.
//!
//! A [`RunLog`] exists while a run is in flight or somebody listens, and for a while after the end of a resumable run.
//! Whoever ends a run closes its log, after the final status is committed. That a server stops closes none: the run goes on.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use agent_server_storage::{RunId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ports::Event;

/// Position of an event, `<unix ms>-<seq>` on the wire; strictly increasing within a run, also across restarts because
/// the clock moves on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// Milliseconds since 1970.
    pub millis: u64,
    /// Counts events of one millisecond.
    pub seq: u64,
}

impl EventId {
    /// Reads what a client sends as `Last-Event-ID`. `-`, `-1` and `0` mean "from the beginning". Text that is no id
    /// sorts after every id and so replays nothing, as the wire does.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if matches!(text, "-" | "-1") {
            return Self::default();
        }
        let (millis, seq) = text.split_once('-').unwrap_or((text, "0"));
        match (millis.parse(), if seq == "*" { Ok(u64::MAX) } else { seq.parse() }) {
            (Ok(millis), Ok(seq)) => Self { millis, seq },
            _ => Self { millis: u64::MAX, seq: u64::MAX },
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

/// An event with its place in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Where it stands.
    pub id: EventId,
    /// The event.
    pub event: Event,
}

struct State {
    events: VecDeque<Logged>,
    /// Number of events dropped from the front; the absolute index of `events[0]`.
    dropped: u64,
    bytes: usize,
    last: EventId,
    closed: bool,
}

/// The events of one run.
pub struct RunLog {
    run_id: RunId,
    /// Whether ids go out and a late listener gets a replay.
    resumable: bool,
    limit: usize,
    state: Mutex<State>,
    changed: Notify,
}

/// Where a listener starts.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// With the first event that is kept.
    Start,
    /// With what comes from now on.
    Now,
    /// After this event.
    After(EventId),
}

impl RunLog {
    fn new(run_id: RunId, resumable: bool, limit: usize) -> Self {
        let state = State {
            events: VecDeque::new(),
            dropped: 0,
            bytes: 0,
            last: EventId::default(),
            closed: false,
        };
        Self { run_id, resumable, limit, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Whether events carry ids on the wire.
    pub fn is_resumable(&self) -> bool {
        self.resumable
    }

    fn push(&self, now: Timestamp, event: Event) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let last = state.last;
        let id = if millis > last.millis {
            EventId { millis, seq: 0 }
        } else {
            EventId { millis: last.millis, seq: last.seq + 1 }
        };
        state.last = id;
        state.bytes += event.data.len();
        state.events.push_back(Logged { id, event });
        // The last event stays however large it is, so that a listener that keeps up loses nothing.
        while state.bytes > self.limit && state.events.len() > 1 {
            if let Some(oldest) = state.events.pop_front() {
                state.bytes -= oldest.event.data.len();
                state.dropped += 1;
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Listens. Any number of listeners get every event.
    pub fn listen(self: &Arc<Self>, from: From) -> Listener {
        let state = self.state.lock();
        let end = state.dropped + state.events.len() as u64;
        let next = match from {
            From::Start => state.dropped,
            From::Now => end,
            From::After(id) => {
                let skip = state.events.iter().take_while(|logged| logged.id <= id).count();
                state.dropped + skip as u64
            }
        };
        drop(state);
        Listener { log: Arc::clone(self), next }
    }
}

/// One listener of a run.
pub struct Listener {
    log: Arc<RunLog>,
    next: u64,
}

impl Listener {
    /// The run.
    pub fn run_id(&self) -> RunId {
        self.log.run_id
    }

    /// Whether events carry ids on the wire.
    pub fn is_resumable(&self) -> bool {
        self.log.resumable
    }

    /// Waits for events and appends all there are to `into`; `false` when the run has ended and everything was given.
    /// Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self, into: &mut Vec<Logged>) -> bool {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no event between the look and the wait is missed.
            changed.as_mut().enable();
            {
                let state = self.log.state.lock();
                // A listener slower than the ring loses the oldest events rather than growing the memory.
                self.next = self.next.max(state.dropped);
                let skip = usize::try_from(self.next - state.dropped).unwrap_or(usize::MAX);
                if skip < state.events.len() {
                    into.extend(state.events.iter().skip(skip).cloned());
                    self.next = state.dropped + state.events.len() as u64;
                    return true;
                }
                if state.closed {
                    return false;
                }
            }
            changed.await;
        }
    }
}

/// The logs of all runs in flight or lately ended.
pub struct Streams {
    limit: usize,
    logs: Mutex<HashMap<RunId, Arc<RunLog>>>,
}

impl Streams {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, logs: Mutex::new(HashMap::new()) }
    }

    /// The run's log, made if there is none yet. Only for runs that are not over: somebody must close it.
    pub(crate) fn open(&self, run_id: RunId, resumable: bool) -> Arc<RunLog> {
        let mut logs = self.logs.lock();
        let log = logs
            .entry(run_id)
            .or_insert_with(|| Arc::new(RunLog::new(run_id, resumable, self.limit)));
        Arc::clone(log)
    }

    /// The run's log, if it is still kept.
    pub(crate) fn find(&self, run_id: RunId) -> Option<Arc<RunLog>> {
        self.logs.lock().get(&run_id).cloned()
    }

    /// Adds an event; without a log nobody listens and nobody ever will from the start, so it is dropped.
    pub(crate) fn push(&self, run_id: RunId, now: Timestamp, event: Event) {
        if let Some(log) = self.find(run_id) {
            log.push(now, event);
        }
    }

    /// Ends the run's stream. Returns whether its events must be kept for replay; else the log is gone.
    pub(crate) fn close(&self, run_id: RunId) -> bool {
        let mut logs = self.logs.lock();
        let Some(log) = logs.get(&run_id) else { return false };
        log.close();
        let keep = log.resumable;
        if !keep {
            logs.remove(&run_id);
        }
        keep
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
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    fn event(name: &str) -> Event {
        Event { name: name.into(), data: Bytes::from_static(b"{}") }
    }

    fn names(events: &[Logged]) -> Vec<&str> {
        events.iter().map(|logged| logged.event.name.as_str()).collect()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(millis).expect("in range")
    }

    #[tokio::test]
    async fn ids_increase_and_replay_starts_after_the_given_one() {
        let streams = Streams::new(1 << 20);
        let run = RunId(Uuid::nil());
        let log = streams.open(run, true);
        for (millis, name) in [(5, "a"), (5, "b"), (4, "c"), (6, "d")] {
            streams.push(run, at(millis), event(name));
        }
        let mut all = vec![];
        assert!(log.listen(From::Start).next(&mut all).await);
        let ids: Vec<_> = all.iter().map(|logged| logged.id.to_string()).collect();
        assert_eq!(ids, ["5-0", "5-1", "5-2", "6-0"]);

        let mut rest = vec![];
        let mut listener = log.listen(From::After(EventId::parse("5-1")));
        assert!(listener.next(&mut rest).await);
        assert_eq!(names(&rest), ["c", "d"]);
        assert!(streams.close(run));
        assert!(!listener.next(&mut rest).await, "a closed log ends its listeners");
    }

    #[tokio::test]
    async fn a_listener_slower_than_the_ring_goes_on_with_what_is_kept() {
        let streams = Streams::new(4);
        let run = RunId(Uuid::nil());
        let mut listener = streams.open(run, false).listen(From::Start);
        for name in ["a", "b", "c"] {
            streams.push(run, at(1), event(name));
        }
        let mut seen = vec![];
        assert!(listener.next(&mut seen).await);
        assert_eq!(names(&seen), ["b", "c"]);
    }

    #[test]
    fn last_event_ids_are_read_leniently() {
        assert_eq!(EventId::parse("-"), EventId::default());
        assert_eq!(EventId::parse("-1"), EventId::default());
        assert_eq!(EventId::parse("0"), EventId::default());
        assert_eq!(EventId::parse("12-3"), EventId { millis: 12, seq: 3 });
        assert_eq!(EventId::parse("12-*"), EventId { millis: 12, seq: u64::MAX });
        assert_eq!(EventId::parse("zzz").millis, u64::MAX);
    }
}
