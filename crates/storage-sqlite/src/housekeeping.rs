//! What the writer does between commits, after everybody has been answered: moving the log into the database file,
//! wiping deleted rows from the files, giving free pages back to the disk.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use agent_server_storage::{Error, Result};
use rusqlite::{Connection, hooks::Wal};

use crate::{connection::PATIENCE, error::SqlResult, gaps::Gaps};

/// Pages in the log from which it is moved into the file: the usual 4 MB. More would write less, and leave the file behind where
/// the disk becomes full.
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
    gaps: Gaps,
    wipe_after: Duration,
    wipe_due: Option<Instant>,
    /// The free pages have been given back, and the gaps are being swept.
    sweeping: bool,
    /// Rows were deleted behind the sweep: it has to go round once more.
    again: bool,
}

impl Housekeeping {
    /// Takes over the care for `connection`, whose file `gaps` was opened before it. Deleted rows begin to be wiped
    /// `wipe_after` after the first of them.
    pub(crate) fn new(
        connection: &mut Connection,
        gaps: Gaps,
        wipe_after: Duration,
    ) -> Result<Self> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&log_pages);
        connection
            .wal_hook(Some(move |_: &mut Wal, pages: i32| {
                counter.store(pages.unsigned_abs(), Relaxed);
                Ok(())
            }))
            .sql()?;
        Ok(Self { log_pages, gaps, wipe_after, wipe_due: None, sweeping: false, again: false })
    }

    /// Notes that rows were deleted.
    pub(crate) fn deleted(&mut self, now: Instant) {
        self.wipe_due.get_or_insert(now + self.wipe_after);
        self.again = self.sweeping;
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

    /// The last duties before the file is closed: what was deleted is wiped, the log is emptied.
    pub(crate) fn finish(&mut self, connection: &Connection) {
        let end = Instant::now() + PATIENCE;
        let mut done = Ok(());
        while self.wipe_due.is_some() && done.is_ok() && Instant::now() < end {
            done = self.wipe(connection, Instant::now());
        }
        if let Err(error) = done.and_then(|()| empty_log(connection, PATIENCE).map(drop)) {
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

    /// Does one part of a wipe and says when the next is due.
    ///
    /// First the free pages go back to the disk, which moves other pages about; then the gaps are swept from the first
    /// page to the last.
    fn wipe(&mut self, connection: &Connection, now: Instant) -> Result<()> {
        self.wipe_due = Some(now + self.wipe_after.min(AGAIN));
        let mut surplus = 0;
        if !self.sweeping {
            surplus = free_pages(connection)?.saturating_sub(FREE_PAGES);
            if surplus > 0 {
                let step = surplus.min(VACUUM_STEP);
                pragma(connection, &format!("PRAGMA incremental_vacuum({step})"))?;
            }
        }
        if !empty_log(connection, WIPE_PATIENCE)? {
            return Ok(());
        }
        self.log_pages.store(0, Relaxed);
        if surplus > VACUUM_STEP {
            return Ok(());
        }
        // A page that is written later must come from the swept file, not from the cache.
        pragma(connection, "PRAGMA shrink_memory")?;
        let unavailable = |error: io::Error| Error::Unavailable(error.to_string());
        self.sweeping = !self.gaps.sweep().map_err(unavailable)?;
        if !self.sweeping {
            self.wipe_due = self.again.then_some(now + self.wipe_after);
            self.again = false;
        }
        Ok(())
    }
}

fn free_pages(connection: &Connection) -> Result<u32> {
    connection.query_row("PRAGMA freelist_count", [], |row| row.get(0)).sql()
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
