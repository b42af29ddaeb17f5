//! The writer: one thread, one connection, and one commit for everything that comes while the disk is busy.
//!
//! Jobs of a group run one after another inside one transaction, each undone alone if it asks for that. The group is
//! committed when the flush before it is over, or as soon as nobody comes any more and somebody of it waits for the commit
//! itself; the flusher takes it from there, and while it does, the next group's jobs are executed. Nobody is answered before
//! the transaction is on disk, but who asked to hear of the commit.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Instant,
};

use agent_server_storage::{Error, Result, Verdict, WriteJob};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    anew::Anew,
    error::{SqlResult, again},
    flusher::Flusher,
    housekeeping::Housekeeping,
    lock::FolderLock,
    tx::Tx,
    vault::Vault,
};

/// Most jobs of one commit: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// Where the caller of a job waits.
pub(crate) struct Caller {
    /// Told when the changes are visible, if that is wanted.
    pub(crate) committed: Option<oneshot::Sender<Result<()>>>,
    /// Told when they are on disk.
    pub(crate) flushed: oneshot::Sender<Result<()>>,
}

impl Caller {
    fn refuse(self, error: &Error) {
        // A caller that went away does not need the answer.
        let _ = self.committed.unwrap_or(self.flushed).send(Err(again(error)));
    }
}

/// What the writer is asked to do.
pub(crate) enum Message {
    /// A job and its caller.
    Job(WriteJob, Caller),
    /// Store values in place of others.
    Anew(Vec<Anew>),
    /// So many commits are on disk that were not before.
    Flushed(usize),
    /// Finish and answer.
    Close(oneshot::Sender<()>),
}

/// The state of the writer thread.
pub(crate) struct Writer {
    connection: Connection,
    vault: Arc<Vault>,
    queue: Receiver<Message>,
    flusher: Flusher,
    /// Commits that the flusher has not brought to the disk yet.
    flushing: usize,
    housekeeping: Housekeeping,
    /// What is to be stored in place of what was read.
    anew: Vec<Anew>,
    lock: FolderLock,
}

/// Callers whose fate is the fate of the open transaction.
#[derive(Default)]
struct Group {
    waiting: Vec<Caller>,
    /// Whether the transaction holds changes of an earlier job.
    changed: bool,
    deleted: bool,
    /// What its jobs have found to be stored anew.
    anew: Vec<Anew>,
}

impl Group {
    /// Whether somebody goes on when the group is committed, and need not wait for the disk.
    fn is_awaited(&self) -> bool {
        self.waiting.iter().any(|caller| caller.committed.is_some())
    }

    /// Refuses everybody and starts over.
    fn refuse(&mut self, error: &Error) {
        self.waiting.drain(..).for_each(|caller| caller.refuse(error));
        *self = Self::default();
    }
}

impl Writer {
    pub(crate) fn new(
        (connection, vault): (Connection, Arc<Vault>),
        queue: Receiver<Message>,
        flusher: Flusher,
        housekeeping: Housekeeping,
        lock: FolderLock,
    ) -> Self {
        Self { connection, vault, queue, flusher, flushing: 0, housekeeping, anew: vec![], lock }
    }

    /// Works until asked to close or until every sender is gone.
    pub(crate) fn run(mut self) {
        let mut closing = None;
        while closing.is_none() {
            match self.wait() {
                Ok(Message::Job(job, caller)) => closing = self.group(job, caller),
                Ok(Message::Anew(anew)) => self.anew.extend(anew),
                Ok(Message::Flushed(commits)) => {
                    self.flushing -= commits;
                    continue;
                }
                Ok(Message::Close(caller)) => closing = Some(caller),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.store_anew();
            self.housekeeping.run(&self.connection, Instant::now());
        }
        let Self { connection, flusher, mut housekeeping, lock, .. } = self;
        drop(flusher);
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

    /// Runs `first` and everything that comes until the disk is ready for it, commits. Returns who asked for closing
    /// meanwhile.
    fn group(&mut self, first: WriteJob, caller: Caller) -> Option<oneshot::Sender<()>> {
        let mut group = Group::default();
        self.job(&mut group, first, caller);
        let mut closing = None;
        while group.waiting.len() < GROUP {
            let next = match self.queue.try_recv() {
                Err(TryRecvError::Empty) if self.flushing > 0 && !group.is_awaited() => {
                    self.queue.recv().ok()
                }
                next => next.ok(),
            };
            match next {
                Some(Message::Job(job, caller)) => self.job(&mut group, job, caller),
                Some(Message::Anew(anew)) => self.anew.extend(anew),
                Some(Message::Flushed(commits)) => self.flushing -= commits,
                Some(Message::Close(caller)) => {
                    closing = Some(caller);
                    break;
                }
                None => break,
            }
        }
        self.commit(group);
        closing
    }

    /// Runs one job inside the group's transaction.
    fn job(&self, group: &mut Group, job: WriteJob, caller: Caller) {
        // The first changes need no savepoint: undoing them is undoing the whole transaction.
        let nested = group.changed;
        let begin = match (nested, self.connection.is_autocommit()) {
            (true, _) => self.sql("SAVEPOINT job"),
            (false, true) => self.sql("BEGIN IMMEDIATE"),
            (false, false) => Ok(()),
        };
        if let Err(error) = begin {
            caller.refuse(&error);
            return;
        }
        let tx = Tx::new(&self.connection, &self.vault);
        let verdict = catch_unwind(AssertUnwindSafe(|| job(&tx)));
        let (deleted, anew) = (tx.has_deleted(), tx.take_anew());
        if self.connection.is_autocommit() {
            // SQLite undid everything by itself, also what the neighbours did.
            group.waiting.push(caller);
            group.refuse(&Error::Unavailable("the disk is full or failing".into()));
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
            self.give_up(group, &error);
            return;
        }
        if !undo {
            group.changed = true;
            group.deleted |= deleted;
            group.anew.extend(anew);
        }
        match verdict {
            // A refusal waits as well: what it saw may be undone with the group.
            Ok(_) => group.waiting.push(caller),
            Err(panic) => caller.refuse(&panicked(&*panic)),
        }
    }

    fn commit(&mut self, mut group: Group) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("COMMIT")
        {
            self.give_up(&mut group, &error);
            return;
        }
        self.anew.append(&mut group.anew);
        if group.deleted {
            self.housekeeping.deleted(Instant::now());
        }
        let mut callers = Vec::with_capacity(group.waiting.len());
        for Caller { committed, flushed } in group.waiting {
            if let Some(committed) = committed {
                let _ = committed.send(Ok(()));
            }
            callers.push(flushed);
        }
        if group.changed || self.flushing > 0 {
            // Also who has changed nothing hears of it only when what it saw is on disk.
            self.flusher.flush(callers);
            self.flushing += 1;
        } else {
            callers.into_iter().for_each(|caller| drop(caller.send(Ok(()))));
        }
    }

    /// Stores what was encrypted anew. What cannot be stored is left as it is: the next who reads it tries again.
    fn store_anew(&mut self) {
        if self.anew.is_empty() {
            return;
        }
        let anew = std::mem::take(&mut self.anew);
        let stored = || -> Result<bool> {
            self.sql("BEGIN IMMEDIATE")?;
            let tx = Tx::new(&self.connection, &self.vault);
            anew.iter().try_for_each(|each| tx.store_anew(each))?;
            self.sql("COMMIT")?;
            Ok(tx.has_deleted())
        };
        match stored() {
            Ok(true) => self.housekeeping.deleted(Instant::now()),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "what is encrypted anew could not be stored");
                if !self.connection.is_autocommit() {
                    let _ = self.sql("ROLLBACK");
                }
            }
        }
    }

    fn give_up(&self, group: &mut Group, error: &Error) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("ROLLBACK")
        {
            tracing::error!(%error, "cannot undo a failed commit");
        }
        tracing::warn!(%error, jobs = group.waiting.len(), "a commit failed");
        group.refuse(error);
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
