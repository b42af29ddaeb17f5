//! The steps that lower a schema.

use serde_json::{Map, Value, json};

use super::{Object, RAW_JSON, hoist::Hoisted};
use crate::{Error, document::ref_name};

/// Keywords that shape types. One that is neither here nor in [`VALIDATION`] is an error before anything is lowered.
const KEYWORDS: [&str; 15] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "description",
    "enum",
    "format",
    "items",
    "oneOf",
    "properties",
    "required",
    "type",
    "x-name",
    "x-payload",
];

/// Keywords that only the validator needs. Types would become checked wrappers (`NonZeroU64`), or fields that are always
/// sent (`default`), or share names that belong to different things (`title`).
const VALIDATION: [&str; 17] = [
    "default",
    "deprecated",
    "example",
    "examples",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "not",
    "pattern",
    "title",
    "uniqueItems",
    "x-null-differs",
];

/// Named objects that are maps in Rust: members without a description must survive, and rules read them by name.
const MAPS: [&str; 1] = ["RunConfig"];

/// What the steps know about their surroundings.
pub(super) struct Scope<'a> {
    /// The components as written.
    pub(super) components: &'a Object,
    /// Whether the schema can be part of a request.
    pub(super) is_request: bool,
}

impl Scope<'_> {
    /// Lowers a component. It has a name already.
    pub(super) fn component(
        &self,
        schema: &mut Value,
        name: &str,
        hoisted: &mut Hoisted,
    ) -> Result<(), Error> {
        self.schema(schema, &format!("components.schemas.{name}"), true, hoisted)
    }

    fn schema(
        &self,
        schema: &mut Value,
        place: &str,
        named: bool,
        hoisted: &mut Hoisted,
    ) -> Result<(), Error> {
        if schema == &json!(true) {
            *schema = json!({});
        }
        check_keywords(schema, place)?;
        let Some(object) = schema.as_object_mut() else {
            return Err(Error::new(format!("{place}: not a schema")));
        };
        if payload(object) || map(object) {
            return Ok(());
        }
        self.merge_all_of(object, place)?;
        null_branch(object);
        required_only(object);
        string_union(object);
        any_json_union(object);
        self.union(object, place)?;
        // From here on the one branch that was left is looked at.
        drop_validation(object);
        constant(object);
        boolean_enum(object);
        type_array(object);
        ref_siblings(object);
        self.string_format(object);
        integer_format(object);
        self.children(object, place, hoisted)?;
        optional_is_nullable(object);
        closed_or_free(object);
        hoisted.take(schema, place, named)
    }

    fn children(
        &self,
        object: &mut Object,
        place: &str,
        hoisted: &mut Hoisted,
    ) -> Result<(), Error> {
        for (name, property) in
            object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            self.schema(property, &format!("{place}.{name}"), false, hoisted)?;
        }
        if let Some(items) = object.get_mut("items") {
            self.schema(items, &format!("{place}.items"), false, hoisted)?;
        }
        if let Some(member @ Value::Object(_)) = object.get_mut("additionalProperties") {
            self.schema(member, &format!("{place}.additionalProperties"), false, hoisted)?;
        }
        let branches = object.get_mut("oneOf").and_then(Value::as_array_mut);
        for (index, branch) in branches.into_iter().flatten().enumerate() {
            self.schema(branch, &format!("{place}.oneOf[{index}]"), false, hoisted)?;
        }
        Ok(())
    }

    /// `allOf` of objects becomes one object: the generator would flatten it with types of its own.
    fn merge_all_of(&self, object: &mut Object, place: &str) -> Result<(), Error> {
        let Some(Value::Array(parts)) = object.remove("allOf") else { return Ok(()) };
        let (mut properties, mut required) = (Map::new(), vec![]);
        for mut part in parts {
            check_keywords(&part, place)?;
            if let Some(name) = ref_name(&part) {
                part = self.components.get(name).cloned().unwrap_or_default();
            }
            match part["properties"].take() {
                Value::Object(more) if part.get("allOf").is_none() => properties.extend(more),
                _ => {
                    return Err(Error::new(format!(
                        "{place}: allOf of something else than objects with properties"
                    )));
                }
            }
            if let Value::Array(more) = part["required"].take() {
                required.extend(more);
            }
        }
        object.insert("type".into(), json!("object"));
        object.insert("properties".into(), Value::Object(properties));
        if !required.is_empty() {
            object.insert("required".into(), Value::Array(required));
        }
        Ok(())
    }

    /// A union of which one branch is left is that branch. Others become an enum whose first fitting variant counts; `type`
    /// beside them says nothing more. Reading an enum needs a parsed value, so raw text cannot be inside.
    fn union(&self, object: &mut Object, place: &str) -> Result<(), Error> {
        let Some(mut branches) = take_union(object) else { return Ok(()) };
        if branches.len() == 1 {
            let branch = branches.remove(0);
            check_keywords(&branch, place)?;
            let members =
                branch.as_object().into_iter().flatten().filter(|(key, _)| *key != "description");
            object.extend(members.map(|(key, value)| (key.clone(), value.clone())));
            return Ok(());
        }
        let mut seen = vec![];
        if branches.iter().any(|branch| self.holds_payload(branch, &mut seen)) {
            return Err(Error::new(format!(
                "{place}: x-payload inside a union cannot be read; mark the union instead"
            )));
        }
        object.remove("type");
        object.insert("oneOf".into(), Value::Array(branches));
        Ok(())
    }

    fn holds_payload(&self, schema: &Value, seen: &mut Vec<String>) -> bool {
        if schema["x-payload"] == true {
            return true;
        }
        if let Some(name) = ref_name(schema) {
            if seen.iter().any(|known| known == name) {
                return false;
            }
            seen.push(name.to_owned());
            return self
                .components
                .get(name)
                .is_some_and(|component| self.holds_payload(component, seen));
        }
        match schema {
            Value::Object(map) => map.values().any(|value| self.holds_payload(value, seen)),
            Value::Array(list) => list.iter().any(|value| self.holds_payload(value, seen)),
            _ => false,
        }
    }

    /// Formats of request strings are notes and not checks (the wire's answer to a bad one comes from the handler), so they
    /// stay text. In answers they are exact.
    fn string_format(&self, object: &mut Object) {
        let kept = match object.get("format").and_then(Value::as_str) {
            Some("uuid" | "date-time") => !self.is_request,
            _ => false,
        };
        if !kept {
            object.remove("format");
        }
    }
}

/// Refuses keywords that no rule covers.
pub(crate) fn check_keywords(schema: &Value, place: &str) -> Result<(), Error> {
    let keys = schema.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    match keys.into_iter().find(|key| !KEYWORDS.contains(key) && !VALIDATION.contains(key)) {
        Some(key) => Err(Error::new(format!("{place}: no rule lowers the schema keyword {key}"))),
        None => Ok(()),
    }
}

pub(super) fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn is_null_type(schema: &Value) -> bool {
    schema["type"] == "null"
}

/// Whether null is among the allowed values of a schema as written.
pub(super) fn is_nullable(schema: &Value) -> bool {
    let types = schema["type"].as_array().into_iter().flatten();
    let branches =
        ["anyOf", "oneOf"].iter().filter_map(|union| schema[*union].as_array()).flatten();
    types.into_iter().any(|kind| kind == "null") || branches.into_iter().any(is_null_type)
}

/// JSON that belongs to the user is kept as text, whatever its schema says.
fn payload(object: &mut Object) -> bool {
    let is_payload = object.get("x-payload") == Some(&json!(true));
    if is_payload {
        *object =
            Map::from_iter([("$ref".into(), json!(format!("#/components/schemas/{RAW_JSON}")))]);
    }
    is_payload
}

/// See [`MAPS`].
fn map(object: &mut Object) -> bool {
    let is_map =
        object.get("x-name").and_then(Value::as_str).is_some_and(|name| MAPS.contains(&name));
    if is_map {
        let description = object.remove("description");
        *object = Map::from_iter([
            ("type".into(), json!("object")),
            ("additionalProperties".into(), json!({})),
        ]);
        object.extend(description.map(|text| ("description".to_owned(), text)));
    }
    is_map
}

fn drop_validation(object: &mut Object) {
    for key in VALIDATION {
        object.remove(key);
    }
}

/// 3.0 does not know `const`.
fn constant(object: &mut Object) {
    if let Some(value) = object.remove("const") {
        object.insert("enum".into(), json!([value]));
    }
}

/// One of two booleans is a boolean: there is no enum of them in Rust.
fn boolean_enum(object: &mut Object) {
    let of_booleans = |values: &Value| {
        values.as_array().is_some_and(|values| values.iter().all(Value::is_boolean))
    };
    if object.get("enum").is_some_and(of_booleans) {
        object.remove("enum");
        object.remove("x-name");
        object.insert("type".into(), json!("boolean"));
    }
}

/// One type and null: that type, nullable. Several types: any JSON, since a union would read every number as a float.
fn type_array(object: &mut Object) {
    let Some(Value::Array(types)) = object.get("type").cloned() else { return };
    let mut kinds: Vec<Value> = types.into_iter().filter(|kind| kind != "null").collect();
    if kinds.len() == 1 {
        object.insert("nullable".into(), json!(true));
        object.insert("type".into(), kinds.remove(0));
    } else {
        any_json(object);
    }
}

fn any_json(object: &mut Object) {
    object.retain(|key, _| key == "description");
}

fn take_union(object: &mut Object) -> Option<Vec<Value>> {
    match object.remove("anyOf").or_else(|| object.remove("oneOf")) {
        Some(Value::Array(branches)) => Some(branches),
        _ => None,
    }
}

/// A branch for null becomes `nullable`. All unions are `oneOf` from here on: of `anyOf` the generator would make one struct
/// with the fields of all branches.
fn null_branch(object: &mut Object) {
    let Some(mut branches) = take_union(object) else { return };
    let before = branches.len();
    branches.retain(|branch| !is_null_type(branch));
    if branches.len() < before {
        object.insert("nullable".into(), json!(true));
    }
    object.insert("oneOf".into(), Value::Array(branches));
}

/// Branches that only say which properties must be there are for the validator.
fn required_only(object: &mut Object) {
    let only_requires = |branch: &Value| {
        branch.as_object().is_some_and(|branch| {
            branch.keys().all(|key| matches!(key.as_str(), "required" | "not" | "description"))
        })
    };
    let branches = object.get("oneOf").and_then(Value::as_array);
    if branches.is_some_and(|branches| branches.iter().all(only_requires)) {
        object.remove("oneOf");
    }
}

/// Strings in different formats are strings: an enum would rewrite the text on its way through.
fn string_union(object: &mut Object) {
    let plain = |branch: &Value| branch["type"] == "string" && branch.get("enum").is_none();
    let branches = object.get("oneOf").and_then(Value::as_array);
    if branches.is_some_and(|branches| branches.len() > 1 && branches.iter().all(plain)) {
        object.remove("oneOf");
        object.insert("type".into(), json!("string"));
    }
}

/// A union with numbers in it is any JSON: its enum would read every number as a float.
fn any_json_union(object: &mut Object) {
    let numeric = |branch: &Value| matches!(branch["type"].as_str(), Some("number" | "integer"));
    let branches = object.get("oneOf").and_then(Value::as_array);
    if branches.is_some_and(|branches| branches.len() > 1 && branches.iter().any(numeric)) {
        any_json(object);
    }
}

/// 3.0 ignores what stands beside a reference, so null has to be said around it.
fn ref_siblings(object: &mut Object) {
    let Some(reference) = object.remove("$ref") else { return };
    let nullable = object.contains_key("nullable");
    *object = match nullable {
        true => Map::from_iter([
            ("nullable".into(), json!(true)),
            ("allOf".into(), json!([{"$ref": reference}])),
        ]),
        false => Map::from_iter([("$ref".into(), reference)]),
    };
}

/// Plain `i64`, whatever the limits are.
fn integer_format(object: &mut Object) {
    if object.get("type").is_some_and(|kind| kind == "integer") {
        object.insert("format".into(), json!("int64"));
    }
}

/// Optional properties are nullable: peers send null for them, and without it a list or map that was not sent could not be
/// told from an empty one, which would be dropped on the way out.
fn optional_is_nullable(object: &mut Object) {
    let names: Vec<Value> =
        object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, property) in
        object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        let Some(property) = property.as_object_mut() else { continue };
        let is_any = !property.contains_key("type")
            && !property.contains_key("$ref")
            && !property.contains_key("oneOf");
        if names.contains(&json!(name)) || is_any {
            continue;
        }
        property.insert("nullable".into(), json!(true));
        ref_siblings(property);
    }
}

/// Objects with known properties ignore others: keeping them would put an `extra` into every struct literal. Objects without
/// are maps. `additionalProperties: true` is the same as none to the generator, only the empty schema makes a map.
fn closed_or_free(object: &mut Object) {
    if object.contains_key("properties") {
        object.remove("additionalProperties");
    } else if object.get("type").is_some_and(|kind| kind == "object") {
        match object.get("additionalProperties") {
            Some(Value::Object(_)) => {}
            _ => {
                object.insert("additionalProperties".into(), json!({}));
            }
        }
    } else if object.get("type").is_some_and(|kind| kind == "array") {
        object.entry("items").or_insert_with(|| json!({}));
    }
}
