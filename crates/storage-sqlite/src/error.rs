//! Errors of the driver, sorted by what the caller of the storage interface can do about them.

use agent_server_storage::{Error, Result};
use rusqlite::ErrorCode;

/// Turns the driver's results into the storage interface's.
pub(crate) trait SqlResult<T> {
    /// Converts the error.
    fn sql(self) -> Result<T>;

    /// As [`SqlResult::sql`], but a key that exists already is `Duplicate(what)`.
    fn sql_unique(self, what: &'static str) -> Result<T>;
}

impl<T> SqlResult<T> for rusqlite::Result<T> {
    fn sql(self) -> Result<T> {
        self.map_err(convert)
    }

    fn sql_unique(self, what: &'static str) -> Result<T> {
        self.map_err(
            |error| if is_unique(&error) { Error::Duplicate(what) } else { convert(error) },
        )
    }
}

fn is_unique(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    error.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE)
    })
}

/// A full disk, a read-only folder and an I/O error may pass; a damaged file does not.
pub(crate) fn convert(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory,
        ) => Error::Unavailable(error.to_string()),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::Corrupt(error.to_string())
        }
        _ => Error::backend(error),
    }
}

/// The same error once more, for the callers that share one commit.
pub(crate) fn again(error: &Error) -> Error {
    match error {
        Error::Duplicate(what) => Error::Duplicate(what),
        Error::Invalid(why) => Error::Invalid(why.clone()),
        Error::Unavailable(why) => Error::Unavailable(why.clone()),
        Error::Corrupt(why) => Error::Corrupt(why.clone()),
        Error::Backend(source) => Error::Backend(source.to_string().into()),
    }
}

/// What callers hear after [`agent_server_storage::Storage::close`].
pub(crate) fn closed() -> Error {
    Error::Unavailable("the data folder is closed".into())
}
