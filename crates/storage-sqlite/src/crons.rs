//! Crons and the slots that they have fired for.

use agent_server_storage::{
    CronId, Page, Result, RunId, Scope, SortOrder, ThreadId, Timestamp,
    crons::{Cron, Filter, OnRunCompleted, Read, SortBy, Write},
};
use rusqlite::params;

use crate::{
    codec::{Fields, micros},
    error::SqlResult,
    tx::{Row, Tx, Where, direction},
};

pub(crate) const COLUMNS: &str = "cron_id, assistant_id, thread_id, created_at, updated_at, next_run_date, end_time, enabled, \
                       schedule, timezone, on_run_completed, user_id, metadata, payload";

pub(crate) fn cron(row: &Row<'_>) -> Result<Cron> {
    let fields = Fields::new("cron", row);
    let time = |column| match fields.is_null(column)? {
        true => Ok(None),
        false => fields.time(column).map(Some),
    };
    Ok(Cron {
        cron_id: CronId(fields.uuid(0)?),
        assistant_id: fields.uuid(1)?.into(),
        thread_id: match fields.is_null(2)? {
            true => None,
            false => Some(ThreadId(fields.uuid(2)?)),
        },
        created_at: fields.time(3)?,
        updated_at: fields.time(4)?,
        next_run_date: time(5)?,
        end_time: time(6)?,
        enabled: fields.get(7)?,
        schedule: fields.text(8)?,
        timezone: fields.get(9)?,
        on_run_completed: match fields.is_null(10)? {
            true => None,
            false => Some(fields.word(10, OnRunCompleted::parse)?),
        },
        user_id: fields.get(11)?,
        metadata: fields.metadata(12)?,
        payload: fields.json(13)?,
    })
}

fn condition(scope: &Scope, filter: &Filter) -> Where {
    let mut condition = Where::default();
    if let Some(id) = filter.assistant_id {
        condition.and("assistant_id = ?", id.0.as_bytes().to_vec());
    }
    if let Some(id) = filter.thread_id {
        condition.and("thread_id = ?", id.0.as_bytes().to_vec());
    }
    if let Some(enabled) = filter.enabled {
        condition.and("enabled = ?", enabled);
    }
    if let Some(metadata) = &filter.metadata {
        condition.and_contains("metadata", metadata);
    }
    condition.and_scope("metadata", scope);
    condition
}

impl Read for Tx<'_> {
    fn get_cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>> {
        let sql = format!("SELECT {COLUMNS} FROM cron WHERE cron_id = ?1");
        let found = self.first(&sql, [id.0.as_bytes()], cron)?;
        Ok(found.filter(|cron| scope.allows(&cron.metadata)))
    }

    fn search_crons(
        &self,
        scope: &Scope,
        filter: &Filter,
        (by, order): (SortBy, SortOrder),
        page: Page,
    ) -> Result<Vec<Cron>> {
        let key = match by {
            SortBy::CronId => "cron_id",
            SortBy::AssistantId => "assistant_id",
            SortBy::ThreadId => "thread_id",
            SortBy::NextRunDate => "next_run_date",
            SortBy::EndTime => "end_time",
            SortBy::CreatedAt => "created_at",
            SortBy::UpdatedAt => "updated_at",
        };
        let direction = direction(order);
        let mut condition = condition(scope, filter);
        condition.param(page.limit);
        condition.param(page.offset);
        let sql = format!(
            "SELECT {COLUMNS} FROM cron{} ORDER BY {key} {direction}, cron_id {direction} LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), cron)
    }

    fn count_crons(&self, scope: &Scope, filter: &Filter) -> Result<u64> {
        let condition = condition(scope, filter);
        let sql = format!("SELECT count(*) FROM cron{}", condition.sql());
        self.count(&sql, condition.params())
    }

    fn due_crons(&self, now: Timestamp, limit: u32) -> Result<Vec<Cron>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cron INDEXED BY cron_by_next \
             WHERE enabled AND next_run_date IS NOT NULL AND next_run_date <= ?1 \
             AND (end_time IS NULL OR end_time >= ?1) ORDER BY next_run_date, cron_id LIMIT ?2"
        );
        self.all(&sql, params![micros(now), limit], cron)
    }

    fn next_cron_date(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.first(
            "SELECT cron_id, next_run_date FROM cron INDEXED BY cron_by_next \
             WHERE enabled AND next_run_date IS NOT NULL AND next_run_date > ?1 \
             AND (end_time IS NULL OR end_time >= next_run_date) ORDER BY next_run_date LIMIT 1",
            [micros(now)],
            |row| Fields::new("cron", row).time(1),
        )
    }
}

impl Write for Tx<'_> {
    fn insert_cron(&self, cron: &Cron) -> Result<()> {
        self.change_cron(
            cron,
            &format!(
                "INSERT INTO cron ({COLUMNS}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
            ),
        )
        .sql_unique("cron")?;
        Ok(())
    }

    fn update_cron(&self, scope: &Scope, cron: &Cron) -> Result<bool> {
        if self.get_cron(scope, cron.cron_id)?.is_none() {
            return Ok(false);
        }
        self.change_cron(
            cron,
            "UPDATE cron SET assistant_id = ?2, thread_id = ?3, created_at = ?4, updated_at = ?5, next_run_date = ?6, \
             end_time = ?7, enabled = ?8, schedule = ?9, timezone = ?10, on_run_completed = ?11, user_id = ?12, \
             metadata = ?13, payload = ?14 WHERE cron_id = ?1",
        )
        .sql()?;
        // What the payload was before leaves the files.
        self.mark_deleted();
        Ok(true)
    }

    fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<bool> {
        if self.get_cron(scope, id)?.is_none() {
            return Ok(false);
        }
        // Slots go with the row they refer to.
        Ok(self.delete("DELETE FROM cron WHERE cron_id = ?1", [id.0.as_bytes()])? > 0)
    }

    fn insert_slot(
        &self,
        id: CronId,
        slot: Timestamp,
        run: RunId,
        forget: Timestamp,
    ) -> Result<()> {
        self.change(
            "INSERT INTO cron_slot (cron_id, slot, run_id) VALUES (?1, ?2, ?3)",
            params![id.0.as_bytes(), micros(slot), run.0.as_bytes()],
        )
        .sql_unique("slot")?;
        // Nothing of anybody's is in these rows, so their bytes may stay until the pages are used again.
        self.change(
            "DELETE FROM cron_slot WHERE cron_id = ?1 AND slot < ?2",
            params![id.0.as_bytes(), micros(forget)],
        )
        .sql()?;
        Ok(())
    }

    fn set_next_run_date(&self, id: CronId, next: Option<Timestamp>) -> Result<()> {
        self.change(
            "UPDATE cron SET next_run_date = ?2 WHERE cron_id = ?1",
            params![id.0.as_bytes(), next.map(micros)],
        )
        .sql()?;
        Ok(())
    }
}

impl Tx<'_> {
    /// Runs a statement whose parameters 1 to 14 are the columns of the row.
    fn change_cron(&self, cron: &Cron, sql: &str) -> rusqlite::Result<usize> {
        self.change(
            sql,
            params![
                cron.cron_id.0.as_bytes(),
                cron.assistant_id.0.as_bytes(),
                cron.thread_id.map(|id| id.0.into_bytes()),
                micros(cron.created_at),
                micros(cron.updated_at),
                cron.next_run_date.map(micros),
                cron.end_time.map(micros),
                cron.enabled,
                cron.schedule,
                cron.timezone,
                cron.on_run_completed.map(OnRunCompleted::as_str),
                cron.user_id,
                self.metadata_text(&cron.metadata),
                self.packed_json("cron", &cron.payload),
            ],
        )
    }
}
