//! Runs: invocations of an assistant, and the queue of those that wait.

use crate::{AssistantId, Map, Page, RawJson, Result, RunId, Scope, ThreadId, Timestamp};

/// Status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Waits for a worker, or for its time.
    Pending,
    /// A worker holds the lease.
    Running,
    /// The graph failed, or infrastructure failed too often.
    Error,
    /// Ended, also at an interrupt.
    Success,
    /// Took longer than allowed.
    Timeout,
    /// Cancelled.
    Interrupted,
}

impl RunStatus {
    const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Error,
        Self::Success,
        Self::Timeout,
        Self::Interrupted,
    ];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Error => "error",
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether the run has ended for good.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What happens when a run is created on a busy thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultitaskStrategy {
    /// Refuse the new run.
    Reject,
    /// Undo the runs in flight.
    Rollback,
    /// Cancel the runs in flight.
    Interrupt,
    /// Wait for them.
    #[default]
    Enqueue,
}

impl MultitaskStrategy {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Rollback => "rollback",
            Self::Interrupt => "interrupt",
            Self::Enqueue => "enqueue",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Reject, Self::Rollback, Self::Interrupt, Self::Enqueue]
            .into_iter()
            .find(|strategy| strategy.as_str() == word)
    }
}

/// A timed claim on a run. `attempt` is the fencing token: it grows with every claim, and a write that carries an
/// older one, or comes after the run has ended, changes nothing. Only a claim whose holder gave it back, and so writes
/// nothing any more, makes room for another of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The run.
    pub run_id: RunId,
    /// Its thread.
    pub thread_id: ThreadId,
    /// The try, from 1.
    pub attempt: u32,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Key.
    pub run_id: RunId,
    /// The thread whose state it changes; temporary for stateless runs.
    pub thread_id: ThreadId,
    /// The assistant it invokes.
    pub assistant_id: AssistantId,
    /// The assistant's graph at creation: decides which worker can execute the run.
    pub graph_id: String,
    /// Queue position and earliest start; may lie in the future.
    pub created_at: Timestamp,
    /// Last change of status.
    pub updated_at: Timestamp,
    /// See [`RunStatus`].
    pub status: RunStatus,
    /// Metadata.
    pub metadata: Map,
    /// Everything the run was created with, the fourteen keys of the wire.
    pub kwargs: RawJson,
    /// See [`MultitaskStrategy`].
    pub multitask_strategy: MultitaskStrategy,
    /// Times the run was claimed, but for those given back; the fencing token of its [`Lease`].
    pub attempt: u32,
    /// Times the server died while the run was running.
    pub crashes: u32,
    /// Whether the thread goes away with the run.
    pub temporary: bool,
    /// Under whose name it counts where runs in flight are limited: an identity, or empty for nobody's. `None` if it does
    /// not count.
    pub owner: Option<String>,
}

impl Run {
    /// The lease of the current attempt.
    pub fn lease(&self) -> Lease {
        Lease { run_id: self.run_id, thread_id: self.thread_id, attempt: self.attempt }
    }
}

/// What runs in flight are counted by. Those without an owner never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted<'a> {
    /// Their owner.
    Owner(&'a str),
    /// Their assistant, whoever owns them.
    Assistant(AssistantId),
}

/// The queue at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Pending runs that are due, oldest first.
    pub waiting: Vec<Waiting>,
    /// Number of running runs.
    pub running: u64,
}

/// A run that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When it became due.
    pub since: Timestamp,
    /// Whether another run of its thread goes first.
    pub is_blocked: bool,
}

/// Reads of runs. A run is visible when its thread is. Methods without a scope serve the queue, which sees all.
pub trait Read {
    /// One run of a thread.
    fn get_run(&self, scope: &Scope, thread: ThreadId, id: RunId) -> Result<Option<Run>>;

    /// A run whose thread is not known to the caller.
    fn find_run(&self, scope: &Scope, id: RunId) -> Result<Option<Run>>;

    /// Whether the run is running in the attempt of the lease.
    fn holds_lease(&self, lease: Lease) -> Result<bool>;

    /// Runs of a thread, newest `created_at` first, ties by id, largest first.
    fn list_runs(
        &self,
        scope: &Scope,
        thread: ThreadId,
        status: Option<RunStatus>,
        page: Page,
    ) -> Result<Vec<Run>>;

    /// Pending and running runs of a thread, oldest `created_at` first, ties by id.
    fn inflight_runs(&self, thread: ThreadId) -> Result<Vec<Run>>;

    /// Pending runs that are due at `now` and whose thread has no running run, oldest first, one per thread, ties by
    /// id.
    fn claimable_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<Run>>;

    /// When the next pending run that is not yet due becomes due.
    fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>>;

    /// How many run, and who waits since when. For figures about the server: no scope.
    fn queue(&self, now: Timestamp) -> Result<Queue>;

    /// All runs that are marked running: what a dead process left behind.
    fn running_runs(&self) -> Result<Vec<Run>>;

    /// Visible runs that are pending, running, or either (`None`), of all threads, oldest `created_at` first, ties by id.
    fn inflight_runs_of_all(&self, scope: &Scope, status: Option<RunStatus>) -> Result<Vec<Run>>;

    /// Pending and running runs of an assistant.
    fn inflight_runs_of_assistant(&self, id: AssistantId) -> Result<Vec<Run>>;

    /// How many runs with an owner are pending or running; not counted further than `most`.
    fn count_inflight(&self, by: Counted<'_>, most: u32) -> Result<u32>;
}

/// Changes of runs.
pub trait Write {
    /// Adds a run.
    fn insert_run(&self, run: &Run) -> Result<()>;

    /// Moves a run from `expected` to `status` and sets its attempt; `false` and no change if it is not in `expected`
    /// with attempt `expected_attempt`.
    fn update_run_if(
        &self,
        id: RunId,
        expected: (RunStatus, u32),
        status: RunStatus,
        attempt: u32,
        now: Timestamp,
    ) -> Result<bool>;

    /// Replaces metadata and kwargs by the same in another form, and changes nothing else.
    fn rewrite_run(&self, run: &Run) -> Result<()>;

    /// Notes that the server died while the run was running.
    fn count_crash(&self, id: RunId) -> Result<()>;

    /// Removes a run, its events and its delivery; whether it was there and visible. Its checkpoints: see
    /// `checkpoints::Write::delete_checkpoints_of_run`.
    fn delete_run(&self, scope: &Scope, id: RunId) -> Result<bool>;
}
