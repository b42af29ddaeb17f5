//! SQLite backend of the storage interface: embedded, durable, one writer with group commit.
//!
//! [`Sqlite::open`] takes a data folder; everything lives in `agent-server.db` inside it. Writes go to one thread
//! (`writer`), whose commits another brings to disk (`flusher`); reads run on connections beside it (`reader`). The rows
//! of a resource are in the module of its name; the tables are in `migrations/`.
//!
//! What must stay true: only the writer thread writes; nobody is told of a write before it is on disk; deleted rows
//! leave the files (`housekeeping`).

mod aes;
mod anew;
mod archive;
mod assistants;
mod checkpoints;
mod codec;
mod connection;
mod crons;
mod dictionary;
mod error;
mod events;
mod flusher;
mod functions;
mod gaps;
mod housekeeping;
mod idempotency;
mod inspect;
mod item_filter;
mod json_path;
mod lock;
mod namespace;
mod reader;
mod runs;
mod saved;
mod saver;
mod series;
mod store;
mod threads;
mod tx;
mod undo;
mod vault;
mod vector;
mod webhooks;
mod writer;
mod zip;

use std::{
    fs,
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use agent_server_storage::{Cost, Error, Flush, ReadJob, Result, Storage, WriteJob};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    anew::Anew,
    error::{SqlResult, closed},
    flusher::Flusher,
    gaps::Gaps,
    housekeeping::Housekeeping,
    lock::FolderLock,
    reader::Readers,
    writer::{Caller, Message, Writer},
};

pub use aes::AesKey;
pub use archive::snapshot;
pub use inspect::inspect;
pub use vault::{Encryption, Hooks};

/// How a data folder is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for reading that stay open while nobody reads; each may hold some megabytes.
    pub idle_readers: usize,
    /// How long deleted rows may stay in the files before they begin to be wiped. Wiping costs a few flushes and a look
    /// at every page, so that not every delete should pay for it.
    pub wipe_after: Duration,
    /// Most pages (of 4 kB) that the database file may grow to. `None`: as large as the disk.
    pub max_pages: Option<u32>,
    /// How what is stored is encrypted.
    pub encryption: Encryption,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            idle_readers: 8,
            wipe_after: Duration::from_secs(1),
            max_pages: None,
            encryption: Encryption::default(),
        }
    }
}

/// An open data folder.
pub struct Sqlite {
    readers: Arc<Readers>,
    queue: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Sqlite {
    /// Opens a data folder, making it and its tables if they are not there.
    ///
    /// # Errors
    /// `Unavailable` if the folder cannot be written, belongs to another process, which is named, or is encrypted with
    /// another key; `Corrupt` if the
    /// data was written by a newer version or is no database.
    pub fn open(folder: &Path, options: Options) -> Result<Arc<Self>> {
        let shown = folder.display();
        fs::create_dir_all(folder)
            .map_err(|error| Error::Unavailable(format!("cannot make {shown}: {error}")))?;
        let lock = FolderLock::take(folder)?;
        let path = connection::path(folder);
        // A log that is not empty was left by a process that died, perhaps between a delete and its wipe.
        let died = fs::metadata(connection::log_path(folder)).is_ok_and(|log| log.len() > 0);
        let gaps = Gaps::open(&path).map_err(|error| {
            Error::Unavailable(format!("cannot write {}: {error}", path.display()))
        })?;
        let mut connection = connection::open_writer(&path, options.max_pages)?;
        let (vault, sealed) = vault::unlock(&mut connection, &options.encryption)?;
        functions::register(&connection, &vault).sql()?;
        let mut housekeeping = Housekeeping::new(&mut connection, gaps, options.wipe_after)?;
        if died || sealed {
            housekeeping.deleted(Instant::now());
        }
        let (queue, jobs) = mpsc::channel();
        let log = fs::File::open(connection::log_path(folder)).map_err(|error| {
            Error::Unavailable(format!("cannot open the write-ahead log of {shown}: {error}"))
        })?;
        let no_thread = |error| Error::Unavailable(format!("cannot start a thread: {error}"));
        let flusher = Flusher::start(log, queue.clone()).map_err(no_thread)?;
        let writer =
            Writer::new((connection, Arc::clone(&vault)), jobs, flusher, housekeeping, lock);
        let writer = thread::Builder::new()
            .name("storage-writer".into())
            .spawn(move || writer.run())
            .map_err(no_thread)?;
        Ok(Arc::new(Self {
            readers: Arc::new(Readers::new(path, options.idle_readers, vault)),
            queue,
            writer: Mutex::new(Some(writer)),
        }))
    }
}

impl Sqlite {
    /// Has the writer store what was encrypted anew. Nobody waits for it.
    fn store_anew(&self, anew: Vec<Anew>) {
        if !anew.is_empty() {
            let _ = self.queue.send(Message::Anew(anew));
        }
    }
}

#[async_trait]
impl Storage for Sqlite {
    async fn read_job(&self, cost: Cost, job: ReadJob<'static>) -> Result<()> {
        match cost {
            Cost::Point => self.store_anew(self.readers.run(job)?),
            Cost::Scan => {
                let readers = Arc::clone(&self.readers);
                match tokio::task::spawn_blocking(move || readers.run(job)).await {
                    Ok(done) => self.store_anew(done?),
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(error) => return Err(Error::Unavailable(error.to_string())),
                    },
                }
            }
        }
        Ok(())
    }

    async fn write_job(&self, job: WriteJob) -> Result<()> {
        let (flushed, answer) = oneshot::channel();
        let caller = Caller { committed: None, flushed };
        self.queue.send(Message::Job(job, caller)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn commit_job(&self, job: WriteJob) -> Result<Flush> {
        let (committed, answer) = oneshot::channel();
        let (flushed, flush) = oneshot::channel();
        let caller = Caller { committed: Some(committed), flushed };
        self.queue.send(Message::Job(job, caller)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())??;
        Ok(Box::pin(async move { flush.await.map_err(|_| closed())? }))
    }

    async fn close(&self) {
        self.readers.close();
        let (caller, answer) = oneshot::channel();
        if self.queue.send(Message::Close(caller)).is_ok() {
            let _ = answer.await;
        }
    }
}

impl Drop for Sqlite {
    /// Waits for the writer, so that the folder is free afterwards.
    fn drop(&mut self) {
        self.readers.close();
        let (caller, _) = oneshot::channel();
        let _ = self.queue.send(Message::Close(caller));
        if let Some(writer) = self.writer.lock().take()
            && writer.thread().id() != thread::current().id()
        {
            let _ = writer.join();
        }
    }
}
