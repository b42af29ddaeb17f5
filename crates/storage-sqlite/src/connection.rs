//! Opening the database file and bringing its schema up to date.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use agent_server_storage::{Error, Result};
use refinery::error::Kind;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::error::SqlResult;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// More than there are different statements, so that none is ever compiled twice.
const STATEMENTS: usize = 256;
/// How long to wait for somebody who looks into the file with another program.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The database file of a data folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("agent-server.db")
}

/// The write-ahead log of [`path`].
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join("agent-server.db-wal")
}

/// The connection that writes, on a file with the current schema.
///
/// Errors: `Corrupt` for data of a newer version or another program, `Unavailable` for a file that cannot be written.
pub(crate) fn open_writer(path: &Path, max_pages: Option<u32>) -> Result<Connection> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .sql()?;
    prepare(&connection)?;
    // auto_vacuum has to come before the first table; it does nothing on a file that has tables. Commits are brought to
    // disk by the flusher.
    connection
        .execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA secure_delete = ON;
             PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -8192;
             PRAGMA journal_size_limit = 16777216;",
        )
        .sql()?;
    migrate(&mut connection, path)?;
    if let Some(pages) = max_pages {
        connection.pragma_update(None, "max_page_count", pages).sql()?;
    }
    Ok(connection)
}

/// A connection that reads beside the writer.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).sql()?;
    prepare(&connection)?;
    // No mapped file: the first read after a commit would unmap all of it, for which every core is interrupted.
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048").sql()?;
    Ok(connection)
}

/// That the tables are those that this program reads, for who may not change them.
///
/// Errors: `Corrupt` for data of another version.
pub(crate) fn check_schema(connection: &Connection, path: &Path) -> Result<()> {
    let known = embedded::migrations::runner();
    let known = known.get_migrations().iter().map(|migration| i64::from(migration.version())).max();
    let found = "SELECT max(version) FROM refinery_schema_history";
    let found: Option<i64> = connection.query_row(found, [], |row| row.get(0)).sql()?;
    if found == known {
        return Ok(());
    }
    let path = path.display();
    Err(Error::Corrupt(format!(
        "{path} was written by another version (schema {}, this program has {}); use the program that serves it",
        found.unwrap_or_default(),
        known.unwrap_or_default(),
    )))
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(PATIENCE).sql()?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on parameters; otherwise many statements would be compiled again for every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).sql()?;
    // Sorting and statement journals stay in memory: temporary files would be one more place to wipe.
    connection.execute_batch("PRAGMA temp_store = MEMORY").sql()?;
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let path = path.display();
    match embedded::migrations::runner().run(connection) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            Kind::MissingVersion(migration) => Error::Corrupt(format!(
                "{path} was written by a newer version (schema {}); update the program or use another data folder",
                migration.version(),
            )),
            Kind::DivergentVersion(_, migration) => Error::Corrupt(format!(
                "{path} has another schema {} than this program",
                migration.version(),
            )),
            _ => Error::Unavailable(format!("{path}: cannot bring the schema up to date: {error}")),
        }),
    }
}
