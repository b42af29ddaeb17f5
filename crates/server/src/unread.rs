//! Bodies of requests that were answered before anybody read them: refused for their address, or for who sent them.
//!
//! A connection is closed behind such an answer. Its client, which may still send, then finds the connection reset instead of the
//! answer, and so does the next request on it. What is left of a body is read here for all routes, and thrown away.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

/// Most that is read behind an answer, bytes: many clients look for the answer only when they have sent everything.
const MOST: u64 = 16 << 20;
/// How long the client gets for it.
const LONGEST: Duration = Duration::from_secs(5);

/// What becomes of a body that is dropped before its end.
#[derive(Default)]
enum Left {
    /// Nothing yet: there is no answer, and the layer wants it.
    #[default]
    Unanswered,
    /// It was left before the answer.
    Body(Body),
    /// It is read at once. Somebody read it beside the answer, and not to its end.
    Answered,
    /// The connection ends with it.
    GivenUp,
}

/// Reads what handlers leave of a body; a layer.
pub(crate) async fn read(request: Request, next: Next) -> Response {
    // Streams of HTTP/2 end one by one.
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 {
        return next.run(request).await;
    }
    // This client sends nothing before it is asked to.
    let waits = request.headers().contains_key(header::EXPECT);
    let left = Arc::new(Mutex::new(Left::default()));
    let request = request
        .map(|body| Body::new(Watched { body: Some(body), ended: false, left: Arc::clone(&left) }));
    let mut response = next.run(request).await;
    let then = if waits { Left::GivenUp } else { Left::Answered };
    let Left::Body(body) = std::mem::replace(&mut *left.lock(), then) else { return response };
    if waits || body.size_hint().lower() > MOST {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if !waits {
        // Beside the answer, which a client may wait for before it goes on.
        tokio::spawn(pass_over(body));
    }
    response
}

async fn pass_over(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while read <= MOST
            && let Some(Ok(frame)) = body.frame().await
        {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
    };
    // Of one that is longer or slower nobody wants the rest.
    let _ = tokio::time::timeout(LONGEST, reading).await;
}

/// A body that is not lost with its reader.
struct Watched {
    body: Option<Body>,
    ended: bool,
    left: Arc<Mutex<Left>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.ended || self.is_end_stream() {
            return;
        }
        let Some(body) = self.body.take() else { return };
        let mut left = self.left.lock();
        match &*left {
            Left::Unanswered => *left = Left::Body(body),
            // Outside a runtime (it is being torn down) connections end anyway.
            Left::Answered => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(pass_over(body));
                }
            }
            Left::Body(_) | Left::GivenUp => {}
        }
    }
}
