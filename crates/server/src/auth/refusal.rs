//! Refusals as answers.

use agent_server_domain::auth::Refusal;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::error::detail_response;

/// A refusal on its way out: its cause goes to the log.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(Refusal { status, detail, headers, cause }) = self;
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(cause) = cause {
            match status.is_server_error() {
                true => tracing::error!(%status, "authentication: {cause}"),
                false => tracing::debug!(%status, "authentication: {cause}"),
            }
        }
        let mut response = match detail.is_empty() {
            false => detail_response(status, &detail),
            true => {
                let phrase = status.canonical_reason().unwrap_or("Error");
                let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
                (status, kind, phrase).into_response()
            }
        };
        for (name, value) in headers {
            let parsed = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.as_bytes()),
            );
            match parsed {
                // The body's own headers are ours to say.
                (Ok(header::CONTENT_TYPE | header::CONTENT_LENGTH), _) => {}
                (Ok(name), Ok(value)) => {
                    response.headers_mut().append(name, value);
                }
                _ => tracing::warn!(name, "authentication: a header of a refusal cannot be sent"),
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn check(refusal: Refusal, status: u16, kind: &str, body: &str) -> Response {
        let (parts, sent) = Refused(refusal).into_response().into_parts();
        let sent = sent.collect().await.expect("a body").to_bytes();
        assert_eq!((parts.status.as_u16(), &sent[..]), (status, body.as_bytes()));
        assert_eq!(parts.headers[header::CONTENT_TYPE], kind);
        Response::from_parts(parts, axum::body::Body::empty())
    }

    #[tokio::test]
    async fn status_detail_and_headers_are_kept() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            header("Retry-After", "7"),
            header("bad name", "x"),
            header("x-bad", "a\nb"),
            header("content-type", "text/html"),
        ];
        let refusal = Refusal { status: 429, detail: "slow".into(), headers, cause: None };
        let answer = check(refusal, 429, "application/json", r#"{"detail":"slow"}"#).await;
        assert_eq!(answer.headers().len(), 2);
        assert_eq!(answer.headers()["retry-after"], "7");
    }

    #[tokio::test]
    async fn failures_reveal_nothing_and_no_refusal_is_a_success() {
        let plain = "text/plain; charset=utf-8";
        check(Refusal::internal("secret"), 500, plain, "Internal Server Error").await;
        for status in [0, 99, 200, 302, 1000] {
            let refusal = Refusal { status, detail: "d".into(), ..Refusal::default() };
            check(refusal, 500, "application/json", r#"{"detail":"d"}"#).await;
        }
    }
}
