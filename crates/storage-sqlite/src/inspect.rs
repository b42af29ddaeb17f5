//! Looking a data folder over: is what must hold between its rows so? Only reads; a server may be at work on the folder.

use std::{path::Path, sync::Arc};

use agent_server_storage::{
    Error, Result, Scope, ThreadId,
    checkpoints::{Filter, Read as _},
};
use rusqlite::{Connection, types::ValueRef};
use uuid::Uuid;

use crate::{
    codec::Fields,
    connection,
    error::SqlResult,
    functions,
    tx::{Row, Tx},
    vault::{self, Encryption},
};

/// Damage that the file's own check finds is listed up to this many lines.
const DAMAGES: usize = 20;

/// Statements that find nothing in a sound folder, and what each row that they find is. `{0}`, `{1}`, … stand for the columns.
const RULES: &[(&str, &str)] = &[
    (
        "SELECT thread_id FROM thread WHERE status = 'busy' AND NOT EXISTS (SELECT 1 FROM run \
         WHERE run.thread_id = thread.thread_id AND (run.status = 'pending' OR run.status = 'running'))",
        "thread {0} is busy without a run in flight",
    ),
    (
        "SELECT thread_id, run_id, thread.status FROM thread JOIN run USING (thread_id) \
         WHERE thread.status <> 'busy' AND (run.status = 'pending' OR run.status = 'running')",
        "thread {0} is {2} although run {1} is in flight",
    ),
    (
        "SELECT thread_id, count(*) FROM run WHERE status = 'running' GROUP BY thread_id HAVING count(*) > 1",
        "thread {0} has {1} running runs",
    ),
    (
        "SELECT run_id, status FROM run \
         WHERE status NOT IN ('pending', 'running', 'error', 'success', 'timeout', 'interrupted')",
        "run {0} has the unknown status {1}",
    ),
    (
        "SELECT run_id, thread_id FROM run JOIN thread USING (thread_id) \
         WHERE temporary AND run.status NOT IN ('pending', 'running') AND ttl IS NULL",
        "run {0} has ended, and its temporary thread {1} is still there",
    ),
    (
        "SELECT thread_id, live_id FROM thread JOIN thread_state USING (thread_key) WHERE live_id IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM checkpoint AS c WHERE c.thread_key = thread.thread_key AND c.ns = '' \
         AND c.checkpoint_id >= live_id)",
        "thread {0} has the view of checkpoint {1}, which it does not have",
    ),
    (
        "SELECT thread_id, ns, checkpoint_id FROM rendered JOIN thread USING (thread_key) \
         WHERE NOT EXISTS (SELECT 1 FROM checkpoint AS c WHERE c.thread_key = rendered.thread_key \
         AND c.ns = rendered.ns AND c.checkpoint_id = rendered.checkpoint_id)",
        "thread {0} has rendered values of checkpoint {2} ('{1}'), which it does not have",
    ),
    (
        "SELECT thread_id, lower(hex(run_id)) FROM event_chunk JOIN thread USING (thread_key) \
         WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.run_id = event_chunk.run_id)",
        "thread {0} has events of run {1}, which is not there",
    ),
    (
        "SELECT key FROM item WHERE (ttl IS NULL) <> (expires_at IS NULL) OR ttl <= 0",
        "store item {0} has a lifetime without an end, or an end without a lifetime",
    ),
    (
        "SELECT key, path FROM item_vector WHERE length(vector) = 0 OR length(vector) % 4 <> 0 AND NOT EXISTS (SELECT 1 FROM encryption)",
        "store item {0} has a damaged vector ('{1}')",
    ),
    (
        "SELECT cron_id, on_run_completed FROM cron \
         WHERE on_run_completed IS NOT NULL AND on_run_completed NOT IN ('delete', 'keep')",
        "cron {0} has the unknown on_run_completed {1}",
    ),
    (
        "SELECT cron_id FROM cron WHERE thread_id IS NULL AND on_run_completed IS NULL",
        "cron {0} has no thread, and it is not said what becomes of those of its runs",
    ),
    // A slot whose run is not there is sound: runs are deleted, and the slot must not be fired for once more. A slot without
    // its cron is what the file's own check finds.
    (
        "SELECT cron_id, strftime('%Y-%m-%dT%H:%M:%SZ', slot / 1000000, 'unixepoch') FROM cron_slot \
         WHERE length(run_id) <> 16",
        "cron {0} has fired for {1}, but it is not said with which run",
    ),
    (
        "SELECT run_id, count(*) FROM cron_slot WHERE length(run_id) = 16 GROUP BY run_id HAVING count(*) > 1",
        "run {0} is the one of {1} slots of crons",
    ),
    (
        "SELECT cron_id, cron.thread_id, run_id, run.thread_id FROM cron_slot JOIN cron USING (cron_id) \
         JOIN run USING (run_id) WHERE cron.thread_id <> run.thread_id",
        "cron {0} of thread {1} has fired with run {2} of thread {3}",
    ),
    (
        "SELECT run_id, cron_id FROM cron_slot JOIN cron USING (cron_id) JOIN run USING (run_id) \
         WHERE cron.thread_id IS NOT NULL AND run.temporary",
        "run {0} of cron {1} goes away with its thread, which is the cron's",
    ),
    (
        "SELECT assistant_id, version FROM assistant AS a WHERE NOT EXISTS (SELECT 1 FROM assistant_version AS v \
         WHERE v.assistant_id = a.assistant_id AND v.version = a.version)",
        "assistant {0} shows version {1}, which it does not have",
    ),
    (
        "SELECT run_id, status FROM webhook_delivery WHERE status NOT IN ('pending', 'delivered', 'failed') \
         OR (status = 'pending') <> (due_at IS NOT NULL)",
        "the delivery of run {0} is {1}, which does not fit to when it is due",
    ),
    (
        "SELECT run_id, run.status FROM webhook_delivery JOIN run USING (run_id) \
         WHERE run.status = 'pending' OR run.status = 'running'",
        "run {0} is {1}, and a receiver is told that it has ended",
    ),
    (
        "SELECT route, user FROM idempotency_key \
         WHERE length(body_hash) <> 32 OR length(runs) = 0 OR length(runs) % 16 <> 0",
        "an idempotency key of {0} (user '{1}') stands for nothing",
    ),
];

/// What is wrong in a data folder, one sentence each; nothing in a sound one.
///
/// # Errors
/// `Unavailable` if there is no data, it cannot be read, or `encryption` has not the key that it was written with.
pub fn inspect(folder: &Path, encryption: &Encryption) -> Result<Vec<String>> {
    let path = connection::path(folder);
    if !path.exists() {
        return Err(Error::Unavailable(format!("there is no {}", path.display())));
    }
    let mut connection = connection::open_reader(&path)?;
    let vault = Arc::new(vault::locked(&connection, encryption)?.unwrap_or_default());
    functions::register(&connection, &vault).sql()?;
    let mut findings = damages(&connection).unwrap_or_else(|error| vec![error.to_string()]);
    if !findings.is_empty() {
        return Ok(findings);
    }
    let transaction = connection.transaction().sql()?;
    let tx = Tx::new(&transaction, &vault);
    for (sql, text) in RULES {
        findings.extend(tx.all(sql, [], |row| sentence(text, row))?);
    }
    findings.extend(tx.unreadable()?);
    Ok(findings)
}

/// What the file's own check finds.
fn damages(connection: &Connection) -> Result<Vec<String>> {
    let lines = |pragma: &str| -> Result<Vec<String>> {
        let mut statement = connection.prepare(pragma).sql()?;
        let rows = statement.query_map([], |row| row.get(0)).sql()?;
        // Where the check itself stumbles over the damage, that is one more finding.
        Ok(rows.take(DAMAGES).map(|row| row.unwrap_or_else(|error| error.to_string())).collect())
    };
    let mut found = lines("PRAGMA integrity_check")?;
    found.retain(|line| line != "ok");
    if !found.is_empty() {
        // Rows of a damaged file are not worth reading.
        return Ok(found);
    }
    let orphans = lines("PRAGMA foreign_key_check")?;
    found.extend(
        orphans.into_iter().map(|table| format!("table {table}: a row without its parent")),
    );
    Ok(found)
}

/// A finding: the text with the columns of the row in it. Ids are shown as UUIDs.
fn sentence(text: &str, row: &Row<'_>) -> Result<String> {
    let mut sentence = text.to_owned();
    for column in 0..row.as_ref().column_count() {
        let value = match row.get_ref(column).sql()? {
            ValueRef::Blob(id) => match Uuid::from_slice(id) {
                Ok(id) => id.to_string(),
                Err(_) => "<no id>".into(),
            },
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        sentence = sentence.replace(&format!("{{{column}}}"), &value);
    }
    Ok(sentence)
}

impl Tx<'_> {
    /// Checkpoints that cannot be put together from their rows. Those that a project has encrypted are the project's to read.
    fn unreadable(&self) -> Result<Vec<String>> {
        let all = Scope::server();
        let sql = "SELECT checkpoint_id, thread_id, ns FROM checkpoint JOIN thread USING (thread_key) \
             WHERE substr(small, 1, 1) <> x'05'";
        let checkpoints = self.all(sql, [], |row| {
            let fields = Fields::new("checkpoint", row);
            Ok((fields.text(0)?, ThreadId(fields.uuid(1)?), fields.text(2)?))
        })?;
        let mut findings = vec![];
        for (id, thread, ns) in checkpoints {
            let tuple = self.get_checkpoint(&all, thread, &ns, Some(&id)).map(drop);
            let filter = Filter { ns: ns.clone(), id: Some(id.clone()), ..Default::default() };
            let record = self.list_records(&all, thread, &filter, 1).map(drop);
            if let Err(error) = tuple.and(record) {
                findings.push(format!("thread {thread}: checkpoint {id} ('{ns}'): {error}"));
            }
        }
        Ok(findings)
    }
}
