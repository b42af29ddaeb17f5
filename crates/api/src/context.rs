//! What a handler is told about its request beside the typed arguments.

use http::request::Parts;
use http::{Extensions, HeaderMap, Uri};
use uuid::Uuid;

use crate::operation::Operation;

/// Header that names the request, given by clients and proxies.
const REQUEST_ID: &str = "x-request-id";

/// The id of a request, put into its extensions by a layer that needs it before the handler does, such as the log.
/// Without one the router takes the `x-request-id` header or makes up a UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id that the client sent, or a fresh version 4 UUID.
    #[expect(
        clippy::disallowed_methods,
        reason = "an id for the log, not of a row that tests count"
    )]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        Self(
            sent.filter(|id| !id.is_empty())
                .map_or_else(|| Uuid::new_v4().to_string(), String::from),
        )
    }
}

/// The circumstances of one call.
#[derive(Debug)]
pub struct Context {
    /// The operation being called.
    pub operation: &'static Operation,
    /// All request headers.
    pub headers: HeaderMap,
    /// Path and query as sent.
    pub uri: Uri,
    /// The `x-request-id` of the request, or a generated UUID.
    pub request_id: String,
    /// What layers in front of the router left, such as the authenticated user.
    pub extensions: Extensions,
}

impl Context {
    /// Takes the request apart.
    pub(crate) fn new(operation: &'static Operation, mut parts: Parts) -> Self {
        let RequestId(request_id) = parts
            .extensions
            .remove::<RequestId>()
            .unwrap_or_else(|| RequestId::from_headers(&parts.headers));
        Self {
            operation,
            headers: parts.headers,
            uri: parts.uri,
            request_id,
            extensions: parts.extensions,
        }
    }

    /// A request header as text; headers that are not text count as absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A value that a layer put into the request's extensions.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }
}
