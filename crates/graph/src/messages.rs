//! Chat messages as LangChain writes them: normal form, merging by id, accumulation of streamed chunks.

use serde_json::{Value, json};

use crate::{Map, ids};

/// Id of the `remove` message that empties the list.
const REMOVE_ALL: &str = "__remove_all__";

/// Schema of a channel of messages.
pub(crate) fn schema() -> Value {
    json!({"type": "array", "items": {"type": "object", "properties": {
        "type": {"type": "string"}, "content": {}, "id": {"type": ["string", "null"]}},
        "required": ["content"]}})
}

/// A complete AI message.
pub fn ai_message(id: &str, content: &str) -> Value {
    normalized(json!({"type": "ai", "id": id, "content": content}))
}

/// The text of a message, text blocks joined.
pub fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block.as_str().or(block["text"].as_str())).collect()
        }
        _ => String::new(),
    }
}

/// One token of a streamed AI message.
pub(crate) fn chunk(id: &str, content: &str, last: bool) -> Value {
    let position = if last { json!("last") } else { Value::Null };
    json!({"content": content, "additional_kwargs": {}, "response_metadata": {}, "type": "AIMessageChunk",
        "name": null, "id": id, "tool_calls": [], "invalid_tool_calls": [], "usage_metadata": null,
        "tool_call_chunks": [], "chunk_position": position})
}

/// A message with all members of its type and an id; text becomes a human message. What is no message stays.
pub(crate) fn normalized(message: Value) -> Value {
    let given = match message {
        Value::Object(map) => map,
        Value::String(text) => {
            let mut map = Map::new();
            map.insert("content".into(), text.into());
            map
        }
        other => return other,
    };
    let kind = match given.get("type").or(given.get("role")).and_then(Value::as_str) {
        None | Some("user" | "human") => "human",
        Some("assistant" | "ai") => "ai",
        Some("developer") => "system",
        Some(other) => other,
    };
    let id = match given.get("id").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => ids::random().as_hyphenated().to_string(),
    };
    let mut full = match kind {
        "remove" => json!({"content": "", "type": kind, "id": id}),
        _ => {
            json!({"content": "", "additional_kwargs": {}, "response_metadata": {}, "type": kind, "name": null, "id": id})
        }
    };
    let more = match kind {
        "ai" => json!({"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": null}),
        "tool" => json!({"tool_call_id": "", "artifact": null, "status": "success"}),
        _ => Value::Null,
    };
    if let (Value::Object(full), Value::Object(more)) = (&mut full, more) {
        full.extend(more);
    }
    for (key, value) in given {
        if !matches!(key.as_str(), "type" | "role" | "id") {
            full[key.as_str()] = value;
        }
    }
    full
}

/// Merges messages in normal form into a list.
pub(crate) fn add(list: &mut Vec<Value>, messages: Vec<Value>) {
    for message in messages {
        let known = list.iter().rposition(|old| old["id"] == message["id"]);
        match (message["type"] == "remove", known) {
            (true, _) if message["id"] == REMOVE_ALL => list.clear(),
            (true, Some(index)) => drop(list.remove(index)),
            (true, None) => {}
            (false, Some(index)) => list[index] = message,
            (false, None) => list.push(message),
        }
    }
}

/// Puts streamed chunks together, as the stream mode `messages` shows them.
#[derive(Debug, Default)]
pub struct Accumulator(Vec<(String, Value)>);

impl Accumulator {
    /// Takes a message or chunk in. Returns the message so far, and whether its id was new.
    pub fn add(&mut self, message: &Value) -> (&Value, bool) {
        let id = message["id"].as_str().unwrap_or_default();
        let known = self.0.iter().position(|(known, _)| known == id);
        let index = match known {
            Some(index) => {
                let so_far = &mut self.0[index].1["content"];
                match (&mut *so_far, &message["content"]) {
                    (Value::String(text), Value::String(more)) => text.push_str(more),
                    (_, content) => *so_far = content.clone(),
                }
                index
            }
            None => {
                let mut full = message.clone();
                if is_chunk(message)
                    && let Value::Object(map) = &mut full
                {
                    map.insert("type".into(), json!("ai"));
                    map.shift_remove("tool_call_chunks");
                    map.shift_remove("chunk_position");
                }
                self.0.push((id.to_owned(), full));
                self.0.len() - 1
            }
        };
        (&self.0[index].1, known.is_none())
    }
}

/// Whether the message is a part of a streamed one.
pub(crate) fn is_chunk(message: &Value) -> bool {
    message["type"] == "AIMessageChunk"
}
