//! What can go wrong with a call.

use std::fmt;

use bytes::Bytes;
use progenitor_client::ResponseValue;
use reqwest::StatusCode;
use serde_json::Value;

/// Why a call did not bring what it was made for.
///
/// A run that failed is not an error of the call: it is a run with the status `error`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client or the request could not be built: a base URL that is none, a key with line breaks.
    #[error("the request cannot be built: {0}")]
    Request(String),
    /// No answer, or the connection broke before the end of it.
    #[error("no answer from the server: {}", causes(.0))]
    Transport(#[source] reqwest::Error),
    /// The server refused.
    #[error("{status}: {detail}")]
    Api {
        /// Status of the answer.
        status: StatusCode,
        /// What the server says about it; the whole body where it is not in the usual form.
        detail: String,
        /// The body, for the few operations that put more into it.
        body: Bytes,
    },
    /// The server answered with something else than the document promises.
    #[error("the answer cannot be read: {reason}")]
    Decode {
        /// What does not fit.
        reason: String,
        /// What was sent.
        body: Bytes,
    },
    /// An event stream broke and could not be taken up again.
    #[error("the event stream was lost, attempts to continue it: {attempts}{}", because(.source.as_deref()))]
    Disconnected {
        /// How often it was tried since the last event.
        attempts: u32,
        /// What went wrong the last time; `None` when the server simply closed the stream of a run that had not ended.
        source: Option<Box<Error>>,
    },
}

impl Error {
    /// Status of the server's refusal, if it was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the server said about its refusal, if it was one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Api { detail, .. } => Some(detail),
            _ => None,
        }
    }

    /// Whether the server says that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether the same call may succeed a little later: no connection, too many requests, or a server in trouble.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => !error.is_builder(),
            Self::Api { status, .. } => {
                *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
            }
            _ => false,
        }
    }

    /// Reads what a server says in a refusal.
    pub(crate) async fn from_response(response: reqwest::Response) -> Self {
        let status = response.status();
        match response.bytes().await {
            Ok(body) => Self::Api { status, detail: detail(status, &body), body },
            Err(error) => Self::Transport(error),
        }
    }

    pub(crate) fn decode(reason: impl fmt::Display, body: impl Into<Bytes>) -> Self {
        Self::Decode { reason: reason.to_string(), body: body.into() }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() { Self::Request(causes(&error)) } else { Self::Transport(error) }
    }
}

/// The answer to a generated call, or our own error.
pub(crate) async fn answer<T>(
    result: Result<ResponseValue<T>, progenitor_client::Error<()>>,
) -> Result<ResponseValue<T>, Error> {
    use progenitor_client::Error as Generated;
    Err(match result {
        Ok(value) => return Ok(value),
        Err(Generated::UnexpectedResponse(response)) => Error::from_response(response).await,
        Err(Generated::ErrorResponse(response)) => {
            let status = response.status();
            Error::Api { status, detail: detail(status, b""), body: Bytes::new() }
        }
        Err(Generated::InvalidResponsePayload(body, error)) => Error::decode(error, body),
        Err(Generated::CommunicationError(error) | Generated::ResponseBodyError(error)) => {
            error.into()
        }
        Err(Generated::InvalidUpgrade(error)) => error.into(),
        Err(Generated::InvalidRequest(reason) | Generated::Custom(reason)) => {
            Error::Request(reason)
        }
    })
}

/// The body of the answer to a generated call.
pub(crate) async fn body<T>(
    result: Result<ResponseValue<T>, progenitor_client::Error<()>>,
) -> Result<T, Error> {
    answer(result).await.map(ResponseValue::into_inner)
}

/// `detail` of the common error body; some operations write `error` or `message`, proxies a page of text or nothing.
fn detail(status: StatusCode, body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let named = ["detail", "error", "message"].iter().find_map(|key| json.get(*key));
    match named {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => match String::from_utf8_lossy(body).trim() {
            "" => status.canonical_reason().unwrap_or("no reason given").to_owned(),
            text => text.to_owned(),
        },
    }
}

/// The HTTP library's own text leaves out why a connection failed.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn because(source: Option<&Error>) -> String {
    source.map(|error| format!(" ({error})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_found_in_every_form() {
        for (body, expected) in [
            (r#"{"detail":"Thread not found"}"#, "Thread not found"),
            (r#"{"error":"Key is required"}"#, "Key is required"),
            (r#"{"detail":["a"]}"#, r#"["a"]"#),
            ("<h1>Bad gateway</h1>\n", "<h1>Bad gateway</h1>"),
            ("", "Bad Gateway"),
        ] {
            assert_eq!(detail(StatusCode::BAD_GATEWAY, body.as_bytes()), expected);
        }
    }

    #[test]
    fn only_passing_troubles_are_transient() {
        let api = |status| Error::Api { status, detail: String::new(), body: Bytes::new() };
        assert!(api(StatusCode::TOO_MANY_REQUESTS).is_transient());
        assert!(api(StatusCode::SERVICE_UNAVAILABLE).is_transient());
        assert!(!api(StatusCode::NOT_FOUND).is_transient());
        assert!(api(StatusCode::NOT_FOUND).is_not_found());
        assert!(!Error::Request(String::new()).is_transient());
    }
}
