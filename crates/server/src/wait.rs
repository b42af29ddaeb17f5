//! Bodies that are known only when a run has ended: headers at once, a line feed every five seconds, then the JSON. A
//! server that stops before breaks them off.
//!
//! Source: reference/runs-and-threads.md, section 10.1.

use std::{io, pin::Pin};

use agent_server_api::without_nul;
use agent_server_domain::{Domain, storage::ThreadId, stream::Listener};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

use crate::{
    disconnect::OnDisconnect,
    sse::{broken_off, heartbeat},
};

type Outcome = Pin<Box<dyn Future<Output = Bytes> + Send>>;

struct Waiting {
    outcome: Option<Outcome>,
    heartbeat: Interval,
    stop: CancellationToken,
    on_disconnect: OnDisconnect,
}

impl Waiting {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let outcome = self.outcome.as_mut()?;
        tokio::select! {
            biased;
            body = outcome => {
                self.outcome = None;
                self.on_disconnect.disarm();
                Some(Ok(without_nul(body)))
            }
            _ = self.heartbeat.tick() => Some(Ok(Bytes::from_static(b"\n"))),
            () = self.stop.cancelled() => {
                self.on_disconnect.disarm();
                Some(Err(broken_off().await))
            }
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
    let stop = domain.stopping();
    let outcome = async move {
        domain.run_result(thread, listener).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the result of a run could not be read");
            // The status is on the wire already: failures travel in the body.
            Bytes::from_static(br#"{"__error__":{"error":"InternalServerError","message":"An internal error occurred"}}"#)
        })
    };
    later(outcome, stop, on_disconnect)
}

/// JSON that is known later, as a response body.
pub(crate) fn later(
    outcome: impl Future<Output = Bytes> + Send + 'static,
    stop: CancellationToken,
    on_disconnect: OnDisconnect,
) -> Body {
    let outcome: Outcome = Box::pin(outcome);
    let waiting = Waiting { outcome: Some(outcome), heartbeat: heartbeat(), stop, on_disconnect };
    Body::from_stream(stream::unfold(waiting, |mut waiting| async move {
        let bytes = waiting.next().await?;
        Some((bytes, waiting))
    }))
}
