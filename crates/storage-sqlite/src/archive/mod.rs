//! Everything that a data folder holds, entry by entry: out (`export`) and in again (`import`).
//!
//! What goes out is read, and what comes in is written, by the functions of the resources wherever they have one.

mod export;
mod import;

use std::path::Path;

use agent_server_storage::{Error, ReadTx, Result};

use crate::{connection, error::SqlResult, tx::Tx};

/// Runs `read` on a consistent snapshot of a data folder; a server may be at work on it, and nothing in it is changed.
///
/// # Errors
/// `Unavailable` if there is no data or it cannot be read; `Corrupt` if it is of another version.
pub fn snapshot<T>(folder: &Path, read: impl FnOnce(&dyn ReadTx) -> T) -> Result<T> {
    let path = connection::path(folder);
    if !path.exists() {
        return Err(Error::Unavailable(format!("there is no {}", path.display())));
    }
    let mut connection = connection::open_reader(&path)?;
    connection::check_schema(&connection, &path)?;
    let transaction = connection.transaction().sql()?;
    Ok(read(&Tx::new(&transaction)))
}
