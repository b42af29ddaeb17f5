//! A line for each request, written when its answer has been sent or its client has gone; and the span that puts the
//! request's id into every other line about it.
//!
//! Source: reference/configuration.md, 5.5.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use agent_server_api::RequestId;
use agent_server_domain::trace::{Span, SpanKind, TraceContext, Traces};
use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Version, header};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{HeaderRules, MountPrefix, limits::RefusedBy};

/// Requests of those who look after the server say nothing about its work.
const UNLOGGED: [&str; 2] = ["/ok", "/metrics"];

/// Status of an answer whose client has gone before its end.
const CLIENT_GONE: u16 = 499;

/// What is told of requests.
#[derive(Clone, Debug, Default)]
pub struct AccessLog {
    /// Headers of requests and answers that are logged.
    pub headers: HeaderRules,
    /// Who is told of requests as parts of traces.
    pub traces: Traces,
}

/// What the line will say.
struct Line {
    log: Arc<AccessLog>,
    span: tracing::Span,
    trace: Span,
    method: Method,
    path: String,
    version: Version,
    request_headers: Option<String>,
    begin: Instant,
    answer: Option<Answer>,
    bytes: u64,
    /// Whether all of the answer was sent.
    complete: bool,
}

struct Answer {
    status: u16,
    after_ms: u64,
    route: Option<MatchedPath>,
    headers: Option<String>,
    place: Option<String>,
    /// Bytes that were announced.
    length: Option<u64>,
    limit: Option<RefusedBy>,
}

/// Writes the line of a request; a layer.
pub(crate) async fn log(
    State(log): State<Arc<AccessLog>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::from_headers(request.headers());
    let span = tracing::error_span!("request", request_id = id.0);
    request.extensions_mut().insert(id);
    let path = request.uri().path();
    if UNLOGGED.contains(&path) {
        return next.run(request).instrument(span).await;
    }
    let prefix = request.extensions().get().map_or("", MountPrefix::as_str);
    let path = format!("{prefix}{path}");
    let trace = begin_span(&log.traces, &mut request, &path);
    let is_head = *request.method() == Method::HEAD;
    let mut line = Line {
        request_headers: log.headers.logged(request.headers()),
        log,
        span: span.clone(),
        trace,
        method: request.method().clone(),
        path,
        version: request.version(),
        begin: Instant::now(),
        answer: None,
        bytes: 0,
        complete: is_head,
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).instrument(span).await;
    line.answered(&response, route);
    response.map(|body| Body::new(Logged { body, line }))
}

/// Begins the request's part of a trace, and leaves for handlers where theirs belong.
fn begin_span(traces: &Traces, request: &mut Request, path: &str) -> Span {
    let parent = TraceContext::from_headers(|name| {
        request.headers().get(name).and_then(|value| value.to_str().ok())
    });
    let mut span = traces.begin(request.method().as_str(), SpanKind::Server, parent.as_ref());
    span.set("http.request.method", request.method().as_str());
    span.set("url.path", path);
    span.set("url.scheme", "http");
    if let Some(context) = span.context().or(parent) {
        request.extensions_mut().insert(context);
    }
    span
}

impl Line {
    fn answered(&mut self, response: &Response, route: Option<MatchedPath>) {
        let status = response.status();
        if let Some(route) = &route {
            self.trace.rename(&format!("{} {}", self.method, route.as_str()));
            self.trace.set("http.route", route.as_str());
        }
        self.trace.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.trace.fail(status.canonical_reason().unwrap_or("the request failed"));
        }
        self.answer = Some(Answer {
            status: status.as_u16(),
            after_ms: self.elapsed_ms(),
            route,
            headers: self.log.headers.logged(response.headers()),
            place: run_place(response.headers()),
            length: length(response.headers()),
            limit: response.extensions().get().cloned(),
        });
        self.complete |= response.body().is_end_stream();
    }

    /// Whether as much was sent as was announced.
    fn has_all(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.length == Some(self.bytes))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn write(&self) {
        let answer = self.answer.as_ref();
        let status = match answer {
            Some(answer) if self.complete => answer.status,
            _ => CLIENT_GONE,
        };
        let (method, path, latency_ms) = (self.method.as_str(), &*self.path, self.elapsed_ms());
        let route = answer.and_then(|answer| answer.route.as_ref()).map(MatchedPath::as_str);
        let place = answer.and_then(|answer| answer.place.as_deref());
        let id = |name: &str| {
            let of_route = || parameter(route?, path, name);
            place.and_then(|place| place_id(place, name)).or_else(of_route)
        };
        let limit = answer.and_then(|answer| answer.limit.as_ref()).map(|limit| &*limit.0);
        let proto = format!("{:?}", self.version);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method,
                    path,
                    status,
                    latency_ms,
                    ttfb_ms = answer.map(|answer| answer.after_ms),
                    response_size_bytes = self.bytes,
                    route,
                    proto = proto.trim_start_matches("HTTP/"),
                    thread_id = id("thread_id"),
                    run_id = id("run_id"),
                    assistant_id = id("assistant_id"),
                    limit,
                    req_header = self.request_headers.as_deref(),
                    res_header = answer.and_then(|answer| answer.headers.as_deref()),
                    "{method} {path} {status} {latency_ms}ms"
                )
            };
        }
        self.span.in_scope(|| match status {
            500.. => line!(error),
            400.. => line!(warn),
            _ => line!(info),
        });
    }
}

impl Drop for Line {
    /// At the end of the answer, or when nobody wants it any more.
    fn drop(&mut self) {
        self.write();
    }
}

/// Where the answer says that its run is.
fn run_place(headers: &HeaderMap) -> Option<String> {
    let place = headers.get(header::CONTENT_LOCATION)?.to_str().ok()?;
    place.contains("/runs/").then(|| place.to_owned())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An id in a place, `/threads/…/runs/…`.
fn place_id<'a>(place: &'a str, name: &str) -> Option<&'a str> {
    parameter("/threads/{thread_id}/runs/{run_id}", place, name)
}

/// The part of a path that a parameter of its route stands for.
fn parameter<'a>(route: &str, path: &'a str, name: &str) -> Option<&'a str> {
    let is_meant = |segment: &str| {
        segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name)
    };
    // From the end, because a prefix may stand in front.
    let place = route.rsplit('/').position(is_meant)?;
    path.rsplit('/').nth(place)
}

/// A body that ends its request's line with itself.
struct Logged {
    body: Body,
    line: Line,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // Who knows that nothing follows does not ask again.
                this.line.complete |= this.body.is_end_stream() || this.line.has_all();
            }
            // Broken off by ourselves, which is no doing of the client.
            Poll::Ready(None | Some(Err(_))) => this.line.complete = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_where_the_route_has_them() {
        let route = "/threads/{thread_id}/runs/{run_id}/join";
        assert_eq!(parameter(route, "/x/threads/t/runs/r/join", "run_id"), Some("r"));
        assert_eq!(parameter(route, "/threads/t/runs/r/join", "thread_id"), Some("t"));
        assert_eq!(parameter(route, "/threads/t/runs/r/join", "assistant_id"), None);
        assert_eq!(place_id("/threads/t/runs/r", "thread_id"), Some("t"));
    }
}
