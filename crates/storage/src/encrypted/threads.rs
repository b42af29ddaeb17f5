//! Threads behind the cipher.

use serde_json::Value;

use super::{
    fields::{Model, THREAD},
    replaced::Stored,
    view::{Sealable, Taken, View, context_of, put_json, put_map},
};
use crate::{
    Map, Page, ReadTx, Result, Scope, SortOrder, ThreadId, Timestamp, WriteTx,
    threads::{Changes, Columns, Filter, Read, SortBy, Thread, Write},
};

const ALL: &Scope = &Scope::server();
/// Rows that are read at a time where a scope is judged after they were decrypted.
pub(super) const ROUND: u32 = 100;

impl Sealable for Thread {
    const MODEL: Model = THREAD;

    fn take(&mut self, stored: bool) -> Result<Value> {
        let taken = Taken::default().map("metadata", &mut self.metadata);
        let taken = taken.map("config", &mut self.config);
        let taken = taken.json("values", self.values.as_ref(), stored)?;
        let taken = taken.json("interrupts", self.interrupts.as_ref(), stored)?;
        Ok(taken.json("error", self.error.as_ref(), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_map(&mut fields, "metadata", &mut self.metadata);
        put_map(&mut fields, "config", &mut self.config);
        for (name, json) in [
            ("values", &mut self.values),
            ("interrupts", &mut self.interrupts),
            ("error", &mut self.error),
        ] {
            if let Some(json) = json {
                put_json(&mut fields, name, json);
            }
        }
    }

    fn stored(&self, fields: Value) -> Option<Stored> {
        let mut row = self.clone();
        row.put(fields);
        Some(Stored::Thread(Box::new(row)))
    }
}

impl<T: ReadTx + ?Sized> View<'_, T> {
    /// Whether a thread is there and visible.
    pub(super) fn sees(&self, scope: &Scope, id: ThreadId) -> Result<bool> {
        // The backend's own answer for those that are not there.
        Ok(scope.is_everything() || self.get_thread(scope, id, Columns::Header)?.is_some())
    }

    /// The context in which a thread was encrypted.
    pub(super) fn context_of_thread(&self, id: ThreadId) -> Result<Option<Map>> {
        let thread = self.tx.get_thread(ALL, id, Columns::Header)?;
        Ok(thread.and_then(|thread| context_of(&thread.metadata)))
    }

    fn needles(&self, filter: &Filter) -> Result<Filter> {
        Ok(Filter {
            metadata: self.needle(&THREAD, "metadata", filter.metadata.as_ref())?,
            values: self.needle(&THREAD, "values", filter.values.as_ref())?,
            ..filter.clone()
        })
    }

    /// Walks through what a filter finds and a scope does not hide, until `visit` has enough.
    fn walk(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        columns: Columns,
        mut visit: impl FnMut(Thread) -> bool,
    ) -> Result<()> {
        let mut page = Page { limit: ROUND, offset: 0 };
        loop {
            let found = self.tx.search_threads(ALL, filter, sort, page, columns)?;
            let is_last = found.len() < ROUND as usize;
            for thread in self.opened(found)? {
                if scope.allows(&thread.metadata) && !visit(thread) {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
            page.offset += ROUND;
        }
    }
}

impl<T: ReadTx + ?Sized> Read for View<'_, T> {
    fn get_thread(&self, scope: &Scope, id: ThreadId, columns: Columns) -> Result<Option<Thread>> {
        let thread = self.opened_one(self.tx.get_thread(ALL, id, columns)?)?;
        Ok(thread.filter(|thread| scope.allows(&thread.metadata)))
    }

    fn search_threads(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        page: Page,
        columns: Columns,
    ) -> Result<Vec<Thread>> {
        let filter = self.needles(filter)?;
        if scope.is_everything() {
            return self.opened(self.tx.search_threads(ALL, &filter, sort, page, columns)?);
        }
        let (mut skipped, mut found) = (0, Vec::new());
        if page.limit == 0 {
            return Ok(found);
        }
        self.walk(scope, &filter, sort, columns, |thread| {
            if skipped < page.offset {
                skipped += 1;
                return true;
            }
            found.push(thread);
            found.len() < page.limit as usize
        })?;
        Ok(found)
    }

    fn count_threads(&self, scope: &Scope, filter: &Filter) -> Result<u64> {
        let filter = self.needles(filter)?;
        if scope.is_everything() {
            return self.tx.count_threads(ALL, &filter);
        }
        let mut count = 0;
        let sort = (SortBy::ThreadId, SortOrder::Asc);
        self.walk(scope, &filter, sort, Columns::Header, |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    fn expired_threads(&self, now: Timestamp, limit: u32) -> Result<Vec<Thread>> {
        self.opened(self.tx.expired_threads(now, limit)?)
    }

    fn next_expiry(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.tx.next_expiry(now)
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn insert_thread(&self, thread: &Thread) -> Result<()> {
        let sealed = self.sealed(thread.clone(), None)?;
        let context = context_of(&sealed.metadata);
        self.with_blobs(context, || self.tx.insert_thread(&sealed))
    }

    fn update_thread(&self, scope: &Scope, id: ThreadId, changes: &Changes) -> Result<bool> {
        let Some(old) = self.tx.get_thread(ALL, id, Columns::Header)? else { return Ok(false) };
        if !self.sees(scope, id)? {
            return Ok(false);
        }
        let own = context_of(&old.metadata);
        let flat = |change: &Option<Option<_>>| change.clone().flatten();
        let fields = Thread {
            metadata: changes.metadata.clone().unwrap_or_default(),
            config: changes.config.clone().unwrap_or_default(),
            values: flat(&changes.values),
            interrupts: flat(&changes.interrupts),
            error: flat(&changes.error),
            ..old
        };
        let sealed = self.sealed(fields, own.clone())?;
        let changes = Changes {
            metadata: changes.metadata.is_some().then_some(sealed.metadata),
            config: changes.config.is_some().then_some(sealed.config),
            values: changes.values.is_some().then_some(sealed.values),
            interrupts: changes.interrupts.is_some().then_some(sealed.interrupts),
            error: changes.error.is_some().then_some(sealed.error),
            ..changes.clone()
        };
        self.with_blobs(own, || self.tx.update_thread(ALL, id, &changes))
    }

    fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<bool> {
        Ok(self.sees(scope, id)? && self.tx.delete_thread(ALL, id)?)
    }

    fn settle_expiry(&self, id: ThreadId) -> Result<()> {
        self.tx.settle_expiry(id)
    }
}
