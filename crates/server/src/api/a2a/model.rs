//! Tasks, messages, parts and artifacts, and how the two dialects write them.

use agent_server_client::wire;
use agent_server_domain::storage::{RawJson, Timestamp};
use serde_json::{Map, Value, json};

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Slash names; objects say their `kind`.
    V03,
    /// Upper-case words; objects are told apart by their members.
    V10,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Submitted,
    Working,
    Completed,
    Failed,
    Canceled,
    InputRequired,
}

/// States that tasks of other servers may have.
const FOREIGN: [&str; 4] = ["rejected", "auth-required", "unknown", "unspecified"];

impl State {
    /// The word of the older dialect.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::InputRequired => "input-required",
        }
    }

    /// Reads a word of either dialect; `Ok(None)` is a state that no task here has.
    pub(super) fn parse(word: &str) -> Result<Option<Self>, ()> {
        let plain = word.strip_prefix("TASK_STATE_").unwrap_or(word);
        let plain = plain.to_ascii_lowercase().replace('_', "-");
        let all = [
            Self::Submitted,
            Self::Working,
            Self::Completed,
            Self::Failed,
            Self::Canceled,
            Self::InputRequired,
        ];
        match all.into_iter().find(|state| state.word() == plain) {
            None if !FOREIGN.contains(&plain.as_str()) => Err(()),
            found => Ok(found),
        }
    }

    /// Whether nothing follows.
    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    fn render(self, dialect: Dialect) -> String {
        match dialect {
            Dialect::V03 => self.word().into(),
            Dialect::V10 => {
                format!("TASK_STATE_{}", self.word().to_ascii_uppercase().replace('-', "_"))
            }
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Agent,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// In the message, as base64.
    Bytes(String),
    /// Elsewhere.
    Uri(String),
}

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) source: Source,
    pub(super) media_type: Option<String>,
    pub(super) name: Option<String>,
}

/// A piece of a message or artifact.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Data(Value),
    File(File),
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) role: Role,
    pub(super) parts: Vec<Part>,
    pub(super) id: String,
    pub(super) task_id: Option<String>,
    pub(super) context_id: String,
}

/// A result.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) description: String,
    pub(super) parts: Vec<Part>,
}

/// Where a task stands, since when, and what is to be said about it.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) state: State,
    pub(super) message: Option<Message>,
    pub(super) time: Option<Timestamp>,
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) context_id: String,
    pub(super) status: Status,
    pub(super) history: Option<Vec<Message>>,
    pub(super) artifacts: Option<Vec<Artifact>>,
}

/// A member, if there is one.
fn put(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Value::Object(members), Some(value)) = (object, value) {
        members.insert(name.to_owned(), value);
    }
}

/// An object that says its kind where the dialect does so.
fn of_kind(dialect: Dialect, kind: &str) -> Value {
    let mut object = Map::new();
    if dialect == Dialect::V03 {
        object.insert("kind".into(), json!(kind));
    }
    Value::Object(object)
}

fn rendered<T>(items: &[T], render: impl Fn(&T) -> Value) -> Value {
    items.iter().map(render).collect()
}

impl Part {
    fn render(&self, dialect: Dialect) -> Value {
        match (self, dialect) {
            (Self::Text(text), Dialect::V03) => json!({"kind": "text", "text": text}),
            (Self::Text(text), Dialect::V10) => json!({"text": text}),
            (Self::Data(data), Dialect::V03) => json!({"kind": "data", "data": data}),
            (Self::Data(data), Dialect::V10) => json!({"data": data}),
            (Self::File(file), dialect) => file.render(dialect),
        }
    }
}

impl File {
    fn render(&self, dialect: Dialect) -> Value {
        let (old, new, content) = match &self.source {
            Source::Bytes(bytes) => ("bytes", "raw", bytes),
            Source::Uri(uri) => ("uri", "url", uri),
        };
        let (media_type, name) = (self.media_type.as_ref(), self.name.as_ref());
        match dialect {
            Dialect::V03 => {
                let mut file = json!({old: content});
                put(&mut file, "mimeType", media_type.map(|text| json!(text)));
                put(&mut file, "name", name.map(|text| json!(text)));
                json!({"kind": "file", "file": file})
            }
            Dialect::V10 => {
                let mut part = json!({new: content});
                put(&mut part, "mediaType", media_type.map(|text| json!(text)));
                put(&mut part, "filename", name.map(|text| json!(text)));
                part
            }
        }
    }
}

impl Message {
    fn render(&self, dialect: Dialect) -> Value {
        let role = match (self.role, dialect) {
            (Role::User, Dialect::V03) => "user",
            (Role::Agent, Dialect::V03) => "agent",
            (Role::User, Dialect::V10) => "ROLE_USER",
            (Role::Agent, Dialect::V10) => "ROLE_AGENT",
        };
        let mut message = of_kind(dialect, "message");
        put(&mut message, "role", Some(json!(role)));
        put(&mut message, "parts", Some(rendered(&self.parts, |part| part.render(dialect))));
        put(&mut message, "messageId", Some(json!(self.id)));
        put(&mut message, "taskId", self.task_id.as_ref().map(|id| json!(id)));
        put(&mut message, "contextId", Some(json!(self.context_id)));
        message
    }
}

impl Artifact {
    fn render(&self, dialect: Dialect) -> Value {
        json!({
            "artifactId": self.id,
            "name": self.name,
            "description": self.description,
            "parts": rendered(&self.parts, |part| part.render(dialect)),
        })
    }
}

impl Status {
    fn render(&self, dialect: Dialect) -> Value {
        let mut status = json!({"state": self.state.render(dialect)});
        let message = self.message.as_ref().map(|message| message.render(dialect));
        put(&mut status, "message", message);
        put(&mut status, "timestamp", self.time.map(|time| json!(wire::Timestamp(time))));
        status
    }
}

impl Task {
    /// The task itself.
    pub(super) fn render(&self, dialect: Dialect) -> Value {
        let mut task = of_kind(dialect, "task");
        put(&mut task, "id", Some(json!(self.id)));
        put(&mut task, "contextId", Some(json!(self.context_id)));
        let history = self.history.as_ref();
        let history = history.map(|all| rendered(all, |message| message.render(dialect)));
        put(&mut task, "history", history);
        put(&mut task, "status", Some(self.status.render(dialect)));
        let artifacts = self.artifacts.as_ref();
        let artifacts = artifacts.map(|all| rendered(all, |artifact| artifact.render(dialect)));
        put(&mut task, "artifacts", artifacts);
        task
    }

    /// The task where other things could stand in its place: the newer dialect says which it is.
    pub(super) fn answer(&self, dialect: Dialect) -> RawJson {
        let task = self.render(dialect);
        RawJson::of(&match dialect {
            Dialect::V03 => task,
            Dialect::V10 => json!({"task": task}),
        })
    }
}

/// A part of a stream.
pub(super) enum Update<'a> {
    Status(&'a Status),
    Artifact(&'a Artifact),
}

impl Update<'_> {
    /// The update of a task.
    pub(super) fn answer(&self, (task, context): (&str, &str), dialect: Dialect) -> RawJson {
        let (name, kind) = match self {
            Self::Status(_) => ("statusUpdate", "status-update"),
            Self::Artifact(_) => ("artifactUpdate", "artifact-update"),
        };
        let mut update = json!({"taskId": task, "contextId": context});
        if dialect == Dialect::V03 {
            put(&mut update, "kind", Some(json!(kind)));
        }
        match self {
            Self::Status(status) => {
                put(&mut update, "status", Some(status.render(dialect)));
                if dialect == Dialect::V03 {
                    let over = status.state != State::Working;
                    put(&mut update, "final", Some(json!(over)));
                }
            }
            Self::Artifact(artifact) => {
                put(&mut update, "artifact", Some(artifact.render(dialect)));
                put(&mut update, "append", Some(json!(false)));
                put(&mut update, "lastChunk", Some(json!(true)));
            }
        }
        RawJson::of(&match dialect {
            Dialect::V03 => update,
            Dialect::V10 => json!({name: update}),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_in_both_dialects() {
        for word in ["input-required", "INPUT_REQUIRED", "TASK_STATE_INPUT_REQUIRED"] {
            assert_eq!(State::parse(word), Ok(Some(State::InputRequired)), "{word}");
        }
        assert_eq!(State::parse("TASK_STATE_REJECTED"), Ok(None));
        assert_eq!(State::parse("bad"), Err(()));
    }

    #[test]
    fn files_are_written_in_both_dialects() {
        let file = File {
            source: Source::Bytes("aGk=".into()),
            media_type: Some("text/plain".into()),
            name: None,
        };
        assert_eq!(
            Part::File(file.clone()).render(Dialect::V03),
            json!({"kind": "file", "file": {"bytes": "aGk=", "mimeType": "text/plain"}})
        );
        assert_eq!(
            Part::File(file).render(Dialect::V10),
            json!({"raw": "aGk=", "mediaType": "text/plain"})
        );
    }
}
