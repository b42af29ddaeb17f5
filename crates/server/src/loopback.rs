//! The way of graphs and custom code to this server: a socket that only its own processes know.
//!
//! What comes through it is the project's own code, so nobody is asked who sends it and no handler decides about it, as
//! upstream has it. The socket lies in a directory that nobody but the user of the server can enter.

use std::{io, path::Path};

use agent_server_domain::runs::Within;
use axum::{Router, extract::Request, middleware, middleware::Next, response::Response};
use http::HeaderName;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::webhooks::InProcess;

/// Which run asks: its id, or empty if the worker cannot tell. Believed on this socket only, and never passed on.
const WITHIN: HeaderName = HeaderName::from_static("agent-server-within-run");

/// The socket.
#[derive(Debug)]
pub struct Loopback {
    listener: UnixListener,
}

impl Loopback {
    /// Makes the socket.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Ok(Self { listener: UnixListener::bind(path)? })
    }

    /// Serves `router` until `stop`. Streams end with the runs; nobody is waited for: whoever asks ends with the server.
    ///
    /// # Errors
    /// The socket broke.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> io::Result<()> {
        let router = router.layer(middleware::from_fn(mark));
        let serving = axum::serve(self.listener, router.into_make_service());
        tokio::select! {
            ended = std::future::IntoFuture::into_future(serving) => ended,
            () = stop.cancelled() => Ok(()),
        }
    }
}

/// Marks a request as one of our own.
async fn mark(mut request: Request, next: Next) -> Response {
    if let Some(run) = request.headers_mut().remove(WITHIN) {
        let run = run.to_str().ok().and_then(|text| Uuid::try_parse(text).ok());
        request.extensions_mut().insert(Within { run: run.map(Into::into) });
    }
    request.extensions_mut().insert(InProcess);
    next.run(request).await
}
