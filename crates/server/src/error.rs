//! The only place that knows which status an error has.
//!
//! Bodies are `{"detail": "…"}` and the text is contract. A 500 reveals nothing: its cause goes to the log under the
//! request's id.

use agent_server_api::{Rejection, without_nul};
use agent_server_domain as domain;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::{auth::Refused, limits, metrics};

/// When whoever has too many runs in flight is asked to try again, seconds. Nobody knows when one of them ends.
const ROOM_SECONDS: u64 = 5;

/// What a handler fails with.
#[derive(Debug)]
pub enum Error {
    /// The generated layer refused the request.
    Rejected(Rejection),
    /// The domain refused or failed.
    Domain(domain::Error),
    /// Whoever decides what users may do said no.
    Refused(domain::auth::Refusal),
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<domain::Error> for Error {
    fn from(error: domain::Error) -> Self {
        Self::Domain(error)
    }
}

/// A 422 of a rule that lives in the handler because only the wire has it.
pub(crate) fn invalid(detail: impl Into<String>) -> Error {
    Error::Domain(domain::Error::Invalid(detail.into()))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Rejected(rejection) => rejection.into_response(),
            Self::Refused(refusal) => Refused(refusal).into_response(),
            Self::Domain(domain::Error::Limited { limit, detail }) => {
                limits::too_many(limit, &detail, ROOM_SECONDS)
            }
            Self::Domain(error) => {
                let (status, detail) = told_of(&error);
                detail_response(status, &detail)
            }
        }
    }
}

/// Status and text of an error, for protocols that put them into an answer of their own.
pub(crate) fn told(error: Error) -> (StatusCode, String) {
    match error {
        Error::Rejected(rejection) => (rejection.status, rejection.detail),
        Error::Domain(error) => {
            if let domain::Error::Limited { limit, .. } = &error {
                metrics::count_limited(limit);
            }
            told_of(&error)
        }
        Error::Refused(refusal) => {
            let refused = Refused(refusal);
            refused.log();
            let (status, detail) = (refused.status(), refused.0.detail);
            let phrase = || status.canonical_reason().unwrap_or("Error").to_owned();
            (status, if detail.is_empty() { phrase() } else { detail })
        }
    }
}

fn told_of(error: &domain::Error) -> (StatusCode, String) {
    use domain::Error as E;
    let status = match error {
        E::NotFound(_) => StatusCode::NOT_FOUND,
        E::Conflict(_) => StatusCode::CONFLICT,
        E::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        E::Refused(_) => StatusCode::BAD_REQUEST,
        E::Incomplete(_) => StatusCode::CREATED,
        E::BadGraph(_) => StatusCode::FAILED_DEPENDENCY,
        E::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        E::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
        E::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
        E::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let detail = match error {
        E::Internal(cause) => {
            tracing::error!(%cause, "a request failed");
            "Internal Server Error".to_owned()
        }
        other => other.to_string(),
    };
    (status, detail)
}

/// An error body of the wire.
pub(crate) fn detail_response(status: StatusCode, detail: &str) -> Response {
    let body = json!({"detail": detail}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], without_nul(body)).into_response()
}
