//! Rows to entries, one at a time: memory holds a row, and of the thread at hand the names of the values that were handed over.

use std::{
    collections::HashSet,
    ops::ControlFlow::{self, Break, Continue},
};

use agent_server_storage::{
    Result, RunId, ThreadId,
    archive::{Each, Entry, Kind, Read, Selection, TaskBefore},
    checkpoints::{Base, NewCheckpoint, SaverOp, TaskWrite, TaskWrites},
    idempotency,
    store::Vector,
};
use rusqlite::{Params, params};
use uuid::Uuid;

use crate::{
    assistants, checkpoints,
    checkpoints::Refs,
    codec::Fields,
    crons,
    error::SqlResult,
    events, runs, store,
    threads::full,
    tx::{Row, Tx},
    vector, webhooks,
};

/// Whether more is wanted.
type More = Result<ControlFlow<()>>;

/// Tells rows of a thread apart from those of others.
#[derive(Clone, Copy)]
struct Owner {
    key: i64,
    id: ThreadId,
}

impl Read for Tx<'_> {
    fn export(&self, selection: &Selection, each: &mut Each<'_>) -> Result<()> {
        for kind in Kind::ALL.into_iter().filter(|kind| selection.has(*kind)) {
            let more = match kind {
                Kind::Assistants => self.export_assistants(each),
                Kind::Threads => self.export_threads(selection, each),
                Kind::Crons => self.export_crons(selection, each),
                Kind::Store => self.export_items(each),
                Kind::Webhooks => self.export_deliveries(selection, each),
                Kind::Idempotency => self.export_keys(each),
            };
            if more?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Tx<'_> {
    fn export_assistants(&self, each: &mut Each<'_>) -> More {
        let sql = format!(
            "SELECT {} FROM assistant ORDER BY created_at, assistant_id",
            assistants::COLUMNS
        );
        let versions = format!(
            "SELECT {} FROM assistant_version WHERE assistant_id = ?1 ORDER BY version",
            assistants::VERSION_COLUMNS
        );
        self.each(&sql, [], |row| {
            let assistant = assistants::assistant(row)?;
            let id = assistant.assistant_id.0.into_bytes();
            if each(Entry::Assistant(assistant)).is_break() {
                return Ok(Break(()));
            }
            self.each(&versions, [id], |row| Ok(each(Entry::Version(assistants::version(row)?))))
        })
    }

    fn export_threads(&self, selection: &Selection, each: &mut Each<'_>) -> More {
        let ids = selection.threads.as_ref().map(|ids| {
            let ids: Vec<_> = ids.iter().map(|id| id.0.simple().to_string()).collect();
            serde_json::Value::from(ids).to_string()
        });
        self.each(
            "SELECT thread_id, created_at, updated_at, state_updated_at, status, metadata, config, ttl_strategy, ttl, \
             state_values, interrupts, error, settled IS NOT NULL AND settled = updated_at, thread_key \
             FROM thread LEFT JOIN thread_state USING (thread_key) \
             WHERE ?1 IS NULL OR thread_id IN (SELECT unhex(value) FROM json_each(?1)) ORDER BY thread_key",
            [ids],
            |row| {
                let fields = Fields::new("thread", row);
                let (thread, settled) = (full(row)?, fields.get(12)?);
                let owner = Owner { key: fields.get(13)?, id: thread.thread_id };
                if each(Entry::Thread { thread, settled }).is_break() {
                    return Ok(Break(()));
                }
                self.export_below(owner, each)
            },
        )
    }

    /// Everything below a thread.
    fn export_below(&self, owner: Owner, each: &mut Each<'_>) -> More {
        for part in [
            Self::export_checkpoints,
            Self::export_bases,
            Self::export_tasks,
            Self::export_before,
            Self::export_live,
            Self::export_runs,
            Self::export_events,
        ] {
            if part(self, owner, each)?.is_break() {
                return Ok(Break(()));
            }
        }
        Ok(Continue(()))
    }

    fn export_checkpoints(&self, owner: Owner, each: &mut Each<'_>) -> More {
        let mut namespace = String::new();
        let mut sent = HashSet::new();
        self.each(
            "SELECT checkpoint_id, ns, parent_id, run_id, created_at, step, source, metadata, refs, small \
             FROM checkpoint WHERE thread_key = ?1 ORDER BY ns, checkpoint_id",
            [owner.key],
            |row| {
                let fields = Fields::new("checkpoint", row);
                let (ns, refs) = (fields.text(1)?, fields.parsed::<Refs>(8)?);
                if ns != namespace {
                    sent.clear();
                    namespace.clone_from(&ns);
                }
                let mut blobs = vec![];
                for (channel, version) in &refs {
                    if sent.insert((channel.clone(), version.clone())) {
                        blobs.push(self.blob(owner.key, &ns, channel.clone(), version.clone())?);
                    }
                }
                let checkpoint = NewCheckpoint {
                    ns,
                    id: fields.text(0)?,
                    parent_id: fields.get(2)?,
                    created_at: fields.time(4)?,
                    step: fields.get(5)?,
                    source: fields.text(6)?,
                    run_id: match fields.is_null(3)? {
                        true => None,
                        false => Some(RunId(fields.uuid(3)?)),
                    },
                    metadata: fields.json(7)?,
                    small: fields.bytes(9)?,
                    refs,
                    blobs,
                };
                Ok(each(Entry::Saved(owner.id, SaverOp::Put(checkpoint))))
            },
        )
    }

    fn export_bases(&self, owner: Owner, each: &mut Each<'_>) -> More {
        self.each(
            "SELECT checkpoint_id, ns, NULL, NULL, state_values, next, tasks, base FROM rendered \
             WHERE thread_key = ?1 ORDER BY ns, checkpoint_id",
            [owner.key],
            |row| {
                let fields = Fields::new("rendered", row);
                let ns = fields.text(1)?;
                let base = Base {
                    checkpoint_id: fields.text(0)?,
                    values: self.restored_values(row, owner.key, &ns)?,
                    next: fields.json(5)?,
                    tasks: fields.json(6)?,
                    ns,
                };
                Ok(each(Entry::Saved(owner.id, SaverOp::Base(base))))
            },
        )
    }

    fn export_tasks(&self, owner: Owner, each: &mut Each<'_>) -> More {
        self.each(
            "SELECT checkpoint_id, ns, task_id, task_path, status FROM task \
             WHERE thread_key = ?1 ORDER BY ns, checkpoint_id, task_id",
            [owner.key],
            |row| {
                let fields = Fields::new("task", row);
                let (checkpoint_id, ns, task_id) =
                    (fields.text(0)?, fields.text(1)?, fields.text(2)?);
                let writes = self.writes(
                    "SELECT task_id, idx, channel, type_tag, bytes FROM task_write WHERE thread_key = ?1 \
                     AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4 ORDER BY idx",
                    params![owner.key, ns, checkpoint_id, task_id],
                )?;
                let task_path = fields.text(3)?;
                let status = fields.json(4)?;
                let task = TaskWrites { ns, checkpoint_id, task_id, task_path, writes, status };
                Ok(each(Entry::Saved(owner.id, SaverOp::Writes(task))))
            },
        )
    }

    fn export_before(&self, owner: Owner, each: &mut Each<'_>) -> More {
        self.each(
            "SELECT checkpoint_id, ns, task_id, run_id, task_path, status FROM task_before \
             WHERE thread_key = ?1 ORDER BY ns, checkpoint_id, task_id, run_id",
            [owner.key],
            |row| {
                // A copy is read as what it was.
                let fields = Fields::new("task", row);
                let (checkpoint_id, ns, task_id) =
                    (fields.text(0)?, fields.text(1)?, fields.text(2)?);
                let run_id = RunId(fields.uuid(3)?);
                let writes = self.writes(
                    "SELECT task_id, idx, channel, type_tag, bytes FROM task_write_before WHERE thread_key = ?1 \
                     AND ns = ?2 AND checkpoint_id = ?3 AND task_id = ?4 AND run_id = ?5 ORDER BY idx",
                    params![owner.key, ns, checkpoint_id, task_id, run_id.0.as_bytes()],
                )?;
                Ok(each(Entry::Before(TaskBefore {
                    thread_id: owner.id,
                    run_id,
                    ns,
                    checkpoint_id,
                    task_id,
                    task_path: fields.text(4)?,
                    status: fields.opt_json(5)?,
                    writes,
                })))
            },
        )
    }

    fn writes(&self, sql: &str, of: impl Params) -> Result<Vec<TaskWrite>> {
        self.all(sql, of, |row| checkpoints::task_write(row).map(|(_, write)| write))
    }

    fn export_live(&self, owner: Owner, each: &mut Each<'_>) -> More {
        self.each(
            "SELECT thread_key, live_id, live FROM thread_state WHERE thread_key = ?1 \
             AND live_id IS NOT NULL AND live IS NOT NULL",
            [owner.key],
            |row| {
                let fields = Fields::new("thread_state", row);
                Ok(each(Entry::Live {
                    thread_id: owner.id,
                    checkpoint_id: fields.text(1)?,
                    state: fields.json(2)?,
                }))
            },
        )
    }

    fn export_runs(&self, owner: Owner, each: &mut Each<'_>) -> More {
        self.each(
            runs::select!("WHERE thread_id = ?1 ORDER BY created_at, run_id"),
            [owner.id.0.as_bytes()],
            |row| Ok(each(Entry::Run(runs::run(row)?))),
        )
    }

    fn export_events(&self, owner: Owner, each: &mut Each<'_>) -> More {
        self.each(
            "SELECT run_id, events FROM event_chunk WHERE thread_key = ?1 ORDER BY first_millis, first_seq",
            [owner.key],
            |row| {
                let fields = Fields::new("event_chunk", row);
                let events = events::decode(fields.bytes(1)?);
                let damaged = || fields.damaged(1, "a chunk of events ends in the middle of one");
                Ok(each(Entry::Events {
                    thread_id: owner.id,
                    run_id: RunId(fields.uuid(0)?),
                    events: events.ok_or_else(damaged)?,
                }))
            },
        )
    }

    fn export_crons(&self, selection: &Selection, each: &mut Each<'_>) -> More {
        let sql = format!("SELECT {} FROM cron ORDER BY created_at, cron_id", crons::COLUMNS);
        self.each(&sql, [], |row| {
            let cron = crons::cron(row)?;
            if !selection.has_thread(cron.thread_id) {
                return Ok(Continue(()));
            }
            let fired = self.all(
                "SELECT run_id, slot FROM cron_slot WHERE cron_id = ?1 ORDER BY slot",
                [cron.cron_id.0.as_bytes()],
                |row| {
                    let fields = Fields::new("cron_slot", row);
                    Ok((fields.time(1)?, RunId(fields.uuid(0)?)))
                },
            )?;
            Ok(each(Entry::Cron { cron, fired }))
        })
    }

    fn export_items(&self, each: &mut Each<'_>) -> More {
        let sql =
            format!("SELECT {}, expires_at FROM item ORDER BY namespace, key", store::COLUMNS);
        self.each(&sql, [], |row| {
            let (item, fields) = (store::item(row)?, Fields::new("item", row));
            let expires_at = if fields.is_null(6)? { None } else { Some(fields.time(6)?) };
            let name: Vec<u8> = fields.get(1)?;
            let vectors = self.all(
                "SELECT path, vector FROM item_vector WHERE namespace = ?1 AND key = ?2 ORDER BY path",
                params![name, item.key],
                item_vector,
            )?;
            Ok(each(Entry::Item { item, expires_at, vectors }))
        })
    }

    fn export_deliveries(&self, selection: &Selection, each: &mut Each<'_>) -> More {
        let columns = webhooks::COLUMNS;
        let sql = format!("SELECT {columns}, payload FROM webhook_delivery ORDER BY run_id");
        self.each(&sql, [], |row| {
            let delivery = webhooks::delivery(row)?;
            if !selection.has_thread(Some(delivery.thread_id)) {
                return Ok(Continue(()));
            }
            let payload = Fields::new("webhook_delivery", row).json(13)?;
            Ok(each(Entry::Delivery { delivery, payload }))
        })
    }

    fn export_keys(&self, each: &mut Each<'_>) -> More {
        self.each(
            "SELECT route, user, key, body_hash, expires_at, runs FROM idempotency_key ORDER BY user, route, key",
            [],
            |row| {
                let fields = Fields::new("idempotency_key", row);
                let ids: Vec<u8> = fields.get(5)?;
                let ids = ids.chunks(16).map(Uuid::from_slice).collect::<Result<Vec<_>, _>>();
                let ids = ids.map_err(|error| fields.damaged(5, error))?;
                Ok(each(Entry::Key {
                    key: idempotency::Key {
                        user: fields.text(1)?,
                        route: fields.text(0)?,
                        key: fields.text(2)?,
                    },
                    record: idempotency::Record {
                        body_hash: fields.get(3)?,
                        runs: ids.into_iter().map(RunId).collect(),
                        expires_at: fields.time(4)?,
                    },
                }))
            },
        )
    }
}

fn item_vector(row: &Row<'_>) -> Result<Vector> {
    let fields = Fields::new("item_vector", row);
    let opened = row.vault().open("item_vector", row.get_ref(1).sql()?);
    let opened = opened.map_err(|why| fields.damaged(1, why))?;
    let numbers = opened.value().as_blob().ok().and_then(vector::unpack);
    let numbers = numbers.ok_or_else(|| fields.damaged(1, "no list of numbers"))?;
    Ok(Vector { path: fields.text(0)?, numbers })
}
