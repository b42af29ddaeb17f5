//! Snapshots: a pool of connections that read beside the writer.

use std::{path::PathBuf, sync::Arc};

use agent_server_storage::{ReadJob, Result};
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::{
    anew::Anew,
    connection::open_reader,
    error::{SqlResult, closed},
    functions,
    tx::Tx,
    vault::Vault,
};

/// The idle connections, newest use last, so that the warm ones are used again.
pub(crate) struct Readers {
    path: PathBuf,
    keep: usize,
    vault: Arc<Vault>,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    /// A pool that keeps at most `keep` connections while idle; as many as needed exist while reads run.
    pub(crate) fn new(path: PathBuf, keep: usize, vault: Arc<Vault>) -> Self {
        Self { path, keep, vault, idle: Mutex::new(Some(Vec::new())) }
    }

    /// Runs `job` on a snapshot that contains every write that returned before. Returns what is to be stored in place of what
    /// it read.
    pub(crate) fn run(&self, job: ReadJob<'_>) -> Result<Vec<Anew>> {
        let idle = self.idle.lock().as_mut().ok_or_else(closed)?.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = open_reader(&self.path)?;
                functions::register(&connection, &self.vault).sql()?;
                connection
            }
        };
        // A panic in `job` drops the connection, and with it the open transaction.
        connection.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).sql()?;
        let tx = Tx::new(&connection, &self.vault);
        job(&tx);
        let anew = tx.take_anew();
        connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).sql()?;
        if let Some(idle) = self.idle.lock().as_mut().filter(|idle| idle.len() < self.keep) {
            idle.push(connection);
        }
        Ok(anew)
    }

    /// Drops the idle connections and refuses new reads.
    pub(crate) fn close(&self) {
        self.idle.lock().take();
    }
}
