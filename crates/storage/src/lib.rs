//! The storage interface: row types, filters, and the traits that every backend implements.
//!
//! All reads and writes happen inside a transaction that a backend hands to a closure
//! ([`dyn Storage::read`], [`dyn Storage::write`]). Rules live in the closure (crate `domain`), rows live
//! behind the traits, so a decision and the rows it was based on can never drift apart. A backend may
//! group closures of several callers into one commit; each closure still succeeds or fails alone.
//!
//! One module per resource: [`assistants`], [`threads`], [`runs`], [`crons`], [`checkpoints`], [`events`], [`store`],
//! [`webhooks`], [`idempotency`]; [`archive`] is all of them. Every method that touches data of a tenant takes a [`Scope`]. No SQL and no HTTP here.

pub mod archive;
pub mod assistants;
pub mod checkpoints;
pub mod crons;
pub mod encrypted;
mod error;
pub mod events;
mod filter;
pub mod idempotency;
mod ids;
mod json;
pub mod runs;
mod scope;
pub mod store;
#[cfg(feature = "suite")]
pub mod suite;
pub mod threads;
pub mod webhooks;

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

pub use error::{Error, Result};
pub use filter::{Page, SortOrder, contains};
pub use ids::{AssistantId, CronId, RunId, ThreadId};
pub use json::{Map, RawJson};
pub use scope::{Condition, Scope};

/// UTC with microseconds, the resolution of the wire.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// How much work a read is expected to be; a backend may run cheap reads on the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A bounded handful of rows found by key.
    Point,
    /// A scan or a search: may take milliseconds.
    Scan,
}

/// What a write closure decided about its own changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Keep the changes.
    Commit,
    /// Undo the changes of this closure only.
    Rollback,
}

/// A boxed read closure; use [`dyn Storage::read`] instead of building one.
pub type ReadJob<'a> = Box<dyn FnOnce(&dyn ReadTx) + Send + 'a>;
/// A boxed write closure; use [`dyn Storage::write`] instead of building one.
pub type WriteJob = Box<dyn FnOnce(&dyn WriteTx) -> Verdict + Send>;

/// Ends when what was committed survives the loss of power; see [`dyn Storage::commit`].
pub type Flush = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A consistent snapshot of all tables.
pub trait ReadTx:
    assistants::Read
    + threads::Read
    + runs::Read
    + crons::Read
    + checkpoints::Read
    + events::Read
    + store::Read
    + webhooks::Read
    + idempotency::Read
    + archive::Read
{
}

/// A snapshot that may also be changed; sees its own changes.
pub trait WriteTx:
    ReadTx
    + assistants::Write
    + threads::Write
    + runs::Write
    + crons::Write
    + checkpoints::Write
    + events::Write
    + store::Write
    + webhooks::Write
    + idempotency::Write
    + archive::Write
{
}

/// A backend.
///
/// Promises: a write that returned `Ok` survives the loss of the process and of power; write closures run one
/// after another as far as the rows they touch are concerned; a read sees all writes that returned before it began.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Runs `job` on a snapshot. `Err` only when the snapshot could not be had.
    async fn read_job(&self, cost: Cost, job: ReadJob<'static>) -> Result<()>;

    /// Runs `job` and makes its changes durable unless it asks for a rollback.
    async fn write_job(&self, job: WriteJob) -> Result<()>;

    /// As [`Storage::write_job`], but returns as soon as the changes survive the end of the process and are what every
    /// read sees; the answer ends when they are durable. A backend that cannot keep the two apart answers with the second.
    async fn commit_job(&self, job: WriteJob) -> Result<Flush>;

    /// Finishes what is queued, empties the write-ahead log and closes the files.
    async fn close(&self);
}

impl dyn Storage {
    /// Runs `read` on a consistent snapshot and returns its result.
    ///
    /// # Errors
    /// What `read` returned, or the backend's own error converted into `E`.
    pub async fn read<T, E>(
        &self,
        cost: Cost,
        read: impl FnOnce(&dyn ReadTx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let fill = Arc::clone(&slot);
        self.read_job(cost, Box::new(move |tx| *fill.lock() = Some(read(tx)))).await?;
        let result = slot.lock().take();
        result.expect("a backend runs a read job before it answers Ok")
    }

    /// Runs `write` in a transaction; its changes are durable when this returns `Ok`, undone when it returns `Err`.
    ///
    /// # Errors
    /// What `write` returned (nothing was changed), or the backend's own error converted into `E`.
    pub async fn write<T, E>(
        &self,
        write: impl FnOnce(&dyn WriteTx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, slot) = filling(write);
        let written = self.write_job(job).await;
        outcome(&slot, written).map(|(result, ())| result)
    }

    /// As [`dyn Storage::write`], but returns with the commit. What is done before the [`Flush`] has ended may turn out to
    /// have been done for nothing, if power is lost in between: so nobody outside is told before.
    ///
    /// # Errors
    /// As [`dyn Storage::write`].
    pub async fn commit<T, E>(
        &self,
        write: impl FnOnce(&dyn WriteTx) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, Flush), E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, slot) = filling(write);
        let committed = self.commit_job(job).await;
        outcome(&slot, committed)
    }
}

/// Where a write job leaves the result of its closure.
type Slot<T, E> = Arc<Mutex<Option<Result<T, E>>>>;

/// A job that keeps its changes if `write` succeeds.
fn filling<T, E>(
    write: impl FnOnce(&dyn WriteTx) -> Result<T, E> + Send + 'static,
) -> (WriteJob, Slot<T, E>)
where
    T: Send + 'static,
    E: Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let fill = Arc::clone(&slot);
    let job: WriteJob = Box::new(move |tx| {
        let result = write(tx);
        let verdict = if result.is_ok() { Verdict::Commit } else { Verdict::Rollback };
        *fill.lock() = Some(result);
        verdict
    });
    (job, slot)
}

/// What a write came to: what its closure returned, and what the backend answered.
fn outcome<T, E: From<Error>, A>(slot: &Slot<T, E>, answer: Result<A>) -> Result<(T, A), E> {
    match (answer, slot.lock().take()) {
        // The closure's own refusal is the better explanation.
        (_, Some(Err(error))) => Err(error),
        (Err(error), _) => Err(error.into()),
        (Ok(answer), result) => {
            let result = result.expect("a backend runs a write job before it answers Ok");
            result.map(|result| (result, answer))
        }
    }
}
