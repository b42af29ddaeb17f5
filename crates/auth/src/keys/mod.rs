//! API keys: random secrets that people make with `agent-server keys create` and hand to programs.
//!
//! [`KeyFile`] keeps them (`keys.json` in the data folder), [`Secret`] is one in clear, which exists only where it is made
//! and where it is presented. A running server looks at the file with every request, so that a key counts as soon as it is
//! made and no longer when it is revoked.

mod file;
mod secret;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use agent_server_domain::{auth::User, ports::Clock};

pub use file::{Key, KeyFile, NewKey, State};
pub use secret::{Digest, Secret};

use crate::{Error, watched::Watched};

/// Whether a text is meant to be one of our keys.
pub(crate) fn is_ours(text: &str) -> bool {
    text.starts_with(secret::PREFIX)
}

/// The method: who presents a key that is in the file.
pub(crate) struct Keys {
    file: Watched<Vec<Key>>,
    clock: Arc<dyn Clock>,
}

impl Keys {
    /// Errors: the file cannot be read or is damaged. A file that is not there holds no key.
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let file = Watched::new(path.to_owned(), file::parse);
        match file.look().map_err(Error::KeyFile)? {
            Some(keys) if keys.iter().any(|key| key.state(clock.now()) == State::Active) => {}
            _ => tracing::warn!("there is no API key yet: make one with agent-server keys create"),
        }
        Ok(Self { file, clock })
    }

    /// The user to whom a key belongs, or why it does not count.
    pub(crate) fn authenticate(&self, text: &str) -> Result<User, String> {
        let Some(id) = secret::id(text) else {
            return Err("an API key of the wrong form".into());
        };
        let keys = self.file.look()?.unwrap_or_default();
        let key = keys.iter().find(|key| key.id == id);
        // Compared in any case, so that time does not tell which ids exist.
        let nobodys = Digest::nobodys();
        let matches = key.map_or(&nobodys, |key| &key.digest).is_of(text);
        match key {
            None => Err(format!("there is no API key {id}")),
            Some(_) if !matches => Err(format!("not the secret of API key {id}")),
            Some(key) => match key.state(self.clock.now()) {
                State::Active => Ok(User::named(&key.identity, key.permissions.clone())),
                State::Expired => Err(format!("API key {id} has expired")),
                State::Revoked => Err(format!("API key {id} was revoked")),
            },
        }
    }

    pub(crate) fn describe(&self) -> String {
        "API keys".into()
    }
}
