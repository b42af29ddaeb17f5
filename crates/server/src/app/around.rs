//! The application's middleware around the API.
//!
//! A request of the API goes to the process of the application, through the middleware there, and comes back over a connection
//! of its own to a socket of the server, as it was changed; its answer goes the same way in the other direction. What has no
//! middleware never comes here. Source: reference/auth-webhooks-encryption.md, 6.2.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agent_server_domain::auth::User;
use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderValue, StatusCode, Uri, header, request::Parts};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument as _;

use super::{
    call,
    frames::{Reader, write},
};

/// Parts of a body that wait for whoever reads it.
const PARTS: usize = 4;

/// Where requests come back that went through the middleware.
pub struct Around {
    socket: PathBuf,
    waiting: Mutex<HashMap<u64, Waiting>>,
    last: AtomicU64,
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A request that has not come back: what the process of the application neither sees nor changes, and what follows.
struct Waiting {
    parts: Parts,
    next: Next,
    span: tracing::Span,
}

/// What may have been changed on the way. Where the request goes is decided already.
#[derive(Deserialize)]
struct Back {
    number: u64,
    query_string: String,
    headers: Vec<(String, String)>,
}

impl Around {
    /// Makes the socket, which nobody but the user of the server may reach.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn bind(socket: &Path) -> io::Result<(Arc<Self>, UnixListener)> {
        let listener = UnixListener::bind(socket)?;
        let (waiting, last) = (Mutex::default(), AtomicU64::default());
        Ok((Arc::new(Self { socket: socket.to_owned(), waiting, last }), listener))
    }

    /// Takes requests back until `stop`.
    pub async fn serve(self: Arc<Self>, listener: UnixListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let around = Arc::clone(&self);
                    // Ends with its connection, as the process of the application does with the server.
                    tokio::spawn(async move { around.come_back(stream).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a request did not come back from the custom app");
                    // Too many open files, most likely, which takes a moment to pass.
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// Sends a request through the middleware; `next` is called when it comes back, if it does.
    pub(super) async fn call(
        &self,
        stream: UnixStream,
        request: Request,
        user: Option<&User>,
        next: Next,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let mut scope = call::scope("http", &parts, user);
        scope["around"] = json!({"socket": self.socket, "number": number});
        let waiting = Waiting { parts, next, span: tracing::Span::current() };
        self.waiting.lock().insert(number, waiting);
        // Also of one whose client leaves, or that the middleware answers itself.
        let _forget = Forget { around: self, number };
        call::exchange(stream, &scope, body).await
    }

    async fn come_back(&self, stream: UnixStream) {
        let (read, mut half) = stream.into_split();
        let mut reader = Reader::new(read);
        let Ok(Some((b's', back))) = reader.next().await else { return };
        let Ok(back) = serde_json::from_slice::<Back>(&back) else { return };
        let Some(waiting) = self.waiting.lock().remove(&back.number) else { return };
        let Waiting { mut parts, next, span } = waiting;
        parts.headers = call::headers(back.headers).collect();
        if let Some(uri) = with_query(&parts.uri, &back.query_string) {
            parts.uri = uri;
        }
        let (sender, mut receiver) = mpsc::channel(PARTS);
        let body = Body::from_stream(futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
        let left = CancellationToken::new();
        let _listening = AbortOnDropHandle::new(tokio::spawn(listen(reader, sender, left.clone())));
        let answer = async {
            let response = next.run(Request::from_parts(parts, body)).await;
            // Whoever does not listen any more has left. Else the other side ends the connection: one that was closed while it
            // still sends the body of a request that was answered early would take the answer with it.
            if answer(response, &mut half).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = answer.instrument(span) => {}
            () = left.cancelled() => {}
        }
    }
}

/// Forgets a request.
struct Forget<'a> {
    around: &'a Around,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.around.waiting.lock().remove(&self.number);
    }
}

/// The address of a request with another query.
fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    if uri.query().unwrap_or_default() == query {
        return None;
    }
    let target =
        if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Takes the body in, then waits until the other side has left.
async fn listen(
    mut reader: Reader,
    body: mpsc::Sender<io::Result<Bytes>>,
    left: CancellationToken,
) {
    let mut body = Some(body);
    loop {
        match (reader.next().await, &body) {
            // Nobody reads what comes after the answer.
            (Ok(Some((b'b', part))), Some(sender)) => drop(sender.send(Ok(part)).await),
            (Ok(Some((b'e', _))), _) => body = None,
            (Ok(Some(_)), _) => {}
            (Ok(None) | Err(_), sender) => {
                if let Some(sender) = sender {
                    let _ = sender.try_send(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                left.cancel();
                return;
            }
        }
    }
}

async fn answer(response: Response, half: &mut OwnedWriteHalf) -> io::Result<()> {
    let (mut parts, body) = response.into_parts();
    let has_body = !parts.status.is_informational()
        && ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&parts.status);
    // What the connection would add, and middleware expects.
    if let Some(length) = body.size_hint().exact().filter(|_| has_body) {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    let headers = call::texts(&parts.headers);
    let head = json!({"status": parts.status.as_u16(), "headers": headers}).to_string();
    write(half, b'S', head.as_bytes()).await?;
    let mut body = body.into_data_stream();
    while let Some(part) = body.next().await {
        // What breaks off here breaks off there.
        let part = part.map_err(io::Error::other)?;
        write(half, b'B', &part).await?;
    }
    write(half, b'E', b"").await
}
