//! Work on everything that is saved for a thread, without looking into it: copy, prune, measure.

use agent_server_storage::{
    Result, ThreadId,
    checkpoints::{ThreadUsage, Usage},
};
use rusqlite::params;

use crate::{
    error::SqlResult,
    series::Series,
    tx::{Row, Tx},
};

/// Where a live view names its thread.
const LIVE: &str = "with_text(live, 'thread_state', ?3, 'metadata.thread_id', 'checkpoint.thread_id', \
                    'parent_checkpoint.thread_id', 'tasks.*.checkpoint.thread_id')";

/// Metadata of a checkpoint with values that its ancestors complete.
const SPREAD: &str = r#"{"counters_since_delta_snapshot":{}}"#;

impl Tx<'_> {
    /// Copies the rows below the thread with key `from` to that with key `to`, whose id is `id`.
    pub(crate) fn copy(&self, from: i64, to: i64, id: ThreadId) -> Result<()> {
        for sql in [
            "INSERT INTO channel_blob (thread_key, ns, channel, version, type_tag, seq, base, bytes) \
             SELECT ?2, ns, channel, version, type_tag, seq, base, bytes FROM channel_blob WHERE thread_key = ?1",
            "INSERT INTO task_write (thread_key, ns, checkpoint_id, task_id, idx, task_path, channel, type_tag, bytes) \
             SELECT ?2, ns, checkpoint_id, task_id, idx, task_path, channel, type_tag, bytes FROM task_write \
             WHERE thread_key = ?1",
            "INSERT INTO task (thread_key, ns, checkpoint_id, task_id, task_path, status) \
             SELECT ?2, ns, checkpoint_id, task_id, task_path, status FROM task WHERE thread_key = ?1",
        ] {
            self.change(sql, params![from, to]).sql()?;
        }
        for sql in [
            "INSERT INTO checkpoint (thread_key, ns, checkpoint_id, parent_id, run_id, created_at, step, source, \
             metadata, refs, small) SELECT ?2, ns, checkpoint_id, parent_id, run_id, created_at, step, source, \
             with_text(metadata, 'checkpoint', ?3, 'thread_id'), refs, small FROM checkpoint WHERE thread_key = ?1",
            "INSERT INTO rendered (thread_key, ns, checkpoint_id, next, tasks, seq, base, state_values) \
             SELECT ?2, ns, checkpoint_id, next, with_text(tasks, 'rendered', ?3, '*.checkpoint.thread_id'), seq, base, \
             state_values FROM rendered WHERE thread_key = ?1",
            &format!(
                "INSERT INTO thread_state (thread_key, live_id, live) SELECT ?2, live_id, {LIVE} FROM thread_state \
                 WHERE thread_key = ?1 ON CONFLICT (thread_key) \
                 DO UPDATE SET live_id = excluded.live_id, live = excluded.live"
            ),
        ] {
            self.change(sql, params![from, to, id.to_string()]).sql()?;
        }
        Ok(())
    }

    /// Removes the checkpoints of a thread that are not the newest of their namespace; `false` if they are needed.
    pub(crate) fn keep_latest(&self, key: i64) -> Result<bool> {
        let newest = self.all(
            "SELECT ns, max(checkpoint_id), count(*) FROM checkpoint WHERE thread_key = ?1 GROUP BY ns",
            [key],
            |row| Ok((row.get(0).sql()?, row.get(1).sql()?, row.get(2).sql()?)),
        )?;
        let newest: Vec<(String, String, i64)> = newest;
        for (ns, id, _) in &newest {
            let spread = self.first(
                "SELECT 1 FROM checkpoint WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 \
                 AND json_contains(metadata, ?4, 'checkpoint')",
                params![key, ns, id, SPREAD],
                |_| Ok(()),
            )?;
            if spread.is_some() {
                return Ok(false);
            }
        }
        for (ns, id, _) in newest.iter().filter(|(.., count)| *count > 1) {
            let older = self.all(
                "SELECT checkpoint_id FROM rendered WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id < ?3",
                params![key, ns, id],
                |row| row.get::<_, String>(0).sql(),
            )?;
            let older = older.iter().map(String::as_str).collect();
            self.release(Series::Values(key, ns), &older)?;
            for table in
                ["checkpoint", "rendered", "task", "task_write", "task_before", "task_write_before"]
            {
                let sql = format!(
                    "DELETE FROM {table} WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id < ?3"
                );
                self.delete(&sql, params![key, ns, id])?;
            }
            self.sweep_blobs(key, ns)?;
        }
        Ok(true)
    }

    /// Number and size of a thread's rows. Of stored bytes, the marker in front of them and what sealing adds are not counted.
    pub(crate) fn usage(&self, key: i64) -> Result<ThreadUsage> {
        let checkpoints = self.first(
            "SELECT count(*), ifnull(sum(octet_length(metadata) + octet_length(refs) + length(small) - 1 + \
             ifnull(octet_length(next) + octet_length(tasks) + octet_length(state_values), 0)), 0) \
             FROM checkpoint LEFT JOIN rendered USING (thread_key, ns, checkpoint_id) \
             WHERE checkpoint.thread_key = ?1",
            [key],
            |row| usage(row, 0),
        )?;
        let not_counted = 1 + self.vault().overhead();
        let channels = self.all(
            "SELECT channel, count(*), sum(length(bytes) - ?2) FROM channel_blob WHERE thread_key = ?1 \
             GROUP BY channel ORDER BY channel",
            params![key, not_counted],
            |row| Ok((row.get(0).sql()?, usage(row, 1)?)),
        )?;
        let writes = self.first(
            "SELECT count(*), ifnull(sum(length(bytes) - ?2), 0) FROM task_write WHERE thread_key = ?1",
            params![key, not_counted],
            |row| usage(row, 0),
        )?;
        let (checkpoints, writes) = (checkpoints.unwrap_or_default(), writes.unwrap_or_default());
        Ok(ThreadUsage { checkpoints, channels, writes })
    }
}

fn usage(row: &Row<'_>, column: usize) -> Result<Usage> {
    let number = |column| row.get::<_, i64>(column).sql().map(i64::unsigned_abs);
    Ok(Usage { count: number(column)?, bytes: number(column + 1)? })
}
