//! Archives: everything that a storage holds in one stream, out ([`export`]) and in again ([`import`]).
//!
//! The format is JSON Lines inside zstd, described in docs/backup.md. `record` says how each entry is written, `stream`
//! what stands around them: a header with the version, and an end without which an archive is not whole. Knows storage by
//! its traits alone, so it moves data between backends, too.
//!
//! What must stay true: whatever is added to a record is a new version of the format, and all older ones can be read.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod error;
mod export;
mod import;
mod record;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use agent_server_storage::archive::{Kind, Selection};
pub use error::{Error, Result};
pub use export::export;
pub use import::{IfExists, Wanted, import};
pub use stream::{Header, VERSION};

/// Records by name: how many of each were written or taken.
pub type Counts = BTreeMap<String, u64>;

/// What an import came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records that were taken.
    pub taken: Counts,
    /// Records that were wanted and left out, because their unit was there already.
    pub skipped: Counts,
}
