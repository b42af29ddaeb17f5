//! States and updates as the protocol has them: messages in a form of their own, interrupts taken out.
//!
//! Source: reference/event-streaming-v2.md, section 5.

use agent_server_domain::storage::Map;
use bytes::Bytes;
use serde_json::{Value, json};

const INTERRUPT: &str = "__interrupt__";

/// Types of objects in lists that are messages.
const MESSAGES: [&str; 8] =
    ["human", "user", "ai", "assistant", "system", "tool", "function", "remove"];

/// Types of content blocks that pass as they are.
const BLOCKS: [&str; 13] = [
    "text",
    "reasoning",
    "tool_call",
    "tool_call_chunk",
    "invalid_tool_call",
    "server_tool_call",
    "server_tool_call_chunk",
    "server_tool_call_result",
    "image",
    "audio",
    "video",
    "file",
    "non_standard",
];

/// A question that a graph asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interrupt {
    pub(super) id: String,
    pub(super) value: Value,
}

/// Reads a state or an update, if there is anything in it that has another form in the protocol; most bytes pass unread.
pub(super) fn read(data: &[u8]) -> Option<Value> {
    let text = str::from_utf8(data).ok()?;
    let has = |name: &str| text.contains(name);
    if !has(r#""type""#) && !has(r#""__interrupt__""#) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The interrupts of a state or an update, those with an id.
pub(super) fn interrupts(state: &Value) -> Vec<Interrupt> {
    let interrupts = state[INTERRUPT].as_array();
    let interrupt = |given: &Value| {
        let id = given["id"].as_str().or_else(|| given["interrupt_id"].as_str())?;
        Some(Interrupt { id: id.to_owned(), value: given["value"].clone() })
    };
    interrupts.map(|all| all.iter().filter_map(interrupt).collect()).unwrap_or_default()
}

/// A state or an update in the protocol's form.
pub(super) fn normalised(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, _)| name != INTERRUPT);
            Value::Object(kept.map(|(name, value)| (name, normalised(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(item).collect()),
        other => other,
    }
}

/// The bytes of a value.
pub(super) fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

fn item(value: Value) -> Value {
    match value {
        Value::Object(message) if kind(&message).is_some_and(|kind| MESSAGES.contains(&kind)) => {
            Value::Object(message_of(message))
        }
        other => normalised(other),
    }
}

fn kind(object: &Map) -> Option<&str> {
    object.get("type")?.as_str()
}

fn message_of(mut given: Map) -> Map {
    let kind = match kind(&given).unwrap_or_default() {
        "assistant" => "ai",
        "user" => "human",
        other => other,
    }
    .to_owned();
    let mut message = Map::new();
    let more = given.shift_remove("additional_kwargs").unwrap_or_default();
    let content = given.shift_remove("content").unwrap_or_default();
    message.insert("content".into(), content_of(content, (kind == "ai").then_some(&more["audio"])));
    message.insert("type".into(), json!(kind));
    for name in ["id", "name"] {
        if let Some(text @ Value::String(_)) = given.shift_remove(name) {
            message.insert(name.into(), text);
        }
    }
    if matches!(&*kind, "ai" | "human")
        && let Some(example @ Value::Bool(_)) = given.shift_remove("example")
    {
        message.insert("example".into(), example);
    }
    if let Some(Value::Object(metadata)) = given.shift_remove("response_metadata")
        && !metadata.is_empty()
    {
        message.insert("response_metadata".into(), Value::Object(metadata));
    }
    match &*kind {
        "tool" => tool_members(&mut given, &mut message),
        "ai" => ai_members(&mut given, &more, &mut message),
        _ => {}
    }
    message
}

fn tool_members(given: &mut Map, message: &mut Map) {
    if let Some(id) = given.shift_remove("tool_call_id") {
        message.insert("tool_call_id".into(), id);
    }
    if let Some(status) = given.shift_remove("status")
        && matches!(status.as_str(), Some("success" | "error"))
    {
        message.insert("status".into(), status);
    }
    if let Some(artifact) = given.shift_remove("artifact") {
        message.insert("artifact".into(), artifact);
    }
}

fn ai_members(given: &mut Map, more: &Value, message: &mut Map) {
    let list = |value: Option<Value>| match value {
        Some(Value::Array(items)) => items,
        _ => vec![],
    };
    let mut calls = list(given.shift_remove("tool_calls"));
    if calls.is_empty() {
        calls = list(more.get("tool_calls").cloned());
    }
    let (calls, mut invalid): (Vec<_>, Vec<_>) =
        calls.iter().map(tool_call).partition(|call| call["type"] == "tool_call");
    invalid.extend(list(given.shift_remove("invalid_tool_calls")));
    for (name, calls) in [("tool_calls", calls), ("invalid_tool_calls", invalid)] {
        if !calls.is_empty() {
            message.insert(name.into(), Value::Array(calls));
        }
    }
}

/// A call of a tool, also in the form of functions.
fn tool_call(call: &Value) -> Value {
    let function = &call["function"];
    let name = call["name"].as_str().or_else(|| function["name"].as_str());
    let given = call.get("args").or_else(|| function.get("arguments")).unwrap_or(&Value::Null);
    let id = call.get("id").cloned().unwrap_or_default();
    let args = match given {
        Value::Null => Some(json!({})),
        Value::String(text) if text.is_empty() => Some(json!({})),
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    };
    match (name.filter(|name| !name.is_empty()), args) {
        (Some(name), Some(args)) => {
            json!({"type": "tool_call", "name": name, "args": args, "id": id})
        }
        (Some(name), None) => json!({
            "type": "invalid_tool_call", "name": name, "error": "Malformed args.", "args": given, "id": id,
        }),
        (None, _) => json!({
            "type": "invalid_tool_call", "error": "Incomplete tool call.", "args": given, "id": id,
        }),
    }
}

/// Content, with the audio that an answer may have beside it.
fn content_of(content: Value, audio: Option<&Value>) -> Value {
    let audio = audio.filter(|audio| audio.is_object()).map(|audio| {
        let format = audio["format"].as_str().unwrap_or("wav");
        json!({"type": "audio", "data": audio["data"], "mime_type": format!("audio/{format}")})
    });
    let mut blocks: Vec<Value> = match (content, &audio) {
        (Value::Array(blocks), _) => blocks.into_iter().map(block).collect(),
        (Value::String(text), Some(_)) if text.is_empty() => vec![],
        (Value::String(text), Some(_)) => vec![text_block(text.into())],
        (other, _) => return other,
    };
    blocks.extend(audio);
    Value::Array(blocks)
}

fn text_block(text: Value) -> Value {
    json!({"type": "text", "text": text})
}

fn block(block: Value) -> Value {
    let Value::Object(mut members) = block else {
        return if block.is_string() { text_block(block) } else { block };
    };
    match kind(&members) {
        Some(kind) if BLOCKS.contains(&kind) => Value::Object(members),
        Some("image_url") => {
            let image = members.remove("image_url").unwrap_or_default();
            let url = image.get("url").cloned().unwrap_or(image);
            json!({"type": "image", "url": url})
        }
        Some("input_audio") => {
            let audio = &members["input_audio"];
            let format = audio["format"].as_str().unwrap_or("wav");
            json!({"type": "audio", "data": audio["data"], "mime_type": format!("audio/{format}")})
        }
        Some(_) => json!({"type": "non_standard", "value": members}),
        None => Value::Object(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: Value, expected: Value) {
        assert_eq!(normalised(json!({"messages": [given]})), json!({"messages": [expected]}));
    }

    #[test]
    fn messages_keep_what_the_protocol_has() {
        check(
            json!({
                "content": "hi", "additional_kwargs": {"a": 1}, "response_metadata": {}, "type": "user", "name": null,
                "id": "1", "example": false,
            }),
            json!({"content": "hi", "type": "human", "id": "1", "example": false}),
        );
        check(
            json!({
                "content": "5", "type": "tool", "id": null, "tool_call_id": "c", "artifact": null, "status": "odd",
                "usage_metadata": null,
            }),
            json!({"content": "5", "type": "tool", "tool_call_id": "c", "artifact": null}),
        );
    }

    #[test]
    fn calls_of_tools_are_read_in_all_forms() {
        let calls = json!([
            {"name": "add", "args": {"a": 1}, "id": "1", "type": "tool_call"},
            {"name": "add", "args": "{", "id": "2"},
            {"args": null, "id": "3"},
        ]);
        check(
            json!({"content": "", "type": "ai", "tool_calls": calls, "invalid_tool_calls": []}),
            json!({
                "content": "", "type": "ai",
                "tool_calls": [{"type": "tool_call", "name": "add", "args": {"a": 1}, "id": "1"}],
                "invalid_tool_calls": [
                    {"type": "invalid_tool_call", "name": "add", "error": "Malformed args.", "args": "{", "id": "2"},
                    {"type": "invalid_tool_call", "error": "Incomplete tool call.", "args": null, "id": "3"},
                ],
            }),
        );
        let function = json!({"id": "1", "function": {"name": "add", "arguments": "{\"a\": 1}"}});
        check(
            json!({"content": "", "type": "ai", "additional_kwargs": {"tool_calls": [function]}}),
            json!({
                "content": "", "type": "ai",
                "tool_calls": [{"type": "tool_call", "name": "add", "args": {"a": 1}, "id": "1"}],
            }),
        );
    }

    #[test]
    fn blocks_have_the_protocols_types() {
        let content = json!([
            "plain",
            {"type": "text", "text": "t", "index": 0},
            {"type": "image_url", "image_url": {"url": "u"}},
            {"type": "input_audio", "input_audio": {"data": "d", "format": "mp3"}},
            {"type": "odd", "x": 1},
        ]);
        check(
            json!({"type": "human", "content": content}),
            json!({"type": "human", "content": [
                {"type": "text", "text": "plain"},
                {"type": "text", "text": "t", "index": 0},
                {"type": "image", "url": "u"},
                {"type": "audio", "data": "d", "mime_type": "audio/mp3"},
                {"type": "non_standard", "value": {"type": "odd", "x": 1}},
            ]}),
        );
        check(
            json!({"type": "ai", "content": "", "additional_kwargs": {"audio": {"data": "d"}}}),
            json!({"type": "ai", "content": [{"type": "audio", "data": "d", "mime_type": "audio/wav"}]}),
        );
    }

    #[test]
    fn interrupts_are_taken_out_at_every_level() {
        let state = json!({"a": {"__interrupt__": [], "b": 1}, "__interrupt__": [{"value": 2, "id": "i"}, {"value": 3}]});
        assert_eq!(interrupts(&state), [Interrupt { id: "i".into(), value: json!(2) }]);
        assert_eq!(normalised(state), json!({"a": {"b": 1}}));
        assert_eq!(read(br#"{"a":1e400}"#), None, "nothing in it has another form");
    }
}
