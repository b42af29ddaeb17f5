//! The tests that every backend must pass, on SQLite.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use agent_server_storage::Storage;
use agent_server_storage_sqlite::{Options, Sqlite};

async fn open() -> (Arc<dyn Storage>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Sqlite::open(folder.path(), Options::default()).unwrap();
    (storage, folder)
}

agent_server_storage::storage_suite!(open);
