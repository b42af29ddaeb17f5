//! Calls in progress, so that they can be cancelled.
//!
//! A client numbers its requests, and many clients use the same numbers: a call is known by the session's name and its
//! id. Nothing else is kept of a session, and nothing of calls whose client has no session.

use std::{collections::HashMap, sync::Arc};

use agent_server_api::PostMcpHeaders;
use agent_server_domain::{
    Caller, Error,
    runs::CancelAction,
    storage::{RawJson, RunId, runs::Run},
};
use parking_lot::Mutex;
use serde::Deserialize;

use super::Api;

/// Session and id of a call.
type Key = (String, String);

/// The calls in progress of all sessions.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<Key, Run>>>);

/// A call that is noted; forgotten when dropped.
pub(super) struct InProgress {
    sessions: Sessions,
    key: Key,
    run: RunId,
}

impl InProgress {
    /// Whether the client has cancelled it.
    pub(super) fn is_cancelled(&self) -> bool {
        self.sessions.0.lock().get(&self.key).is_none_or(|run| run.run_id != self.run)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut calls = self.sessions.0.lock();
        // A client that uses a number twice has another call under it.
        if calls.get(&self.key).is_some_and(|run| run.run_id == self.run) {
            calls.remove(&self.key);
        }
    }
}

impl Sessions {
    /// Notes a call for as long as what is returned lives.
    pub(super) fn note(
        &self,
        session: Option<&str>,
        id: &RawJson,
        run: &Run,
    ) -> Option<InProgress> {
        let key = (session?.to_owned(), id.get().to_owned());
        self.0.lock().insert(key.clone(), run.clone());
        Some(InProgress { sessions: self.clone(), key, run: run.run_id })
    }

    fn take(&self, session: &str, id: &RawJson) -> Option<Run> {
        self.0.lock().remove(&(session.to_owned(), id.get().to_owned()))
    }

    /// The calls of a session that is over.
    pub(super) fn take_all(&self, session: &str) -> Vec<Run> {
        let mut calls = self.0.lock();
        let keys: Vec<Key> = calls.keys().filter(|(name, _)| name == session).cloned().collect();
        keys.iter().filter_map(|key| calls.remove(key)).collect()
    }
}

impl Api {
    /// Cancels the call that a notification names. Whether there is one is nobody's business.
    pub(super) async fn cancel_call(
        &self,
        caller: &Caller,
        headers: &PostMcpHeaders,
        params: Option<&RawJson>,
    ) {
        #[derive(Deserialize)]
        struct Cancelled {
            #[serde(rename = "requestId")]
            request_id: RawJson,
        }
        let Some(Ok(cancelled)) = params.map(RawJson::parse::<Cancelled>) else { return };
        let Some(session) = &headers.mcp_session_id else { return };
        if let Some(run) = self.sessions.take(session, &cancelled.request_id) {
            self.cancel_silently(caller, &run).await;
        }
    }

    /// Cancels a run that the caller may see, unless it is over.
    pub(super) async fn cancel_silently(&self, caller: &Caller, run: &Run) {
        let (thread, id) = (run.thread_id, run.run_id);
        match self.domain.cancel_run(caller, thread, id, CancelAction::Interrupt).await {
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => tracing::warn!(%error, run_id = %id, "a call could not be cancelled"),
        }
    }
}
