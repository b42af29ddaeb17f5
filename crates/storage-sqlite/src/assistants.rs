//! Assistants and their versions.

use agent_server_storage::{
    AssistantId, Map, Page, Result, Scope, SortOrder, Timestamp,
    assistants::{Assistant, Filter, Read, SortBy, Write},
};
use rusqlite::params;

use crate::{
    codec::{Fields, micros},
    error::SqlResult,
    tx::{Row, Tx, Where, direction},
};

pub(crate) const COLUMNS: &str = "assistant_id, graph_id, name, description, version, created_at, updated_at, metadata, config, \
                       context";

/// The same columns of a version, which has not changed since it was made.
pub(crate) const VERSION_COLUMNS: &str = "assistant_id, graph_id, name, description, version, created_at, created_at, metadata, config, \
                               context";

pub(crate) fn assistant(row: &Row<'_>) -> Result<Assistant> {
    read("assistant", row)
}

pub(crate) fn version(row: &Row<'_>) -> Result<Assistant> {
    read("assistant_version", row)
}

fn read(table: &'static str, row: &Row<'_>) -> Result<Assistant> {
    let fields = Fields::new(table, row);
    Ok(Assistant {
        assistant_id: fields.uuid(0)?.into(),
        graph_id: fields.text(1)?,
        name: fields.text(2)?,
        description: fields.get(3)?,
        version: fields.get(4)?,
        created_at: fields.time(5)?,
        updated_at: fields.time(6)?,
        metadata: fields.metadata(7)?,
        config: fields.map(8)?,
        context: fields.map(9)?,
    })
}

fn condition(scope: &Scope, filter: &Filter) -> Where {
    let mut condition = Where::default();
    if let Some(graphs) = &filter.known_graphs {
        let graphs = serde_json::Value::from(graphs.as_slice()).to_string();
        condition.and("graph_id IN (SELECT value FROM json_each(?))", graphs);
    }
    if let Some(graph) = &filter.graph_id {
        condition.and("graph_id = ?", graph.clone());
    }
    if let Some(name) = &filter.name {
        condition.and("instr(fold(name), ?) > 0", name.to_lowercase());
    }
    if let Some(metadata) = &filter.metadata {
        condition.and_contains("metadata", metadata);
    }
    condition.and_scope("metadata", scope);
    condition
}

impl Read for Tx<'_> {
    fn get_assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
        let sql = format!("SELECT {COLUMNS} FROM assistant WHERE assistant_id = ?1");
        let found = self.first(&sql, [id.0.as_bytes()], assistant)?;
        Ok(found.filter(|assistant| scope.allows(&assistant.metadata)))
    }

    fn search_assistants(
        &self,
        scope: &Scope,
        filter: &Filter,
        (by, order): (SortBy, SortOrder),
        page: Page,
    ) -> Result<Vec<Assistant>> {
        let key = match by {
            SortBy::AssistantId => "assistant_id",
            SortBy::CreatedAt => "created_at",
            SortBy::UpdatedAt => "updated_at",
            SortBy::Name => "fold(name)",
            SortBy::GraphId => "fold(graph_id)",
        };
        let direction = direction(order);
        let mut condition = condition(scope, filter);
        condition.param(page.limit);
        condition.param(page.offset);
        let sql = format!(
            "SELECT {COLUMNS} FROM assistant{} ORDER BY {key} {direction}, assistant_id {direction} LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), assistant)
    }

    fn count_assistants(&self, scope: &Scope, filter: &Filter) -> Result<u64> {
        let condition = condition(scope, filter);
        let sql = format!("SELECT count(*) FROM assistant{}", condition.sql());
        self.count(&sql, condition.params())
    }

    fn list_assistant_versions(
        &self,
        id: AssistantId,
        metadata: Option<&Map>,
        page: Page,
    ) -> Result<Vec<Assistant>> {
        let mut condition = Where::default();
        condition.and("assistant_id = ?", id.0.as_bytes().to_vec());
        if let Some(metadata) = metadata {
            condition.and_contains("metadata", metadata);
        }
        condition.param(page.limit);
        condition.param(page.offset);
        let sql = format!(
            "SELECT {VERSION_COLUMNS} FROM assistant_version{} ORDER BY version DESC LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), version)
    }

    fn get_assistant_version(&self, id: AssistantId, number: u32) -> Result<Option<Assistant>> {
        let sql = format!(
            "SELECT {VERSION_COLUMNS} FROM assistant_version WHERE assistant_id = ?1 AND version = ?2"
        );
        self.first(&sql, params![id.0.as_bytes(), number], version)
    }

    fn latest_assistant_version(&self, id: AssistantId) -> Result<u32> {
        let sql =
            "SELECT assistant_id, max(version) FROM assistant_version WHERE assistant_id = ?1";
        let latest = self.first(sql, [id.0.as_bytes()], |row| {
            Fields::new("assistant_version", row).get::<Option<u32>>(1)
        })?;
        Ok(latest.flatten().unwrap_or(0))
    }
}

impl Write for Tx<'_> {
    fn insert_assistant(&self, assistant: &Assistant) -> Result<()> {
        self.change_row(
            assistant,
            "INSERT INTO assistant (assistant_id, graph_id, name, description, version, created_at, updated_at, \
             metadata, config, context) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .sql_unique("assistant")?;
        self.put_version(assistant)
    }

    fn update_assistant(&self, scope: &Scope, assistant: &Assistant) -> Result<bool> {
        if self.get_assistant(scope, assistant.assistant_id)?.is_none() {
            return Ok(false);
        }
        self.change_row(
            assistant,
            "UPDATE assistant SET graph_id = ?2, name = ?3, description = ?4, version = ?5, created_at = ?6, \
             updated_at = ?7, metadata = ?8, config = ?9, context = ?10 WHERE assistant_id = ?1",
        )
        .sql()?;
        self.put_version(assistant)?;
        Ok(true)
    }

    fn rewrite_assistant(&self, assistant: &Assistant) -> Result<()> {
        self.rewrite("assistant", assistant)
    }

    fn rewrite_assistant_version(&self, version: &Assistant) -> Result<()> {
        self.rewrite("assistant_version", version)
    }

    fn touch_assistant(&self, id: AssistantId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE assistant SET updated_at = ?2 WHERE assistant_id = ?1";
        self.change(sql, params![id.0.as_bytes(), micros(now)]).sql()?;
        Ok(())
    }

    fn delete_assistant(&self, scope: &Scope, id: AssistantId) -> Result<bool> {
        if self.get_assistant(scope, id)?.is_none() {
            return Ok(false);
        }
        // Versions go with the row they refer to.
        Ok(self.delete("DELETE FROM assistant WHERE assistant_id = ?1", [id.0.as_bytes()])? > 0)
    }
}

impl Tx<'_> {
    fn rewrite(&self, table: &str, assistant: &Assistant) -> Result<()> {
        self.change(
            &format!(
                "UPDATE {table} SET metadata = ?3, config = ?4, context = ?5 \
                 WHERE assistant_id = ?1 AND version = ?2"
            ),
            params![
                assistant.assistant_id.0.as_bytes(),
                assistant.version,
                self.metadata_text(&assistant.metadata),
                self.small_text(table, &assistant.config),
                self.small_text(table, &assistant.context),
            ],
        )
        .sql()?;
        // What was there before leaves the files.
        self.mark_deleted();
        Ok(())
    }

    /// Runs a statement whose parameters 1 to 10 are the columns of the row.
    fn change_row(&self, assistant: &Assistant, sql: &str) -> rusqlite::Result<usize> {
        self.change(
            sql,
            params![
                assistant.assistant_id.0.as_bytes(),
                assistant.graph_id,
                assistant.name,
                assistant.description,
                assistant.version,
                micros(assistant.created_at),
                micros(assistant.updated_at),
                self.metadata_text(&assistant.metadata),
                self.small_text("assistant", &assistant.config),
                self.small_text("assistant", &assistant.context),
            ],
        )
    }

    pub(crate) fn put_version(&self, assistant: &Assistant) -> Result<()> {
        self.change(
            "INSERT OR REPLACE INTO assistant_version (assistant_id, version, graph_id, name, description, \
             created_at, metadata, config, context) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                assistant.assistant_id.0.as_bytes(),
                assistant.version,
                assistant.graph_id,
                assistant.name,
                assistant.description,
                micros(assistant.updated_at),
                self.metadata_text(&assistant.metadata),
                self.small_text("assistant_version", &assistant.config),
                self.small_text("assistant_version", &assistant.context),
            ],
        )
        .sql()?;
        Ok(())
    }
}
