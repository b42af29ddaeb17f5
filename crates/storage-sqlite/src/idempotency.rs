//! Idempotency keys.

use agent_server_storage::{
    Error, Result, RunId, Timestamp,
    idempotency::{Key, Read, Record, Write},
};
use rusqlite::params;
use uuid::Uuid;

use crate::{
    codec::{Fields, micros},
    error::SqlResult,
    tx::Tx,
};

impl Read for Tx<'_> {
    fn find_key(&self, key: &Key, now: Timestamp) -> Result<Option<Record>> {
        self.first(
            "SELECT route, body_hash, expires_at, runs FROM idempotency_key \
             WHERE user = ?1 AND route = ?2 AND key = ?3 AND expires_at > ?4",
            params![key.user, key.route, key.key, micros(now)],
            |row| {
                let fields = Fields::new("idempotency_key", row);
                let ids: Vec<u8> = fields.get(3)?;
                let ids = ids.chunks(16).map(Uuid::from_slice).collect::<Result<Vec<_>, _>>();
                Ok(Record {
                    body_hash: fields.get(1)?,
                    expires_at: fields.time(2)?,
                    runs: ids
                        .map_err(|error| fields.damaged(3, error))?
                        .into_iter()
                        .map(RunId)
                        .collect(),
                })
            },
        )
    }

    fn next_key_expiry(&self) -> Result<Option<Timestamp>> {
        self.first(
            "SELECT route, expires_at FROM idempotency_key ORDER BY expires_at LIMIT 1",
            [],
            |row| Fields::new("idempotency_key", row).time(1),
        )
    }
}

impl Write for Tx<'_> {
    fn insert_key(&self, key: &Key, record: &Record, now: Timestamp) -> Result<()> {
        let runs: Vec<u8> = record.runs.iter().flat_map(|id| *id.0.as_bytes()).collect();
        let changed = self
            .change(
                "INSERT INTO idempotency_key (user, route, key, body_hash, expires_at, runs) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET body_hash = excluded.body_hash, \
                 expires_at = excluded.expires_at, runs = excluded.runs WHERE expires_at <= ?7",
                params![
                    key.user,
                    key.route,
                    key.key,
                    record.body_hash,
                    micros(record.expires_at),
                    runs,
                    micros(now),
                ],
            )
            .sql()?;
        if changed == 0 { Err(Error::Duplicate("idempotency key")) } else { Ok(()) }
    }

    fn sweep_keys(&self, now: Timestamp) -> Result<()> {
        self.delete("DELETE FROM idempotency_key WHERE expires_at <= ?1", [micros(now)])?;
        Ok(())
    }
}
