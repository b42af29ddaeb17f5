//! The tests that every backend must pass, on SQLite: as it is, and with everything encrypted.

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

mod encrypted {
    use std::sync::Arc;

    use agent_server_storage::Storage;
    use agent_server_storage_sqlite::{AesKey, Encryption, Options, Sqlite};

    async fn open() -> (Arc<dyn Storage>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let encryption = Encryption {
            key: AesKey::new(&[7; 32]),
            // Keys that the tests search by and judge scopes by.
            json_keys: ["owner", "tag", "a", "n", "team"].map(str::to_owned).into(),
            hooks: None,
        };
        let options = Options { encryption, ..Options::default() };
        let storage: Arc<dyn Storage> = Sqlite::open(folder.path(), options).unwrap();
        (storage, folder)
    }

    agent_server_storage::storage_suite!(open);
}
