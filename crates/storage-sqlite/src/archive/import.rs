//! Entries to rows.

use std::slice;

use agent_server_storage::{
    Error, Result, RunId, Scope, ThreadId, Timestamp,
    archive::{Entry, TaskBefore, Write},
    assistants::{Assistant, Read as _, Write as _},
    checkpoints::Write as _,
    crons::{Cron, Read as _, Write as _},
    events::Write as _,
    idempotency::{self, Write as _},
    runs::Write as _,
    store::{Item, Vector},
    threads::{Thread, Write as _},
    webhooks::{Read as _, Write as _},
};
use rusqlite::params;

use crate::{
    codec::micros, error::SqlResult, namespace::encode, threads::state_of, tx::Tx, vector,
    zip::Json,
};

const ALL: &Scope = &Scope::server();

/// Rows below a thread.
const BELOW: [&str; 9] = [
    "thread_state",
    "checkpoint",
    "rendered",
    "channel_blob",
    "task_write",
    "task",
    "task_before",
    "task_write_before",
    "event_chunk",
];

impl Write for Tx<'_> {
    fn import(&self, entry: &Entry, replace: bool) -> Result<bool> {
        match entry {
            Entry::Assistant(assistant) => return self.import_assistant(assistant, replace),
            Entry::Version(version) => self.put_version(version)?,
            Entry::Thread { thread, settled } => {
                return self.import_thread(thread, *settled, replace);
            }
            Entry::Saved(thread_id, op) => self.save(*thread_id, slice::from_ref(op))?,
            Entry::Before(before) => self.import_before(before)?,
            Entry::Live { thread_id, checkpoint_id, state } => {
                self.put_live_state(*thread_id, checkpoint_id, state)?;
            }
            Entry::Run(run) => self.insert_run(run)?,
            Entry::Events { run_id, events, .. } => self.append_events(*run_id, events)?,
            Entry::Cron { cron, fired } => return self.import_cron(cron, fired, replace),
            Entry::Item { item, expires_at, vectors } => {
                return self.import_item(item, *expires_at, vectors, replace);
            }
            Entry::Delivery { delivery, payload } => {
                if self.get_delivery(ALL, delivery.run_id)?.is_some() && !replace {
                    return Ok(false);
                }
                self.delete_delivery(delivery.run_id)?;
                self.insert_delivery(delivery, payload)?;
            }
            Entry::Key { key, record } => return self.import_key(key, record, replace),
        }
        Ok(true)
    }
}

impl Tx<'_> {
    fn import_assistant(&self, assistant: &Assistant, replace: bool) -> Result<bool> {
        match self.insert_assistant(assistant) {
            Err(Error::Duplicate(_)) if !replace => return Ok(false),
            Err(Error::Duplicate(_)) => {}
            done => return done.map(|()| true),
        }
        // Replaced where it stands: its crons would go with the row.
        let id = assistant.assistant_id.0.as_bytes();
        self.delete("DELETE FROM assistant_version WHERE assistant_id = ?1", [id])?;
        self.update_assistant(ALL, assistant)
    }

    fn import_thread(&self, thread: &Thread, settled: bool, replace: bool) -> Result<bool> {
        match self.insert_thread(thread) {
            Err(Error::Duplicate(_)) if !replace => return Ok(false),
            Err(Error::Duplicate(_)) => self.replace_thread(thread)?,
            done => done?,
        }
        if settled {
            self.settle_expiry(thread.thread_id)?;
        }
        Ok(true)
    }

    /// Replaces a thread where it stands: its crons would go with the row.
    fn replace_thread(&self, thread: &Thread) -> Result<()> {
        let id: ThreadId = thread.thread_id;
        let key = self.existing_thread(id)?;
        for table in BELOW {
            self.delete(&format!("DELETE FROM {table} WHERE thread_key = ?1"), [key])?;
        }
        self.delete("DELETE FROM run WHERE thread_id = ?1", [id.0.as_bytes()])?;
        self.delete_deliveries(id)?;
        let sql = "UPDATE thread SET created_at = ?2, updated_at = ?3, state_updated_at = ?4, status = ?5, metadata = ?6, \
                   config = ?7, ttl_strategy = ?8, ttl = ?9, settled = NULL WHERE thread_id = ?1";
        self.with_columns(thread, |columns| self.change(sql, columns)).sql()?;
        self.put_state(key, &state_of(thread))
    }

    fn import_before(&self, before: &TaskBefore) -> Result<()> {
        let key = self.existing_thread(before.thread_id)?;
        // A copy is written as what it was.
        let status = before.status.as_ref().map(|status| self.content_json("task", status));
        let status = status.transpose()?;
        self.change(
            "INSERT INTO task_before (thread_key, ns, checkpoint_id, task_id, run_id, task_path, status) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                key,
                before.ns,
                before.checkpoint_id,
                before.task_id,
                before.run_id.0.as_bytes(),
                before.task_path,
                status,
            ],
        )
        .sql()?;
        for write in &before.writes {
            self.change(
                "INSERT INTO task_write_before (thread_key, ns, checkpoint_id, task_id, run_id, idx, task_path, \
                 channel, type_tag, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    key,
                    before.ns,
                    before.checkpoint_id,
                    before.task_id,
                    before.run_id.0.as_bytes(),
                    write.idx,
                    before.task_path,
                    write.channel,
                    write.type_tag,
                    self.content_bytes("task_write", &write.bytes)?,
                ],
            )
            .sql()?;
        }
        Ok(())
    }

    fn import_cron(
        &self,
        cron: &Cron,
        fired: &[(Timestamp, RunId)],
        replace: bool,
    ) -> Result<bool> {
        if self.get_cron(ALL, cron.cron_id)?.is_some() {
            if !replace {
                return Ok(false);
            }
            self.delete_cron(ALL, cron.cron_id)?;
        }
        let missing = |what: &str, id: String| {
            let cron = cron.cron_id;
            Err(Error::Invalid(format!("cron {cron} is of {what} {id}, which is not there")))
        };
        if self.get_assistant(ALL, cron.assistant_id)?.is_none() {
            return missing("assistant", cron.assistant_id.to_string());
        }
        if let Some(thread) = cron.thread_id
            && self.thread_key(ALL, thread)?.is_none()
        {
            return missing("thread", thread.to_string());
        }
        self.insert_cron(cron)?;
        for (slot, run) in fired {
            self.insert_slot(cron.cron_id, *slot, *run, Timestamp::MIN_UTC)?;
        }
        Ok(true)
    }

    fn import_item(
        &self,
        item: &Item,
        expires_at: Option<Timestamp>,
        vectors: &[Vector],
        replace: bool,
    ) -> Result<bool> {
        let name = encode(&item.namespace);
        let one = params![name, item.key];
        let sql = "SELECT 1 FROM item WHERE namespace = ?1 AND key = ?2";
        if self.first(sql, one, |_| Ok(()))?.is_some() {
            if !replace {
                return Ok(false);
            }
            self.delete("DELETE FROM item WHERE namespace = ?1 AND key = ?2", one)?;
        }
        self.change(
            "INSERT INTO item (namespace, key, created_at, updated_at, expires_at, ttl, value) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                name,
                item.key,
                micros(item.created_at),
                micros(item.updated_at),
                expires_at.map(micros),
                item.ttl.map(|ttl| ttl.micros),
                self.packed_json("item", &item.value),
            ],
        )
        .sql()?;
        for each in vectors {
            self.change(
                "INSERT INTO item_vector (namespace, key, path, vector) VALUES (?1, ?2, ?3, ?4)",
                params![
                    name,
                    item.key,
                    each.path,
                    self.vault().seal("item_vector", Json::Blob(vector::pack(&each.numbers)))
                ],
            )
            .sql()?;
        }
        Ok(true)
    }

    fn import_key(
        &self,
        key: &idempotency::Key,
        record: &idempotency::Record,
        replace: bool,
    ) -> Result<bool> {
        let one = params![key.user, key.route, key.key];
        if replace {
            let sql = "DELETE FROM idempotency_key WHERE user = ?1 AND route = ?2 AND key = ?3";
            self.delete(sql, one)?;
        }
        // What the key counted for until then, it counted for before.
        match self.insert_key(key, record, Timestamp::MIN_UTC) {
            Err(Error::Duplicate(_)) => Ok(false),
            done => done.map(|()| true),
        }
    }
}
