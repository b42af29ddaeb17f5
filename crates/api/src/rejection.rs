//! What the generated layer answers by itself when a request never reaches a handler.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::nul::without_nul;

/// A request refused before a handler saw it: wrong path, method, parameter or body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status of the answer.
    pub status: StatusCode,
    /// Text for the caller; part of the contract, so it is compared byte for byte.
    pub detail: String,
}

impl Rejection {
    /// A rejection with any status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// 422: a parameter or body that does not have the required form.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 422 for a body that is not JSON; the empty body is one.
    pub fn invalid_json() -> Self {
        Self::unprocessable("Invalid JSON in request body")
    }

    /// 413 with the limit in bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Request body too large (limit: {limit} bytes)"),
        )
    }

    /// 422 for a field that is nested more deeply than it is read.
    pub fn too_deep(field: &str, limit: usize) -> Self {
        Self::unprocessable(format!("'{field}' is nested too deeply (limit: {limit} levels)"))
    }

    /// 404 for a path that no route serves.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 405 for a path that is served, with other methods. The router adds the `Allow` header.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "detail": self.detail }).to_string();
        let mut response = Response::new(Body::from(without_nul(body)));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
