//! Stored events of resumable runs, for listeners that come back.
//!
//! Events are appended in chunks and only ever read in the order of their ids. They go away with their run, with its
//! thread, and some time after the end of the run.

use std::fmt;

use bytes::Bytes;

use crate::{Result, RunId, Scope, ThreadId, Timestamp};

/// Position of an event, `<unix ms>-<seq>` on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// Milliseconds since 1970.
    pub millis: u64,
    /// Counts events of one millisecond.
    pub seq: u64,
}

impl EventId {
    /// Before every event.
    pub const MIN: Self = Self { millis: 0, seq: 0 };
    /// After every event.
    pub const MAX: Self = Self { millis: i64::MAX as u64, seq: i64::MAX as u64 };
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Position; no two events of a thread have the same.
    pub id: EventId,
    /// Name on the wire.
    pub name: String,
    /// JSON.
    pub data: Bytes,
    /// Whether only listeners of the thread get it, not those of the run.
    pub thread_only: bool,
}

/// Which events [`Read::list_events`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Of this run; of all runs of the thread when `None`.
    pub run: Option<RunId>,
    /// Only those behind this one.
    pub after: EventId,
    /// Only those up to this one.
    pub until: EventId,
    /// Not those of runs that ended before.
    pub kept_since: Timestamp,
}

/// Reads of events.
pub trait Read {
    /// The oldest events that pass the filter with their runs, in the order of their ids. Not all that there are: about
    /// `bytes` of them, at least one if there is one. Nothing for a thread that is not visible.
    fn list_events(
        &self,
        scope: &Scope,
        thread: ThreadId,
        filter: &Filter,
        bytes: usize,
    ) -> Result<Vec<(RunId, StoredEvent)>>;

    /// The largest id of all that are stored.
    fn last_event_id(&self) -> Result<EventId>;
}

/// Changes of events.
pub trait Write {
    /// Stores events of a run in the order of their ids, behind all that the thread has. Nothing happens when the run
    /// is not there (any more). Storing the same events twice has the same effect as once.
    fn append_events(&self, run: RunId, events: &[StoredEvent]) -> Result<()>;

    /// Removes the events of runs that ended before.
    fn sweep_events(&self, ended_before: Timestamp) -> Result<()>;
}
