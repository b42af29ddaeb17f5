//! Everything that a data folder holds, entry by entry: out (`export`) and in again (`import`).
//!
//! What goes out is read, and what comes in is written, by the functions of the resources wherever they have one.

mod export;
mod import;

use std::{path::Path, sync::Arc};

use agent_server_storage::{Error, ReadTx, Result};

use crate::{
    connection,
    error::SqlResult,
    functions,
    tx::Tx,
    vault::{self, Encryption},
};

/// Runs `read` on a consistent snapshot of a data folder; a server may be at work on it, and nothing in it is changed.
///
/// # Errors
/// `Unavailable` if there is no data, it cannot be read, or `encryption` is not what it was written with; `Corrupt` if it is of another version.
pub fn snapshot<T>(
    folder: &Path,
    encryption: &Encryption,
    read: impl FnOnce(&dyn ReadTx) -> T,
) -> Result<T> {
    let path = connection::path(folder);
    if !path.exists() {
        return Err(Error::Unavailable(format!("there is no {}", path.display())));
    }
    let mut connection = connection::open_reader(&path)?;
    connection::check_schema(&connection, &path)?;
    let vault = Arc::new(vault::of_reader(&connection, encryption)?);
    functions::register(&connection, &vault).sql()?;
    let transaction = connection.transaction().sql()?;
    Ok(read(&Tx::new(&transaction, &vault)))
}
