//! Values that fit: fixtures in the place of ids, and a plain value for any property.
//!
//! Ids are made by the run of the suite, so cases name them: `<thread_id>` is a thread with a finished run, `<assistant>` what
//! a run names as its assistant, `<node>` a node of its graph. The list is in `crates/conformance/src/fixtures.rs`.

use serde_json::{Map, Value, json};

use super::schema;

/// The placeholder of a property with this name that holds an id.
fn placeholder(property: &str) -> Option<&'static str> {
    Some(match property {
        "graph_id" => "<graph_id>",
        "thread_id" | "thread_ids" => "<thread_id>",
        "run_id" | "run_ids" => "<run_id>",
        "checkpoint_id" => "<checkpoint_id>",
        "cron_id" => "<cron_id>",
        "as_node" => "<node>",
        _ => return None,
    })
}

/// An example of the document with fixtures instead of the ids that it was written with.
pub(super) fn with_fixtures(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match (name.as_str(), &mut *value) {
                    ("assistant_id", Value::String(text)) => *text = assistant(text).to_owned(),
                    // A reserved name, not a node of the graph.
                    ("as_node", Value::String(text)) if text.starts_with("__") => {}
                    (name, Value::String(text)) if placeholder(name).is_some() => {
                        *text = placeholder(name).unwrap_or_default().to_owned();
                    }
                    (name, Value::Array(ids)) if placeholder(name).is_some() => {
                        *ids = vec![json!(placeholder(name))];
                    }
                    (_, value) => with_fixtures(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(with_fixtures),
        _ => {}
    }
}

/// A run may name a graph for its default assistant, everything else names an assistant by its id.
fn assistant(text: &str) -> &'static str {
    if text.len() == 36 { "<assistant_id>" } else { "<assistant>" }
}

/// The value of a path parameter that finds something.
pub(super) fn path(name: &str, path: &str) -> String {
    match name {
        "assistant_id" => "<assistant_id>".to_owned(),
        // A run that is addressed without its thread is one that was created without a thread.
        "run_id" if !path.contains("{thread_id}") => "<stateless_run_id>".to_owned(),
        _ => placeholder(name).unwrap_or("x").to_owned(),
    }
}

/// A value that the property's schema allows; ids are fixtures.
pub(super) fn property(document: &Value, component: &str, name: &str, of: &Value) -> Value {
    // Where the body creates something its id must be new.
    let creates = component.ends_with("Create");
    match name {
        "thread_id" if creates => return json!("<new_id>"),
        "assistant_id" if component == "AssistantCreate" => return json!("<new_id>"),
        "assistant_id" if creates || component.starts_with("RunCreate") => {
            return json!("<assistant>");
        }
        "assistant_id" => return json!("<assistant_id>"),
        "ids" => return json!(["<thread_id>"]),
        "schedule" => return json!("0 8 * * *"),
        "timezone" => return json!("Europe/Paris"),
        "ttl" if of["type"] == "object" => return json!({ "strategy": "delete", "ttl": 60 }),
        // Updates of a state need a graph, which the example shows.
        "supersteps" => return json!([]),
        _ => {}
    }
    match placeholder(name) {
        Some(id) if of["type"] == "array" => json!([id]),
        Some(id) => json!(id),
        None => value(document, of),
    }
}

/// A plain value that the schema allows.
pub(super) fn value(document: &Value, schema: &Value) -> Value {
    let alternatives = schema::alternatives(document, schema);
    // Objects are what graphs take as values; any first alternative would do elsewhere.
    let object = alternatives.iter().find(|schema| kind(schema) == Some("object"));
    let schema = object.or(alternatives.first()).copied().unwrap_or(schema);
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match kind(schema) {
        Some("string") => json!(match schema["format"].as_str() {
            Some("uuid") => "<new_id>",
            Some("date-time") => "2030-01-01T00:00:00+00:00",
            Some("uri-reference") => "<webhook>",
            _ => "text",
        }),
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(1)),
        // Zero, because numbers are delays and lifetimes.
        Some("number") => json!(0),
        Some("boolean") => json!(true),
        Some("array") => json!([value(document, &schema["items"])]),
        Some("null") => Value::Null,
        _ => object_with_required(document, schema),
    }
}

/// The smallest object that the schema allows.
pub(super) fn object_with_required(document: &Value, schema: &Value) -> Value {
    let properties = schema::properties(document, schema);
    let mut members = Map::new();
    for name in schema::required(document, schema) {
        if let Some((_, schema)) = properties.iter().find(|(property, _)| *property == name) {
            members.insert(name.to_owned(), value(document, schema));
        }
    }
    Value::Object(members)
}

/// The schema's type, the first one if it has several.
pub(super) fn kind(schema: &Value) -> Option<&str> {
    schema["type"].as_str().or_else(|| schema["type"][0].as_str())
}
