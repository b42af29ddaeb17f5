//! Looking around in schemas.

use serde_json::{Map, Value};

const COMPONENTS: &str = "#/components/schemas/";

/// A component; null if there is none.
pub(super) fn component<'a>(document: &'a Value, name: &str) -> &'a Value {
    &document["components"]["schemas"][name]
}

/// The name of the component that a schema refers to.
pub(super) fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(COMPONENTS)
}

/// Follows a reference.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match reference(schema) {
        Some(name) => component(document, name),
        None => schema,
    }
}

/// The properties of a schema, those of the parts that it is composed of included.
pub(super) fn properties<'a>(document: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let schema = resolve(document, schema);
    let mut found = Vec::new();
    for part in list(&schema["allOf"]) {
        found.extend(properties(document, part));
    }
    found.extend(entries(&schema["properties"]).map(|(name, schema)| (name.as_str(), schema)));
    found
}

/// The names of the properties that must be there.
pub(super) fn required<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let schema = resolve(document, schema);
    let mut found: Vec<_> =
        list(&schema["allOf"]).flat_map(|part| required(document, part)).collect();
    found.extend(list(&schema["required"]).filter_map(Value::as_str));
    found
}

/// The alternatives of a schema; itself if it has none.
pub(super) fn alternatives<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolve(document, schema);
    let branches: Vec<_> = list(&schema["anyOf"]).chain(list(&schema["oneOf"])).collect();
    // `RunsCancel` uses `oneOf` to say which members go together, not to offer types.
    if branches.is_empty() || schema["properties"].is_object() {
        return vec![schema];
    }
    branches.into_iter().flat_map(|branch| alternatives(document, branch)).collect()
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
