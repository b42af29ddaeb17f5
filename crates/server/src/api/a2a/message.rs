//! Messages as clients send them.

use agent_server_domain::storage::Map;
use serde_json::Value;

use super::{
    super::rpc::{Failure, Outcome},
    model::{Part, Role},
    part,
};

/// A message of a client.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) id: String,
    pub(super) role: Role,
    pub(super) parts: Vec<Part>,
    pub(super) context_id: Option<String>,
    pub(super) task_id: Option<String>,
    /// Command for the graph, an extension: `{"resume": …}`.
    pub(super) command: Option<Value>,
}

impl Incoming {
    /// Reads a message.
    pub(super) fn read(message: &Map) -> Outcome<Self> {
        let id = required(message, "messageId")?;
        let role = match required(message, "role")?.as_str() {
            "user" | "ROLE_USER" => Role::User,
            "agent" | "ROLE_AGENT" => Role::Agent,
            other => {
                let why = format!("Invalid 'role' in message: '{other}' is neither user nor agent");
                return Err(Failure::params(why));
            }
        };
        let command = message.get("command").filter(|command| !command.is_null()).cloned();
        let parts = match message.get("parts") {
            None | Some(Value::Null) => &vec![],
            Some(Value::Array(parts)) => parts,
            Some(_) => return Err(Failure::params("Invalid params: 'parts' must be an array")),
        };
        if parts.is_empty() && command.is_none() {
            return Err(Failure::params("Message must contain at least one part"));
        }
        Ok(Self {
            id,
            role,
            parts: parts.iter().map(part::read).collect::<Outcome<_>>()?,
            context_id: optional(message, "contextId")?,
            task_id: optional(message, "taskId")?,
            command,
        })
    }

    /// What the texts of the message say together.
    pub(super) fn text(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Data(_) | Part::File(_) => None,
            })
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    /// The values of its data parts that resume something.
    pub(super) fn resumes(&self) -> Vec<&Value> {
        let data = self.parts.iter().filter_map(|part| match part {
            Part::Data(data) => Some(data),
            Part::Text(_) | Part::File(_) => None,
        });
        data.filter_map(|data| data.get("resume")).collect()
    }
}

fn required(message: &Map, name: &str) -> Outcome<String> {
    match message.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        None | Some(Value::Null | Value::String(_)) => {
            Err(Failure::params(format!("Missing required '{name}' in message")))
        }
        Some(_) => Err(Failure::params(format!("{name} must be a string"))),
    }
}

/// An empty text counts as absent: the newer dialect has no other way to leave a member out.
fn optional(message: &Map, name: &str) -> Outcome<Option<String>> {
    match message.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Failure::params(format!("{name} must be a string"))),
    }
}
