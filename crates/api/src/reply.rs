//! The bodies that response enums carry.
//!
//! [`Reply`] is JSON, either serialised here or rendered earlier and passed through; [`Raw`] is any other body;
//! [`Empty`] is none. All three take extra headers.

use std::marker::PhantomData;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::nul::without_nul;

/// A JSON body that is a `T` on the wire.
///
/// Values are serialised once, when the reply is made. Stored JSON that is already a `T` goes out as it is through
/// [`Reply::rendered`]; the type parameter then records what the caller vouches for.
pub struct Reply<T> {
    body: Body,
    status: Option<StatusCode>,
    headers: HeaderMap,
    shape: PhantomData<fn() -> T>,
}

impl<T> Reply<T> {
    /// Sends JSON that was rendered earlier. The caller vouches that it is a `T`.
    pub fn rendered(json: impl Into<Bytes>) -> Self {
        Self::streamed(Body::from(without_nul(json)))
    }

    /// Sends JSON that is produced while it is sent, for instance after a wait. The caller vouches that it is a `T`
    /// [without NUL](without_nul).
    pub fn streamed(body: Body) -> Self {
        Self { body, status: None, headers: HeaderMap::new(), shape: PhantomData }
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        insert(&mut self.headers, name, value.as_ref());
        self
    }

    /// Builds the answer; called by the generated response enums.
    pub(crate) fn respond(self, status: StatusCode) -> Response {
        respond(self.status.unwrap_or(status), Some("application/json"), self.headers, self.body)
    }
}

impl<T: Serialize> Reply<T> {
    /// Serialises `value`.
    ///
    /// Wire types always serialise. Should one not, the answer is a plain 500 and the cause goes to the log.
    pub fn new(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Self::rendered(json),
            Err(error) => {
                tracing::error!(%error, shape = std::any::type_name::<T>(), "a reply could not be serialised");
                let mut reply = Self::rendered(r#"{"detail":"Internal Server Error"}"#);
                reply.status = Some(StatusCode::INTERNAL_SERVER_ERROR);
                reply
            }
        }
    }
}

impl<T: Serialize> From<T> for Reply<T> {
    fn from(value: T) -> Self {
        Self::new(&value)
    }
}

/// A body that is not JSON: an event stream, a page, plain text.
pub struct Raw {
    body: Body,
    headers: HeaderMap,
}

impl Raw {
    /// Wraps a body. The response enum sets the documented content type, [`Raw::with_header`] can replace it.
    pub fn new(body: impl Into<Body>) -> Self {
        Self { body: body.into(), headers: HeaderMap::new() }
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        insert(&mut self.headers, name, value.as_ref());
        self
    }

    /// Builds the answer; called by the generated response enums.
    pub(crate) fn respond(self, status: StatusCode, media_type: &'static str) -> Response {
        respond(status, Some(media_type), self.headers, self.body)
    }
}

impl From<Body> for Raw {
    fn from(body: Body) -> Self {
        Self::new(body)
    }
}

impl From<String> for Raw {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// An answer without a body, for the statuses whose headers are documented.
#[derive(Default)]
pub struct Empty {
    headers: HeaderMap,
}

impl Empty {
    /// An answer without body and, so far, without headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        insert(&mut self.headers, name, value.as_ref());
        self
    }

    /// Builds the answer; called by the generated response enums.
    pub(crate) fn respond(self, status: StatusCode) -> Response {
        respond(status, None, self.headers, Body::empty())
    }
}

/// Header values are paths and numbers made by the server itself. One that is not a legal value is left out: half an
/// answer is better than none, and the log says so.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
        }
        Err(_) => {
            tracing::error!(%name, value, "a response header has an illegal value and is left out")
        }
    }
}

fn respond(
    status: StatusCode,
    media_type: Option<&'static str>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(media_type) = media_type {
        response
            .headers_mut()
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(media_type));
    }
    response
}
