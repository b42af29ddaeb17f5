//! Accepting connections until told to stop.

use std::{io, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stall::Impatient;

/// How long requests in progress get after the stop. Streams end at once by themselves, so only handlers in the middle
/// of something are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves `router` on `listener` until `stop`, then lets requests in progress end. A client that takes nothing of what there
/// is for it, for the time of `patience`, is cut off.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Option<Duration>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = Impatient { listener, patience };
    let stopped = stop.clone();
    // Not the router itself: it would be built anew, handler by handler, for each connection.
    let serving = axum::serve(listener, router.into_make_service())
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    tokio::select! {
        ended = std::future::IntoFuture::into_future(serving) => ended,
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}
