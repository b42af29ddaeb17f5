//! What passes by the cipher: events, which the backend encrypts as it does checkpoints, and idempotency keys, which hold
//! nothing of anybody's.

use super::view::View;
use crate::{
    ReadTx, Result, RunId, Scope, ThreadId, Timestamp, WriteTx,
    events::{self, EventId, StoredEvent},
    idempotency::{self, Key, Record},
};

impl<T: ReadTx + ?Sized> events::Read for View<'_, T> {
    fn list_events(
        &self,
        scope: &Scope,
        thread: ThreadId,
        filter: &events::Filter,
        bytes: usize,
    ) -> Result<Vec<(RunId, StoredEvent)>> {
        match self.sees(scope, thread)? {
            true => self.tx.list_events(&Scope::server(), thread, filter, bytes),
            false => Ok(vec![]),
        }
    }

    fn last_event_id(&self) -> Result<EventId> {
        self.tx.last_event_id()
    }
}

impl<T: WriteTx + ?Sized> events::Write for View<'_, T> {
    fn append_events(&self, run: RunId, events: &[StoredEvent]) -> Result<()> {
        let own = match self.tx.find_run(&Scope::server(), run)? {
            Some(run) => self.context_of_thread(run.thread_id)?,
            None => None,
        };
        self.with_blobs(own, || self.tx.append_events(run, events))
    }

    fn sweep_events(&self, ended_before: Timestamp) -> Result<()> {
        self.tx.sweep_events(ended_before)
    }
}

impl<T: ReadTx + ?Sized> idempotency::Read for View<'_, T> {
    fn find_key(&self, key: &Key, now: Timestamp) -> Result<Option<Record>> {
        self.tx.find_key(key, now)
    }

    fn next_key_expiry(&self) -> Result<Option<Timestamp>> {
        self.tx.next_key_expiry()
    }
}

impl<T: WriteTx + ?Sized> idempotency::Write for View<'_, T> {
    fn insert_key(&self, key: &Key, record: &Record, now: Timestamp) -> Result<()> {
        self.tx.insert_key(key, record, now)
    }

    fn sweep_keys(&self, now: Timestamp) -> Result<()> {
        self.tx.sweep_keys(now)
    }
}
