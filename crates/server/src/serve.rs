//! Accepting connections until told to stop.

use std::{io, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests in progress get after the stop. Streams end at once by themselves, so only handlers in the middle
/// of something are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves `router` on `listener` until `stop`, then lets requests in progress end.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    use axum::serve::ListenerExt;
    // Small event frames must not wait for each other.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let stopped = stop.clone();
    // Not the router itself: it would be built anew, handler by handler, for each connection.
    let serving = axum::serve(listener, router.into_make_service())
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    tokio::select! {
        ended = std::future::IntoFuture::into_future(serving) => ended,
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}
