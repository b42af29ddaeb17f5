//! The envelope of commands and of their answers.
//!
//! Source: reference/event-streaming-v2.md, sections 6.1 and 6.2.

use std::collections::HashMap;

use agent_server_domain::storage::RawJson;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{self, Error};

pub(super) const INVALID_ARGUMENT: &str = "invalid_argument";
pub(super) const NO_SUCH_INTERRUPT: &str = "no_such_interrupt";
pub(super) const NO_SUCH_RUN: &str = "no_such_run";
pub(super) const NO_SUCH_SUBSCRIPTION: &str = "no_such_subscription";
const UNKNOWN_COMMAND: &str = "unknown_command";
const UNKNOWN_ERROR: &str = "unknown_error";

/// Outcome of a command.
pub(super) type Outcome = Result<Value, Failure>;

/// A command that can be carried out.
#[derive(Debug)]
pub(super) struct Command {
    /// As it was sent.
    pub(super) id: RawJson,
    pub(super) method: String,
    pub(super) params: Params,
}

/// Why text is no command.
#[derive(Debug, PartialEq)]
pub(super) enum NoCommand {
    NotJson,
    /// Its members are not those of a command; the id as it was sent.
    Malformed(RawJson),
}

impl Command {
    /// Reads a body or a frame.
    pub(super) fn read(text: &[u8]) -> Result<Self, NoCommand> {
        let raw: RawJson = serde_json::from_slice(text).map_err(|_| NoCommand::NotJson)?;
        let null = || NoCommand::Malformed(RawJson::null());
        // A sequence would be taken for members.
        if !raw.get().starts_with('{') {
            return Err(null());
        }
        let mut members: HashMap<String, RawJson> = raw.parse().map_err(|_| null())?;
        let id = members.remove("id").unwrap_or_else(RawJson::null);
        let method: Option<String> = members.get("method").and_then(|name| name.parse().ok());
        match method {
            Some(method) if is_whole(&id) => {
                let params = members.get("params").filter(|params| params.get().starts_with('{'));
                let params = params.and_then(|params| params.parse().ok()).unwrap_or_default();
                Ok(Self { id, method, params: Params(params) })
            }
            _ => Err(NoCommand::Malformed(id)),
        }
    }
}

/// Whether an id is a whole number, or what counts as one where upstream looks.
fn is_whole(id: &RawJson) -> bool {
    let digits = id.get().strip_prefix('-').unwrap_or(id.get());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number || matches!(id.get(), "true" | "false")
}

/// Arguments of a command, each as it was sent.
#[derive(Debug, Default)]
pub(super) struct Params(HashMap<String, RawJson>);

impl Params {
    /// An argument that was given and is not null.
    pub(super) fn given(&self, name: &str) -> Option<&RawJson> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An argument as a value; null where there is none, or where no value can hold it.
    pub(super) fn value(&self, name: &str) -> Value {
        self.given(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// All of them as one value.
    pub(super) fn to_value(&self) -> Value {
        self.0.keys().map(|name| (name.clone(), self.value(name))).collect()
    }

    /// The members of an entry of a list.
    pub(super) fn of(entry: &RawJson) -> Option<Self> {
        entry.get().starts_with('{').then(|| entry.parse().ok().map(Self))?
    }
}

/// Why a command did not work.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(INVALID_ARGUMENT, message)
    }

    pub(super) fn unknown(method: &str) -> Self {
        Self::new(UNKNOWN_COMMAND, format!("Unknown protocol command: {method}"))
    }
}

impl From<Error> for Failure {
    /// The status that HTTP would have stands before the text.
    fn from(error: Error) -> Self {
        let (status, detail) = error::told(error);
        Self::new(UNKNOWN_ERROR, format!("{}: {detail}", status.as_u16()))
    }
}

impl From<agent_server_domain::Error> for Failure {
    fn from(error: agent_server_domain::Error) -> Self {
        Error::from(error).into()
    }
}

/// The answer to a command, after events up to `seq` were sent. Over HTTP (`None`) none ever are.
pub(super) fn answer(id: &RawJson, outcome: &Outcome, seq: Option<u64>) -> Bytes {
    #[derive(Serialize)]
    struct Answer<'a> {
        r#type: &'static str,
        id: &'a RawJson,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        meta: Option<Value>,
    }
    let meta = |seq: u64| json!({"applied_through_seq": seq});
    let answer = match outcome {
        Ok(result) => Answer {
            r#type: "success",
            id,
            result: Some(result),
            error: None,
            message: None,
            meta: Some(meta(seq.unwrap_or_default())),
        },
        Err(failure) => Answer {
            r#type: "error",
            id,
            result: None,
            error: Some(failure.code),
            message: Some(&failure.message),
            meta: seq.map(meta),
        },
    };
    RawJson::of(&answer).get().to_owned().into()
}

/// The answer to what is no command: of its members, then of its text.
pub(super) fn refusal(no_command: &NoCommand) -> Bytes {
    let null = RawJson::null();
    let (id, message) = match no_command {
        NoCommand::NotJson => (&null, "Protocol commands must be valid JSON."),
        NoCommand::Malformed(id) => {
            (id, "Protocol commands must include an integer id and string method.")
        }
    };
    answer(id, &Err(Failure::argument(message)), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Command, NoCommand> {
        Command::read(text.as_bytes())
    }

    #[test]
    fn commands_are_told_from_other_text() {
        let malformed = |id: &str| NoCommand::Malformed(RawJson::trusted(id));
        for (text, why) in [
            ("", NoCommand::NotJson),
            ("{", NoCommand::NotJson),
            ("null", malformed("null")),
            ("[1]", malformed("null")),
            (r#"{"method":"a"}"#, malformed("null")),
            (r#"{"id":"1","method":"a"}"#, malformed("\"1\"")),
            (r#"{"id":1.0,"method":"a"}"#, malformed("1.0")),
            (r#"{"id":1,"method":2}"#, malformed("1")),
        ] {
            assert_eq!(read(text).expect_err("none"), why, "{text}");
        }
        for id in ["1", "-1", "true"] {
            let command = read(&format!(r#"{{"id":{id},"method":"a","params":[]}}"#)).expect("one");
            assert_eq!((command.id.get(), &*command.method), (id, "a"));
            assert_eq!(command.params.to_value(), json!({}));
        }
    }

    #[test]
    fn answers_have_the_envelope_of_the_wire() {
        let id = RawJson::trusted("7");
        assert_eq!(
            answer(&id, &Ok(json!({"a": 1})), None),
            r#"{"type":"success","id":7,"result":{"a":1},"meta":{"applied_through_seq":0}}"#
        );
        let failure = Err(Failure::unknown("foo.bar"));
        let expected = r#"{"type":"error","id":7,"error":"unknown_command","message":"Unknown protocol command: foo.bar"}"#;
        assert_eq!(answer(&id, &failure, None), expected);
        let expected =
            format!("{},\"meta\":{{\"applied_through_seq\":3}}}}", &expected[..expected.len() - 1]);
        assert_eq!(answer(&id, &failure, Some(3)), expected);
    }
}
