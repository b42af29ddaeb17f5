//! Crons behind the cipher.

use serde_json::Value;

use super::{
    fields::{CRON, Model},
    replaced::Stored,
    threads::ROUND,
    view::{Sealable, Taken, View, context_of, put_json, put_map},
};
use crate::{
    CronId, Page, ReadTx, Result, RunId, Scope, SortOrder, Timestamp, WriteTx,
    crons::{Cron, Filter, Read, SortBy, Write},
};

const ALL: &Scope = &Scope::server();

impl Sealable for Cron {
    const MODEL: Model = CRON;

    fn take(&mut self, stored: bool) -> Result<Value> {
        let taken = Taken::default().map("metadata", &mut self.metadata);
        Ok(taken.json("payload", Some(&self.payload), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_map(&mut fields, "metadata", &mut self.metadata);
        put_json(&mut fields, "payload", &mut self.payload);
    }

    fn stored(&self, fields: Value) -> Option<Stored> {
        let mut row = self.clone();
        row.put(fields);
        Some(Stored::Cron(Box::new(row)))
    }
}

impl<T: ReadTx + ?Sized> View<'_, T> {
    fn cron_needles(&self, filter: &Filter) -> Result<Filter> {
        let metadata = self.needle(&CRON, "metadata", filter.metadata.as_ref())?;
        Ok(Filter { metadata, ..filter.clone() })
    }

    fn walk_crons(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        mut visit: impl FnMut(Cron) -> bool,
    ) -> Result<()> {
        let mut page = Page { limit: ROUND, offset: 0 };
        loop {
            let found = self.tx.search_crons(ALL, filter, sort, page)?;
            let is_last = found.len() < ROUND as usize;
            for cron in self.opened(found)? {
                if scope.allows(&cron.metadata) && !visit(cron) {
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
    fn get_cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>> {
        let cron = self.opened_one(self.tx.get_cron(ALL, id)?)?;
        Ok(cron.filter(|cron| scope.allows(&cron.metadata)))
    }

    fn search_crons(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Vec<Cron>> {
        let filter = self.cron_needles(filter)?;
        if scope.is_everything() {
            return self.opened(self.tx.search_crons(ALL, &filter, sort, page)?);
        }
        let (mut skipped, mut found) = (0, Vec::new());
        if page.limit == 0 {
            return Ok(found);
        }
        self.walk_crons(scope, &filter, sort, |cron| {
            if skipped < page.offset {
                skipped += 1;
                return true;
            }
            found.push(cron);
            found.len() < page.limit as usize
        })?;
        Ok(found)
    }

    fn count_crons(&self, scope: &Scope, filter: &Filter) -> Result<u64> {
        let filter = self.cron_needles(filter)?;
        if scope.is_everything() {
            return self.tx.count_crons(ALL, &filter);
        }
        let mut count = 0;
        self.walk_crons(scope, &filter, (SortBy::CronId, SortOrder::Asc), |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    fn due_crons(&self, now: Timestamp, limit: u32) -> Result<Vec<Cron>> {
        self.opened(self.tx.due_crons(now, limit)?)
    }

    fn next_cron_date(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.tx.next_cron_date(now)
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn insert_cron(&self, cron: &Cron) -> Result<()> {
        self.tx.insert_cron(&self.sealed(cron.clone(), None)?)
    }

    fn update_cron(&self, scope: &Scope, cron: &Cron) -> Result<bool> {
        let Some(old) = self.tx.get_cron(ALL, cron.cron_id)? else { return Ok(false) };
        if !scope.is_everything() && self.get_cron(scope, cron.cron_id)?.is_none() {
            return Ok(false);
        }
        self.tx.update_cron(ALL, &self.sealed(cron.clone(), context_of(&old.metadata))?)
    }

    fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<bool> {
        if !scope.is_everything() && self.get_cron(scope, id)?.is_none() {
            return Ok(false);
        }
        self.tx.delete_cron(ALL, id)
    }

    fn insert_slot(
        &self,
        id: CronId,
        slot: Timestamp,
        run: RunId,
        forget: Timestamp,
    ) -> Result<()> {
        self.tx.insert_slot(id, slot, run, forget)
    }

    fn set_next_run_date(&self, id: CronId, next: Option<Timestamp>) -> Result<()> {
        self.tx.set_next_run_date(id, next)
    }
}
