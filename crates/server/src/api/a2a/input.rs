//! What a message becomes for the graph: its input, or the answer to a question that it has asked.

use agent_server_domain::{
    Caller,
    storage::{AssistantId, Map, RawJson},
};
use serde_json::{Value, json};

use super::{
    super::rpc::{Failure, Outcome},
    Api,
    message::Incoming,
    model::{Part, Role, State},
    part::block,
    task::MARK,
};

/// Input or command of a run.
#[derive(Debug, PartialEq)]
pub(super) enum Given {
    Input(Value),
    Resume(Value),
}

/// The answer that a message gives to a task's question, if it gives one.
pub(super) fn resumed(message: &Incoming, state: Option<State>) -> Outcome<Option<Value>> {
    let is_asked = state == Some(State::InputRequired);
    let not_asked = || Failure::params("Task is not awaiting input");
    if let Some(command) = &message.command {
        let why = |what: &str| {
            Failure::params(format!("{what} is required when resuming a task with command.resume"))
        };
        let Some(value) = command.get("resume") else {
            return Err(Failure::params("command must be an object with 'resume'"));
        };
        message.context_id.as_ref().ok_or_else(|| why("contextId"))?;
        message.task_id.as_ref().ok_or_else(|| why("taskId"))?;
        return if is_asked { Ok(Some(value.clone())) } else { Err(not_asked()) };
    }
    match message.resumes().as_slice() {
        [] => Ok(message.text().filter(|_| is_asked).map(Value::String)),
        [_, _, ..] => Err(Failure::params("Only one resume value is allowed in data parts")),
        [_] if message.context_id.is_none() || message.task_id.is_none() => {
            Err(Failure::params("contextId and taskId are required when resuming a task"))
        }
        [value] if is_asked => Ok(Some((*value).clone())),
        [_] => Err(not_asked()),
    }
}

/// The input that a message is. `mark` says which task it belongs to.
pub(super) fn input(message: &Incoming, mark: &Value) -> Value {
    let mut input = Map::new();
    let mut blocks = vec![];
    for part in &message.parts {
        match part {
            Part::Data(Value::Object(data)) => input.extend(data.clone()),
            Part::Data(_) => {}
            Part::Text(text) => blocks.push(json!({"type": "text", "text": text})),
            Part::File(file) => blocks.push(block(file)),
        }
    }
    let has_files = message.parts.iter().any(|part| matches!(part, Part::File(_)));
    let content = match message.text() {
        _ if has_files => Value::Array(blocks),
        Some(text) => Value::String(text),
        None => return Value::Object(input),
    };
    let role = match message.role {
        Role::User => "human",
        Role::Agent => "assistant",
    };
    let said = json!({
        "role": role,
        "content": content,
        "id": message.id,
        "additional_kwargs": {MARK: mark},
    });
    input.insert("messages".into(), json!([said]));
    Value::Object(input)
}

/// Whether a message speaks, which not every graph can hear.
pub(super) fn speaks(message: &Incoming) -> bool {
    message.parts.iter().any(|part| !matches!(part, Part::Data(_)))
}

/// Names of the values that a graph takes, sorted: of its input schema, else of its state.
pub(super) fn fields(schemas: &RawJson) -> Vec<String> {
    let schemas: Value = schemas.parse().unwrap_or_default();
    let of = |name: &str| schemas[name]["properties"].as_object().cloned();
    let properties = of("input_schema").filter(|fields| !fields.is_empty());
    let properties = properties.or_else(|| of("state_schema")).unwrap_or_default();
    let mut names: Vec<String> = properties.into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// Names of the values that a graph must be given.
pub(super) fn required(schemas: &RawJson) -> Vec<Value> {
    let schemas: Value = schemas.parse().unwrap_or_default();
    schemas["input_schema"]["required"].as_array().cloned().unwrap_or_default()
}

impl Api {
    /// Refuses a message that the graph could not hear.
    pub(super) async fn check_hears(&self, caller: &Caller, agent: AssistantId) -> Outcome<()> {
        let (graph, schemas) = self.domain.assistant_schemas(caller, agent).await?;
        let fields = fields(&schemas);
        if fields.iter().any(|name| name == "messages") {
            return Ok(());
        }
        let names = fields.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        Err(Failure::params(format!(
            "Assistant '{agent}' (graph '{graph}') does not support A2A conversational messages. \
             Its input has no 'messages'; send a data part instead. Available input fields: [{names}]"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(parts: Value) -> Incoming {
        let message = json!({"messageId": "m", "role": "user", "parts": parts});
        Incoming::read(message.as_object().expect("an object")).expect("a message")
    }

    #[test]
    fn texts_are_one_message() {
        let message = incoming(json!([{"text": "a"}, {"data": {"x": 1}}, {"text": "b"}]));
        assert_eq!(
            input(&message, &json!({"task_start_id": "s"})),
            json!({"x": 1, "messages": [{
                "role": "human", "content": "a\nb", "id": "m",
                "additional_kwargs": {"a2a": {"task_start_id": "s"}},
            }]})
        );
    }

    #[test]
    fn files_keep_their_place() {
        let message = incoming(json!([{"text": "see"}, {"raw": "aGk=", "mediaType": "audio/wav"}]));
        assert_eq!(
            input(&message, &json!({}))["messages"][0]["content"],
            json!([
                {"type": "text", "text": "see"},
                {"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"},
            ])
        );
    }

    #[test]
    fn text_answers_only_where_something_was_asked() {
        let message = incoming(json!([{"text": "a"}, {"text": "b"}]));
        assert_eq!(resumed(&message, Some(State::InputRequired)).unwrap(), Some(json!("a\nb")));
        assert_eq!(resumed(&message, Some(State::Working)).unwrap(), None);
        assert_eq!(resumed(&message, None).unwrap(), None);
    }
}
