//! Threads: the state that runs accumulate in.

use chrono::TimeDelta;

use crate::{Map, Page, RawJson, Result, Scope, SortOrder, ThreadId, Timestamp};

/// Status of a thread; derived from its runs and written in the same transaction as theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadStatus {
    /// Nothing to do.
    Idle,
    /// A run is pending or running.
    Busy,
    /// Waits for a human.
    Interrupted,
    /// The last run failed.
    Error,
}

impl ThreadStatus {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Interrupted => "interrupted",
            Self::Error => "error",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Idle, Self::Busy, Self::Interrupted, Self::Error]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// What happens to a thread at the end of its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlStrategy {
    /// It is deleted.
    Delete,
    /// It keeps its newest checkpoints only.
    KeepLatest,
}

impl TtlStrategy {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::KeepLatest => "keep_latest",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Delete, Self::KeepLatest].into_iter().find(|strategy| strategy.as_str() == word)
    }
}

/// Lifetime of a thread, counted from its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// What happens at its end.
    pub strategy: TtlStrategy,
    /// Microseconds, at most [`Ttl::MAX_MICROS`].
    pub micros: i64,
}

impl Ttl {
    /// A thousand years: the end of every lifetime is a time that can be written.
    pub const MAX_MICROS: i64 = 1000 * 365 * 24 * 3600 * 1_000_000;
}

/// One thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    /// Key.
    pub thread_id: ThreadId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change of any kind.
    pub updated_at: Timestamp,
    /// Last change of `values`.
    pub state_updated_at: Timestamp,
    /// Metadata, also what a [`Scope`] looks at.
    pub metadata: Map,
    /// Config that later runs inherit.
    pub config: Map,
    /// See [`ThreadStatus`].
    pub status: ThreadStatus,
    /// Record values of the latest root checkpoint; `None` before the first, or when not asked for.
    pub values: Option<RawJson>,
    /// Object task id → interrupts; `None` means `{}`, or not asked for.
    pub interrupts: Option<RawJson>,
    /// `None` until a run has ended; then `null` or an object with `error` and `message`.
    pub error: Option<RawJson>,
    /// Its lifetime, if that is limited.
    pub ttl: Option<Ttl>,
}

impl Thread {
    /// When the lifetime ends, unless something changes before.
    pub fn expires_at(&self) -> Option<Timestamp> {
        Some(self.updated_at + TimeDelta::microseconds(self.ttl?.micros))
    }
}

/// Fields to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New `updated_at`.
    pub updated_at: Option<Timestamp>,
    /// New `state_updated_at`.
    pub state_updated_at: Option<Timestamp>,
    /// Whole new metadata.
    pub metadata: Option<Map>,
    /// Whole new config.
    pub config: Option<Map>,
    /// New status.
    pub status: Option<ThreadStatus>,
    /// New values; `Some(None)` clears.
    pub values: Option<Option<RawJson>>,
    /// New interrupts.
    pub interrupts: Option<Option<RawJson>>,
    /// New error.
    pub error: Option<Option<RawJson>>,
    /// New lifetime.
    pub ttl: Option<Ttl>,
}

/// What a search looks for; all given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these threads.
    pub ids: Option<Vec<ThreadId>>,
    /// Containment in the metadata.
    pub metadata: Option<Map>,
    /// Containment in the values; threads without values never match.
    pub values: Option<Map>,
    /// Exact status.
    pub status: Option<ThreadStatus>,
}

/// Column of a sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The key.
    ThreadId,
    /// Status word.
    Status,
    /// Creation.
    CreatedAt,
    /// Last change, the default.
    #[default]
    UpdatedAt,
    /// Last change of values.
    StateUpdatedAt,
}

/// Which of the large columns a read fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Without `values`, `interrupts` and `error`: for rules.
    Header,
    /// All: for answers.
    Full,
}

/// Reads of threads.
pub trait Read {
    /// One thread, if it is there and visible.
    fn get_thread(&self, scope: &Scope, id: ThreadId, columns: Columns) -> Result<Option<Thread>>;

    /// Threads in order; ties are broken by id in the same direction.
    fn search_threads(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        page: Page,
        columns: Columns,
    ) -> Result<Vec<Thread>>;

    /// Number of matching threads.
    fn count_threads(&self, scope: &Scope, filter: &Filter) -> Result<u64>;

    /// Threads at rest whose lifetime has ended at `now`, longest ago first. For the server's own sweep: no scope.
    fn expired_threads(&self, now: Timestamp, limit: u32) -> Result<Vec<Thread>>;

    /// The earliest time after `now` at which a lifetime can end if nothing changes until then.
    fn next_expiry(&self, now: Timestamp) -> Result<Option<Timestamp>>;
}

/// Changes of threads.
pub trait Write {
    /// Adds a thread. `Duplicate` if the id exists, visible or not.
    fn insert_thread(&self, thread: &Thread) -> Result<()>;

    /// Changes the given fields; whether the thread was there and visible.
    fn update_thread(&self, scope: &Scope, id: ThreadId, changes: &Changes) -> Result<bool>;

    /// Removes the thread, its runs, checkpoints, blobs, writes, state views and deliveries; whether it was there and
    /// visible.
    fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<bool>;

    /// Notes that the end of the thread's lifetime has been carried out: it does not expire again before it changes.
    fn settle_expiry(&self, id: ThreadId) -> Result<()>;
}
