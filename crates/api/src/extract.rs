//! One call on its way from the router to a handler: typed access to path, query, headers and body.
//!
//! Generated code calls these methods with what the document says about a parameter; the texts of refusals come from
//! the document too.

use axum::body::{self, Body as HttpBody};
use axum::extract::{FromRequestParts, RawPathParams};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::request::Parts;
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::body::Body;
use crate::context::Context;
use crate::operation::Operation;
use crate::rejection::Rejection;

/// How a parameter of a wrong form is answered. `{value}` in the text stands for what was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: &'static str,
}

impl Refusal {
    fn of(self, value: &str) -> Rejection {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        Rejection::new(status, self.detail.replace("{value}", value))
    }
}

/// How much of a body that is too large is still read: a client that is answered while it sends may lose the answer.
const LINGER: usize = 1 << 20;

/// A routed request whose parts have not all been looked at yet.
pub(crate) struct Call {
    operation: &'static Operation,
    parts: Parts,
    body: HttpBody,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body_limit: usize,
}

impl Call {
    /// Reads the path parameters that axum matched and adds `fixed`, those that the route's template spells out because
    /// it shadows a parameter.
    pub(crate) async fn new(
        operation: &'static Operation,
        request: http::Request<HttpBody>,
        fixed: &[(String, String)],
        body_limit: usize,
    ) -> Result<Self, Rejection> {
        let (mut parts, body) = request.into_parts();
        let mut path = fixed.to_vec();
        if operation.path.contains('{') {
            let matched = RawPathParams::from_request_parts(&mut parts, &())
                .await
                .map_err(|_| Rejection::unprocessable("Invalid path: not UTF-8"))?;
            path.extend(matched.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let query = parts.uri.query().map(parse_query).unwrap_or_default();
        Ok(Self { operation, parts, body, path, query, body_limit })
    }

    /// A path parameter as text. The router matched the template, so it is there.
    pub(crate) fn path_text(&self, name: &str) -> String {
        self.path_value(name).to_owned()
    }

    /// A path parameter that is a UUID in any form that [`parse_uuid`] takes.
    pub(crate) fn path_uuid(&self, name: &str, refusal: Refusal) -> Result<Uuid, Rejection> {
        let value = self.path_value(name);
        parse_uuid(value).ok_or_else(|| refusal.of(value))
    }

    /// A query parameter as text. When repeated the last one counts.
    pub(crate) fn query_text(&self, name: &str) -> Option<String> {
        self.query_value(name).map(str::to_owned)
    }

    /// An integer query parameter.
    pub(crate) fn query_integer(
        &self,
        name: &str,
        refusal: Refusal,
    ) -> Result<Option<i64>, Rejection> {
        self.query_value(name)
            .map(|value| value.trim().parse().map_err(|_| refusal.of(value)))
            .transpose()
    }

    /// A boolean query parameter: one of the texts in `truths` is true, any other is false.
    pub(crate) fn query_flag(&self, name: &str, truths: &[&str]) -> Option<bool> {
        self.query_value(name).map(|value| truths.contains(&value))
    }

    /// A repeated query parameter, in order.
    pub(crate) fn query_list(&self, name: &str) -> Vec<String> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// A repeated or [`listed`] query parameter whose values must be among `allowed`. All offenders are named, joined in the way that
    /// the refusals of lists quote them.
    pub(crate) fn query_choices(
        &self,
        name: &str,
        allowed: &[&str],
        refusal: Refusal,
    ) -> Result<Vec<String>, Rejection> {
        let values = listed(&self.query_list(name));
        let offenders: Vec<_> =
            values.iter().map(String::as_str).filter(|value| !allowed.contains(value)).collect();
        if offenders.is_empty() { Ok(values) } else { Err(refusal.of(&offenders.join("', '"))) }
    }

    /// A header as text; headers that are not text count as absent.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// Reads the body whole, unchecked. The content type is ignored, as upstream does.
    pub(crate) async fn bytes(&mut self) -> Result<Bytes, Rejection> {
        let limit = self.body_limit;
        let announced = self.parts.headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let broken = |_| {
            // The connection broke; the answer is for the log only.
            Rejection::new(StatusCode::BAD_REQUEST, "The request body could not be read")
        };
        // Refusing on the announcement spares the transfer; the client may be waiting for leave to send.
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(Rejection::too_large(limit));
        }
        let body = std::mem::take(&mut self.body);
        if announced.is_some() {
            return body::to_bytes(body, limit).await.map_err(broken);
        }
        let mut pieces = body.into_data_stream();
        let mut whole = BytesMut::new();
        let mut excess = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(broken)?;
            if excess == 0 && whole.len() + piece.len() <= limit {
                whole.extend_from_slice(&piece);
                continue;
            }
            excess += piece.len();
            if excess > LINGER {
                break;
            }
        }
        if excess > 0 {
            return Err(Rejection::too_large(limit));
        }
        Ok(whole.freeze())
    }

    /// Reads the body and validates it against the component schema that the document names.
    pub(crate) async fn json<T: DeserializeOwned>(
        &mut self,
        component: &str,
    ) -> Result<Body<T>, Rejection> {
        let raw = self.bytes().await?;
        Body::parse(component, raw)
    }

    /// Gives up the rest of the request to the handler's context.
    pub(crate) fn into_context(self) -> Context {
        Context::new(self.operation, self.parts)
    }

    fn path_value(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Arguments of a handler that are read from path, query or headers; implemented by generated structs.
pub(crate) trait FromCall: Sized {
    fn from_call(call: &Call) -> Result<Self, Rejection>;
}

/// The texts that repeated values stand for: each value is a text, or a JSON array of texts as the JavaScript SDK sends it.
pub fn listed<'a>(values: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let texts =
        |value: &String| serde_json::from_str(value).unwrap_or_else(|_| vec![value.clone()]);
    values.into_iter().flat_map(texts).collect()
}

/// Reads a UUID in the forms that clients send: with or without hyphens, in braces, as `urn:uuid:`, in any case.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    let text = text.replace("urn:", "").replace("uuid:", "");
    let digits: String =
        text.trim_matches(['{', '}']).chars().filter(|character| *character != '-').collect();
    if digits.len() != 32 {
        return None;
    }
    Uuid::try_parse(&digits).ok()
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    // Any text is a query; what cannot be decoded is replaced rather than refused.
    serde_html_form::from_str(query).unwrap_or_default()
}
