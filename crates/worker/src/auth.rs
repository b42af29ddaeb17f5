//! A project's own authentication: its handlers, asked in a Python process that does nothing else.
//!
//! A process of its own, because every request waits for it: a graph that blocks its worker or takes it down must not keep
//! everybody out. A handler that hangs is given up after a while, and the process with it if it does not let go.

mod cache;

use std::{io, sync::Arc, time::Duration};

use agent_server_domain::{
    Error,
    auth::{Allowed, Authenticator, Authorizer, Credentials, Event, Refusal, User, filter},
    ports::Answer,
};
use agent_server_storage::Map;
use async_trait::async_trait;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Options,
    aside::Aside,
    protocol::{self, Handlers},
};

use cache::Cache;

/// Settings of a [`CustomAuth`].
#[derive(Clone, Debug, PartialEq)]
pub struct AuthSettings {
    /// How long the user of a request is remembered for further requests with the same credentials; zero: not at all.
    pub remember: Duration,
    /// Most users that are remembered.
    pub most_remembered: usize,
    /// Headers, in lower case, that tell credentials apart; `None`: whatever the handler looks at.
    pub credentials: Option<Vec<String>>,
    /// How long a handler may take.
    pub limit: Duration,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            // Long enough for the requests of one page, short enough that a withdrawn key is soon of no use.
            remember: Duration::from_secs(5),
            most_remembered: 1000,
            credentials: None,
            limit: Duration::from_secs(15),
        }
    }
}

/// The handlers of a project's `langgraph_sdk.Auth` object.
pub struct CustomAuth {
    process: Aside,
    cache: Cache,
    limit: Duration,
}

impl CustomAuth {
    /// Starts the process. `options` are those of the workers, with [`Options::auth`] set. Returns at once; requests wait
    /// until the handlers are loaded.
    ///
    /// # Errors
    /// The directory for sockets cannot be made.
    pub fn start(options: Options, settings: AuthSettings) -> io::Result<Self> {
        let limit = settings.limit;
        let process = Aside::start("authentication", options, limit)?;
        Ok(Self { process, cache: Cache::new(settings), limit })
    }

    /// Returns when the handlers are loaded.
    ///
    /// # Errors
    /// Why they cannot be. It is tried again all the same: what is missing may come.
    pub async fn loaded(&self) -> Result<(), String> {
        self.process.handlers().await.map(drop)
    }

    /// Ends the process.
    pub async fn shutdown(&self) {
        self.process.shutdown().await;
    }

    async fn handlers(&self) -> Result<Arc<Handlers>, Refusal> {
        let loaded = tokio::time::timeout(self.limit, self.process.handlers()).await;
        loaded.map_err(|_| late("the handlers are still being loaded"))?.map_err(not_loaded)
    }

    async fn ask<T: DeserializeOwned>(&self, frame: impl Fn(u64) -> Vec<u8>) -> Result<T, Refusal> {
        verdict(self.process.ask(frame).await.map_err(|why| late(&why))?)
    }
}

fn late(cause: &str) -> Refusal {
    Refusal::unavailable("Authentication is not available at the moment", cause)
}

/// Why the handlers cannot be loaded.
pub(crate) fn not_loaded(cause: String) -> Refusal {
    Refusal::unavailable("Authentication could not be loaded; the server's log says why", cause)
}

fn verdict<T: DeserializeOwned>(answer: Result<Answer, Error>) -> Result<T, Refusal> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Verdict<T> {
        Refused { refusal: WireRefusal },
        Given(T),
    }
    #[derive(Deserialize)]
    struct WireRefusal {
        status: u16,
        detail: String,
        headers: Vec<(String, String)>,
        cause: Option<String>,
    }
    let answer = answer.map_err(|error| Refusal::internal(error.to_string()))?;
    match answer.json.parse() {
        Ok(Verdict::Given(given)) => Ok(given),
        Ok(Verdict::Refused { refusal: WireRefusal { status, detail, headers, cause } }) => {
            Err(Refusal { status, detail, headers, cause })
        }
        Err(error) => Err(Refusal::internal(format!("a handler's answer is odd: {error}"))),
    }
}

#[async_trait]
impl Authenticator for CustomAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<User, Refusal> {
        let handlers = self.handlers().await?;
        let key = self.cache.key(credentials, &handlers.parameters);
        if let Some(user) = key.and_then(|key| self.cache.find(&key)) {
            return Ok(user);
        }
        #[derive(Deserialize)]
        struct Given {
            user: WireUser,
        }
        #[derive(Deserialize)]
        struct WireUser {
            identity: String,
            permissions: Vec<String>,
            fields: Map,
        }
        let given = self.ask(|job| protocol::authenticate(job, credentials)).await?;
        let Given { user: WireUser { identity, permissions, fields } } = given;
        let user = User { identity, permissions, fields };
        if let Some(key) = key {
            self.cache.keep(key, user.clone());
        }
        Ok(user)
    }
}

#[async_trait]
impl Authorizer for CustomAuth {
    async fn is_asked(&self, event: Event) -> Result<bool, Refusal> {
        let handlers = self.handlers().await?;
        let name = event.to_string();
        Ok(handlers.events.contains(&name))
    }

    async fn authorize(&self, user: &User, event: Event, value: &Map) -> Result<Allowed, Refusal> {
        #[derive(Deserialize)]
        struct Given {
            filter: Option<Map>,
            value: Option<Map>,
        }
        let Given { filter, value } =
            self.ask(|job| protocol::authorize(job, user, event, value)).await?;
        let filter = filter.unwrap_or_default();
        let filter = filter::parse(&filter).map_err(|why| {
            let detail = format!("Auth handler returned an invalid filter: {why}");
            let cause = Some(format!("a handler of {event} returned an invalid filter: {why}"));
            Refusal { status: 500, detail, headers: vec![], cause }
        })?;
        Ok(Allowed { filter, value })
    }
}
