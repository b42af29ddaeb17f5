//! What a run writes at checkpoints of others, such as the answer to a question: kept as it was before, so that the run can
//! be taken back.

use agent_server_storage::{Result, RunId, checkpoints::TaskWrites};
use rusqlite::params;

use crate::{codec::Fields, error::SqlResult, tx::Tx};

impl Tx<'_> {
    /// Keeps what is there of a task before the run writes at it for the first time, unless the checkpoint is the run's own.
    pub(crate) fn keep_task_before(&self, key: i64, run: RunId, task: &TaskWrites) -> Result<()> {
        let checkpoint = params![key, task.ns, task.checkpoint_id, run.0.as_bytes()];
        let sql = "SELECT 1 FROM checkpoint WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND run_id IS NOT ?4";
        // One that is not there yet is the run's own.
        if self.first(sql, checkpoint, |_| Ok(()))?.is_none() {
            return Ok(());
        }
        let params = params![
            key,
            task.ns,
            task.checkpoint_id,
            task.task_id,
            run.0.as_bytes(),
            task.task_path
        ];
        let kept = self.change(
            "INSERT INTO task_before (thread_key, ns, checkpoint_id, task_id, run_id, task_path, status) \
             SELECT ?1, ?2, ?3, ?4, ?5, ifnull(task_path, ?6), status FROM (SELECT 1) LEFT JOIN task \
             ON thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4 WHERE true ON CONFLICT DO NOTHING",
            params,
        );
        if kept.sql()? == 0 {
            return Ok(());
        }
        self.change(
            "INSERT INTO task_write_before (thread_key, ns, checkpoint_id, task_id, run_id, idx, task_path, channel, \
             type_tag, bytes) SELECT thread_key, ns, checkpoint_id, task_id, ?5, idx, task_path, channel, type_tag, bytes \
             FROM task_write WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4",
            params![key, task.ns, task.checkpoint_id, task.task_id, run.0.as_bytes()],
        )
        .sql()?;
        Ok(())
    }

    /// Puts back what was there before the run, except where a later run has gone on from what it wrote.
    pub(crate) fn restore_before(&self, key: i64, run: RunId) -> Result<()> {
        let tasks = self.all(
            "SELECT ns, checkpoint_id, task_id, status IS NULL, EXISTS (SELECT 1 FROM task_before AS later \
             WHERE later.thread_key = before.thread_key AND later.ns = before.ns \
             AND later.checkpoint_id = before.checkpoint_id AND later.task_id = before.task_id \
             AND later.run_id > before.run_id) FROM task_before AS before WHERE thread_key = ?1 AND run_id = ?2",
            params![key, run.0.as_bytes()],
            |row| {
                let fields = Fields::new("task_before", row);
                let place = (fields.text(0)?, fields.text(1)?, fields.text(2)?);
                Ok((place, fields.get::<bool>(3)?, fields.get::<bool>(4)?))
            },
        )?;
        for ((ns, id, task), was_untouched, is_built_on) in &tasks {
            let one = params![key, ns, id, task];
            let of_run = params![key, ns, id, task, run.0.as_bytes()];
            if !is_built_on {
                for table in ["task", "task_write"] {
                    let sql = format!(
                        "DELETE FROM {table} WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4"
                    );
                    self.delete(&sql, one)?;
                }
                if !was_untouched {
                    self.change(
                        "INSERT INTO task (thread_key, ns, checkpoint_id, task_id, task_path, status) \
                         SELECT thread_key, ns, checkpoint_id, task_id, task_path, status FROM task_before \
                         WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4 AND run_id = ?5",
                        of_run,
                    )
                    .sql()?;
                }
                self.change(
                    "INSERT INTO task_write (thread_key, ns, checkpoint_id, task_id, idx, task_path, channel, type_tag, \
                     bytes) SELECT thread_key, ns, checkpoint_id, task_id, idx, task_path, channel, type_tag, bytes \
                     FROM task_write_before \
                     WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4 AND run_id = ?5",
                    of_run,
                )
                .sql()?;
            }
            for table in ["task_before", "task_write_before"] {
                let sql = format!(
                    "DELETE FROM {table} WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4 \
                     AND run_id = ?5"
                );
                self.delete(&sql, of_run)?;
            }
        }
        Ok(())
    }
}
