//! Runs behind the cipher.

use serde_json::Value;

use super::{
    fields::{Model, RUN},
    replaced::Stored,
    view::{Sealable, Taken, View, put_json, put_map},
};
use crate::{
    AssistantId, Page, ReadTx, Result, RunId, Scope, ThreadId, Timestamp, WriteTx,
    runs::{Counted, Lease, Queue, Read, Run, RunStatus, Write},
};

const ALL: &Scope = &Scope::server();

impl Sealable for Run {
    const MODEL: Model = RUN;

    fn take(&mut self, stored: bool) -> Result<Value> {
        let taken = Taken::default().map("metadata", &mut self.metadata);
        Ok(taken.json("kwargs", Some(&self.kwargs), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_map(&mut fields, "metadata", &mut self.metadata);
        put_json(&mut fields, "kwargs", &mut self.kwargs);
    }

    fn stored(&self, fields: Value) -> Option<Stored> {
        let mut row = self.clone();
        row.put(fields);
        Some(Stored::Run(Box::new(row)))
    }
}

impl<T: ReadTx + ?Sized> Read for View<'_, T> {
    fn get_run(&self, scope: &Scope, thread: ThreadId, id: RunId) -> Result<Option<Run>> {
        match self.sees(scope, thread)? {
            true => self.opened_one(self.tx.get_run(ALL, thread, id)?),
            false => Ok(None),
        }
    }

    fn find_run(&self, scope: &Scope, id: RunId) -> Result<Option<Run>> {
        match self.tx.find_run(ALL, id)? {
            Some(run) if self.sees(scope, run.thread_id)? => self.opened_one(Some(run)),
            _ => Ok(None),
        }
    }

    fn holds_lease(&self, lease: Lease) -> Result<bool> {
        self.tx.holds_lease(lease)
    }

    fn list_runs(
        &self,
        scope: &Scope,
        thread: ThreadId,
        status: Option<RunStatus>,
        page: Page,
    ) -> Result<Vec<Run>> {
        match self.sees(scope, thread)? {
            true => self.opened(self.tx.list_runs(ALL, thread, status, page)?),
            false => Ok(vec![]),
        }
    }

    fn inflight_runs(&self, thread: ThreadId) -> Result<Vec<Run>> {
        self.opened(self.tx.inflight_runs(thread)?)
    }

    fn claimable_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<Run>> {
        self.opened(self.tx.claimable_runs(now, limit)?)
    }

    fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.tx.next_due(now)
    }

    fn queue(&self, now: Timestamp) -> Result<Queue> {
        self.tx.queue(now)
    }

    fn running_runs(&self) -> Result<Vec<Run>> {
        self.opened(self.tx.running_runs()?)
    }

    fn inflight_runs_of_all(&self, scope: &Scope, status: Option<RunStatus>) -> Result<Vec<Run>> {
        let mut visible = Vec::new();
        for run in self.tx.inflight_runs_of_all(ALL, status)? {
            if self.sees(scope, run.thread_id)? {
                visible.push(run);
            }
        }
        self.opened(visible)
    }

    fn inflight_runs_of_assistant(&self, id: AssistantId) -> Result<Vec<Run>> {
        self.opened(self.tx.inflight_runs_of_assistant(id)?)
    }

    fn count_inflight(&self, by: Counted<'_>, most: u32) -> Result<u32> {
        self.tx.count_inflight(by, most)
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn insert_run(&self, run: &Run) -> Result<()> {
        let own = self.context_of_thread(run.thread_id)?;
        let sealed = self.sealed(run.clone(), own.clone())?;
        self.with_blobs(own, || self.tx.insert_run(&sealed))
    }

    fn update_run_if(
        &self,
        id: RunId,
        expected: (RunStatus, u32),
        status: RunStatus,
        attempt: u32,
        now: Timestamp,
    ) -> Result<bool> {
        self.tx.update_run_if(id, expected, status, attempt, now)
    }

    fn rewrite_run(&self, run: &Run) -> Result<()> {
        let own = self.context_of_thread(run.thread_id)?;
        self.tx.rewrite_run(&self.sealed(run.clone(), own)?)
    }

    fn count_crash(&self, id: RunId) -> Result<()> {
        self.tx.count_crash(id)
    }

    fn delete_run(&self, scope: &Scope, id: RunId) -> Result<bool> {
        match self.tx.find_run(ALL, id)? {
            Some(run) if self.sees(scope, run.thread_id)? => self.tx.delete_run(ALL, id),
            _ => Ok(false),
        }
    }
}
