//! Changes of checkpoints: what a worker's saver asks for, and the removal of a run's traces.

use std::collections::{HashMap, HashSet};

use agent_server_storage::{
    Error, RawJson, Result, RunId, Scope, ThreadId,
    checkpoints::{Base, NewCheckpoint, SaverOp, TaskWrites, Write},
};
use rusqlite::params;

use crate::{
    checkpoints::Refs,
    codec::{Fields, micros},
    error::SqlResult,
    series::Series,
    tx::Tx,
    zip::{Json, pack_bytes, pack_json, pack_text},
};

impl Write for Tx<'_> {
    fn save(&self, thread: ThreadId, ops: &[SaverOp]) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        let key = self.existing_thread(thread)?;
        for op in ops {
            match op {
                SaverOp::Put(checkpoint) => self.put_checkpoint(key, checkpoint)?,
                SaverOp::Writes(writes) => self.put_writes(key, writes)?,
                SaverOp::Base(base) => self.put_base(key, base)?,
            }
        }
        Ok(())
    }

    fn keep_before(&self, thread: ThreadId, run: RunId, ops: &[SaverOp]) -> Result<()> {
        let Some(key) = self.thread_key(&Scope::server(), thread)? else { return Ok(()) };
        let mut own = HashSet::new();
        for op in ops {
            match op {
                SaverOp::Put(checkpoint) => _ = own.insert((&checkpoint.ns, &checkpoint.id)),
                SaverOp::Writes(task) if !own.contains(&(&task.ns, &task.checkpoint_id)) => {
                    self.keep_task_before(key, run, task)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn put_live_state(&self, thread: ThreadId, id: &str, state: &RawJson) -> Result<()> {
        let key = self.existing_thread(thread)?;
        self.change(
            "INSERT INTO thread_state (thread_key, live_id, live) VALUES (?1, ?2, ?3) \
             ON CONFLICT (thread_key) DO UPDATE SET live_id = excluded.live_id, live = excluded.live",
            params![key, id, self.content_json("thread_state", state)?],
        )
        .sql()?;
        Ok(())
    }

    fn delete_checkpoints_of_run(&self, thread: ThreadId, run: RunId) -> Result<()> {
        let Some(key) = self.thread_key(&Scope::server(), thread)? else { return Ok(()) };
        self.restore_before(key, run)?;
        let removed = self.all(
            "DELETE FROM checkpoint WHERE thread_key = ?1 AND run_id = ?2 RETURNING checkpoint_id, ns",
            params![key, run.0.as_bytes()],
            |row| {
                let fields = Fields::new("checkpoint", row);
                Ok((fields.text(1)?, fields.text(0)?))
            },
        )?;
        if removed.is_empty() {
            return Ok(());
        }
        self.mark_deleted();
        let mut by_namespace: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (ns, id) in &removed {
            by_namespace.entry(ns).or_default().insert(id);
        }
        for (ns, ids) in &by_namespace {
            self.release(Series::Values(key, ns), ids)?;
        }
        for (ns, id) in &removed {
            for sql in [
                "DELETE FROM rendered WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3",
                "DELETE FROM task WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3",
                "DELETE FROM task_write WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3",
                "DELETE FROM task_before WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3",
                "DELETE FROM task_write_before WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3",
                "UPDATE thread_state SET live_id = NULL, live = NULL \
                 WHERE thread_key = ?1 AND ?2 = '' AND live_id = ?3",
            ] {
                self.change(sql, params![key, ns, id]).sql()?;
            }
        }
        by_namespace.keys().try_for_each(|ns| self.sweep_blobs(key, ns))
    }

    fn copy_checkpoints(&self, from: ThreadId, to: ThreadId) -> Result<()> {
        let (from, key) = (self.existing_thread(from)?, self.existing_thread(to)?);
        self.copy(from, key, to)
    }

    fn prune_checkpoints(&self, thread: ThreadId) -> Result<bool> {
        let key = self.existing_thread(thread)?;
        self.keep_latest(key)
    }
}

impl Tx<'_> {
    /// Late work for a thread that is gone must fail, not leave rows that nobody owns.
    pub(crate) fn existing_thread(&self, thread: ThreadId) -> Result<i64> {
        self.thread_key(&Scope::server(), thread)?
            .ok_or_else(|| Error::Backend(format!("thread {thread} is gone").into()))
    }

    fn put_checkpoint(&self, key: i64, checkpoint: &NewCheckpoint) -> Result<()> {
        let refs = serde_json::to_string(&checkpoint.refs).expect("pairs of strings are writable");
        self.change(
            "INSERT INTO checkpoint (thread_key, ns, checkpoint_id, parent_id, run_id, created_at, step, source, \
             metadata, refs, small) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT (thread_key, ns, checkpoint_id) DO UPDATE SET parent_id = excluded.parent_id, \
             run_id = excluded.run_id, created_at = excluded.created_at, step = excluded.step, \
             source = excluded.source, metadata = excluded.metadata, refs = excluded.refs, small = excluded.small",
            params![
                key,
                checkpoint.ns,
                checkpoint.id,
                checkpoint.parent_id,
                checkpoint.run_id.as_ref().map(|id| id.0.as_bytes()),
                micros(checkpoint.created_at),
                checkpoint.step,
                checkpoint.source,
                self.packed_json("checkpoint", &checkpoint.metadata),
                self.vault().seal("checkpoint", pack_text(&refs)),
                self.content_bytes("checkpoint", &checkpoint.small)?,
            ],
        )
        .sql()?;
        for blob in &checkpoint.blobs {
            let series = Series::Channel(key, &checkpoint.ns, &blob.channel);
            let whole = || Json::Blob(pack_bytes(&blob.bytes));
            let packed = self.pack_version(series, &blob.version, &blob.bytes, whole)?;
            self.change(
                "INSERT INTO channel_blob (thread_key, ns, channel, version, type_tag, seq, base, bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                params![
                    key,
                    checkpoint.ns,
                    blob.channel,
                    blob.version,
                    blob.type_tag,
                    packed.seq,
                    packed.base,
                    packed.value,
                ],
            )
            .sql()?;
        }
        Ok(())
    }

    fn put_writes(&self, key: i64, task: &TaskWrites) -> Result<()> {
        const INSERT: &str = "INSERT INTO task_write (thread_key, ns, checkpoint_id, task_id, idx, task_path, channel, \
                              type_tag, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ";
        for write in &task.writes {
            // The library's special channels (errors, interrupts, answers) are replaced, output is kept.
            let conflict = if write.idx < 0 {
                "ON CONFLICT (thread_key, ns, checkpoint_id, task_id, idx) DO UPDATE SET \
                 task_path = excluded.task_path, channel = excluded.channel, type_tag = excluded.type_tag, \
                 bytes = excluded.bytes"
            } else {
                "ON CONFLICT DO NOTHING"
            };
            self.change(
                &format!("{INSERT}{conflict}"),
                params![
                    key,
                    task.ns,
                    task.checkpoint_id,
                    task.task_id,
                    write.idx,
                    task.task_path,
                    write.channel,
                    write.type_tag,
                    self.content_bytes("task_write", &write.bytes)?,
                ],
            )
            .sql()?;
        }
        self.change(
            "INSERT INTO task (thread_key, ns, checkpoint_id, task_id, task_path, status) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (thread_key, ns, checkpoint_id, task_id) \
             DO UPDATE SET task_path = excluded.task_path, status = excluded.status",
            params![
                key,
                task.ns,
                task.checkpoint_id,
                task.task_id,
                task.task_path,
                self.content_json("task", &task.status)?,
            ],
        )
        .sql()?;
        Ok(())
    }

    fn put_base(&self, key: i64, base: &Base) -> Result<()> {
        let series = Series::Values(key, &base.ns);
        // Rendered once more: others may be built on what was there.
        self.release(series, &HashSet::from([&*base.checkpoint_id]))?;
        let values = base.values.get().as_bytes();
        let whole = || pack_json(&base.values);
        let packed = self.pack_version(series, &base.checkpoint_id, values, whole)?;
        self.change(
            "INSERT INTO rendered (thread_key, ns, checkpoint_id, next, tasks, seq, base, state_values) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (thread_key, ns, checkpoint_id) \
             DO UPDATE SET next = excluded.next, tasks = excluded.tasks, seq = excluded.seq, base = excluded.base, \
             state_values = excluded.state_values",
            params![
                key,
                base.ns,
                base.checkpoint_id,
                self.content_json("rendered", &base.next)?,
                self.content_json("rendered", &base.tasks)?,
                packed.seq,
                packed.base,
                packed.value,
            ],
        )
        .sql()?;
        Ok(())
    }

    /// Removes the values that no checkpoint of the namespace refers to.
    pub(crate) fn sweep_blobs(&self, key: i64, ns: &str) -> Result<()> {
        let mut used = HashSet::new();
        self.all(
            "SELECT checkpoint_id, refs FROM checkpoint WHERE thread_key = ?1 AND ns = ?2",
            params![key, ns],
            |row| {
                used.extend(Fields::new("checkpoint", row).parsed::<Refs>(1)?);
                Ok(())
            },
        )?;
        let stored = self.all(
            "SELECT channel, version FROM channel_blob WHERE thread_key = ?1 AND ns = ?2",
            params![key, ns],
            |row| Ok((row.get::<_, String>(0).sql()?, row.get::<_, String>(1).sql()?)),
        )?;
        let mut going: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (channel, version) in stored.iter().filter(|blob| !used.contains(*blob)) {
            going.entry(channel).or_default().insert(version);
        }
        for (channel, versions) in going {
            self.release(Series::Channel(key, ns, channel), &versions)?;
            for version in versions {
                self.change(
                    "DELETE FROM channel_blob WHERE thread_key = ?1 AND ns = ?2 AND channel = ?3 AND version = ?4",
                    params![key, ns, channel, version],
                )
                .sql()?;
            }
        }
        Ok(())
    }
}
