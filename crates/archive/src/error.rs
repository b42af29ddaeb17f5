//! What can go wrong with an archive, in words for whoever holds it.

use std::io;

use agent_server_storage::{ThreadId, archive::Unit};

/// Result of everything in this crate that may fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an export or an import. After an error of an import nothing has been imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is something else.
    #[error("this is no archive of agent-server: {0}")]
    NoArchive(String),
    /// A newer program has written it.
    #[error(
        "this archive has format {found}, and this program reads formats up to {}: update the program",
        crate::VERSION
    )]
    Newer {
        /// Its version.
        found: u32,
    },
    /// It has no end.
    #[error("the archive ends too early, after {lines} whole lines: it was cut off")]
    Cut {
        /// Lines that could be read.
        lines: u64,
    },
    /// A line is not what it should be.
    #[error("line {line} of the archive: {why}")]
    Damaged {
        /// Which, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A value cannot be written as JSON.
    #[error("{what} cannot be written: {why}")]
    Unwritable {
        /// Where it is.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A unit is there already, and was not to be.
    #[error("{} is there already", shown(.0))]
    Exists(Unit),
    /// Threads were asked for that are not there.
    #[error("there is no thread {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoThread(Vec<ThreadId>),
    /// Kinds were asked for that the archive was made without.
    #[error("the archive was made without {missing}; it holds {holds}")]
    NoKind {
        /// What was asked for.
        missing: String,
        /// What there is.
        holds: String,
    },
    /// The stream cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The storage cannot be read or written.
    #[error(transparent)]
    Storage(#[from] agent_server_storage::Error),
}

/// A unit as people name it.
pub(crate) fn shown(unit: &Unit) -> String {
    match unit {
        Unit::Assistant(id) => format!("assistant {id}"),
        Unit::Thread(id) => format!("thread {id}"),
        Unit::Cron(id) => format!("cron {id}"),
        Unit::Item(namespace, key) => format!("store item '{key}' of {namespace:?}"),
        Unit::Delivery(id) => format!("the webhook delivery of run {id}"),
        Unit::Key(key) => format!("idempotency key '{}' of {}", key.key, key.route),
    }
}
