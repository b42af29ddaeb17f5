//! One transaction on one connection, and the few ways in which the resources use it.

use std::{
    cell::{Cell, RefCell},
    ops::{ControlFlow, Deref},
};

use agent_server_storage::{Map, RawJson, ReadTx, Result, Scope, SortOrder, ThreadId, WriteTx};
use rusqlite::{Connection, Params, types::Value};

use crate::{
    anew::Anew,
    codec::{Fields, map_text},
    error::SqlResult,
    vault::Vault,
    zip::{Json, pack_bytes, pack_json},
};

/// A row, and what opens its columns.
pub(crate) struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    tx: &'a Tx<'a>,
}

impl<'a> Row<'a> {
    pub(crate) fn vault(&self) -> &'a Vault {
        self.tx.vault
    }

    /// Notes what is to be stored in place of a column.
    pub(crate) fn store_anew(
        &self,
        table: &'static str,
        column: &str,
        before: &[u8],
        after: &[u8],
    ) {
        let Some(thread) = self.tx.thread.get() else { return };
        let (column, before, after) = (column.to_owned(), before.to_owned(), after.to_owned());
        self.tx.anew.borrow_mut().push(Anew { table, column, thread, before, after });
    }
}

impl<'a> Deref for Row<'a> {
    type Target = rusqlite::Row<'a>;

    fn deref(&self) -> &Self::Target {
        self.row
    }
}

/// An open transaction. Reads and writes are in the modules of the resources.
pub(crate) struct Tx<'a> {
    connection: &'a Connection,
    vault: &'a Vault,
    /// Whether something was deleted whose bytes must leave the files.
    deleted: Cell<bool>,
    /// The thread that was looked for last, below which rows are read.
    thread: Cell<Option<i64>>,
    /// What is to be stored in place of what was read.
    anew: RefCell<Vec<Anew>>,
}

impl ReadTx for Tx<'_> {}
impl WriteTx for Tx<'_> {}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a Connection, vault: &'a Vault) -> Self {
        Self {
            connection,
            vault,
            deleted: Cell::new(false),
            thread: Cell::default(),
            anew: RefCell::default(),
        }
    }

    /// What seals and opens columns.
    pub(crate) fn vault(&self) -> &'a Vault {
        self.vault
    }

    /// Large JSON as it is stored in `table`.
    pub(crate) fn packed_json<'v>(&self, table: &str, json: &'v RawJson) -> Json<'v> {
        self.vault.seal(table, pack_json(json))
    }

    /// Large JSON of a checkpoint as it is stored in `table`.
    pub(crate) fn content_json<'v>(&self, table: &str, json: &'v RawJson) -> Result<Json<'v>> {
        self.vault.seal_content(table, pack_json(json))
    }

    /// Opaque bytes of a checkpoint as they are stored in `table`.
    pub(crate) fn content_bytes(&self, table: &str, bytes: &[u8]) -> Result<Json<'static>> {
        self.vault.seal_content(table, Json::Blob(pack_bytes(bytes)))
    }

    /// Small JSON as it is stored in `table`.
    pub(crate) fn small_text(&self, table: &str, map: &Map) -> String {
        self.vault.seal_text(table, map_text(map))
    }

    /// Metadata as it is stored.
    pub(crate) fn metadata_text(&self, metadata: &Map) -> String {
        self.vault.metadata_text(metadata)
    }

    /// What is to be stored in place of what was read.
    pub(crate) fn take_anew(&self) -> Vec<Anew> {
        self.anew.take()
    }

    /// Whether rows were deleted.
    pub(crate) fn has_deleted(&self) -> bool {
        self.deleted.get()
    }

    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).sql()?;
        let mut rows = statement.query(params).sql()?;
        let row = rows.next().sql()?;
        row.map(|row| read(&Row { row, tx: self })).transpose()
    }

    /// All rows.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        let all = self.each(sql, params, |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        });
        all.map(|_| found)
    }

    /// Reads row after row, and no more when told so. Whether it came to the end.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut statement = self.connection.prepare_cached(sql).sql()?;
        let mut rows = statement.query(params).sql()?;
        while let Some(row) = rows.next().sql()? {
            if read(&Row { row, tx: self })?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The number in the only row.
    pub(crate) fn count(&self, sql: &str, params: impl Params) -> Result<u64> {
        let count = self.first(sql, params, |row| row.get::<_, i64>(0).sql())?;
        Ok(count.unwrap_or(0).try_into().unwrap_or(0))
    }

    /// Runs a statement that changes rows; their number.
    pub(crate) fn change(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Runs a statement that deletes rows; their number. Their bytes are wiped from the log soon after the commit.
    pub(crate) fn delete(&self, sql: &str, params: impl Params) -> Result<usize> {
        let count = self.change(sql, params).sql()?;
        if count > 0 {
            self.deleted.set(true);
        }
        Ok(count)
    }

    /// Marks that the transaction replaced or removed rows other than through [`Tx::delete`].
    pub(crate) fn mark_deleted(&self) {
        self.deleted.set(true);
    }

    /// The key of the rows below a thread, if the thread is there and visible.
    pub(crate) fn thread_key(&self, scope: &Scope, id: ThreadId) -> Result<Option<i64>> {
        let key = self.find_thread_key(scope, id)?;
        self.thread.set(key);
        Ok(key)
    }

    fn find_thread_key(&self, scope: &Scope, id: ThreadId) -> Result<Option<i64>> {
        let id = id.0.as_bytes();
        if scope.is_everything() {
            let sql = "SELECT thread_key FROM thread WHERE thread_id = ?1";
            return self.first(sql, [id], |row| row.get(0).sql());
        }
        let sql = "SELECT thread_id, thread_key, metadata FROM thread WHERE thread_id = ?1";
        let found = self.first(sql, [id], |row| {
            let fields = Fields::new("thread", row);
            Ok((fields.get(1)?, fields.metadata(2)?))
        })?;
        Ok(found.and_then(|(key, metadata)| scope.allows(&metadata).then_some(key)))
    }

    /// Whether the thread is there and visible.
    pub(crate) fn thread_visible(&self, scope: &Scope, id: ThreadId) -> Result<bool> {
        // A row below a thread cannot be there without its thread.
        Ok(scope.is_everything() || self.thread_key(scope, id)?.is_some())
    }
}

/// The condition of a search, put together from the parts that were asked for.
#[derive(Default)]
pub(crate) struct Where {
    sql: String,
    params: Vec<Value>,
}

impl Where {
    /// Adds a condition without parameters.
    pub(crate) fn and_fixed(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// Adds a condition with one parameter, written `?`.
    pub(crate) fn and(&mut self, condition: &str, param: impl Into<Value>) {
        self.and_fixed(condition);
        self.params.push(param.into());
    }

    /// Adds containment of `needle` in a JSON column.
    pub(crate) fn and_contains(&mut self, column: &str, needle: &Map) {
        // An empty object is contained in every object.
        if !needle.is_empty() {
            self.and(&format!("json_contains({column}, ?)"), map_text(needle));
        }
    }

    /// Adds what the scope hides.
    pub(crate) fn and_scope(&mut self, column: &str, scope: &Scope) {
        if let Some(condition) = scope.condition() {
            let condition = serde_json::to_string(condition).expect("conditions have text keys");
            self.and(&format!("scope_allows({column}, ?)"), condition);
        }
    }

    /// Adds a parameter that stands after the condition.
    pub(crate) fn param(&mut self, param: impl Into<Value>) {
        self.params.push(param.into());
    }

    /// The text, from ` WHERE` on; empty without conditions.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// The parameters in order.
    pub(crate) fn params(self) -> impl Params {
        rusqlite::params_from_iter(self.params)
    }
}

/// The word after a sort key.
pub(crate) fn direction(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Asc => "ASC",
        SortOrder::Desc => "DESC",
    }
}
