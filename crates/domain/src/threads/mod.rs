//! Threads: create, get, patch, delete, search, count; in the modules what is larger.
//!
//! Source: reference/runs-and-threads.md, sections 2 and 3.

mod copy;
mod expiry;
pub mod extract;
mod prune;
mod supersteps;

use agent_server_storage::{
    Cost, Map, Page, RawJson, Scope, SortOrder, ThreadId, Timestamp, WriteTx,
    threads::{Changes, Columns, Filter, SortBy, Thread, ThreadStatus},
};

pub use expiry::{TtlChange, minutes};

use crate::{Caller, Domain, Error, Found, Result, assistants::merged};

/// Body of a create.
#[derive(Clone, Debug, Default)]
pub struct NewThread {
    /// Chosen by the caller, else made here.
    pub thread_id: Option<ThreadId>,
    /// Metadata.
    pub metadata: Map,
    /// Whether an existing thread is returned instead of refused.
    pub do_nothing: bool,
    /// Lifetime; the server's default if `None`.
    pub ttl: Option<TtlChange>,
    /// State updates to begin with: an array of supersteps with `updates`, see `ports::Question::Supersteps`.
    pub supersteps: Option<RawJson>,
}

/// The wire's 404 of a thread.
pub(crate) fn not_found(id: ThreadId) -> Error {
    Error::NotFound(format!("Thread with ID {id} not found"))
}

/// A thread without history.
pub(crate) fn fresh_thread(thread_id: ThreadId, metadata: Map, now: Timestamp) -> Thread {
    Thread {
        thread_id,
        created_at: now,
        updated_at: now,
        state_updated_at: now,
        metadata,
        config: Map::new(),
        status: ThreadStatus::Idle,
        values: None,
        interrupts: None,
        error: None,
        ttl: None,
    }
}

/// Inserts the row, with the wire's refusal of an id that is taken.
fn insert(tx: &dyn WriteTx, thread: &Thread) -> Result<()> {
    match tx.insert_thread(thread) {
        Err(agent_server_storage::Error::Duplicate(_)) => {
            Err(Error::Conflict(format!("Thread with ID {} already exists", thread.thread_id)))
        }
        other => Ok(other?),
    }
}

impl Domain {
    /// An id for a thread, for who has to name it before it is created.
    pub fn new_thread_id(&self) -> ThreadId {
        self.0.ids.ordered().into()
    }

    /// Creates a thread.
    ///
    /// # Errors
    /// `Conflict` if the id exists; `Invalid` for a bad lifetime; what refused the supersteps, see `supersteps.rs`.
    pub async fn create_thread(&self, caller: &Caller, new: NewThread) -> Result<Thread> {
        let id = new.thread_id.unwrap_or_else(|| self.new_thread_id());
        let default = self.0.options.thread_ttl;
        let ttl = new.ttl.map_or(Ok(default), |change| change.apply(default))?;
        let thread = Thread { ttl, ..fresh_thread(id, new.metadata, self.now()) };
        let thread = match new.supersteps {
            None => self.insert_thread(caller, thread, new.do_nothing).await?,
            Some(supersteps) => {
                self.seed_thread(caller, thread, new.do_nothing, supersteps).await?
            }
        };
        if ttl.is_some() {
            self.0.lifetimes.notify_one();
        }
        Ok(thread)
    }

    async fn insert_thread(
        &self,
        caller: &Caller,
        thread: Thread,
        do_nothing: bool,
    ) -> Result<Thread> {
        let scope = caller.threads.clone();
        self.storage()
            .write(move |tx| {
                if do_nothing
                    && let Some(existing) =
                        tx.get_thread(&scope, thread.thread_id, Columns::Full)?
                {
                    return Ok(existing);
                }
                insert(tx, &thread)?;
                Ok(thread)
            })
            .await
    }

    /// One thread with its latest values.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_thread(&self, caller: &Caller, id: ThreadId) -> Result<Thread> {
        let scope = caller.threads.clone();
        self.storage()
            .read(Cost::Point, move |tx| {
                tx.get_thread(&scope, id, Columns::Full).map_err(Error::from)
            })
            .await?
            .ok_or_else(|| not_found(id))
    }

    /// Merges `metadata` into the thread's, key by key, and changes its lifetime.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a bad lifetime.
    pub async fn patch_thread(
        &self,
        caller: &Caller,
        id: ThreadId,
        metadata: Option<Map>,
        ttl: Option<TtlChange>,
    ) -> Result<Thread> {
        let (scope, now, default) = (caller.threads.clone(), self.now(), self.0.options.thread_ttl);
        let thread = self
            .storage()
            .write(move |tx| {
                let missing = || Error::NotFound("Not Found".into());
                let mut thread = tx.get_thread(&scope, id, Columns::Full)?.ok_or_else(missing)?;
                let merged = metadata.map(|metadata| merged(thread.metadata.clone(), &metadata));
                let ttl = match ttl {
                    Some(change) => change.apply(thread.ttl.or(default))?,
                    None => None,
                };
                let changes = Changes {
                    updated_at: Some(now),
                    metadata: merged.clone(),
                    ttl,
                    ..Default::default()
                };
                tx.update_thread(&scope, id, &changes)?;
                thread.updated_at = now;
                thread.metadata = merged.unwrap_or(thread.metadata);
                thread.ttl = ttl.or(thread.ttl);
                Ok::<_, Error>(thread)
            })
            .await?;
        if ttl.is_some() {
            self.0.lifetimes.notify_one();
        }
        Ok(thread)
    }

    /// Deletes a thread with everything that belongs to it. Its runs in flight lose their leases in the same
    /// transaction, so that nothing they still do can write.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_thread(&self, caller: &Caller, id: ThreadId) -> Result<()> {
        let scope = caller.threads.clone();
        let inflight = self
            .storage()
            .write(move |tx| prune::remove(tx, &scope, id)?.ok_or_else(|| not_found(id)))
            .await?;
        for run in &inflight {
            self.abandon(run);
        }
        self.0.streams.close_thread(id);
        Ok(())
    }

    /// Searches threads.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn search_threads(
        &self,
        caller: &Caller,
        filter: Filter,
        sort: (SortBy, SortOrder),
        page: Page,
        columns: Columns,
    ) -> Result<Found<Thread>> {
        let scope = caller.threads.clone();
        let wanted = Page { limit: page.limit + 1, ..page };
        // A plain page is an index walk of a few rows: no need to leave the calling thread for it.
        let plain = filter.metadata.is_none() && filter.values.is_none() && page.offset == 0;
        let cost = if plain && page.limit <= 20 { Cost::Point } else { Cost::Scan };
        let items = self
            .storage()
            .read(cost, move |tx| {
                tx.search_threads(&scope, &filter, sort, wanted, columns).map_err(Error::from)
            })
            .await?;
        Ok(Found::from_lookahead(items, page.limit))
    }

    /// Counts threads.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn count_threads(&self, caller: &Caller, filter: Filter) -> Result<u64> {
        let scope = caller.threads.clone();
        self.storage()
            .read(Cost::Scan, move |tx| tx.count_threads(&scope, &filter).map_err(Error::from))
            .await
    }

    /// The thread without its large columns, for rules.
    pub(crate) async fn thread_header(&self, scope: &Scope, id: ThreadId) -> Result<Thread> {
        let scope = scope.clone();
        self.storage()
            .read(Cost::Point, move |tx| {
                tx.get_thread(&scope, id, Columns::Header).map_err(Error::from)
            })
            .await?
            .ok_or_else(|| not_found(id))
    }
}
