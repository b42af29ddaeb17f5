//! The lock on the data folder: one process at a time, known by its pid.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use agent_server_storage::{Error, Result};

const FILE: &str = "agent-server.lock";

/// Holds the folder until dropped. The system frees it when the process dies.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl FolderLock {
    /// Takes the lock of `folder`, which must exist.
    ///
    /// Errors: `Unavailable` naming the process that holds it, or why the lock cannot be written.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let shown = path.display();
        let unwritable = |error| Error::Unavailable(format!("cannot write {shown}: {error}"));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text only improves the message.
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    pid => format!("process {pid}"),
                };
                let folder = folder.display();
                return Err(Error::Unavailable(format!("{folder} is in use by {holder}")));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(unwritable)?;
        Ok(Self(file))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Emptied first: a pid that is left behind would soon name an unrelated process.
        let _ = self.0.set_len(0);
    }
}
