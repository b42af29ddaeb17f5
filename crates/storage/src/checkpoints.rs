//! Checkpoints: saved state at superstep boundaries, as the graph library writes it, and rendered for reading.
//!
//! A checkpoint has two faces. The *library* face (small part, channel blobs, writes) is opaque bytes that only a
//! worker decodes. The *rendered* face ([`Base`], task status of [`TaskWrites`]) is JSON made by the worker once, from
//! which records are put together without asking a worker again.
//!
//! Checkpoint ids are UUIDv6 text made by the library; text order is creation order within a thread.

use bytes::Bytes;

use crate::{Map, RawJson, Result, RunId, Scope, ThreadId, Timestamp};

/// A serialised channel value: the serialiser's type tag and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Channel name.
    pub channel: String,
    /// Version of the channel; unique per write within a thread and namespace.
    pub version: String,
    /// Type tag (`msgpack`, `bytes`, …).
    pub type_tag: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// A checkpoint to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCheckpoint {
    /// Namespace, `""` for the root graph.
    pub ns: String,
    /// Id.
    pub id: String,
    /// The checkpoint it grew from.
    pub parent_id: Option<String>,
    /// When the library made it.
    pub created_at: Timestamp,
    /// Superstep, from -1.
    pub step: i64,
    /// `input`, `loop`, `update` or `fork`.
    pub source: String,
    /// The run that made it, if a run did.
    pub run_id: Option<RunId>,
    /// Metadata as history shows and filters it.
    pub metadata: RawJson,
    /// Everything of the checkpoint but the blobs, opaque.
    pub small: Bytes,
    /// Channel and version of every value that is in a blob, new or old.
    pub refs: Vec<(String, String)>,
    /// Values of channels that changed.
    pub blobs: Vec<Blob>,
}

/// One write of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskWrite {
    /// Position; negative for the library's special channels.
    pub idx: i64,
    /// Channel name.
    pub channel: String,
    /// Type tag.
    pub type_tag: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Writes of one task, to be attached to a checkpoint (which may be stored later than its writes).
#[derive(Clone, Debug, PartialEq)]
pub struct TaskWrites {
    /// Namespace.
    pub ns: String,
    /// Checkpoint the task belongs to.
    pub checkpoint_id: String,
    /// Task id.
    pub task_id: String,
    /// Order key of the library.
    pub task_path: String,
    /// Writes with `idx < 0` replace an older one, others are kept if already there.
    pub writes: Vec<TaskWrite>,
    /// Rendered `{"finished", "result", "interrupts", "error"}`; replaces the older one of the task.
    pub status: RawJson,
}

/// The rendered part of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Namespace.
    pub ns: String,
    /// Checkpoint.
    pub checkpoint_id: String,
    /// State values.
    pub values: RawJson,
    /// Array of node names.
    pub next: RawJson,
    /// Array of `{"id", "name", "path", "checkpoint"}` in the order that state reads show.
    pub tasks: RawJson,
}

/// What a worker asks to be saved, in the order it was produced.
#[derive(Clone, Debug, PartialEq)]
pub enum SaverOp {
    /// A checkpoint.
    Put(NewCheckpoint),
    /// Writes of a task.
    Writes(TaskWrites),
    /// Rendered base of a checkpoint.
    Base(Base),
}

/// A stored checkpoint as the library wants it back.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointTuple {
    /// Namespace.
    pub ns: String,
    /// Id.
    pub id: String,
    /// Parent.
    pub parent_id: Option<String>,
    /// Metadata.
    pub metadata: RawJson,
    /// Opaque small part.
    pub small: Bytes,
    /// Values of the referenced channels.
    pub blobs: Vec<Blob>,
    /// `(task id, write)` ordered by task path, task id, index.
    pub writes: Vec<(String, TaskWrite)>,
}

/// The rendered face of one stored checkpoint, from which a record is put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Namespace.
    pub ns: String,
    /// Id.
    pub id: String,
    /// Parent.
    pub parent_id: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Metadata.
    pub metadata: RawJson,
    /// Rendered part; `None` when no worker has rendered it yet.
    pub base: Option<Base>,
    /// Task id and status, see [`TaskWrites::status`].
    pub tasks: Vec<(String, RawJson)>,
}

/// Which checkpoints [`Read::list_records`] returns: newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Namespace.
    pub ns: String,
    /// Only this checkpoint.
    pub id: Option<String>,
    /// Only ids smaller than this.
    pub before: Option<String>,
    /// Containment in the checkpoint's metadata.
    pub metadata: Option<Map>,
}

/// Number and size of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows.
    pub count: u64,
    /// Bytes as they are stored, which may be compressed.
    pub bytes: u64,
}

/// What the checkpoints of a thread take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadUsage {
    /// Checkpoints with their rendered records, without blobs and writes.
    pub checkpoints: Usage,
    /// Blobs by channel, over all namespaces; sorted by name.
    pub channels: Vec<(String, Usage)>,
    /// Writes of tasks.
    pub writes: Usage,
}

/// Reads of checkpoints. Those of a thread that is not visible are not there.
pub trait Read {
    /// The given checkpoint, or the newest of the namespace.
    fn get_checkpoint(
        &self,
        scope: &Scope,
        thread: ThreadId,
        ns: &str,
        id: Option<&str>,
    ) -> Result<Option<CheckpointTuple>>;

    /// Id of the newest checkpoint of the namespace.
    fn head_checkpoint(&self, scope: &Scope, thread: ThreadId, ns: &str) -> Result<Option<String>>;

    /// Rendered faces, newest first.
    fn list_records(
        &self,
        scope: &Scope,
        thread: ThreadId,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Record>>;

    /// The stored live view of the thread, if it was made for the checkpoint that is the head now.
    fn get_live_state(&self, scope: &Scope, thread: ThreadId) -> Result<Option<RawJson>>;

    /// What the thread's checkpoints take; `None` if the thread is not there.
    fn checkpoint_usage(&self, scope: &Scope, thread: ThreadId) -> Result<Option<ThreadUsage>>;
}

/// Changes of checkpoints. Callers hold the thread's lease or have read the thread in their scope.
pub trait Write {
    /// Applies saver operations in order. Applying them twice has the same effect as once.
    fn save(&self, thread: ThreadId, ops: &[SaverOp]) -> Result<()>;

    /// Keeps what the operations of a run are about to change at checkpoints that are not its own, so that
    /// [`Write::delete_checkpoints_of_run`] can put it back. Comes before [`Write::save`].
    fn keep_before(&self, thread: ThreadId, run: RunId, ops: &[SaverOp]) -> Result<()>;

    /// Stores the live view (a whole thread state) of the checkpoint `id`.
    fn put_live_state(&self, thread: ThreadId, id: &str, state: &RawJson) -> Result<()>;

    /// Removes every checkpoint whose `run_id` is the run's, with blobs and writes that nothing else refers to, and
    /// puts back what [`Write::keep_before`] has kept. Where a later run has gone on from what this one wrote, it stays.
    fn delete_checkpoints_of_run(&self, thread: ThreadId, run: RunId) -> Result<()>;

    /// Copies everything that is saved for `from` to the thread `to`, which has nothing yet. Ids stay; where metadata and
    /// rendered JSON name the thread, they name the new one.
    fn copy_checkpoints(&self, from: ThreadId, to: ThreadId) -> Result<()>;

    /// Removes all checkpoints but the newest of every namespace, with what nothing else refers to. Whether that could
    /// be done: values of some channels are spread over older checkpoints, which have to stay. The thread is at rest:
    /// a run may have started from any of its checkpoints.
    fn prune_checkpoints(&self, thread: ThreadId) -> Result<bool>;
}
