//! Deliveries of webhooks.

use agent_server_storage::{
    Page, RawJson, Result, RunId, Scope, ThreadId, Timestamp,
    webhooks::{Delivery, DeliveryStatus, Read, Write},
};
use rusqlite::params;

use crate::{
    codec::{Fields, micros},
    error::SqlResult,
    tx::{Row, Tx, Where},
};

pub(crate) const COLUMNS: &str = "run_id, thread_id, assistant_id, url, host, status, attempts, created_at, updated_at, due_at, \
                                  outcome, metadata, trace";

pub(crate) fn delivery(row: &Row<'_>) -> Result<Delivery> {
    let fields = Fields::new("webhook_delivery", row);
    let due_at = if fields.is_null(9)? { None } else { Some(fields.time(9)?) };
    Ok(Delivery {
        run_id: fields.uuid(0)?.into(),
        thread_id: fields.uuid(1)?.into(),
        assistant_id: fields.uuid(2)?.into(),
        url: fields.text(3)?,
        host: fields.text(4)?,
        status: fields.word(5, DeliveryStatus::parse)?,
        attempts: fields.get(6)?,
        created_at: fields.time(7)?,
        updated_at: fields.time(8)?,
        due_at,
        outcome: fields.get(10)?,
        metadata: fields.metadata(11)?,
        trace: fields.get::<Option<String>>(12)?.map(RawJson::trusted),
    })
}

impl Read for Tx<'_> {
    fn get_delivery(&self, scope: &Scope, id: RunId) -> Result<Option<Delivery>> {
        let sql = format!("SELECT {COLUMNS} FROM webhook_delivery WHERE run_id = ?1");
        let found = self.first(&sql, [id.0.as_bytes()], delivery)?;
        Ok(found.filter(|delivery| scope.allows(&delivery.metadata)))
    }

    fn delivery_payload(&self, id: RunId) -> Result<Option<RawJson>> {
        let sql = "SELECT run_id, payload FROM webhook_delivery WHERE run_id = ?1";
        self.first(sql, [id.0.as_bytes()], |row| Fields::new("webhook_delivery", row).json(1))
    }

    fn list_deliveries(
        &self,
        scope: &Scope,
        status: Option<DeliveryStatus>,
        page: Page,
    ) -> Result<Vec<Delivery>> {
        let mut condition = Where::default();
        if let Some(status) = status {
            condition.and("status = ?", status.as_str().to_owned());
        }
        condition.and_scope("metadata", scope);
        condition.param(page.limit);
        condition.param(page.offset);
        // The rows are those of some days: they are sorted when somebody looks.
        let sql = format!(
            "SELECT {COLUMNS} FROM webhook_delivery{} ORDER BY created_at DESC, run_id DESC LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), delivery)
    }

    fn due_deliveries(
        &self,
        now: Timestamp,
        except: &[String],
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM webhook_delivery INDEXED BY webhook_delivery_due \
             WHERE due_at IS NOT NULL AND due_at <= ?1 AND host NOT IN (SELECT value FROM json_each(?2)) \
             ORDER BY due_at, run_id LIMIT ?3"
        );
        let except = serde_json::Value::from(except).to_string();
        self.all(&sql, params![micros(now), except, limit], delivery)
    }

    fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.first(
            "SELECT run_id, due_at FROM webhook_delivery INDEXED BY webhook_delivery_due \
             WHERE due_at IS NOT NULL AND due_at > ?1 ORDER BY due_at LIMIT 1",
            [micros(now)],
            |row| Fields::new("webhook_delivery", row).time(1),
        )
    }

    fn oldest_settled_delivery(&self) -> Result<Option<Timestamp>> {
        self.first(
            "SELECT run_id, updated_at FROM webhook_delivery INDEXED BY webhook_delivery_settled \
             WHERE due_at IS NULL ORDER BY updated_at LIMIT 1",
            [],
            |row| Fields::new("webhook_delivery", row).time(1),
        )
    }
}

impl Write for Tx<'_> {
    fn insert_delivery(&self, delivery: &Delivery, payload: &RawJson) -> Result<()> {
        self.change(
            "INSERT INTO webhook_delivery (run_id, thread_id, assistant_id, url, host, status, attempts, created_at, \
             updated_at, due_at, outcome, metadata, payload, trace) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING",
            params![
                delivery.run_id.0.as_bytes(),
                delivery.thread_id.0.as_bytes(),
                delivery.assistant_id.0.as_bytes(),
                delivery.url,
                delivery.host,
                delivery.status.as_str(),
                delivery.attempts,
                micros(delivery.created_at),
                micros(delivery.updated_at),
                delivery.due_at.map(micros),
                delivery.outcome,
                self.metadata_text(&delivery.metadata),
                self.packed_json("webhook_delivery", payload),
                delivery.trace.as_ref().map(RawJson::get),
            ],
        )
        .sql()?;
        Ok(())
    }

    fn update_delivery(&self, delivery: &Delivery) -> Result<bool> {
        let changed = self
            .change(
                "UPDATE webhook_delivery SET status = ?2, attempts = ?3, updated_at = ?4, due_at = ?5, outcome = ?6 \
                 WHERE run_id = ?1",
                params![
                    delivery.run_id.0.as_bytes(),
                    delivery.status.as_str(),
                    delivery.attempts,
                    micros(delivery.updated_at),
                    delivery.due_at.map(micros),
                    delivery.outcome,
                ],
            )
            .sql()?;
        Ok(changed > 0)
    }

    fn sweep_deliveries(&self, before: Timestamp) -> Result<()> {
        self.delete(
            "DELETE FROM webhook_delivery WHERE due_at IS NULL AND updated_at < ?1",
            [micros(before)],
        )?;
        Ok(())
    }
}

impl Tx<'_> {
    /// Removes the deliveries of a thread that goes away.
    pub(crate) fn delete_deliveries(&self, thread: ThreadId) -> Result<()> {
        let sql = "DELETE FROM webhook_delivery WHERE thread_id = ?1";
        self.delete(sql, [thread.0.as_bytes()])?;
        Ok(())
    }

    /// Removes the delivery of a run that goes away.
    pub(crate) fn delete_delivery(&self, run: RunId) -> Result<()> {
        let sql = "DELETE FROM webhook_delivery WHERE run_id = ?1";
        self.delete(sql, [run.0.as_bytes()])?;
        Ok(())
    }
}
