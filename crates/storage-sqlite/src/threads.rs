//! Threads. Their large columns live in `thread_state`, so that a change of status does not rewrite them.

use agent_server_storage::{
    Page, RawJson, Result, Scope, SortOrder, ThreadId, Timestamp,
    threads::{
        Changes, Columns, Filter, Read, SortBy, Thread, ThreadStatus, Ttl, TtlStrategy, Write,
    },
};
use rusqlite::{ToSql, params};

use crate::{
    codec::{Fields, map_text, micros},
    error::SqlResult,
    tx::{Row, Tx, Where, direction},
};

fn header(fields: &Fields<'_>) -> Result<Thread> {
    Ok(Thread {
        thread_id: fields.uuid(0)?.into(),
        created_at: fields.time(1)?,
        updated_at: fields.time(2)?,
        state_updated_at: fields.time(3)?,
        status: fields.word(4, ThreadStatus::parse)?,
        metadata: fields.metadata(5)?,
        config: fields.map(6)?,
        ttl: match fields.get(8)? {
            Some(micros) => Some(Ttl { strategy: fields.word(7, TtlStrategy::parse)?, micros }),
            None => None,
        },
        values: None,
        interrupts: None,
        error: None,
    })
}

pub(crate) fn full(row: &Row<'_>) -> Result<Thread> {
    let fields = Fields::new("thread", row);
    let state = Fields::new("thread_state", row);
    Ok(Thread {
        values: state.opt_json(9)?,
        interrupts: state.opt_json(10)?,
        error: state.opt_json(11)?,
        ..header(&fields)?
    })
}

/// The beginning of a query and the function that reads its rows.
type Selection = (&'static str, fn(&Row<'_>) -> Result<Thread>);

fn selection(columns: Columns) -> Selection {
    match columns {
        Columns::Header => (
            "SELECT thread_id, created_at, updated_at, state_updated_at, status, metadata, config, \
             ttl_strategy, ttl FROM thread",
            |row| header(&Fields::new("thread", row)),
        ),
        Columns::Full => (
            "SELECT thread_id, created_at, updated_at, state_updated_at, status, metadata, config, \
             ttl_strategy, ttl, state_values, interrupts, error FROM thread LEFT JOIN thread_state USING (thread_key)",
            full,
        ),
    }
}

fn condition(scope: &Scope, filter: &Filter) -> Where {
    let mut condition = Where::default();
    if let Some(ids) = &filter.ids {
        let ids: Vec<_> = ids.iter().map(|id| id.0.simple().to_string()).collect();
        let ids = serde_json::Value::from(ids).to_string();
        condition.and("thread_id IN (SELECT unhex(value) FROM json_each(?))", ids);
    }
    if let Some(status) = filter.status {
        // Part of the text, so that the index of the rare ones is found.
        condition.and_fixed(&format!("status = '{}'", status.as_str()));
    }
    if let Some(metadata) = &filter.metadata {
        condition.and_contains("metadata", metadata);
    }
    condition.and_scope("metadata", scope);
    if let Some(values) = &filter.values {
        // A subquery, because a search for headers does not join the table.
        condition.and(
            "json_contains((SELECT s.state_values FROM thread_state s WHERE s.thread_key = thread.thread_key), ?, 'thread_state')",
            map_text(values),
        );
    }
    condition
}

impl Read for Tx<'_> {
    fn get_thread(&self, scope: &Scope, id: ThreadId, columns: Columns) -> Result<Option<Thread>> {
        let (select, read) = selection(columns);
        let sql = format!("{select} WHERE thread_id = ?1");
        let found = self.first(&sql, [id.0.as_bytes()], read)?;
        Ok(found.filter(|thread| scope.allows(&thread.metadata)))
    }

    fn search_threads(
        &self,
        scope: &Scope,
        filter: &Filter,
        (by, order): (SortBy, SortOrder),
        page: Page,
        columns: Columns,
    ) -> Result<Vec<Thread>> {
        let key = match by {
            SortBy::ThreadId => "thread_id",
            SortBy::Status => "status",
            SortBy::CreatedAt => "created_at",
            SortBy::UpdatedAt => "updated_at",
            SortBy::StateUpdatedAt => "state_updated_at",
        };
        let direction = direction(order);
        let (select, read) = selection(columns);
        let mut condition = condition(scope, filter);
        condition.param(page.limit);
        condition.param(page.offset);
        let sql = format!(
            "{select}{} ORDER BY {key} {direction}, thread_id {direction} LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), read)
    }

    fn count_threads(&self, scope: &Scope, filter: &Filter) -> Result<u64> {
        let condition = condition(scope, filter);
        let sql = format!("SELECT count(*) FROM thread{}", condition.sql());
        self.count(&sql, condition.params())
    }

    fn expired_threads(&self, now: Timestamp, limit: u32) -> Result<Vec<Thread>> {
        let (select, read) = selection(Columns::Header);
        let sql = format!(
            "{select} INDEXED BY thread_by_expiry WHERE {EXPIRES} AND updated_at + ttl <= ?1 AND status <> 'busy' \
             ORDER BY updated_at + ttl LIMIT ?2",
        );
        self.all(&sql, params![micros(now), limit], read)
    }

    fn next_expiry(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let at_rest = format!(
            "SELECT updated_at + ttl FROM thread INDEXED BY thread_by_expiry WHERE {EXPIRES} AND status <> 'busy' \
             ORDER BY updated_at + ttl LIMIT 1",
        );
        let at_rest = self.first(&at_rest, [], |row| row.get::<_, i64>(0).sql())?;
        // The end of its runs will change a busy thread, and puts the end of its lifetime off.
        let busy = "SELECT min(ttl) FROM thread WHERE status = 'busy' AND status <> 'idle'";
        let busy = self.first(busy, [], |row| row.get::<_, Option<i64>>(0).sql())?.flatten();
        let next = at_rest.into_iter().chain(busy.map(|ttl| micros(now) + ttl)).min();
        Ok(next.and_then(Timestamp::from_timestamp_micros))
    }
}

/// The condition of the index `thread_by_expiry`, word for word, so that it is found.
const EXPIRES: &str = "ttl IS NOT NULL AND settled IS NOT updated_at";

impl Write for Tx<'_> {
    fn insert_thread(&self, thread: &Thread) -> Result<()> {
        let sql = "INSERT INTO thread (thread_id, created_at, updated_at, state_updated_at, status, metadata, config, \
                   ttl_strategy, ttl) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                   ON CONFLICT (thread_id) DO NOTHING RETURNING thread_key";
        let key = self.with_columns(thread, |columns| {
            self.first(sql, columns, |row| row.get::<_, i64>(0).sql())
        })?;
        let key = key.ok_or(agent_server_storage::Error::Duplicate("thread"))?;
        self.put_state(key, &state_of(thread))
    }

    fn update_thread(&self, scope: &Scope, id: ThreadId, changes: &Changes) -> Result<bool> {
        let Some(key) = self.thread_key(scope, id)? else { return Ok(false) };
        let mut set = Columned::default();
        set.add("updated_at", changes.updated_at.map(micros));
        set.add("state_updated_at", changes.state_updated_at.map(micros));
        set.add("status", changes.status.map(ThreadStatus::as_str));
        set.add("metadata", changes.metadata.as_ref().map(|map| self.metadata_text(map)));
        set.add("config", changes.config.as_ref().map(|map| self.small_text("thread", map)));
        set.add("ttl_strategy", changes.ttl.map(|ttl| ttl.strategy.as_str()));
        set.add("ttl", changes.ttl.map(|ttl| ttl.micros));
        if !set.names.is_empty() {
            // Only the columns that change: naming an indexed column rewrites its index.
            let assignments: Vec<_> = set.names.iter().map(|name| format!("{name} = ?")).collect();
            let sql = format!("UPDATE thread SET {} WHERE thread_key = ?", assignments.join(", "));
            set.add("thread_key", Some(key));
            self.change(&sql, set.params()).sql()?;
        }
        self.put_state(key, changes)?;
        Ok(true)
    }

    fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<bool> {
        let Some(key) = self.thread_key(scope, id)? else { return Ok(false) };
        self.delete_deliveries(id)?;
        // Everything below goes with the row it refers to.
        Ok(self.delete("DELETE FROM thread WHERE thread_key = ?1", [key])? > 0)
    }

    fn settle_expiry(&self, id: ThreadId) -> Result<()> {
        let sql = "UPDATE thread SET settled = updated_at WHERE thread_id = ?1";
        self.change(sql, [id.0.as_bytes()]).sql()?;
        Ok(())
    }
}

/// The large columns of a thread.
pub(crate) fn state_of(thread: &Thread) -> Changes {
    let given = |json: &Option<RawJson>| json.clone().map(Some);
    Changes {
        values: given(&thread.values),
        interrupts: given(&thread.interrupts),
        error: given(&thread.error),
        ..Changes::default()
    }
}

impl Tx<'_> {
    /// Hands on the other columns of a thread, its id first.
    pub(crate) fn with_columns<R>(
        &self,
        thread: &Thread,
        write: impl FnOnce(&[&dyn ToSql]) -> R,
    ) -> R {
        write(params![
            thread.thread_id.0.as_bytes(),
            micros(thread.created_at),
            micros(thread.updated_at),
            micros(thread.state_updated_at),
            thread.status.as_str(),
            self.metadata_text(&thread.metadata),
            self.small_text("thread", &thread.config),
            thread.ttl.map(|ttl| ttl.strategy.as_str()),
            thread.ttl.map(|ttl| ttl.micros),
        ])
    }

    pub(crate) fn put_state(&self, key: i64, changes: &Changes) -> Result<()> {
        let mut set = Columned::default();
        for (name, change) in [
            ("state_values", &changes.values),
            ("interrupts", &changes.interrupts),
            ("error", &changes.error),
        ] {
            let packed = |json| self.packed_json("thread_state", json);
            set.add(name, change.as_ref().map(|json| json.as_ref().map(packed)));
        }
        if set.names.is_empty() {
            return Ok(());
        }
        let update: Vec<_> =
            set.names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO thread_state ({}, thread_key) VALUES ({}?) ON CONFLICT (thread_key) DO UPDATE SET {}",
            set.names.join(", "),
            "?, ".repeat(set.names.len()),
            update.join(", "),
        );
        set.add("thread_key", Some(key));
        self.change(&sql, set.params()).sql()?;
        Ok(())
    }
}

/// Columns that a statement sets, with their values.
#[derive(Default)]
struct Columned<'a> {
    names: Vec<&'static str>,
    values: Vec<Box<dyn ToSql + 'a>>,
}

impl<'a> Columned<'a> {
    fn add(&mut self, name: &'static str, value: Option<impl ToSql + 'a>) {
        if let Some(value) = value {
            self.names.push(name);
            self.values.push(Box::new(value));
        }
    }

    fn params(self) -> impl rusqlite::Params + use<'a> {
        rusqlite::params_from_iter(self.values)
    }
}
