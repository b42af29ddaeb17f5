//! The envelope of a request, in the order in which it is judged.

use agent_server_domain::storage::RawJson;
use serde_json::Value;

use super::{
    super::rpc::{self, Failure, Message, NoMessage},
    model::Dialect,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Send a message and wait.
    Send,
    /// Send a message and follow.
    Stream,
    /// Follow a task.
    Subscribe,
    /// Read a task.
    Get,
    /// Cancel a task.
    Cancel,
    /// Read tasks.
    List,
    /// Read the agent's card.
    Card,
    /// Anything about push notifications, which there are none of.
    Push,
}

/// Names of version 0.3, then those of version 1.0.
const METHODS: [(&str, Method, Dialect); 22] = {
    use Dialect::{V03, V10};
    use Method::*;
    [
        ("message/send", Send, V03),
        ("message/stream", Stream, V03),
        ("tasks/resubscribe", Subscribe, V03),
        ("tasks/get", Get, V03),
        ("tasks/cancel", Cancel, V03),
        ("tasks/list", List, V03),
        ("agent/getAuthenticatedExtendedCard", Card, V03),
        ("tasks/pushNotificationConfig/set", Push, V03),
        ("tasks/pushNotificationConfig/get", Push, V03),
        ("tasks/pushNotificationConfig/list", Push, V03),
        ("tasks/pushNotificationConfig/delete", Push, V03),
        ("SendMessage", Send, V10),
        ("SendStreamingMessage", Stream, V10),
        ("SubscribeToTask", Subscribe, V10),
        ("GetTask", Get, V10),
        ("CancelTask", Cancel, V10),
        ("ListTasks", List, V10),
        ("GetExtendedAgentCard", Card, V10),
        ("CreateTaskPushNotificationConfig", Push, V10),
        ("GetTaskPushNotificationConfig", Push, V10),
        ("ListTaskPushNotificationConfigs", Push, V10),
        ("DeleteTaskPushNotificationConfig", Push, V10),
    ]
};

impl Method {
    /// Whether the answer is a stream.
    pub(super) fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::Subscribe)
    }
}

/// A request of a known method.
pub(super) struct Request {
    pub(super) id: RawJson,
    pub(super) method: Method,
    pub(super) dialect: Dialect,
    pub(super) params: Option<RawJson>,
}

/// What a body is.
pub(super) enum Read {
    /// To be carried out.
    Request(Request),
    /// An answer of the client's, which has none.
    NoAnswer,
    /// To be answered with a failure.
    Failed(Option<RawJson>, Failure),
    /// Likewise, as the only message of the stream that the client waits for.
    FailedStream(Option<RawJson>, Failure),
    /// The client does not take what would be the answer.
    NotAcceptable(&'static str),
}

/// Reads a body.
pub(super) fn read(accept: Option<&str>, body: &[u8]) -> Read {
    let invalid = |id, why: &str| Read::Failed(id, Failure::new(rpc::INVALID_REQUEST, why));
    let message = match Message::read(body) {
        Ok(message) => message,
        Err(NoMessage::NotJson) => {
            let failure = Failure::new(rpc::PARSE_ERROR, "Invalid JSON payload");
            return Read::Failed(None, failure);
        }
        Err(NoMessage::NotObject) => {
            return invalid(None, "Invalid message format: expected object");
        }
        Err(NoMessage::WrongVersion) => {
            return invalid(None, "Invalid JSON-RPC message: missing or invalid jsonrpc version");
        }
    };
    if !message.has_plain_id() {
        let why = "Invalid JSON-RPC request: 'id' must be a string, number, or null";
        return invalid(None, why);
    }
    let id = message.id;
    let known = match &message.method {
        None => None,
        Some(Value::String(name)) => match METHODS.iter().find(|(known, ..)| known == name) {
            Some((_, method, dialect)) => Some((*method, *dialect)),
            None => {
                let why = format!("Method not found: {name}");
                return Read::Failed(id, Failure::new(rpc::METHOD_NOT_FOUND, why));
            }
        },
        Some(_) => {
            let why = "Method not found: method must be a string";
            return Read::Failed(id, Failure::new(rpc::METHOD_NOT_FOUND, why));
        }
    };
    let takes_streams = accepts(accept, "text", "event-stream");
    if let Some((method @ (Method::Send | Method::Stream), _)) = known
        && let Err(failure) = check_message(message.params.as_ref())
    {
        return match method.streams() && takes_streams {
            true => Read::FailedStream(id, failure),
            false => Read::Failed(id, failure),
        };
    }
    if known.is_some_and(|(method, _)| method.streams()) {
        if !takes_streams {
            return Read::NotAcceptable(
                "Accept header must include text/event-stream for streaming",
            );
        }
    } else if !accepts(accept, "application", "json") {
        return Read::NotAcceptable("Accept header must include application/json");
    }
    match (id, known) {
        (Some(id), Some((method, dialect))) => {
            Read::Request(Request { id, method, dialect, params: message.params })
        }
        (Some(_), None) if message.result.is_some() || message.error.is_some() => Read::NoAnswer,
        (Some(id), None) => invalid(Some(id), "Invalid JSON-RPC request: missing 'method' field"),
        (None, _) => {
            let why = "Invalid message format: must be a JSON-RPC request or notification";
            invalid(None, why)
        }
    }
}

/// Whether there is a message to send.
fn check_message(params: Option<&RawJson>) -> Result<(), Failure> {
    let is_object = |json: &RawJson| json.get().starts_with('{');
    if !params.is_some_and(is_object) {
        return Err(Failure::params("Invalid params: must be an object"));
    }
    #[derive(serde::Deserialize)]
    struct Params {
        #[serde(default)]
        message: Option<RawJson>,
    }
    let params = params.map(RawJson::parse::<Params>);
    match params {
        Some(Ok(Params { message: Some(message) })) if is_object(&message) => Ok(()),
        _ => Err(Failure::params("Missing or invalid 'message' in params")),
    }
}

/// Whether a header takes a media type, by name or by wildcard. An absent one takes nothing.
fn accepts(header: Option<&str>, kind: &str, subkind: &str) -> bool {
    header.unwrap_or_default().split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        range == "*/*" || range == format!("{kind}/*") || range == format!("{kind}/{subkind}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_names_or_wildcards() {
        for header in ["*/*", "application/*;q=0.5", "text/html, Application/JSON"] {
            assert!(accepts(Some(header), "application", "json"), "{header}");
        }
        for header in [None, Some(""), Some("text/*"), Some("application/jsonx")] {
            assert!(!accepts(header, "application", "json"), "{header:?}");
        }
    }
}
