//! The flusher: waits for the disk, so that the writer need not.
//!
//! A commit of the writer is in the write-ahead log, where it survives the end of the process; the flusher brings the log to
//! the disk, where it survives the loss of power, and only then answers those who asked for that. SQLite itself flushes
//! where the log is moved into the file and started over (`synchronous = NORMAL`), which keeps the file sound in any case.

use std::{fs::File, sync::mpsc, thread};

use agent_server_storage::Result;
use tokio::sync::oneshot;

use crate::writer::Message;

/// Callers whose changes are in the log.
pub(crate) type Committed = Vec<oneshot::Sender<Result<()>>>;

/// The thread that flushes commits in their order. Dropping it waits until all have been answered.
pub(crate) struct Flusher {
    commits: Option<mpsc::Sender<Committed>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread. After every flush it says on `flushed` how many commits it was for.
    pub(crate) fn start(log: File, flushed: mpsc::Sender<Message>) -> std::io::Result<Self> {
        let (commits, waiting) = mpsc::channel::<Committed>();
        let flush = move || {
            while let Ok(first) = waiting.recv() {
                // One flush for everything that was committed during the one before.
                let commits: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                flush_or_die(&log);
                let count = commits.len();
                for caller in commits.into_iter().flatten() {
                    // A caller that went away does not need the answer.
                    let _ = caller.send(Ok(()));
                }
                let _ = flushed.send(Message::Flushed(count));
            }
        };
        let thread = thread::Builder::new().name("storage-flusher".into()).spawn(flush)?;
        Ok(Self { commits: Some(commits), thread: Some(thread) })
    }

    /// Flushes everything committed until now, then answers `callers`.
    pub(crate) fn flush(&self, callers: Committed) {
        let commits = self.commits.as_ref().expect("it is there until it is dropped");
        commits.send(callers).expect("the thread ends with the sender");
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        drop(self.commits.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// After a failed flush nobody knows what is on the disk: the kernel has dropped what it could not write, and a second try
/// would succeed without it. What others have already seen cannot be taken back either. So this is the end of the process;
/// the next start reads what is there and repairs it.
fn flush_or_die(log: &File) {
    if let Err(error) = log.sync_data() {
        tracing::error!(%error, "the disk did not take what was written: stopping at once, so that nothing is built on it");
        std::process::abort();
    }
}
