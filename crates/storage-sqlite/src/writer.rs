//! The writer: one thread, one connection, and one flush to disk for everything that waits.
//!
//! Jobs of a group run one after another inside one transaction, each undone alone if it asks for that; nobody is
//! answered before the transaction is on disk. While a flush runs, the next group gathers.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Instant,
};

use agent_server_storage::{Error, Result, Verdict, WriteJob};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    error::{SqlResult, again},
    housekeeping::Housekeeping,
    lock::FolderLock,
    tx::Tx,
};

/// Most jobs of one commit: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// What the writer is asked to do.
pub(crate) enum Message {
    /// A job and where its caller waits.
    Job(WriteJob, oneshot::Sender<Result<()>>),
    /// Finish and answer.
    Close(oneshot::Sender<()>),
}

/// The state of the writer thread.
pub(crate) struct Writer {
    connection: Connection,
    queue: Receiver<Message>,
    housekeeping: Housekeeping,
    lock: FolderLock,
}

/// Callers whose fate is the fate of the open transaction.
#[derive(Default)]
struct Group {
    waiting: Vec<oneshot::Sender<Result<()>>>,
    /// Whether the transaction holds changes of an earlier job.
    changed: bool,
    deleted: bool,
}

impl Group {
    /// Answers everybody and starts over.
    fn answer(&mut self, result: &Result<()>) {
        for caller in self.waiting.drain(..) {
            // A caller that went away does not need the answer.
            let _ = caller.send(result.as_ref().map(|_| ()).map_err(again));
        }
        *self = Self::default();
    }
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        queue: Receiver<Message>,
        housekeeping: Housekeeping,
        lock: FolderLock,
    ) -> Self {
        Self { connection, queue, housekeeping, lock }
    }

    /// Works until asked to close or until every sender is gone.
    pub(crate) fn run(mut self) {
        let mut closing = None;
        while closing.is_none() {
            match self.wait() {
                Ok(Message::Job(job, caller)) => closing = self.group(job, caller),
                Ok(Message::Close(caller)) => closing = Some(caller),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.housekeeping.run(&self.connection, Instant::now());
        }
        let Self { connection, mut housekeeping, lock, .. } = self;
        housekeeping.finish(&connection);
        drop(connection);
        drop(housekeeping);
        drop(lock);
        if let Some(caller) = closing {
            let _ = caller.send(());
        }
    }

    fn wait(&self) -> Result<Message, RecvTimeoutError> {
        match self.housekeeping.due() {
            Some(due) => self.queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Runs `first` and everything that waits behind it, commits, answers. Returns who asked for closing meanwhile.
    fn group(
        &mut self,
        first: WriteJob,
        caller: oneshot::Sender<Result<()>>,
    ) -> Option<oneshot::Sender<()>> {
        let mut group = Group::default();
        self.job(&mut group, first, caller);
        let mut closing = None;
        while group.waiting.len() < GROUP {
            match self.queue.try_recv() {
                Ok(Message::Job(job, caller)) => self.job(&mut group, job, caller),
                Ok(Message::Close(caller)) => {
                    closing = Some(caller);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(&mut group);
        closing
    }

    /// Runs one job inside the group's transaction.
    fn job(&mut self, group: &mut Group, job: WriteJob, caller: oneshot::Sender<Result<()>>) {
        // The first changes need no savepoint: undoing them is undoing the whole transaction.
        let nested = group.changed;
        let begin = match (nested, self.connection.is_autocommit()) {
            (true, _) => self.sql("SAVEPOINT job"),
            (false, true) => self.sql("BEGIN IMMEDIATE"),
            (false, false) => Ok(()),
        };
        if let Err(error) = begin {
            let _ = caller.send(Err(error));
            return;
        }
        let tx = Tx::new(&self.connection);
        let verdict = catch_unwind(AssertUnwindSafe(|| job(&tx)));
        let deleted = tx.has_deleted();
        if self.connection.is_autocommit() {
            // SQLite undid everything by itself, also what the neighbours did.
            group.waiting.push(caller);
            group.answer(&Err(Error::Unavailable("the disk is full or failing".into())));
            return;
        }
        let undo = !matches!(verdict, Ok(Verdict::Commit));
        let end = match (undo, nested) {
            (false, false) => Ok(()),
            (false, true) => self.sql("RELEASE job"),
            (true, false) => self.sql("ROLLBACK"),
            (true, true) => self.sql("ROLLBACK TO job").and_then(|()| self.sql("RELEASE job")),
        };
        if let Err(error) = end {
            group.waiting.push(caller);
            self.give_up(group, error);
            return;
        }
        if !undo {
            group.changed = true;
            group.deleted |= deleted;
        }
        match verdict {
            // A refusal waits as well: what it saw may be undone with the group.
            Ok(_) => group.waiting.push(caller),
            Err(panic) => {
                let _ = caller.send(Err(panicked(&*panic)));
            }
        }
    }

    fn commit(&mut self, group: &mut Group) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("COMMIT")
        {
            self.give_up(group, error);
            return;
        }
        if group.deleted {
            self.housekeeping.deleted(Instant::now());
        }
        group.answer(&Ok(()));
    }

    fn give_up(&self, group: &mut Group, error: Error) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("ROLLBACK")
        {
            tracing::error!(%error, "cannot undo a failed commit");
        }
        tracing::warn!(%error, jobs = group.waiting.len(), "a commit failed");
        group.answer(&Err(error));
    }

    fn sql(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql).and_then(|mut sql| sql.execute([])).sql()?;
        Ok(())
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    Error::Backend(format!("a write job panicked: {text}").into())
}
