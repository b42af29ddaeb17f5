//! The shapes of rows: for every row type of storage a twin that says how each field is written. The compiler sees to it that
//! no field is forgotten. A new field comes with a new version of the format and `#[serde(default)]`.

use agent_server_storage::{
    AssistantId, CronId, Map, RawJson, RunId, ThreadId, Timestamp,
    archive::TaskBefore,
    assistants::Assistant,
    checkpoints::{Base, Blob, NewCheckpoint, TaskWrite, TaskWrites},
    crons::{Cron, OnRunCompleted},
    events::{EventId, StoredEvent},
    idempotency::{Key, Record as KeyRecord},
    runs::{MultitaskStrategy, Run, RunStatus},
    store::{self, Item, Vector},
    threads::{self, Thread, ThreadStatus, TtlStrategy},
    webhooks::{Delivery, DeliveryStatus},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::values;

/// A module that writes a list (or an option) of what has a twin.
macro_rules! many {
    ($name:ident, $many:ident<$type:ty>, $def:literal) => {
        pub(super) mod $name {
            #[allow(unused_imports, reason = "serde names the twin by its path")]
            use super::*;
            use serde::{Deserializer, Serializer};

            #[derive(Serialize)]
            struct Lent<'a>(#[serde(with = $def)] &'a $type);

            #[derive(Deserialize)]
            struct Owned(#[serde(with = $def)] $type);

            #[allow(clippy::ptr_arg, reason = "serde lends the field as it is")]
            pub(in crate::record) fn serialize<S: Serializer>(
                many: &$many<$type>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let lent: $many<Lent<'_>> = many.iter().map(Lent).collect::<Vec<_>>().into_many();
                lent.serialize(serializer)
            }

            pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$many<$type>, D::Error> {
                let owned = <$many<Owned>>::deserialize(deserializer)?;
                Ok(owned.into_iter().map(|owned| owned.0).collect::<Vec<_>>().into_many())
            }
        }
    };
}

/// A list, or the option that it stands for.
trait IntoMany<M> {
    fn into_many(self) -> M;
}

impl<T> IntoMany<Vec<T>> for Vec<T> {
    fn into_many(self) -> Self {
        self
    }
}

impl<T> IntoMany<Option<T>> for Vec<T> {
    fn into_many(mut self) -> Option<T> {
        self.pop()
    }
}

many!(events, Vec<StoredEvent>, "EventDef");
many!(vectors, Vec<Vector>, "VectorDef");
many!(blobs, Vec<Blob>, "BlobDef");
many!(writes, Vec<TaskWrite>, "WriteDef");
many!(thread_ttl, Option<threads::Ttl>, "ThreadTtlDef");
many!(item_ttl, Option<store::Ttl>, "ItemTtlDef");

#[derive(Serialize, Deserialize)]
#[serde(remote = "Assistant", deny_unknown_fields)]
pub(super) struct AssistantDef {
    assistant_id: AssistantId,
    graph_id: String,
    config: Map,
    context: Map,
    metadata: Map,
    name: String,
    description: Option<String>,
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Thread", deny_unknown_fields)]
pub(super) struct ThreadDef {
    thread_id: ThreadId,
    created_at: Timestamp,
    updated_at: Timestamp,
    state_updated_at: Timestamp,
    metadata: Map,
    config: Map,
    #[serde(with = "values::thread_status")]
    status: ThreadStatus,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "values::json")]
    values: Option<RawJson>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "values::json")]
    interrupts: Option<RawJson>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "values::json")]
    error: Option<RawJson>,
    #[serde(with = "thread_ttl")]
    ttl: Option<threads::Ttl>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "threads::Ttl", deny_unknown_fields)]
struct ThreadTtlDef {
    #[serde(with = "values::ttl_strategy")]
    strategy: TtlStrategy,
    micros: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NewCheckpoint", deny_unknown_fields)]
pub(super) struct CheckpointDef {
    ns: String,
    id: String,
    parent_id: Option<String>,
    created_at: Timestamp,
    step: i64,
    source: String,
    run_id: Option<RunId>,
    metadata: RawJson,
    #[serde(with = "values::bytes")]
    small: Bytes,
    refs: Vec<(String, String)>,
    #[serde(with = "blobs")]
    blobs: Vec<Blob>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Blob", deny_unknown_fields)]
struct BlobDef {
    channel: String,
    version: String,
    type_tag: String,
    #[serde(with = "values::bytes")]
    bytes: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Base", deny_unknown_fields)]
pub(super) struct BaseDef {
    ns: String,
    checkpoint_id: String,
    values: RawJson,
    next: RawJson,
    tasks: RawJson,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TaskWrites", deny_unknown_fields)]
pub(super) struct TaskDef {
    ns: String,
    checkpoint_id: String,
    task_id: String,
    task_path: String,
    #[serde(with = "writes")]
    writes: Vec<TaskWrite>,
    status: RawJson,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TaskBefore", deny_unknown_fields)]
pub(super) struct BeforeDef {
    thread_id: ThreadId,
    run_id: RunId,
    ns: String,
    checkpoint_id: String,
    task_id: String,
    task_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "values::json")]
    status: Option<RawJson>,
    #[serde(with = "writes")]
    writes: Vec<TaskWrite>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TaskWrite", deny_unknown_fields)]
struct WriteDef {
    idx: i64,
    channel: String,
    type_tag: String,
    #[serde(with = "values::bytes")]
    bytes: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Run", deny_unknown_fields)]
pub(super) struct RunDef {
    run_id: RunId,
    thread_id: ThreadId,
    assistant_id: AssistantId,
    graph_id: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(with = "values::run_status")]
    status: RunStatus,
    metadata: Map,
    kwargs: RawJson,
    #[serde(with = "values::multitask_strategy")]
    multitask_strategy: MultitaskStrategy,
    attempt: u32,
    crashes: u32,
    temporary: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoredEvent", deny_unknown_fields)]
struct EventDef {
    #[serde(with = "EventIdDef")]
    id: EventId,
    name: String,
    #[serde(with = "values::bytes")]
    data: Bytes,
    thread_only: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "EventId", deny_unknown_fields)]
struct EventIdDef {
    millis: u64,
    seq: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cron", deny_unknown_fields)]
pub(super) struct CronDef {
    cron_id: CronId,
    assistant_id: AssistantId,
    thread_id: Option<ThreadId>,
    user_id: Option<String>,
    end_time: Option<Timestamp>,
    schedule: String,
    timezone: Option<String>,
    payload: RawJson,
    next_run_date: Option<Timestamp>,
    metadata: Map,
    #[serde(with = "values::on_run_completed")]
    on_run_completed: Option<OnRunCompleted>,
    enabled: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Item", deny_unknown_fields)]
pub(super) struct ItemDef {
    namespace: Vec<String>,
    key: String,
    value: RawJson,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(with = "item_ttl")]
    ttl: Option<store::Ttl>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "store::Ttl", deny_unknown_fields)]
struct ItemTtlDef {
    micros: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Vector", deny_unknown_fields)]
struct VectorDef {
    path: String,
    #[serde(with = "values::numbers")]
    numbers: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Delivery", deny_unknown_fields)]
pub(super) struct DeliveryDef {
    run_id: RunId,
    thread_id: ThreadId,
    assistant_id: AssistantId,
    url: String,
    host: String,
    #[serde(with = "values::delivery_status")]
    status: DeliveryStatus,
    attempts: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    due_at: Option<Timestamp>,
    outcome: Option<String>,
    metadata: Map,
    trace: Option<RawJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Key", deny_unknown_fields)]
pub(super) struct KeyDef {
    user: String,
    route: String,
    key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "KeyRecord", deny_unknown_fields)]
pub(super) struct KeyRecordDef {
    #[serde(with = "values::hash")]
    body_hash: [u8; 32],
    runs: Vec<RunId>,
    expires_at: Timestamp,
}
