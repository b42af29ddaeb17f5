//! The project's authentication, in front of a server that answers before it is loaded.

use std::sync::Arc;

use agent_server_domain::auth::{
    Allowed, Authenticator, Authorizer, Credentials, Event, Refusal, User,
};
use agent_server_domain::storage::Map;
use agent_server_worker::CustomAuth;
use async_trait::async_trait;
use tokio::sync::watch;

/// What has become of the process with the handlers.
#[derive(Clone)]
enum State {
    /// The interpreter is being prepared.
    Preparing,
    /// It is there.
    There(Arc<CustomAuth>),
    /// It cannot be had.
    Failed,
}

/// Stands for the project's authentication until that is there, and in front of it afterwards. Nobody gets in meanwhile:
/// requests wait.
pub(crate) struct LateAuth(watch::Sender<State>);

impl LateAuth {
    /// One that is being prepared.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::Preparing))
    }

    /// From now on, `auth` is asked.
    pub(crate) fn arrived(&self, auth: Arc<CustomAuth>) {
        self.0.send_replace(State::There(auth));
    }

    /// There is nobody to ask.
    pub(crate) fn failed(&self) {
        self.0.send_replace(State::Failed);
    }

    /// Ends the process.
    pub(crate) async fn shutdown(&self) {
        let state = self.0.send_replace(State::Failed);
        if let State::There(auth) = state {
            auth.shutdown().await;
        }
    }

    async fn auth(&self) -> Result<Arc<CustomAuth>, Refusal> {
        let mut state = self.0.subscribe();
        let decided = state.wait_for(|state| !matches!(state, State::Preparing)).await;
        // A clone, because what `wait_for` returns is a lock.
        match decided.map(|state| state.clone()) {
            Ok(State::There(auth)) => Ok(auth),
            _ => Err(Refusal::unavailable(
                "Authentication is not available",
                "there is no interpreter for the project's authentication, or the server stops",
            )),
        }
    }
}

#[async_trait]
impl Authenticator for LateAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<User, Refusal> {
        self.auth().await?.authenticate(credentials).await
    }
}

#[async_trait]
impl Authorizer for LateAuth {
    async fn is_asked(&self, event: Event) -> Result<bool, Refusal> {
        self.auth().await?.is_asked(event).await
    }

    async fn authorize(&self, user: &User, event: Event, value: &Map) -> Result<Allowed, Refusal> {
        self.auth().await?.authorize(user, event, value).await
    }
}
