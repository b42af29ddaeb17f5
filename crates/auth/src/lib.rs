//! Built-in authentication, for people who write no handler of their own: API keys ([`keys`]) and JSON Web Tokens
//! ([`jwt`]), behind the port [`Authenticator`].
//!
//! [`Builtin`] takes a request's credentials apart (`credential`) and gives them to the first method that recognises
//! them; that method alone decides. Whoever asks hears one unspecific text (`refusal`), the log hears the cause.
//! Nothing here knows HTTP statuses beyond the refusal's number, and no secret stands in an error, a log line or a
//! `Debug` output.

mod credential;
pub mod jwt;
pub mod keys;
mod refusal;
#[cfg(test)]
mod tests;
mod watched;

use std::{path::PathBuf, sync::Arc};

use agent_server_domain::{
    auth::{Authenticator, Credentials, Refusal, User},
    ports::Clock,
    storage::Map,
};
use async_trait::async_trait;
use serde_json::{Value, json};

use credential::Presented;
use jwt::Jwt;
use keys::Keys;

/// Which methods there are. A server without any asks nobody; then there is no [`Builtin`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The file of the API keys.
    pub keys: Option<PathBuf>,
    /// Whose tokens are accepted.
    pub jwt: Option<jwt::Options>,
}

/// What keeps built-in authentication from starting, or keys from being changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or is damaged. Nothing is guessed: with a damaged file nobody gets in.
    #[error("{0}")]
    KeyFile(String),
    /// What was asked for cannot be.
    #[error("{0}")]
    Invalid(String),
}

/// The built-in methods, in the order in which they look at a request.
pub struct Builtin {
    keys: Option<Keys>,
    jwt: Option<Jwt>,
}

impl Builtin {
    /// Starts the methods. Keys of token issuers are fetched from now on, in a task that ends with the value.
    ///
    /// Errors: the key file or the file of public keys cannot be used, or the options contradict each other.
    pub fn start(options: &Options, clock: &Arc<dyn Clock>) -> Result<Self, Error> {
        let keys = options.keys.as_ref().map(|path| Keys::open(path, Arc::clone(clock)));
        let jwt = options.jwt.as_ref().map(|options| Jwt::start(options, Arc::clone(clock)));
        Ok(Self { keys: keys.transpose()?, jwt: jwt.transpose()? })
    }

    /// What people are told at start-up: how one gets in.
    pub fn describe(&self) -> String {
        let keys = self.keys.as_ref().map(Keys::describe);
        let jwt = self.jwt.as_ref().map(Jwt::describe);
        keys.into_iter().chain(jwt).collect::<Vec<_>>().join(", ")
    }

    /// What clients are told in the served document: the members `securitySchemes` and `security` of OpenAPI.
    pub fn document(&self) -> Map {
        let key = json!({"type": "apiKey", "in": "header", "name": "x-api-key"});
        let bearer = match self.jwt {
            Some(_) => json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
            None => json!({"type": "http", "scheme": "bearer"}),
        };
        let schemes = [("apiKey", self.keys.is_some(), key), ("bearer", true, bearer)];
        let (mut known, mut security) = (Map::new(), Vec::new());
        for (name, _, scheme) in schemes.into_iter().filter(|(_, is_there, _)| *is_there) {
            known.insert(name.into(), scheme);
            security.push(json!({name: []}));
        }
        let members = [("securitySchemes", Value::Object(known)), ("security", security.into())];
        members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }
}

#[async_trait]
impl Authenticator for Builtin {
    async fn authenticate(&self, credentials: &Credentials) -> Result<User, Refusal> {
        let presented = Presented::read(credentials)?;
        if let Some(keys) = &self.keys
            && let Some(key) = presented.key()
        {
            return keys.authenticate(key).map_err(refusal::invalid);
        }
        if let Some(jwt) = &self.jwt
            && let Some(token) = presented.token()
        {
            return jwt.authenticate(token).await.map_err(refusal::invalid);
        }
        if presented.is_empty() {
            return Err(refusal::missing());
        }
        Err(refusal::invalid("no configured method knows this kind of credential"))
    }
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Builtin({})", self.describe())
    }
}
