//! Events of resumable runs, a chunk per row.

use agent_server_storage::{
    Result, RunId, Scope, ThreadId, Timestamp,
    events::{EventId, Filter, Read, StoredEvent, Write},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use rusqlite::params;

use crate::{
    codec::{Fields, micros},
    error::SqlResult,
    tx::{Row, Tx},
};

impl Read for Tx<'_> {
    fn list_events(
        &self,
        scope: &Scope,
        thread: ThreadId,
        filter: &Filter,
        bytes: usize,
    ) -> Result<Vec<(RunId, StoredEvent)>> {
        let Some(key) = self.thread_key(scope, thread)? else { return Ok(Vec::new()) };
        let mut after = filter.after;
        let mut page = Vec::new();
        let mut size = 0;
        while size < bytes
            && let Some(Chunk { run, last, events }) = self.chunk_after(key, after, filter)?
        {
            after = last;
            let wanted = events.into_iter().filter(|event| {
                event.id > filter.after
                    && event.id <= filter.until
                    && (filter.run.is_none() || !event.thread_only)
            });
            page.extend(wanted.map(|event| {
                size += event.data.len() + event.name.len();
                (run, event)
            }));
        }
        Ok(page)
    }

    fn last_event_id(&self) -> Result<EventId> {
        let last = self.first(
            "SELECT last_millis, last_seq FROM event_chunk ORDER BY last_millis DESC, last_seq DESC LIMIT 1",
            [],
            |row| id(row, 0),
        )?;
        Ok(last.unwrap_or_default())
    }
}

impl Write for Tx<'_> {
    fn append_events(&self, run: RunId, events: &[StoredEvent]) -> Result<()> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        self.change(
            "INSERT INTO event_chunk (thread_key, first_millis, first_seq, last_millis, last_seq, run_id, events) \
             SELECT thread_key, ?2, ?3, ?4, ?5, ?1, ?6 FROM run JOIN thread USING (thread_id) WHERE run_id = ?1 \
             ON CONFLICT DO NOTHING",
            params![
                run.0.as_bytes(),
                number(first.id.millis),
                number(first.id.seq),
                number(last.id.millis),
                number(last.id.seq),
                self.content_bytes("event_chunk", &encode(events))?,
            ],
        )
        .sql()?;
        Ok(())
    }

    fn sweep_events(&self, ended_before: Timestamp) -> Result<()> {
        // The rows are few, and the look at them leaves the events where they are.
        self.delete(
            "DELETE FROM event_chunk WHERE EXISTS (SELECT 1 FROM run WHERE run.run_id = event_chunk.run_id \
             AND status <> 'pending' AND status <> 'running' AND updated_at < ?1)",
            [micros(ended_before)],
        )?;
        Ok(())
    }
}

/// A row: events of a run that were saved together.
struct Chunk {
    run: RunId,
    /// The id of the last one.
    last: EventId,
    events: Vec<StoredEvent>,
}

impl Tx<'_> {
    /// Removes the events of a run.
    pub(crate) fn delete_events(&self, thread: ThreadId, run: RunId) -> Result<()> {
        let Some(key) = self.thread_key(&Scope::server(), thread)? else { return Ok(()) };
        self.delete(
            "DELETE FROM event_chunk WHERE thread_key = ?1 AND run_id = ?2",
            params![key, run.0.as_bytes()],
        )?;
        Ok(())
    }

    /// The next chunk with events behind `after`.
    fn chunk_after(&self, key: i64, after: EventId, filter: &Filter) -> Result<Option<Chunk>> {
        self.first(
            "SELECT run_id, last_millis, last_seq, events FROM event_chunk AS chunk \
             WHERE thread_key = ?1 AND (last_millis, last_seq) > (?2, ?3) AND (first_millis, first_seq) <= (?4, ?5) \
             AND (?6 IS NULL OR run_id = ?6) \
             AND EXISTS (SELECT 1 FROM run WHERE run.run_id = chunk.run_id \
                 AND (status = 'pending' OR status = 'running' OR updated_at >= ?7)) \
             ORDER BY first_millis, first_seq LIMIT 1",
            params![
                key,
                number(after.millis),
                number(after.seq),
                number(filter.until.millis),
                number(filter.until.seq),
                filter.run.map(|run| *run.0.as_bytes()),
                micros(filter.kept_since),
            ],
            |row| {
                let fields = Fields::new("event_chunk", row);
                let events = decode(fields.bytes(3)?);
                let damaged = || fields.damaged(3, "a chunk of events ends in the middle of one");
                let run = RunId(fields.uuid(0)?);
                Ok(Chunk { run, last: id(row, 1)?, events: events.ok_or_else(damaged)? })
            },
        )
    }
}

fn id(row: &Row<'_>, column: usize) -> Result<EventId> {
    let fields = Fields::new("event_chunk", row);
    let number = |column| -> Result<u64> {
        let number: i64 = fields.get(column)?;
        u64::try_from(number).map_err(|error| fields.damaged(column, error))
    };
    Ok(EventId { millis: number(column)?, seq: number(column + 1)? })
}

/// Ids come from clients as well; those beyond what a column holds are behind everything.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Per event: milliseconds, sequence, mark, lengths of name and data, name, data; numbers are little endian.
fn encode(events: &[StoredEvent]) -> BytesMut {
    let size = events.iter().map(|event| FIXED + event.name.len() + event.data.len()).sum();
    let mut bytes = BytesMut::with_capacity(size);
    for event in events {
        bytes.put_u64_le(event.id.millis);
        bytes.put_u64_le(event.id.seq);
        bytes.put_u8(event.thread_only.into());
        bytes.put_u32_le(u32::try_from(event.name.len()).unwrap_or(u32::MAX));
        bytes.put_u32_le(u32::try_from(event.data.len()).unwrap_or(u32::MAX));
        bytes.put_slice(event.name.as_bytes());
        bytes.put_slice(&event.data);
    }
    bytes
}

/// Size of the numbers of an event.
const FIXED: usize = 25;

/// Reverses [`encode`]; `None` for anything else.
pub(crate) fn decode(mut bytes: Bytes) -> Option<Vec<StoredEvent>> {
    let mut events = Vec::new();
    while bytes.has_remaining() {
        if bytes.remaining() < FIXED {
            return None;
        }
        let id = EventId { millis: bytes.get_u64_le(), seq: bytes.get_u64_le() };
        let thread_only = bytes.get_u8() == 1;
        let (name, data) = (bytes.get_u32_le() as usize, bytes.get_u32_le() as usize);
        if bytes.remaining() < name + data {
            return None;
        }
        let name = String::from_utf8(bytes.split_to(name).into()).ok()?;
        events.push(StoredEvent { id, name, data: bytes.split_to(data), thread_only });
    }
    Some(events)
}
