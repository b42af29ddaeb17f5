//! Calls in progress, so that they can be cancelled.
//!
//! A client numbers its requests, and many clients use the same numbers: a call is known by its user, the session's name
//! and its id. Nothing else is kept of a session, and nothing of calls whose client has no session. A call is noted before
//! its run is made, because the run begins while it is committed and a client may be quick to give it up.

use std::{collections::HashMap, sync::Arc};

use agent_server_api::{Context, PostMcpHeaders};
use agent_server_domain::{
    Error as DomainError,
    runs::{CancelAction, Selection},
    storage::{RawJson, runs::Run},
};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    super::{Access, thread_runs::may_cancel},
    Api,
};
use crate::error::Error;

/// A call: whose it is, in which session, under which id.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    user: String,
    session: String,
    id: String,
}

impl Key {
    fn new(cx: &Context, session: &str, id: &RawJson) -> Self {
        let user = Access::of(cx).user_id().to_owned();
        Self { user, session: session.to_owned(), id: id.get().to_owned() }
    }
}

/// The run of a call, once there is one.
type Call = watch::Receiver<Option<Run>>;

/// The calls in progress of all sessions.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<Key, Call>>>);

/// A call that is noted; forgotten when dropped.
pub(super) struct InProgress {
    sessions: Sessions,
    key: Key,
    call: Call,
    run: watch::Sender<Option<Run>>,
}

impl InProgress {
    /// Tells those who want to cancel it what to cancel.
    pub(super) fn began(&self, run: &Run) {
        self.run.send_replace(Some(run.clone()));
    }

    /// Whether the client has cancelled it.
    pub(super) fn is_cancelled(&self) -> bool {
        self.sessions.find(&self.key).is_none_or(|call| !call.same_channel(&self.call))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        // A client that uses a number twice has another call under it.
        self.sessions.forget(&self.key, &self.call);
    }
}

impl Sessions {
    /// Notes a call for as long as what is returned lives.
    pub(super) fn note(
        &self,
        cx: &Context,
        session: Option<&str>,
        id: &RawJson,
    ) -> Option<InProgress> {
        let key = Key::new(cx, session?, id);
        let (run, call) = watch::channel(None);
        self.0.lock().insert(key.clone(), call.clone());
        Some(InProgress { sessions: self.clone(), key, call, run })
    }

    fn find(&self, key: &Key) -> Option<Call> {
        self.0.lock().get(key).cloned()
    }

    /// The calls of a session of a user.
    fn of_session(&self, user: &str, session: &str) -> Vec<Key> {
        let calls = self.0.lock();
        calls.keys().filter(|key| key.user == user && key.session == session).cloned().collect()
    }

    /// Notes that the client does not wait for a call any more.
    fn forget(&self, key: &Key, call: &Call) {
        let mut calls = self.0.lock();
        if calls.get(key).is_some_and(|known| known.same_channel(call)) {
            calls.remove(key);
        }
    }
}

impl Api {
    /// Cancels the call that a notification names. Whether there is one is nobody's business.
    pub(super) async fn cancel_call(
        &self,
        cx: &Context,
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
        self.cancel_silently(cx, &Key::new(cx, session, &cancelled.request_id)).await;
    }

    /// Cancels the calls of a session that is over.
    pub(super) async fn cancel_all(&self, cx: &Context, session: &str) {
        for key in self.sessions.of_session(Access::of(cx).user_id(), session) {
            self.cancel_silently(cx, &key).await;
        }
    }

    /// Cancels a call, unless it is over or that is not allowed.
    async fn cancel_silently(&self, cx: &Context, key: &Key) {
        let Some(call) = self.sessions.find(key) else { return };
        let Some(run) = run_of(call.clone()).await else { return };
        match self.cancel(cx, key, &call, &run).await {
            Ok(()) | Err(Error::Domain(DomainError::NotFound(_))) => {}
            Err(error) => {
                tracing::warn!(?error, run_id = %run.run_id, "a call could not be cancelled");
            }
        }
    }

    async fn cancel(&self, cx: &Context, key: &Key, call: &Call, run: &Run) -> Result<(), Error> {
        let (thread, id, action) = (run.thread_id, run.run_id, CancelAction::Interrupt);
        let caller = may_cancel(cx, &Selection::Ids(thread, vec![id]), action).await?;
        // Before the run ends: what it has by then is no result.
        self.sessions.forget(key, call);
        Ok(self.domain.cancel_run(&caller, thread, id, action).await?)
    }
}

/// The run of a call, which may be about to be made; none if it was not made.
async fn run_of(mut call: Call) -> Option<Run> {
    call.wait_for(Option::is_some).await.ok()?.clone()
}
