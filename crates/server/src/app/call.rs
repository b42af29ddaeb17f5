//! One request to the application: its body and the answer's pass as they come.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use agent_server_domain::auth::User;
use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{UnixStream, unix::OwnedWriteHalf};
use tokio_util::task::AbortOnDropHandle;

use super::{
    frames::{Reader, write},
    no_answer,
};

/// Head of an answer.
#[derive(Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

/// The scope of a call, as ASGI has it.
pub(super) fn scope(kind: &str, parts: &Parts, user: Option<&User>) -> Value {
    let path = parts.uri.path();
    json!({
        "type": kind,
        "http_version": if parts.version == http::Version::HTTP_2 { "2" } else { "1.1" },
        "scheme": if kind == "websocket" { "ws" } else { "http" },
        "method": parts.method.as_str(),
        "path": percent_encoding::percent_decode_str(path).decode_utf8_lossy(),
        "raw_path": path,
        "query_string": parts.uri.query().unwrap_or_default(),
        "headers": texts(&parts.headers),
        "user": user.map(|user| json!({"fields": user.fields, "permissions": user.permissions})),
    })
}

/// Headers as they travel: bytes as Latin-1.
pub(super) fn texts(headers: &HeaderMap) -> Vec<(&str, String)> {
    let latin = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
    headers.iter().map(|(name, value)| (name.as_str(), latin(value.as_bytes()))).collect()
}

/// Bytes that travelled as Latin-1.
fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')).collect()
}

/// Headers of an answer. Those that belong to the connection are the server's own business.
pub(super) fn headers(
    given: Vec<(String, String)>,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    given.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let hop = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];
        let value = HeaderValue::from_bytes(&bytes_of(&value)).ok()?;
        (!hop.contains(&name)).then_some((name, value))
    })
}

/// Asks the application.
pub(super) async fn serve(stream: UnixStream, request: Request, user: Option<&User>) -> Response {
    let (parts, body) = request.into_parts();
    exchange(stream, &scope("http", &parts, user), body).await
}

/// Sends a scope and a body, and takes the answer.
pub(super) async fn exchange(stream: UnixStream, scope: &Value, body: Body) -> Response {
    let (read, mut half) = stream.into_split();
    if write(&mut half, b's', scope.to_string().as_bytes()).await.is_err() {
        return no_answer();
    }
    // Beside the answer: an application may answer while it is still being told.
    let upload = AbortOnDropHandle::new(tokio::spawn(upload(half, body.into_data_stream())));
    answer(Reader::new(read), upload).await
}

/// Sends the body, then keeps the connection open: its end would say that the client has left.
async fn upload(mut half: OwnedWriteHalf, mut body: BodyDataStream) {
    while let Some(part) = body.next().await {
        // A client that breaks off has left, which the end of the connection says.
        let Ok(part) = part else { return };
        if write(&mut half, b'b', &part).await.is_err() {
            return;
        }
    }
    if write(&mut half, b'e', b"").await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// The answer of the application, whose body follows as it comes. `upload` ends with it.
async fn answer(mut reader: Reader, upload: AbortOnDropHandle<()>) -> Response {
    match reader.next().await {
        Ok(Some((b'S', head))) => answered(&head, reader, upload),
        _ => no_answer(),
    }
}

/// An answer whose head has come.
pub(super) fn answered(head: &[u8], reader: Reader, upload: AbortOnDropHandle<()>) -> Response {
    match serde_json::from_slice::<Head>(head) {
        Ok(head) => streamed(head, reader, upload),
        Err(error) => {
            tracing::error!(%error, "the custom app sent the head of an answer that is none");
            no_answer()
        }
    }
}

fn streamed(head: Head, reader: Reader, upload: AbortOnDropHandle<()>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers(head.headers) {
        response.headers_mut().append(name, value);
    }
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length == Some(0) {
        tokio::spawn(to_the_end(reader, upload));
        return response;
    }
    let state = (Some((reader, upload)), length);
    let parts = futures::stream::try_unfold(state, |(call, left)| async move {
        let Some((mut reader, upload)) = call else { return Ok(None) };
        match reader.next().await? {
            Some((b'B', part)) => {
                let left = left.map(|left| left.saturating_sub(part.len() as u64));
                if left == Some(0) {
                    tokio::spawn(to_the_end(reader, upload));
                    return Ok(Some((part, (None, left))));
                }
                Ok(Some((part, (Some((reader, upload)), left))))
            }
            Some((b'E', _)) => Ok(None),
            _ => Err(io::Error::other("the custom app broke off its answer")),
        }
    });
    *response.body_mut() = Body::new(Counted { body: Body::from_stream(parts), left: length });
    response
}

/// Waits for the end of an answer that everybody has, but for its last word: without it, the application would take the end of
/// the connection for a client that left.
async fn to_the_end(mut reader: Reader, _upload: AbortOnDropHandle<()>) {
    while let Ok(Some((kind, _))) = reader.next().await {
        if kind == b'E' {
            return;
        }
    }
}

/// A body that knows its end where the application has told its length: nobody asks for what comes after that.
struct Counted {
    body: Body,
    left: Option<u64>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left) {
            let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
            *left = left.saturating_sub(sent);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0) || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}
