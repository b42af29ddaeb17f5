//! A storage whose JSON passes through somebody else's cipher: in front of any backend, so that neither the rules nor the
//! backend know of it.
//!
//! [`Encrypted::new`] wraps a backend. What it hands to the closures are views (`view`) of the backend's transactions: on the
//! way in, rows are encrypted field by field (`fields`), on the way out decrypted; all that one call needs is one batch.
//!
//! What must stay true: a scope is judged by what was decrypted, never by what is stored. What a search compares is what is
//! stored: the cipher is asked for the needle, and finds only what it always encrypts alike.
//!
//! Source: reference/auth-webhooks-encryption.md, part 5.

mod archive;
mod assistants;
mod checkpoints;
mod context;
mod crons;
mod fields;
mod passed;
mod replaced;
mod runs;
mod store;
mod threads;
mod view;
mod webhooks;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{Cost, Flush, Map, ReadJob, ReadTx, Result, Storage, Verdict, WriteJob, WriteTx};

pub use archive::forget_context;
pub use context::{blob_context, current as current_context, with as with_context};
pub use fields::is_of_the_server;
use replaced::Replaced;
use view::View;

/// One JSON object for the cipher.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Kind of row: `thread`, `run`, `assistant`, `cron`, `checkpoint`, `store`.
    pub model: &'static str,
    /// Which part of the row.
    pub field: &'static str,
    /// What was said when it was encrypted.
    pub context: Map,
    /// The object; its keys stay as they are.
    pub data: Map,
}

/// A decrypted object.
#[derive(Clone, Debug, PartialEq)]
pub struct Decrypted {
    /// What was encrypted.
    pub plain: Map,
    /// What is to be stored instead of what was read.
    pub replacement: Option<Map>,
}

/// Encrypts JSON. Called on threads that may wait; answers are in the order of the parts.
pub trait JsonCipher: Send + Sync + 'static {
    /// Encrypts objects.
    ///
    /// # Errors
    /// The write that needs them fails.
    fn encrypt(&self, parts: Vec<Part>) -> Result<Vec<Map>>;

    /// Decrypts objects.
    ///
    /// # Errors
    /// The read that needs them fails.
    fn decrypt(&self, parts: Vec<Part>) -> Result<Vec<Decrypted>>;
}

/// Encrypts opaque bytes, for backends that have one. Called on threads that may wait.
pub trait BlobCipher: Send + Sync + 'static {
    /// Encrypts bytes; `context` is stored beside them.
    ///
    /// # Errors
    /// The write that needs them fails.
    fn encrypt(&self, context: &Map, blob: &[u8]) -> Result<Vec<u8>>;

    /// Decrypts bytes.
    ///
    /// # Errors
    /// The read that needs them fails.
    fn decrypt(&self, context: &Map, blob: &[u8]) -> Result<DecryptedBlob>;
}

/// Decrypted bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct DecryptedBlob {
    /// What was encrypted.
    pub plain: Vec<u8>,
    /// What is to be stored instead of what was read.
    pub replacement: Option<Vec<u8>>,
}

/// A backend behind a cipher.
pub struct Encrypted {
    inner: Arc<dyn Storage>,
    cipher: Arc<dyn JsonCipher>,
}

impl Encrypted {
    /// Puts a cipher in front of a backend.
    pub fn new(inner: Arc<dyn Storage>, cipher: Arc<dyn JsonCipher>) -> Arc<Self> {
        Arc::new(Self { inner, cipher })
    }

    fn wrapped(&self, job: WriteJob) -> WriteJob {
        let cipher = Arc::clone(&self.cipher);
        let context = context::current();
        Box::new(move |tx| {
            let view = View::<dyn WriteTx>::new(tx, &*cipher, context);
            let verdict = job(&view);
            if verdict == Verdict::Commit {
                replaced::write(tx, view.replaced.take());
            }
            verdict
        })
    }
}

/// Calls `read` with a transaction of a backend, seen through a cipher. Nothing is stored anew.
pub fn through<T>(
    cipher: &dyn JsonCipher,
    tx: &dyn ReadTx,
    read: impl FnOnce(&dyn ReadTx) -> T,
) -> T {
    read(&View::new(tx, cipher, None))
}

#[async_trait]
impl Storage for Encrypted {
    async fn read_job(&self, _: Cost, job: ReadJob<'static>) -> Result<()> {
        let cipher = Arc::clone(&self.cipher);
        let replacements = Arc::<Mutex<Vec<Replaced>>>::default();
        let fill = Arc::clone(&replacements);
        // However few rows there are: the cipher makes the thread wait.
        self.inner
            .read_job(
                Cost::Scan,
                Box::new(move |tx| {
                    let view = View::new(tx, &*cipher, None);
                    job(&view);
                    *fill.lock() = view.replaced.take();
                }),
            )
            .await?;
        let replacements = std::mem::take(&mut *replacements.lock());
        if replacements.is_empty() {
            return Ok(());
        }
        let written = self.inner.write_job(Box::new(move |tx| {
            replaced::write(tx, replacements);
            Verdict::Commit
        }));
        // What was read is right all the same; the next read replaces it.
        if let Err(error) = written.await {
            tracing::warn!(%error, "what is encrypted anew could not be stored");
        }
        Ok(())
    }

    async fn write_job(&self, job: WriteJob) -> Result<()> {
        self.inner.write_job(self.wrapped(job)).await
    }

    async fn commit_job(&self, job: WriteJob) -> Result<Flush> {
        self.inner.commit_job(self.wrapped(job)).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
