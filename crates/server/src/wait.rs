//! Bodies that are known only when a run has ended: headers at once, a line feed every five seconds, then the JSON.
//!
//! Source: reference/runs-and-threads.md, section 10.1.

use std::{convert::Infallible, pin::Pin};

use agent_server_api::without_nul;
use agent_server_domain::{Domain, storage::ThreadId, stream::Listener};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::time::Interval;

use crate::{disconnect::OnDisconnect, sse::heartbeat};

type Outcome = Pin<Box<dyn Future<Output = Bytes> + Send>>;

struct Waiting {
    outcome: Option<Outcome>,
    heartbeat: Interval,
    on_disconnect: OnDisconnect,
}

impl Waiting {
    async fn next(&mut self) -> Option<Bytes> {
        let outcome = self.outcome.as_mut()?;
        tokio::select! {
            biased;
            body = outcome => {
                self.outcome = None;
                self.on_disconnect.disarm();
                Some(without_nul(body))
            }
            _ = self.heartbeat.tick() => Some(Bytes::from_static(b"\n")),
        }
    }
}

/// The result of a run as a response body.
pub(crate) fn result(
    domain: Domain,
    thread: ThreadId,
    listener: Option<Listener>,
    on_disconnect: OnDisconnect,
) -> Body {
    let outcome: Outcome = Box::pin(async move {
        domain.run_result(thread, listener).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the result of a run could not be read");
            // The status is on the wire already: failures travel in the body.
            Bytes::from_static(br#"{"__error__":{"error":"InternalServerError","message":"An internal error occurred"}}"#)
        })
    });
    let waiting = Waiting { outcome: Some(outcome), heartbeat: heartbeat(), on_disconnect };
    Body::from_stream(stream::unfold(waiting, |mut waiting| async move {
        let bytes = waiting.next().await?;
        Some((Ok::<_, Infallible>(bytes), waiting))
    }))
}
