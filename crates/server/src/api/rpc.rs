//! The envelope of JSON-RPC 2.0, shared by the two protocols that use it.
//!
//! Written by hand: the libraries for these protocols bring servers of their own, and their types refuse messages that
//! have to be answered with a certain code here.

use agent_server_domain::{self as domain, auth::Refusal, storage::RawJson};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{auth::Refused, error::Error, metrics};

pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
pub(super) const INTERNAL_ERROR: i64 = -32603;

/// Outcome of a method.
pub(super) type Outcome<T = RawJson> = Result<T, Failure>;

/// A message as it came. Absent and null members are one.
#[derive(Default, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) jsonrpc: Option<Value>,
    #[serde(default)]
    pub(super) id: Option<RawJson>,
    #[serde(default)]
    pub(super) method: Option<Value>,
    #[serde(default)]
    pub(super) params: Option<RawJson>,
    #[serde(default)]
    pub(super) result: Option<RawJson>,
    #[serde(default)]
    pub(super) error: Option<RawJson>,
}

/// Why a body is no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoMessage {
    /// It is no JSON.
    NotJson,
    /// It is JSON, but no object.
    NotObject,
    /// It is an object that does not say `"jsonrpc": "2.0"`.
    WrongVersion,
}

impl Message {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, NoMessage> {
        let raw: RawJson = serde_json::from_slice(body).map_err(|_| NoMessage::NotJson)?;
        // A sequence would be taken for the members in their order.
        if !raw.get().starts_with('{') {
            return Err(NoMessage::NotObject);
        }
        let message: Self = raw.parse().map_err(|_| NoMessage::NotJson)?;
        match &message.jsonrpc {
            Some(Value::String(version)) if version == "2.0" => Ok(message),
            _ => Err(NoMessage::WrongVersion),
        }
    }

    /// Whether an id is of a kind that JSON-RPC knows.
    pub(super) fn has_plain_id(&self) -> bool {
        self.id.as_ref().is_none_or(|id| !id.get().starts_with(['{', '[', 't', 'f']))
    }
}

/// What an answer says instead of a result.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub(super) code: i64,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Value>,
}

impl Failure {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Arguments that cannot be.
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }
}

impl From<domain::Error> for Failure {
    fn from(error: domain::Error) -> Self {
        use domain::Error as E;
        match error {
            E::Internal(cause) => {
                tracing::error!(%cause, "a request failed");
                Self::new(INTERNAL_ERROR, "Internal server error")
            }
            E::Unavailable(why) => Self::new(INTERNAL_ERROR, why),
            E::Limited { limit, detail } => {
                metrics::count_limited(limit);
                let data = Some(json!({"status": 429}));
                Self { code: INVALID_REQUEST, message: detail, data }
            }
            other => Self::params(other.to_string()),
        }
    }
}

impl From<Refusal> for Failure {
    /// The protocols have no code for what is not allowed, so the status stands beside the code.
    fn from(refusal: Refusal) -> Self {
        let refused = Refused(refusal);
        refused.log();
        let status = refused.status();
        let code = match status.is_server_error() {
            true => INTERNAL_ERROR,
            false => INVALID_REQUEST,
        };
        let detail = refused.0.detail;
        let message = match detail.is_empty() {
            false => detail,
            true => status.canonical_reason().unwrap_or("Error").to_owned(),
        };
        Self { code, message, data: Some(json!({"status": status.as_u16()})) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Domain(error) => error.into(),
            Error::Refused(refusal) => refusal.into(),
            Error::Rejected(rejection) => Self::params(rejection.detail),
        }
    }
}

/// The answer to a request; the id is null where it could not be read.
pub(super) fn answer(id: Option<&RawJson>, outcome: &Outcome) -> Bytes {
    #[derive(Serialize)]
    struct Answer<'a> {
        jsonrpc: &'static str,
        id: Option<&'a RawJson>,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a RawJson>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a Failure>,
    }
    let (result, error) = (outcome.as_ref().ok(), outcome.as_ref().err());
    let answer = Answer { jsonrpc: "2.0", id, result, error };
    Bytes::from(RawJson::of(&answer).get().to_owned())
}

/// A message that expects no answer.
pub(super) fn notification(method: &str, params: &Value) -> Bytes {
    json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_messages_are_told_apart() {
        let read = |body: &str| Message::read(body.as_bytes()).err();
        assert_eq!(read("{"), Some(NoMessage::NotJson));
        assert_eq!(read(""), Some(NoMessage::NotJson));
        assert_eq!(read(r#"["2.0",1,"ping"]"#), Some(NoMessage::NotObject));
        assert_eq!(read("null"), Some(NoMessage::NotObject));
        assert_eq!(read(r#"{"jsonrpc":2.0}"#), Some(NoMessage::WrongVersion));
        assert_eq!(read(r#" {"jsonrpc":"2.0"}"#), None);
    }

    #[test]
    fn refusals_have_their_status_and_reveal_nothing_else() {
        let failure = |refusal: Refusal| json!(Failure::from(refusal));
        let forbidden = Refusal { status: 403, detail: "not you".into(), ..Refusal::default() };
        let expected =
            json!({"code": INVALID_REQUEST, "message": "not you", "data": {"status": 403}});
        assert_eq!(failure(forbidden), expected);
        let expected = json!({
            "code": INTERNAL_ERROR, "message": "Internal Server Error", "data": {"status": 500},
        });
        assert_eq!(failure(Refusal::internal("secret")), expected);
    }

    #[test]
    fn ids_are_repeated_to_the_letter() {
        let message = Message::read(br#"{"jsonrpc":"2.0","id":1.50}"#).expect("a message");
        let answer = answer(message.id.as_ref(), &Ok(RawJson::trusted("{}")));
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1.50,"result":{}}"#);
    }
}
