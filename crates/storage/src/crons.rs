//! Crons: schedules that create runs.

use crate::{
    AssistantId, CronId, Map, Page, RawJson, Result, RunId, Scope, SortOrder, ThreadId, Timestamp,
};

/// What happens to a thread that a firing made, once its run has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRunCompleted {
    /// It goes away.
    #[default]
    Delete,
    /// It stays.
    Keep,
}

impl OnRunCompleted {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Delete, Self::Keep].into_iter().find(|known| known.as_str() == word)
    }
}

/// One cron. It goes away with its assistant and with its thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    /// Key.
    pub cron_id: CronId,
    /// The assistant that its runs invoke.
    pub assistant_id: AssistantId,
    /// The thread of its runs; `None`: each has its own.
    pub thread_id: Option<ThreadId>,
    /// Who made it; empty where nobody is asked.
    pub user_id: Option<String>,
    /// It does not fire after this.
    pub end_time: Option<Timestamp>,
    /// When it fires, as it was written.
    pub schedule: String,
    /// IANA zone in which the schedule is read; `None` is UTC.
    pub timezone: Option<String>,
    /// The request that made it, with later changes: what its runs are made from.
    pub payload: RawJson,
    /// When it fires next, or would if it were enabled; `None`: never again.
    pub next_run_date: Option<Timestamp>,
    /// Metadata, also what a [`Scope`] looks at.
    pub metadata: Map,
    /// See [`OnRunCompleted`]; `None` for a cron with a thread.
    pub on_run_completed: Option<OnRunCompleted>,
    /// Whether it fires at all.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change by somebody; firing is none.
    pub updated_at: Timestamp,
}

impl Cron {
    /// The slot that is to be fired for at `now`, if there is one.
    pub fn due_slot(&self, now: Timestamp) -> Option<Timestamp> {
        let over = self.end_time.is_some_and(|end| end < now);
        self.next_run_date.filter(|slot| self.enabled && !over && *slot <= now)
    }
}

/// What [`Read::search_crons`] and [`Read::count_crons`] look for; all given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this assistant.
    pub assistant_id: Option<AssistantId>,
    /// Of this thread.
    pub thread_id: Option<ThreadId>,
    /// Switched on, or off.
    pub enabled: Option<bool>,
    /// Containment in the metadata.
    pub metadata: Option<Map>,
}

/// Column of a sort. Nothing comes before everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The key.
    CronId,
    /// Assistant.
    AssistantId,
    /// Thread.
    ThreadId,
    /// Next firing.
    NextRunDate,
    /// End.
    EndTime,
    /// Creation, the default.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
}

/// Reads of crons. Methods without a scope serve the scheduler, which sees all.
pub trait Read {
    /// One cron, if it is there and visible.
    fn get_cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>>;

    /// Crons in order; ties are broken by id in the same direction.
    fn search_crons(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Vec<Cron>>;

    /// Number of matching crons.
    fn count_crons(&self, scope: &Scope, filter: &Filter) -> Result<u64>;

    /// Crons with a [`Cron::due_slot`], longest due first, ties by id.
    fn due_crons(&self, now: Timestamp, limit: u32) -> Result<Vec<Cron>>;

    /// When the next cron that is not yet due becomes due.
    fn next_cron_date(&self, now: Timestamp) -> Result<Option<Timestamp>>;
}

/// Changes of crons.
pub trait Write {
    /// Adds a cron, whose assistant and thread are there.
    fn insert_cron(&self, cron: &Cron) -> Result<()>;

    /// Replaces the row; whether it was there and visible.
    fn update_cron(&self, scope: &Scope, cron: &Cron) -> Result<bool>;

    /// Removes the cron and its slots; whether it was there and visible. Runs that it made stay.
    fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<bool>;

    /// Marks that a cron has fired for a slot with this run. `Duplicate` if it has fired for it before: whatever else the
    /// transaction was to do must not be done. Forgets slots of the cron before `forget`.
    fn insert_slot(&self, id: CronId, slot: Timestamp, run: RunId, forget: Timestamp)
    -> Result<()>;

    /// Sets when a cron fires next, and nothing else.
    fn set_next_run_date(&self, id: CronId, next: Option<Timestamp>) -> Result<()>;
}
