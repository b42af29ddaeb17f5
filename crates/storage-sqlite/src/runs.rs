//! Runs and the queue.

use agent_server_storage::{
    AssistantId, Page, Result, RunId, Scope, ThreadId, Timestamp,
    runs::{Counted, Lease, MultitaskStrategy, Queue, Read, Run, RunStatus, Waiting, Write},
};
use rusqlite::params;

use crate::{
    codec::{Fields, micros},
    error::SqlResult,
    tx::{Row, Tx},
};

/// A query of runs that [`run`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT run_id, thread_id, assistant_id, graph_id, created_at, updated_at, status, multitask_strategy, \
             attempt, crashes, temporary, metadata, kwargs, owner FROM run ",
            $rest
        )
    };
}

pub(crate) use select;

pub(crate) fn run(row: &Row<'_>) -> Result<Run> {
    let fields = Fields::new("run", row);
    Ok(Run {
        run_id: fields.uuid(0)?.into(),
        thread_id: fields.uuid(1)?.into(),
        assistant_id: fields.uuid(2)?.into(),
        graph_id: fields.text(3)?,
        created_at: fields.time(4)?,
        updated_at: fields.time(5)?,
        status: fields.word(6, RunStatus::parse)?,
        multitask_strategy: fields.word(7, MultitaskStrategy::parse)?,
        attempt: fields.get(8)?,
        crashes: fields.get(9)?,
        temporary: fields.get(10)?,
        metadata: fields.metadata(11)?,
        kwargs: fields.json(12)?,
        owner: fields.get(13)?,
    })
}

impl Read for Tx<'_> {
    fn get_run(&self, scope: &Scope, thread: ThreadId, id: RunId) -> Result<Option<Run>> {
        Ok(self.find_run(scope, id)?.filter(|run| run.thread_id == thread))
    }

    fn find_run(&self, scope: &Scope, id: RunId) -> Result<Option<Run>> {
        let found = self.first(select!("WHERE run_id = ?1"), [id.0.as_bytes()], run)?;
        match found {
            Some(run) if self.thread_visible(scope, run.thread_id)? => Ok(Some(run)),
            _ => Ok(None),
        }
    }

    fn holds_lease(&self, lease: Lease) -> Result<bool> {
        let sql = "SELECT 1 FROM run WHERE run_id = ?1 AND status = 'running' AND attempt = ?2";
        let params = params![lease.run_id.0.as_bytes(), lease.attempt];
        Ok(self.first(sql, params, |_| Ok(()))?.is_some())
    }

    fn list_runs(
        &self,
        scope: &Scope,
        thread: ThreadId,
        status: Option<RunStatus>,
        page: Page,
    ) -> Result<Vec<Run>> {
        if !self.thread_visible(scope, thread)? {
            return Ok(Vec::new());
        }
        let status = status.map(RunStatus::as_str);
        self.all(
            select!(
                "WHERE thread_id = ?1 AND (?2 IS NULL OR status = ?2) ORDER BY created_at DESC, run_id DESC \
                 LIMIT ?3 OFFSET ?4"
            ),
            params![thread.0.as_bytes(), status, page.limit, page.offset],
            run,
        )
    }

    fn inflight_runs(&self, thread: ThreadId) -> Result<Vec<Run>> {
        self.all(
            select!(
                "INDEXED BY run_inflight WHERE thread_id = ?1 AND (status = 'pending' OR status = 'running') \
                 ORDER BY created_at, run_id"
            ),
            [thread.0.as_bytes()],
            run,
        )
    }

    fn claimable_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<Run>> {
        // Walks the pending runs from the oldest; an earlier pending run of the same thread is due as well, so it is
        // the one that stands for the thread.
        self.all(
            select!(
                "AS candidate INDEXED BY run_pending WHERE status = 'pending' AND created_at <= ?1 \
                 AND NOT EXISTS (SELECT 1 FROM run AS busy INDEXED BY run_inflight \
                     WHERE busy.thread_id = candidate.thread_id AND busy.status = 'running' \
                     AND (busy.status = 'pending' OR busy.status = 'running')) \
                 AND run_id = (SELECT earlier.run_id FROM run AS earlier INDEXED BY run_inflight \
                     WHERE earlier.thread_id = candidate.thread_id \
                     AND (earlier.status = 'pending' OR earlier.status = 'running') \
                     ORDER BY earlier.created_at, earlier.run_id LIMIT 1) \
                 ORDER BY created_at, run_id LIMIT ?2"
            ),
            params![micros(now), limit],
            run,
        )
    }

    fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.first(
            "SELECT run_id, created_at FROM run INDEXED BY run_pending WHERE status = 'pending' AND created_at > ?1 \
             ORDER BY created_at LIMIT 1",
            [micros(now)],
            |row| Fields::new("run", row).time(1),
        )
    }

    fn queue(&self, now: Timestamp) -> Result<Queue> {
        let waiting = self.all(
            "SELECT run_id, created_at, EXISTS (SELECT 1 FROM run AS other INDEXED BY run_inflight \
                 WHERE other.thread_id = candidate.thread_id AND (other.status = 'pending' OR other.status = 'running') \
                 AND (other.status = 'running' \
                     OR (other.created_at, other.run_id) < (candidate.created_at, candidate.run_id))) \
             FROM run AS candidate INDEXED BY run_pending WHERE status = 'pending' AND created_at <= ?1 \
             ORDER BY created_at, run_id",
            [micros(now)],
            |row| {
                let fields = Fields::new("run", row);
                Ok(Waiting { since: fields.time(1)?, is_blocked: fields.get(2)? })
            },
        )?;
        let running = self.count(
            "SELECT count(*) FROM run INDEXED BY run_inflight WHERE status = 'running' \
             AND (status = 'pending' OR status = 'running')",
            [],
        )?;
        Ok(Queue { waiting, running })
    }

    fn running_runs(&self) -> Result<Vec<Run>> {
        self.all(
            select!(
                "INDEXED BY run_inflight WHERE status = 'running' AND (status = 'pending' OR status = 'running') \
                 ORDER BY created_at, run_id"
            ),
            [],
            run,
        )
    }

    fn inflight_runs_of_all(&self, scope: &Scope, status: Option<RunStatus>) -> Result<Vec<Run>> {
        let runs = self.all(
            select!(
                "INDEXED BY run_inflight WHERE (?1 IS NULL OR status = ?1) \
                 AND (status = 'pending' OR status = 'running') ORDER BY created_at, run_id"
            ),
            [status.map(RunStatus::as_str)],
            run,
        )?;
        let mut visible = Vec::with_capacity(runs.len());
        for run in runs {
            if self.thread_visible(scope, run.thread_id)? {
                visible.push(run);
            }
        }
        Ok(visible)
    }

    fn inflight_runs_of_assistant(&self, id: AssistantId) -> Result<Vec<Run>> {
        self.all(
            select!(
                "INDEXED BY run_inflight WHERE assistant_id = ?1 AND (status = 'pending' OR status = 'running') \
                 ORDER BY created_at, run_id"
            ),
            [id.0.as_bytes()],
            run,
        )
    }

    fn count_inflight(&self, by: Counted<'_>, most: u32) -> Result<u32> {
        // All that is asked for stands in the index.
        macro_rules! count {
            ($column:literal) => {
                concat!(
                    "SELECT count(*) FROM (SELECT 1 FROM run INDEXED BY run_counted WHERE owner IS NOT NULL AND ",
                    $column,
                    " = ?1 AND (status = 'pending' OR status = 'running') LIMIT ?2)"
                )
            };
        }
        let count = match by {
            Counted::Owner(owner) => self.count(count!("owner"), params![owner, most])?,
            Counted::Assistant(id) => {
                self.count(count!("assistant_id"), params![id.0.as_bytes(), most])?
            }
        };
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl Write for Tx<'_> {
    fn insert_run(&self, run: &Run) -> Result<()> {
        self.change(
            "INSERT INTO run (run_id, thread_id, assistant_id, graph_id, created_at, updated_at, status, \
             multitask_strategy, attempt, crashes, temporary, metadata, kwargs, owner) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                run.run_id.0.as_bytes(),
                run.thread_id.0.as_bytes(),
                run.assistant_id.0.as_bytes(),
                run.graph_id,
                micros(run.created_at),
                micros(run.updated_at),
                run.status.as_str(),
                run.multitask_strategy.as_str(),
                run.attempt,
                run.crashes,
                run.temporary,
                self.metadata_text(&run.metadata),
                self.packed_json("run", &run.kwargs),
                run.owner,
            ],
        )
        .sql_unique("run")?;
        Ok(())
    }

    fn update_run_if(
        &self,
        id: RunId,
        (expected, expected_attempt): (RunStatus, u32),
        status: RunStatus,
        attempt: u32,
        now: Timestamp,
    ) -> Result<bool> {
        let changed = self
            .change(
                "UPDATE run SET status = ?4, attempt = ?5, updated_at = ?6 \
                 WHERE run_id = ?1 AND status = ?2 AND attempt = ?3",
                params![
                    id.0.as_bytes(),
                    expected.as_str(),
                    expected_attempt,
                    status.as_str(),
                    attempt,
                    micros(now),
                ],
            )
            .sql()?;
        Ok(changed > 0)
    }

    fn rewrite_run(&self, run: &Run) -> Result<()> {
        let sql = "UPDATE run SET metadata = ?2, kwargs = ?3 WHERE run_id = ?1";
        let id = run.run_id.0.as_bytes();
        let kwargs = self.packed_json("run", &run.kwargs);
        self.change(sql, params![id, self.metadata_text(&run.metadata), kwargs]).sql()?;
        // What was there before leaves the files.
        self.mark_deleted();
        Ok(())
    }

    fn count_crash(&self, id: RunId) -> Result<()> {
        let sql = "UPDATE run SET crashes = crashes + 1 WHERE run_id = ?1";
        self.change(sql, [id.0.as_bytes()]).sql()?;
        Ok(())
    }

    fn delete_run(&self, scope: &Scope, id: RunId) -> Result<bool> {
        let sql = "SELECT run_id, thread_id FROM run WHERE run_id = ?1";
        let thread = self.first(sql, [id.0.as_bytes()], |row| Fields::new("run", row).uuid(1))?;
        match thread {
            Some(thread) if self.thread_visible(scope, thread.into())? => {
                self.delete_events(thread.into(), id)?;
                self.delete_delivery(id)?;
                Ok(self.delete("DELETE FROM run WHERE run_id = ?1", [id.0.as_bytes()])? > 0)
            }
            _ => Ok(false),
        }
    }
}
