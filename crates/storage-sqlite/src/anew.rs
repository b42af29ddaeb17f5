//! Contents of checkpoints that were encrypted anew while they were read: stored later, by the writer, where nobody has changed
//! them since.

use agent_server_storage::Result;
use rusqlite::params;

use crate::{error::SqlResult, tx::Tx};

/// A value and what is to be stored in its place.
pub(crate) struct Anew {
    /// One of the tables below threads.
    pub(crate) table: &'static str,
    pub(crate) column: String,
    /// Thread of the row, so that few rows are looked at.
    pub(crate) thread: i64,
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

impl Tx<'_> {
    /// Stores a value anew.
    pub(crate) fn store_anew(&self, anew: &Anew) -> Result<()> {
        let Anew { table, column, thread, before, after } = anew;
        let sql =
            format!("UPDATE {table} SET {column} = ?1 WHERE thread_key = ?2 AND {column} = ?3");
        if self.change(&sql, params![after, thread, before]).sql()? > 0 {
            // What was there before leaves the files.
            self.mark_deleted();
        }
        Ok(())
    }
}
