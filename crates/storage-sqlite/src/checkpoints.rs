//! Reads of checkpoints. Their changes: `saver.rs`.

use agent_server_storage::{
    RawJson, Result, Scope, ThreadId,
    checkpoints::{Base, Blob, CheckpointTuple, Filter, Read, Record, TaskWrite, ThreadUsage},
};
use rusqlite::{params, types::Value};

use crate::{
    codec::{Fields, map_text},
    error::SqlResult,
    series::Series,
    tx::{Row, Tx},
};

/// Channel and version of the values that a checkpoint has in blobs.
pub(crate) type Refs = Vec<(String, String)>;

impl Read for Tx<'_> {
    fn get_checkpoint(
        &self,
        scope: &Scope,
        thread: ThreadId,
        ns: &str,
        id: Option<&str>,
    ) -> Result<Option<CheckpointTuple>> {
        let Some(key) = self.thread_key(scope, thread)? else { return Ok(None) };
        let id = match id {
            Some(id) => id.to_owned(),
            None => match self.head(key, ns)? {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        let found = self.first(
            "SELECT checkpoint_id, parent_id, metadata, refs, small FROM checkpoint \
             WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3",
            params![key, ns, id],
            |row| {
                let fields = Fields::new("checkpoint", row);
                Ok((
                    fields.get::<Option<String>>(1)?,
                    fields.json(2)?,
                    fields.parsed::<Refs>(3)?,
                    fields.bytes(4)?,
                ))
            },
        )?;
        let Some((parent_id, metadata, refs, small)) = found else { return Ok(None) };
        let blobs = refs
            .into_iter()
            .map(|(channel, version)| self.blob(key, ns, channel, version))
            .collect::<Result<_>>()?;
        let writes = self.all(
            "SELECT task_id, idx, channel, type_tag, bytes FROM task_write \
             WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 ORDER BY task_path, task_id, idx",
            params![key, ns, id],
            task_write,
        )?;
        Ok(Some(CheckpointTuple {
            ns: ns.to_owned(),
            id,
            parent_id,
            metadata,
            small,
            blobs,
            writes,
        }))
    }

    fn head_checkpoint(&self, scope: &Scope, thread: ThreadId, ns: &str) -> Result<Option<String>> {
        match self.thread_key(scope, thread)? {
            Some(key) => self.head(key, ns),
            None => Ok(None),
        }
    }

    fn list_records(
        &self,
        scope: &Scope,
        thread: ThreadId,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let Some(key) = self.thread_key(scope, thread)? else { return Ok(Vec::new()) };
        let mut sql = String::from(
            "SELECT checkpoint_id, parent_id, created_at, metadata, state_values, next, tasks, base \
             FROM checkpoint LEFT JOIN rendered USING (thread_key, ns, checkpoint_id) \
             WHERE checkpoint.thread_key = ? AND checkpoint.ns = ?",
        );
        let mut params = vec![Value::from(key), Value::from(filter.ns.clone())];
        if let Some(id) = &filter.id {
            sql.push_str(" AND checkpoint.checkpoint_id = ?");
            params.push(id.clone().into());
        }
        if let Some(before) = &filter.before {
            sql.push_str(" AND checkpoint.checkpoint_id < ?");
            params.push(before.clone().into());
        }
        if let Some(metadata) = filter.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
            sql.push_str(" AND json_contains(metadata, ?, 'checkpoint')");
            params.push(map_text(metadata).into());
        }
        sql.push_str(" ORDER BY checkpoint.checkpoint_id DESC LIMIT ?");
        params.push(limit.into());
        let mut records = self.all(&sql, rusqlite::params_from_iter(params), |row| {
            self.record(row, key, &filter.ns)
        })?;
        for record in &mut records {
            record.tasks = self.all(
                "SELECT task_id, status FROM task WHERE thread_key = ?1 AND ns = ?2 AND checkpoint_id = ?3 \
                 ORDER BY task_path, task_id",
                params![key, filter.ns, record.id],
                |row| {
                    let fields = Fields::new("task", row);
                    Ok((fields.text(0)?, fields.json(1)?))
                },
            )?;
        }
        Ok(records)
    }

    fn get_live_state(&self, scope: &Scope, thread: ThreadId) -> Result<Option<RawJson>> {
        let Some(key) = self.thread_key(scope, thread)? else { return Ok(None) };
        self.first(
            "SELECT thread_key, live FROM thread_state WHERE thread_key = ?1 AND live_id = \
             (SELECT max(c.checkpoint_id) FROM checkpoint AS c WHERE c.thread_key = ?1 AND c.ns = '')",
            [key],
            |row| Fields::new("thread_state", row).json(1),
        )
    }

    fn checkpoint_usage(&self, scope: &Scope, thread: ThreadId) -> Result<Option<ThreadUsage>> {
        self.thread_key(scope, thread)?.map(|key| self.usage(key)).transpose()
    }
}

impl Tx<'_> {
    fn head(&self, key: i64, ns: &str) -> Result<Option<String>> {
        self.first(
            "SELECT checkpoint_id FROM checkpoint WHERE thread_key = ?1 AND ns = ?2 \
             ORDER BY checkpoint_id DESC LIMIT 1",
            params![key, ns],
            |row| row.get(0).sql(),
        )
    }

    /// A missing blob is damage: a checkpoint without one of its values would quietly lose state.
    pub(crate) fn blob(
        &self,
        key: i64,
        ns: &str,
        channel: String,
        version: String,
    ) -> Result<Blob> {
        let found = self.first(
            "SELECT version, type_tag, bytes, base FROM channel_blob \
             WHERE thread_key = ?1 AND ns = ?2 AND channel = ?3 AND version = ?4",
            params![key, ns, channel, version],
            |row| {
                let series = Series::Channel(key, ns, &channel);
                let bytes = self.restored(series, row, (0, 3, 2))?;
                Ok((Fields::new("channel_blob", row).text(1)?, bytes.into()))
            },
        )?;
        let Some((type_tag, bytes)) = found else {
            let text =
                format!("table channel_blob: no value of channel '{channel}', version {version}");
            return Err(agent_server_storage::Error::Corrupt(text));
        };
        Ok(Blob { channel, version, type_tag, bytes })
    }

    fn record(&self, row: &Row<'_>, key: i64, ns: &str) -> Result<Record> {
        let fields = Fields::new("checkpoint", row);
        let id = fields.text(0)?;
        let base = if fields.is_null(4)? {
            None
        } else {
            let rendered = Fields::new("rendered", row);
            let values = match fields.is_null(7)? {
                true => rendered.json(4)?,
                false => self.restored_values(row, key, ns)?,
            };
            Some(Base {
                ns: ns.to_owned(),
                checkpoint_id: id.clone(),
                values,
                next: rendered.json(5)?,
                tasks: rendered.json(6)?,
            })
        };
        Ok(Record {
            ns: ns.to_owned(),
            id,
            parent_id: fields.get(1)?,
            created_at: fields.time(2)?,
            metadata: fields.json(3)?,
            base,
            tasks: Vec::new(),
        })
    }

    pub(crate) fn restored_values(&self, row: &Row<'_>, key: i64, ns: &str) -> Result<RawJson> {
        let bytes = self.restored(Series::Values(key, ns), row, (0, 7, 4))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Fields::new("rendered", row).damaged(4, error))?;
        Ok(RawJson::trusted(text))
    }
}

pub(crate) fn task_write(row: &Row<'_>) -> Result<(String, TaskWrite)> {
    let fields = Fields::new("task_write", row);
    let write = TaskWrite {
        idx: fields.get(1)?,
        channel: fields.text(2)?,
        type_tag: fields.text(3)?,
        bytes: fields.bytes(4)?,
    };
    Ok((fields.text(0)?, write))
}
