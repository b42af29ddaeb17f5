//! What the validator needs to know about a component schema beyond the schema itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::DOCUMENT;
use crate::rejection::Rejection;

const COMPONENTS: &str = "#/components/schemas/";

/// The texts of the document's component schemas, by name. The whole document is not kept parsed: it would take megabytes
/// for what is needed once per component.
pub(crate) static TEXTS: LazyLock<HashMap<&str, &RawValue>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        components: Components<'a>,
    }
    #[derive(Deserialize)]
    struct Components<'a> {
        #[serde(borrow)]
        schemas: HashMap<&'a str, &'a RawValue>,
    }
    let document: Document = serde_json::from_str(DOCUMENT).expect("the build script parsed it");
    document.components.schemas
});

/// A component and those that it refers to, directly or not, by name.
pub(crate) fn family(component: &str) -> Map<String, Value> {
    let mut found = Map::new();
    let mut missing = BTreeSet::from([component.to_owned()]);
    while let Some(name) = missing.pop_first() {
        let Some(text) = TEXTS.get(name.as_str()) else { continue };
        let schema: Value = serde_json::from_str(text.get()).expect("a part of what was parsed");
        collect_references(&schema, &mut missing);
        found.insert(name, schema);
        missing.retain(|name| !found.contains_key(name));
    }
    found
}

/// A component as a schema document of its own: its keywords at the root, and beside them the components that it refers
/// to, under the paths that refusals print. Keys are sorted, because their order decides which violation is the first.
pub(crate) fn standalone(family: &Map<String, Value>, component: &str) -> Value {
    let mut root = family.get(component).cloned().unwrap_or_else(|| json!({}));
    let mut referred = BTreeSet::new();
    family.values().for_each(|schema| collect_references(schema, &mut referred));
    let needed: Map<_, _> = family
        .iter()
        .filter(|(name, _)| referred.contains(*name))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    if let Some(root) = root.as_object_mut() {
        root.insert("components".to_owned(), json!({ "schemas": needed }));
    }
    drop_descriptions(&mut root);
    keep_required(&mut root);
    root.sort_all_objects();
    root
}

/// The validator keeps its schemas, and reads no descriptions. (A property of that name is no text.)
fn drop_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            keywords.retain(|keyword, value| keyword != "description" || !value.is_string());
            keywords.values_mut().for_each(drop_descriptions);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_descriptions),
        _ => {}
    }
}

/// Keeps the validator (jsonschema 0.44.1) from forgetting `required`: of two names beside fifteen properties or more, neither
/// of its two ways to check them feels responsible. Patterns, even none, lead it past that.
fn keep_required(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            if keywords.get("required").and_then(Value::as_array).is_some_and(|all| all.len() == 2)
            {
                keywords.entry("patternProperties").or_insert_with(|| json!({}));
            }
            keywords.values_mut().for_each(keep_required);
        }
        Value::Array(values) => values.iter_mut().for_each(keep_required),
        _ => {}
    }
}

fn collect_references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keywords) => {
            found.extend(reference(schema).map(str::to_owned));
            keywords.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(COMPONENTS)
}

/// The component of the elements, for a component that is an array of another.
pub(crate) fn element(family: &Map<String, Value>, component: &str) -> Option<String> {
    reference(&family.get(component)?["items"]).map(str::to_owned)
}

/// The fields marked `x-payload` that need not be parsed to be validated.
pub(crate) fn payload_fields(family: &Map<String, Value>, component: &str) -> HashSet<String> {
    let mut properties = Vec::new();
    collect_properties(family, component, &mut properties);
    let deep: HashSet<_> = properties
        .iter()
        .filter(|(_, schema)| !is_shallow(schema))
        .map(|(name, _)| *name)
        .collect();
    properties
        .iter()
        .filter(|(name, schema)| schema["x-payload"] == true && !deep.contains(name))
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// Whether a schema tells values apart by their type alone.
fn is_shallow(schema: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema == true };
    keywords.iter().all(|(keyword, value)| match keyword.as_str() {
        "type" | "description" | "default" | "example" | "examples" | "deprecated" | "title" => {
            true
        }
        "items" => value.as_object().is_some_and(Map::is_empty),
        "anyOf" | "oneOf" => {
            value.as_array().is_some_and(|branches| branches.iter().all(is_shallow))
        }
        _ => keyword.starts_with("x-"),
    })
}

/// The properties of a component, those that it takes from others included.
fn collect_properties<'a>(
    all: &'a Map<String, Value>,
    component: &str,
    found: &mut Vec<(&'a str, &'a Value)>,
) {
    let Some(schema) = all.get(component) else { return };
    collect_own_properties(all, schema, found);
}

fn collect_own_properties<'a>(
    all: &'a Map<String, Value>,
    schema: &'a Value,
    found: &mut Vec<(&'a str, &'a Value)>,
) {
    if let Some(name) = reference(schema) {
        collect_properties(all, name, found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect_own_properties(all, part, found);
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    found.extend(properties.map(|(name, schema)| (name.as_str(), schema)));
}

/// A field that holds one UUID or an array of them. The validator does not assert formats, so this is checked apart.
pub(crate) struct UuidField {
    pub(crate) name: String,
    refusal: Rejection,
}

impl UuidField {
    /// Refuses a value with a text that is not a UUID.
    pub(crate) fn check(&self, raw: &RawValue) -> Result<(), Rejection> {
        let value: Value =
            serde_json::from_str(raw.get()).map_err(|_| Rejection::invalid_json())?;
        let values = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
        match values.iter().filter_map(Value::as_str).find(|text| Uuid::try_parse(text).is_err()) {
            Some(text) => Err(Rejection {
                detail: self.refusal.detail.replace("{value}", text),
                ..self.refusal.clone()
            }),
            None => Ok(()),
        }
    }
}

/// The fields of a component that hold UUIDs.
pub(crate) fn uuid_fields(family: &Map<String, Value>, component: &str) -> Vec<UuidField> {
    let mut properties = Vec::new();
    collect_properties(family, component, &mut properties);
    properties
        .iter()
        .filter(|(_, schema)| schema["format"] == "uuid" || schema["items"]["format"] == "uuid")
        .map(|(name, schema)| UuidField {
            name: (*name).to_owned(),
            refusal: refusal(name, schema),
        })
        .collect()
}

/// What the document says about a bad value under `x-invalid`, else the text that path parameters have.
fn refusal(name: &str, schema: &Value) -> Rejection {
    let documented = &schema["x-invalid"];
    let status = documented["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    if let (Some(status), Some(detail)) = (status, documented["detail"].as_str())
        && let Ok(status) = http::StatusCode::from_u16(status)
    {
        return Rejection::new(status, detail);
    }
    if name == "ids" {
        // The one filter whose members upstream converts without a check, which makes it a plain bad request.
        return Rejection::new(http::StatusCode::BAD_REQUEST, "Invalid thread ID {value}");
    }
    let noun = name.trim_end_matches('s').trim_end_matches("_id");
    Rejection::unprocessable(format!("Invalid {noun} ID: must be a UUID"))
}
