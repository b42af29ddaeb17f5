//! What a tool takes, in a form that models can fill in.
//!
//! The schema of a conversation names every kind of message; a model only has to say a text, which the graph takes for a
//! message of the user.

use serde_json::{Map, Value, json};

/// Definitions of messages.
const MESSAGES: [&str; 6] =
    ["AIMessage", "HumanMessage", "ChatMessage", "SystemMessage", "FunctionMessage", "ToolMessage"];
/// Definitions that only messages need.
const PARTS: [&str; 6] = [
    "ToolCall",
    "ToolCallChunk",
    "InvalidToolCall",
    "UsageMetadata",
    "InputTokenDetails",
    "OutputTokenDetails",
];

fn is_message(name: &str) -> bool {
    MESSAGES.contains(&name.strip_suffix("Chunk").unwrap_or(name))
}

/// The schema of a tool; always one of an object, as the protocol demands.
pub(super) fn simplified(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return json!({"type": "object"}) };
    schema.entry("type").or_insert_with(|| json!("object"));
    let messages =
        |definitions: &Map<String, Value>| definitions.keys().any(|name| is_message(name));
    if !schema.get("$defs").and_then(Value::as_object).is_some_and(messages) {
        return Value::Object(schema);
    }
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        definitions.retain(|name, _| !is_message(name) && !PARTS.contains(&name.as_str()));
        if definitions.is_empty() {
            schema.shift_remove("$defs");
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut().filter(|property| holds_messages(property)) {
            let mut text = json!({"type": "string"});
            if let Some(title) = property.get("title") {
                text["title"] = title.clone();
            }
            text["description"] = json!("The user message to send to the agent.");
            *property = text;
        }
    }
    Value::Object(schema)
}

/// Whether a property is a list of messages.
fn holds_messages(property: &Value) -> bool {
    let items = &property["items"];
    let refers = |choice: &Value| {
        let name = choice["$ref"].as_str().and_then(|place| place.rsplit('/').next());
        name.is_some_and(is_message)
    };
    property["type"] == "array"
        && ["oneOf", "anyOf"]
            .iter()
            .any(|key| items[key].as_array().is_some_and(|choices| choices.iter().any(refers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_becomes_a_text() {
        let schema = json!({
            "$defs": {"AIMessageChunk": {}, "ToolCall": {}, "Mood": {"type": "string"}},
            "properties": {
                "messages": {"items": {"oneOf": [{"$ref": "#/$defs/AIMessageChunk"}]}, "title": "Messages", "type": "array"},
                "mood": {"$ref": "#/$defs/Mood"},
            },
            "required": ["messages"],
        });
        let expected = json!({
            "$defs": {"Mood": {"type": "string"}},
            "properties": {
                "messages": {"type": "string", "title": "Messages", "description": "The user message to send to the agent."},
                "mood": {"$ref": "#/$defs/Mood"},
            },
            "required": ["messages"],
            "type": "object",
        });
        assert_eq!(simplified(schema), expected);
    }

    #[test]
    fn other_schemas_stay() {
        let schema = json!({"$defs": {"BaseMessage": {}}, "type": "object"});
        assert_eq!(simplified(schema.clone()), schema);
        assert_eq!(simplified(json!(null)), json!({"type": "object"}));
    }
}
