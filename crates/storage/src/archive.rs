//! Everything that a storage holds, one entry after another: what an export reads and an import writes.
//!
//! Entries that belong together form a *unit* ([`Unit`]): a thread with all that is below it, an assistant with its
//! versions. The entry that opens a unit comes first and the others follow it directly. Values are as they came in, whatever a
//! backend does to store them.

use std::ops::ControlFlow;

use crate::{
    AssistantId, CronId, RawJson, Result, RunId, ThreadId, Timestamp,
    assistants::Assistant,
    checkpoints::{SaverOp, TaskWrite},
    crons::Cron,
    events::StoredEvent,
    idempotency,
    runs::Run,
    store::{Item, Namespace, Vector},
    threads::Thread,
    webhooks::Delivery,
};

/// A kind of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Assistants with their versions.
    Assistants,
    /// Threads with their checkpoints, runs and events.
    Threads,
    /// Crons with the slots that they have fired for.
    Crons,
    /// Store items with their vectors.
    Store,
    /// Deliveries of webhooks.
    Webhooks,
    /// Keys of requests that count once.
    Idempotency,
}

impl Kind {
    /// All kinds, in the order of an export: what others refer to comes first.
    pub const ALL: [Self; 6] = [
        Self::Assistants,
        Self::Threads,
        Self::Crons,
        Self::Store,
        Self::Webhooks,
        Self::Idempotency,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::Threads => "threads",
            Self::Crons => "crons",
            Self::Store => "store",
            Self::Webhooks => "webhooks",
            Self::Idempotency => "idempotency",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Units of these kinds.
    pub kinds: Vec<Kind>,
    /// Only these threads, and of crons and deliveries those that belong to them. `None`: all.
    pub threads: Option<Vec<ThreadId>>,
}

impl Selection {
    /// Whether units of the kind are wanted.
    pub fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether what belongs to the thread is wanted; nothing belongs to `None`.
    pub fn has_thread(&self, thread: Option<ThreadId>) -> bool {
        self.threads.as_ref().is_none_or(|ids| thread.is_some_and(|id| ids.contains(&id)))
    }
}

/// What is added or replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An assistant.
    Assistant(AssistantId),
    /// A thread.
    Thread(ThreadId),
    /// A cron.
    Cron(CronId),
    /// A store item.
    Item(Namespace, String),
    /// The delivery of a run's end.
    Delivery(RunId),
    /// A key of a request.
    Key(idempotency::Key),
}

/// A task as it was before a run that its checkpoint does not belong to wrote at it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskBefore {
    /// The thread.
    pub thread_id: ThreadId,
    /// The run that wrote.
    pub run_id: RunId,
    /// Namespace of the checkpoint.
    pub ns: String,
    /// The checkpoint.
    pub checkpoint_id: String,
    /// The task.
    pub task_id: String,
    /// Order key of the library.
    pub task_path: String,
    /// Its status then; `None` if there was nothing of it.
    pub status: Option<RawJson>,
    /// Its writes then.
    pub writes: Vec<TaskWrite>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Opens an assistant, showing its active version.
    Assistant(Assistant),
    /// One of its versions, the active one among them.
    Version(Assistant),
    /// Opens a thread.
    Thread {
        /// The thread, with all columns.
        thread: Thread,
        /// Whether the end of its lifetime has been carried out.
        settled: bool,
    },
    /// A checkpoint with the values that no earlier one of the thread had, or what is attached to one.
    Saved(ThreadId, SaverOp),
    /// See [`TaskBefore`].
    Before(TaskBefore),
    /// The live view of a thread.
    Live {
        /// The thread.
        thread_id: ThreadId,
        /// The checkpoint it was made for.
        checkpoint_id: String,
        /// The view.
        state: RawJson,
    },
    /// A run of the thread, in whatever status.
    Run(Run),
    /// Events of a resumable run, in order.
    Events {
        /// Its thread.
        thread_id: ThreadId,
        /// The run.
        run_id: RunId,
        /// Some of its events.
        events: Vec<StoredEvent>,
    },
    /// A cron.
    Cron {
        /// The cron.
        cron: Cron,
        /// The last slots that it has fired for, with the runs.
        fired: Vec<(Timestamp, RunId)>,
    },
    /// A store item.
    Item {
        /// The item.
        item: Item,
        /// When its lifetime ends, if it has one.
        expires_at: Option<Timestamp>,
        /// Its vectors.
        vectors: Vec<Vector>,
    },
    /// A delivery of a webhook.
    Delivery {
        /// The delivery.
        delivery: Delivery,
        /// What it sends.
        payload: RawJson,
    },
    /// A key of a request that counts once.
    Key {
        /// The key.
        key: idempotency::Key,
        /// What it stands for.
        record: idempotency::Record,
    },
}

impl Entry {
    /// The unit that it belongs to.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Assistant(assistant) | Self::Version(assistant) => {
                Unit::Assistant(assistant.assistant_id)
            }
            Self::Thread { thread, .. } => Unit::Thread(thread.thread_id),
            Self::Saved(thread_id, _)
            | Self::Live { thread_id, .. }
            | Self::Events { thread_id, .. } => Unit::Thread(*thread_id),
            Self::Before(before) => Unit::Thread(before.thread_id),
            Self::Run(run) => Unit::Thread(run.thread_id),
            Self::Cron { cron, .. } => Unit::Cron(cron.cron_id),
            Self::Item { item, .. } => Unit::Item(item.namespace.clone(), item.key.clone()),
            Self::Delivery { delivery, .. } => Unit::Delivery(delivery.run_id),
            Self::Key { key, .. } => Unit::Key(key.clone()),
        }
    }

    /// Whether it is the first of its unit.
    pub fn opens(&self) -> bool {
        !matches!(
            self,
            Self::Version(_)
                | Self::Saved(..)
                | Self::Before(_)
                | Self::Live { .. }
                | Self::Run(_)
                | Self::Events { .. }
        )
    }

    /// The kind of its unit.
    pub fn kind(&self) -> Kind {
        match self.unit() {
            Unit::Assistant(_) => Kind::Assistants,
            Unit::Thread(_) => Kind::Threads,
            Unit::Cron(_) => Kind::Crons,
            Unit::Item(..) => Kind::Store,
            Unit::Delivery(_) => Kind::Webhooks,
            Unit::Key(_) => Kind::Idempotency,
        }
    }

    /// The thread that it belongs to, if it does to one.
    pub fn thread_id(&self) -> Option<ThreadId> {
        match self {
            Self::Cron { cron, .. } => cron.thread_id,
            Self::Delivery { delivery, .. } => Some(delivery.thread_id),
            _ => match self.unit() {
                Unit::Thread(id) => Some(id),
                _ => None,
            },
        }
    }
}

/// Takes entries one by one; may ask for no more.
pub type Each<'a> = dyn FnMut(Entry) -> ControlFlow<()> + 'a;

/// Reads of everything. For somebody who holds the data folder: no scope.
pub trait Read {
    /// Hands over all entries that are wanted, in an order in which they can be imported: by [`Kind::ALL`], units whole, runs
    /// oldest first, checkpoints of a namespace oldest first. Holds one entry at a time.
    fn export(&self, selection: &Selection, each: &mut Each<'_>) -> Result<()>;

    /// Whether entries say in which context they were encrypted, and are to say so when they come in
    /// ([`forget_context`](crate::encrypted::forget_context)).
    fn has_contexts(&self) -> bool {
        false
    }
}

/// Changes of everything.
pub trait Write {
    /// Adds an entry as [`Read::export`] has handed it over. One that opens a unit which is there already changes nothing and
    /// answers `false`; with `replace` it takes the place of all that there is of the unit, while crons of an assistant or a
    /// thread stay. Entries that follow are for units whose opening entry was added.
    ///
    /// # Errors
    /// `Invalid` if an assistant or a thread that a cron refers to is not there.
    fn import(&self, entry: &Entry, replace: bool) -> Result<bool>;
}
