//! Keys that clients give to requests, so that a request that is sent again is not carried out again.

use crate::{Result, RunId, Timestamp};

/// A key with all that it counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Identity of the caller; empty where nobody is asked.
    pub user: String,
    /// Path of the request.
    pub route: String,
    /// What the client sent.
    pub key: String,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The runs that were created, in order.
    pub runs: Vec<RunId>,
    /// When the key means nothing any more.
    pub expires_at: Timestamp,
}

/// Reads of keys.
pub trait Read {
    /// What a key stands for at `now`.
    fn find_key(&self, key: &Key, now: Timestamp) -> Result<Option<Record>>;

    /// When the next key expires.
    fn next_key_expiry(&self) -> Result<Option<Timestamp>>;
}

/// Changes of keys.
pub trait Write {
    /// Adds a key; one that has expired is replaced. `Duplicate` if it stands for something at `now`.
    fn insert_key(&self, key: &Key, record: &Record, now: Timestamp) -> Result<()>;

    /// Removes the keys that have expired at `now`.
    fn sweep_keys(&self, now: Timestamp) -> Result<()>;
}
