//! Entries as they are written: one JSON object a line, whose only key says what it is.
//!
//! The shapes of rows are in [`rows`], those of single values in [`values`].

mod rows;
mod values;

use agent_server_storage::{
    RawJson, RunId, ThreadId, Timestamp,
    archive::{Entry, TaskBefore},
    assistants::Assistant,
    checkpoints::{Base, NewCheckpoint, SaverOp, TaskWrites},
    crons::Cron,
    events::StoredEvent,
    idempotency::{Key, Record as KeyRecord},
    runs::Run,
    store::{Item, Vector},
    threads::Thread,
    webhooks::Delivery,
};
use serde::{Deserialize, Serialize};

use rows::{
    AssistantDef, BaseDef, BeforeDef, CheckpointDef, CronDef, DeliveryDef, ItemDef, KeyDef,
    KeyRecordDef, RunDef, TaskDef, ThreadDef, events, vectors,
};

/// See [`Entry`]. The wire order of keys is the order here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    Assistant(#[serde(with = "AssistantDef")] Assistant),
    Version(#[serde(with = "AssistantDef")] Assistant),
    Thread {
        #[serde(with = "ThreadDef")]
        thread: Thread,
        settled: bool,
    },
    Checkpoint {
        thread_id: ThreadId,
        #[serde(with = "CheckpointDef")]
        checkpoint: NewCheckpoint,
    },
    Rendered {
        thread_id: ThreadId,
        #[serde(with = "BaseDef")]
        rendered: Base,
    },
    Task {
        thread_id: ThreadId,
        #[serde(with = "TaskDef")]
        task: TaskWrites,
    },
    TaskBefore(#[serde(with = "BeforeDef")] TaskBefore),
    Live {
        thread_id: ThreadId,
        checkpoint_id: String,
        state: RawJson,
    },
    Run(#[serde(with = "RunDef")] Run),
    Events {
        thread_id: ThreadId,
        run_id: RunId,
        #[serde(with = "events")]
        events: Vec<StoredEvent>,
    },
    Cron {
        #[serde(with = "CronDef")]
        cron: Cron,
        fired: Vec<(Timestamp, RunId)>,
    },
    Item {
        #[serde(with = "ItemDef")]
        item: Item,
        expires_at: Option<Timestamp>,
        #[serde(with = "vectors")]
        vectors: Vec<Vector>,
    },
    Delivery {
        #[serde(with = "DeliveryDef")]
        delivery: Delivery,
        payload: RawJson,
    },
    IdempotencyKey {
        #[serde(with = "KeyDef")]
        key: Key,
        #[serde(with = "KeyRecordDef")]
        record: KeyRecord,
    },
}

impl Record {
    /// The key of its line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Assistant(_) => "assistant",
            Self::Version(_) => "version",
            Self::Thread { .. } => "thread",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Rendered { .. } => "rendered",
            Self::Task { .. } => "task",
            Self::TaskBefore(_) => "task_before",
            Self::Live { .. } => "live",
            Self::Run(_) => "run",
            Self::Events { .. } => "events",
            Self::Cron { .. } => "cron",
            Self::Item { .. } => "item",
            Self::Delivery { .. } => "delivery",
            Self::IdempotencyKey { .. } => "idempotency_key",
        }
    }
}

impl From<Entry> for Record {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Assistant(assistant) => Self::Assistant(assistant),
            Entry::Version(version) => Self::Version(version),
            Entry::Thread { thread, settled } => Self::Thread { thread, settled },
            Entry::Saved(thread_id, SaverOp::Put(checkpoint)) => {
                Self::Checkpoint { thread_id, checkpoint }
            }
            Entry::Saved(thread_id, SaverOp::Base(rendered)) => {
                Self::Rendered { thread_id, rendered }
            }
            Entry::Saved(thread_id, SaverOp::Writes(task)) => Self::Task { thread_id, task },
            Entry::Before(before) => Self::TaskBefore(before),
            Entry::Live { thread_id, checkpoint_id, state } => {
                Self::Live { thread_id, checkpoint_id, state }
            }
            Entry::Run(run) => Self::Run(run),
            Entry::Events { thread_id, run_id, events } => {
                Self::Events { thread_id, run_id, events }
            }
            Entry::Cron { cron, fired } => Self::Cron { cron, fired },
            Entry::Item { item, expires_at, vectors } => Self::Item { item, expires_at, vectors },
            Entry::Delivery { delivery, payload } => Self::Delivery { delivery, payload },
            Entry::Key { key, record } => Self::IdempotencyKey { key, record },
        }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        match record {
            Record::Assistant(assistant) => Self::Assistant(assistant),
            Record::Version(version) => Self::Version(version),
            Record::Thread { thread, settled } => Self::Thread { thread, settled },
            Record::Checkpoint { thread_id, checkpoint } => {
                Self::Saved(thread_id, SaverOp::Put(checkpoint))
            }
            Record::Rendered { thread_id, rendered } => {
                Self::Saved(thread_id, SaverOp::Base(rendered))
            }
            Record::Task { thread_id, task } => Self::Saved(thread_id, SaverOp::Writes(task)),
            Record::TaskBefore(before) => Self::Before(before),
            Record::Live { thread_id, checkpoint_id, state } => {
                Self::Live { thread_id, checkpoint_id, state }
            }
            Record::Run(run) => Self::Run(run),
            Record::Events { thread_id, run_id, events } => {
                Self::Events { thread_id, run_id, events }
            }
            Record::Cron { cron, fired } => Self::Cron { cron, fired },
            Record::Item { item, expires_at, vectors } => Self::Item { item, expires_at, vectors },
            Record::Delivery { delivery, payload } => Self::Delivery { delivery, payload },
            Record::IdempotencyKey { key, record } => Self::Key { key, record },
        }
    }
}
