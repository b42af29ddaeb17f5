//! What the writer does between commits, after everybody has been answered: moving the log into the database file,
//! wiping deleted rows from the log, giving free pages back to the disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use agent_server_storage::Result;
use rusqlite::{Connection, hooks::Wal};

use crate::{connection::PATIENCE, error::SqlResult};

/// Pages in the log from which it is moved into the file: the usual 4 MB.
const LOG_PAGES: u32 = 1000;
/// Pages in the log from which readers are waited for, because it never started over: 128 MB.
const LOG_PAGES_MAX: u32 = 32_000;
/// Free pages kept for reuse; a busy server frees and takes as many all the time.
const FREE_PAGES: u32 = 128;
/// Most pages given back at a time: each may move another page, and jobs are waiting.
const VACUUM_STEP: u32 = 1000;
/// How long a wipe may wait for readers before it is put off.
const WIPE_PATIENCE: Duration = Duration::from_millis(20);
/// Pause before the next part of a wipe.
const AGAIN: Duration = Duration::from_millis(100);

/// Knows what there is to do.
pub(crate) struct Housekeeping {
    log_pages: Arc<AtomicU32>,
    wipe_after: Duration,
    wipe_due: Option<Instant>,
}

impl Housekeeping {
    /// Takes over the care for `connection`. Deleted rows are wiped `wipe_after` after the first of them at the latest.
    pub(crate) fn new(connection: &mut Connection, wipe_after: Duration) -> Result<Self> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&log_pages);
        connection
            .wal_hook(Some(move |_: &mut Wal, pages: i32| {
                counter.store(pages.unsigned_abs(), Relaxed);
                Ok(())
            }))
            .sql()?;
        Ok(Self { log_pages, wipe_after, wipe_due: None })
    }

    /// Notes that rows were deleted.
    pub(crate) fn deleted(&mut self, now: Instant) {
        self.wipe_due.get_or_insert(now + self.wipe_after);
    }

    /// When [`Housekeeping::run`] has to be called although nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.wipe_due
    }

    /// Does what is due. Failures are logged: nobody is waiting, and the next time may be better.
    pub(crate) fn run(&mut self, connection: &Connection, now: Instant) {
        let done = if self.wipe_due.is_some_and(|due| due <= now) {
            self.wipe(connection, now)
        } else {
            self.shorten_log(connection)
        };
        if let Err(error) = done {
            tracing::warn!(%error, "cannot tidy up the data folder now");
        }
    }

    /// The last duties before the file is closed.
    pub(crate) fn finish(&mut self, connection: &Connection) {
        if let Err(error) = empty_log(connection, PATIENCE) {
            tracing::warn!(%error, "the write-ahead log stays");
        }
    }

    fn shorten_log(&self, connection: &Connection) -> Result<()> {
        let pages = self.log_pages.load(Relaxed);
        if pages >= LOG_PAGES_MAX {
            empty_log(connection, WIPE_PATIENCE)?;
            self.log_pages.store(0, Relaxed);
        } else if pages >= LOG_PAGES {
            pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
        }
        Ok(())
    }

    fn wipe(&mut self, connection: &Connection, now: Instant) -> Result<()> {
        // Kept until it worked.
        let later = now + self.wipe_after.min(AGAIN);
        self.wipe_due = Some(later);
        let free: u32 =
            connection.query_row("PRAGMA freelist_count", [], |row| row.get(0)).sql()?;
        let surplus = free.saturating_sub(FREE_PAGES);
        if surplus > 0 {
            let step = surplus.min(VACUUM_STEP);
            pragma(connection, &format!("PRAGMA incremental_vacuum({step})"))?;
        }
        let emptied = empty_log(connection, WIPE_PATIENCE)?;
        if emptied {
            self.log_pages.store(0, Relaxed);
        }
        if emptied && surplus <= VACUUM_STEP {
            self.wipe_due = None;
        }
        Ok(())
    }
}

/// Moves the whole log into the file and truncates it; `false` if a reader still needs it.
fn empty_log(connection: &Connection, patience: Duration) -> Result<bool> {
    connection.busy_timeout(patience).sql()?;
    let busy = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        .sql();
    connection.busy_timeout(PATIENCE).sql()?;
    Ok(!busy?)
}

/// Runs a pragma to its end.
fn pragma(connection: &Connection, sql: &str) -> Result<()> {
    let mut statement = connection.prepare(sql).sql()?;
    let mut rows = statement.query([]).sql()?;
    while rows.next().sql()?.is_some() {}
    Ok(())
}
