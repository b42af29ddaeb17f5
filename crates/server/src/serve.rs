//! Accepting connections until told to stop.

use std::{future::IntoFuture, io, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stall::{Impatient, Peer};

/// How long requests in progress get after the stop. Streams end at once by themselves, so only handlers in the middle
/// of something are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// Whether handlers are told where requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Nobody asks.
    Hidden,
    /// In the extensions of each request.
    Shown,
}

/// Serves `router` on `listener` until `stop`, then lets requests in progress end. A client that takes nothing of what there
/// is for it, for the time of `patience`, is cut off.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Option<Duration>,
    addresses: Addresses,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = Impatient { listener, patience };
    let stopped = stop.clone();
    let stopped = async move { stopped.cancelled().await };
    // Not the router itself: it would be built anew, handler by handler, for each connection.
    match addresses {
        Addresses::Hidden => {
            let serving = axum::serve(listener, router.into_make_service());
            until(stop, serving.with_graceful_shutdown(stopped)).await
        }
        Addresses::Shown => {
            let router = router.into_make_service_with_connect_info::<Peer>();
            until(stop, axum::serve(listener, router).with_graceful_shutdown(stopped)).await
        }
    }
}

async fn until(
    stop: CancellationToken,
    serving: impl IntoFuture<Output = io::Result<()>>,
) -> io::Result<()> {
    tokio::select! {
        ended = serving.into_future() => ended,
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}
