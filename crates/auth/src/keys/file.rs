//! `keys.json` in the data folder: a file of its own, because the database is locked by the server that runs, and keys
//! are changed by another process beside it. It is replaced by renaming, so that a reader sees the old or the new one.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use agent_server_domain::storage::Timestamp;
use serde::{Deserialize, Serialize};

use super::secret::{self, Digest, Secret};
use crate::Error;

/// Name in the data folder.
const NAME: &str = "keys.json";
/// What processes that change keys wait on, so that none overwrites the other's.
const LOCK: &str = "keys.lock";
/// Form of the file. Another one is refused: a newer version wrote it.
const VERSION: u32 = 1;
/// Most characters of a name and an identity.
const MAX_CHARS: usize = 256;

/// A key as it is kept: everything but its secret.
#[derive(Clone, Debug)]
pub struct Key {
    /// Names the key; stands in its clear form, too.
    pub id: String,
    /// What people call it; unique among the keys that are active.
    pub name: String,
    /// Who asks when it is presented.
    pub identity: String,
    /// What that user may do.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it does not count any more.
    pub expires_at: Option<Timestamp>,
    /// Since when it does not count any more. Revoked keys stay, so that the log can say what was tried.
    pub revoked_at: Option<Timestamp>,
    pub(super) digest: Digest,
}

/// Whether a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl Key {
    /// Whether the key counts now.
    pub fn state(&self, now: Timestamp) -> State {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => State::Revoked,
            (None, Some(at)) if at <= now => State::Expired,
            _ => State::Active,
        }
    }
}

/// What a key is made of.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// Who asks when it is presented.
    pub identity: String,
    /// What that user may do.
    pub permissions: Vec<String>,
    /// From when on it does not count any more.
    pub expires_at: Option<Timestamp>,
}

/// The file of a data folder.
#[derive(Clone, Debug)]
pub struct KeyFile {
    folder: PathBuf,
}

impl KeyFile {
    /// The file of the data folder `folder`, which must exist before a key is made.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// All keys, the oldest first; none where there is no file.
    ///
    /// Errors: it cannot be read or is damaged.
    pub fn list(&self) -> Result<Vec<Key>, Error> {
        let path = self.path();
        let named = |cause: String| Error::KeyFile(format!("{}: {cause}", path.display()));
        match fs::read(&path) {
            Ok(bytes) => parse(&bytes).map_err(named),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(named(error.to_string())),
        }
    }

    /// Makes a key. It counts as soon as this has returned; its secret is nowhere but in the answer.
    ///
    /// Errors: the name is taken or cannot be; the file cannot be changed.
    pub fn create(&self, new: NewKey, now: Timestamp) -> Result<(Key, Secret), Error> {
        for (what, text) in [("name", &new.name), ("identity", &new.identity)] {
            readable(what, text)?;
        }
        for permission in &new.permissions {
            readable("permission", permission)?;
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::Invalid("the key would have expired already".into()));
        }
        self.change(|keys| {
            let active = |key: &&Key| key.name == new.name && key.state(now) == State::Active;
            if let Some(other) = keys.iter().find(active) {
                return Err(Error::Invalid(format!(
                    "there is a key named '{}' already ({}): revoke it, or choose another name",
                    other.name, other.id
                )));
            }
            let secret = Secret::generate()?;
            let key = Key {
                id: secret.id().to_owned(),
                name: new.name,
                identity: new.identity,
                permissions: new.permissions,
                created_at: now,
                expires_at: new.expires_at,
                revoked_at: None,
                digest: Digest::of(secret.reveal()),
            };
            if keys.iter().any(|other| other.id == key.id) {
                return Err(Error::Invalid("that id exists by chance; try again".into()));
            }
            keys.push(key.clone());
            Ok((key, secret))
        })
    }

    /// Takes a key back, given by its id, by the name of an active one, or as a whole. What is revoked stays so; again is
    /// no error.
    ///
    /// Errors: there is no such key; the file cannot be changed.
    pub fn revoke(&self, id_or_name: &str, now: Timestamp) -> Result<Key, Error> {
        let id_or_name = secret::id(id_or_name).unwrap_or(id_or_name);
        self.change(|keys| {
            let by_name = |key: &Key| key.name == id_or_name && key.state(now) == State::Active;
            let at = keys
                .iter()
                .position(|key| key.id == id_or_name)
                .or_else(|| keys.iter().position(by_name));
            let Some(at) = at else {
                return Err(Error::Invalid(format!(
                    "there is no key '{}': agent-server keys list shows ids and names",
                    shown(id_or_name)
                )));
            };
            keys[at].revoked_at.get_or_insert(now);
            Ok(keys[at].clone())
        })
    }

    /// Reads, changes and replaces the file while nobody else does.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Key>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let unwritable = |error: io::Error| {
            Error::KeyFile(format!("{} cannot be changed: {error}", self.path().display()))
        };
        let lock = fs::File::create(self.folder.join(LOCK)).map_err(unwritable)?;
        lock.lock().map_err(unwritable)?;
        let mut keys = self.list()?;
        let changed = change(&mut keys)?;
        self.replace(&keys).map_err(unwritable)?;
        Ok(changed)
    }

    /// Puts a new file in the place of the old one. It is on disk when this returns: a revoked key stays revoked.
    fn replace(&self, keys: &[Key]) -> io::Result<()> {
        let file = File { version: VERSION, keys: keys.iter().map(Entry::from).collect() };
        // Readable by its owner alone, as temporary files are.
        let mut new = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer_pretty(&mut new, &file)?;
        new.write_all(b"\n")?;
        new.as_file().sync_all()?;
        new.persist(self.path())?;
        fs::File::open(&self.folder)?.sync_all()
    }
}

/// Reads a key file.
///
/// Errors: what is wrong, without the content: somebody may have written a secret there by mistake.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let damaged = |what: String| {
        format!("the key file is damaged ({what}): restore it, or move it away and make new keys")
    };
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| damaged(format!("line {}, column {}", error.line(), error.column())))?;
    if file.version != VERSION {
        let version = file.version;
        return Err(format!("written by another version of agent-server (form {version})"));
    }
    let keys = file.keys.into_iter().map(|entry| {
        let id = shown(&entry.id);
        entry.key().ok_or_else(|| damaged(format!("the hash of key {id}")))
    });
    keys.collect()
}

/// Whether a text can stand in a list that people read.
fn readable(what: &str, text: &str) -> Result<(), Error> {
    let right = !text.trim().is_empty()
        && text.chars().count() <= MAX_CHARS
        && !text.chars().any(char::is_control);
    right.then_some(()).ok_or_else(|| {
        Error::Invalid(format!(
            "the {what} '{}' is empty, longer than {MAX_CHARS} characters or has control characters",
            text.escape_debug()
        ))
    })
}

/// What may be an id, or a whole key that was pasted in its place.
fn shown(text: &str) -> String {
    text.chars().take(11).flat_map(char::escape_debug).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    identity: String,
    permissions: Vec<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    sha256: String,
}

impl From<&Key> for Entry {
    fn from(key: &Key) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            identity: key.identity.clone(),
            permissions: key.permissions.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            sha256: key.digest.hex(),
        }
    }
}

impl Entry {
    fn key(self) -> Option<Key> {
        Some(Key {
            digest: Digest::from_hex(&self.sha256)?,
            id: self.id,
            name: self.name,
            identity: self.identity,
            permissions: self.permissions,
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
        })
    }
}
