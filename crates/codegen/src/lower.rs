//! From OpenAPI 3.1 to the 3.0 subset that progenitor accepts, and to types that reproduce the wire.
//!
//! Each step is a function with the reason why it is there. A schema keyword without a rule is an error: the generator
//! behind would drop it without a word, and the code would be wrong. Validation never sees the lowered document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{Error, names};

type Object = Map<String, Value>;

/// Component that stands for JSON that belongs to the user.
pub const RAW_JSON: &str = "RawJson";

/// Keywords that only validation needs; types do not show them.
const CONSTRAINTS: [&str; 13] = [
    "default", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "minProperties",
    "pattern", "uniqueItems", "title", "deprecated",
];

/// The lowered document and what the passes over the generated code need to know.
#[derive(Debug)]
pub struct Lowered {
    /// OpenAPI 3.0.3.
    pub document: Value,
    /// Type name and property of fields with three states on the wire: absent, null, value.
    pub three_state: BTreeSet<(String, String)>,
}

/// Lowers a document.
///
/// # Errors
/// Names the place that no rule covers.
pub fn lower(document: &Value) -> Result<Lowered, Error> {
    let mut document = document.clone();
    names::shorten(&mut document)?;
    document["openapi"] = json!("3.0.3");
    let requests = reachable(&document, &["requestBody"]);
    let mut schemas = take_schemas(&mut document)?;
    let three_state = three_state(&schemas, &requests);
    let mut hoisted = BTreeMap::new();
    let names: Vec<String> = schemas.keys().cloned().collect();
    let originals = schemas.clone();
    for name in names {
        let is_request = requests.contains(&name);
        let place = format!("components.schemas.{name}");
        let context = Context { originals: &originals, is_request };
        let mut schema = schemas[&name].take();
        context.schema(&mut schema, &place, &mut hoisted)?;
        schemas[&name] = schema;
    }
    for (name, schema) in hoisted {
        if schemas.insert(name.clone(), schema).is_some() {
            return Err(Error::new(format!("x-name {name} is also the name of a component")));
        }
    }
    schemas.insert(RAW_JSON.into(), json!({"description": "One JSON value, as it came."}));
    schemas.sort_keys();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            lower_operation(operation, &format!("{method} {path}"))?;
        }
    }
    document["components"] = json!({"schemas": schemas});
    Ok(Lowered { document, three_state })
}

fn take_schemas(document: &mut Value) -> Result<Object, Error> {
    match document["components"]["schemas"].take() {
        Value::Object(schemas) => Ok(schemas),
        _ => Err(Error::new("the document has no components.schemas")),
    }
}

fn ref_name(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

/// Names of the components that are reached from the given part of any operation.
fn reachable(document: &Value, parts: &[&str]) -> BTreeSet<String> {
    let mut todo = vec![];
    for (_, item) in document["paths"].as_object().into_iter().flatten() {
        for (_, operation) in item.as_object().into_iter().flatten() {
            for part in parts {
                collect_refs(&operation[*part], &mut todo);
            }
        }
    }
    let mut found = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if found.insert(name.clone()) {
            collect_refs(&document["components"]["schemas"][&name], &mut todo);
        }
    }
    found
}

fn collect_refs(value: &Value, into: &mut Vec<String>) {
    if let Some(name) = ref_name(value) {
        into.push(name.to_owned());
    }
    match value {
        Value::Object(map) => map.values().for_each(|value| collect_refs(value, into)),
        Value::Array(list) => list.iter().for_each(|value| collect_refs(value, into)),
        _ => {}
    }
}

/// Optional *and* nullable properties of answers: absent and null differ there. In requests `null` and absent ask for the
/// same, and payloads hold their own null.
fn three_state(schemas: &Object, requests: &BTreeSet<String>) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (name, schema) in schemas.iter().filter(|(name, _)| !requests.contains(*name)) {
        let required = required(schema);
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            if !required.contains(&property.as_str()) && is_nullable(schema) && schema["x-payload"] != json!(true) {
                found.insert((name.clone(), property.clone()));
            }
        }
    }
    found
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn is_null_type(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn is_nullable(schema: &Value) -> bool {
    let in_type = schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
    let in_union = ["anyOf", "oneOf"]
        .iter()
        .any(|union| schema[*union].as_array().is_some_and(|branches| branches.iter().any(is_null_type)));
    in_type || in_union
}

struct Context<'a> {
    originals: &'a Object,
    is_request: bool,
}

impl Context<'_> {
    /// Lowers a schema in place; inline schemas with an `x-name` move to `hoisted`.
    fn schema(&self, schema: &mut Value, place: &str, hoisted: &mut BTreeMap<String, Value>) -> Result<(), Error> {
        if schema.get("x-payload") == Some(&json!(true)) {
            *schema = json!({"$ref": format!("#/components/schemas/{RAW_JSON}")});
            return Ok(());
        }
        if schema == &json!(true) {
            *schema = json!({});
        }
        let Some(object) = schema.as_object_mut() else {
            return Err(Error::new(format!("{place}: not a schema")));
        };
        // Unknown keys of a config must survive, and rules read it as a map.
        if object.get("x-name").is_some_and(|name| name == "RunConfig") {
            let description = object.remove("description");
            *object = Map::from_iter([("type".into(), json!("object")), ("additionalProperties".into(), json!({}))]);
            object.extend(description.map(|text| ("description".to_owned(), text)));
            return Ok(());
        }
        self.merge_all_of(object, place)?;
        drop_constraints(object);
        lower_const(object);
        lower_type_array(object);
        self.lower_union(object, place)?;
        drop_ref_siblings(object);
        self.lower_format(object);
        self.children(object, place, hoisted)?;
        refuse_unknown(object, place)?;
        hoist(schema, place, hoisted)
    }

    fn children(
        &self,
        object: &mut Object,
        place: &str,
        hoisted: &mut BTreeMap<String, Value>,
    ) -> Result<(), Error> {
        let required: Vec<Value> = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, property) in properties {
                self.schema(property, &format!("{place}.{name}"), hoisted)?;
                // Else a list or map that was not sent could not be told from an empty one, and an empty one would be
                // dropped on the way out.
                if !required.contains(&json!(name)) && property.get("type").is_some() {
                    property["nullable"] = json!(true);
                }
            }
        }
        for key in ["items", "additionalProperties"] {
            match object.get_mut(key) {
                Some(child @ Value::Object(_)) => self.schema(child, &format!("{place}.{key}"), hoisted)?,
                // `true` is what an absent keyword means; only the empty schema yields a map.
                Some(child @ Value::Bool(true)) => *child = json!({}),
                _ => {}
            }
        }
        if let Some(branches) = object.get_mut("oneOf").and_then(Value::as_array_mut) {
            for (index, branch) in branches.iter_mut().enumerate() {
                self.schema(branch, &format!("{place}.oneOf[{index}]"), hoisted)?;
            }
        }
        if object.contains_key("properties") {
            // Objects with known properties ignore others.
            object.remove("additionalProperties");
        } else if object.get("type").is_some_and(|kind| kind == "object") {
            object.entry("additionalProperties").or_insert_with(|| json!({}));
        }
        if object.get("type").is_some_and(|kind| kind == "array") {
            object.entry("items").or_insert_with(|| json!({}));
        }
        Ok(())
    }

    /// `allOf` of objects becomes one object: the generator would flatten it with types of its own.
    fn merge_all_of(&self, object: &mut Object, place: &str) -> Result<(), Error> {
        let Some(Value::Array(parts)) = object.remove("allOf") else { return Ok(()) };
        let mut properties = Map::new();
        let mut required = vec![];
        for part in parts {
            let part = match ref_name(&part) {
                Some(name) => self.originals.get(name).cloned().unwrap_or_default(),
                None => part,
            };
            let Value::Object(mut part) = part else {
                return Err(Error::new(format!("{place}: allOf of something that is no object")));
            };
            if let Some(Value::Object(more)) = part.remove("properties") {
                properties.extend(more);
            }
            if let Some(Value::Array(more)) = part.remove("required") {
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

    /// Unions: null branches become `nullable`, unions of strings a string, branches that only require something nothing.
    fn lower_union(&self, object: &mut Object, place: &str) -> Result<(), Error> {
        let Some(Value::Array(mut branches)) = object.remove("anyOf").or_else(|| object.remove("oneOf")) else {
            return Ok(());
        };
        let before = branches.len();
        branches.retain(|branch| !is_null_type(branch));
        if branches.len() < before {
            object.insert("nullable".into(), json!(true));
        }
        let only_requires = |branch: &Value| {
            branch.as_object().is_some_and(|branch| branch.keys().all(|key| matches!(key.as_str(), "required" | "not" | "description")))
        };
        if branches.iter().all(only_requires) {
            return Ok(());
        }
        let plain_string = |branch: &Value| branch["type"] == "string" && branch.get("enum").is_none();
        if branches.len() > 1 && branches.iter().all(plain_string) {
            object.insert("type".into(), json!("string"));
            return Ok(());
        }
        if branches.len() == 1 {
            let branch = branches.remove(0);
            if branch.get("$ref").is_some() {
                object.insert("allOf".into(), json!([branch]));
                return Ok(());
            }
            let Value::Object(branch) = branch else {
                return Err(Error::new(format!("{place}: a union of something that is no schema")));
            };
            object.extend(branch.into_iter().filter(|(key, _)| key != "description"));
            return Ok(());
        }
        object.remove("type");
        object.insert("oneOf".into(), Value::Array(branches));
        Ok(())
    }

    /// Formats of request strings are notes, not checks (the wire's answer to a bad one comes from the handler). In answers
    /// they are exact.
    fn lower_format(&self, object: &mut Object) {
        let keep = match object.get("format").and_then(Value::as_str) {
            Some("uuid" | "date-time") => !self.is_request,
            _ => false,
        };
        if !keep {
            object.remove("format");
        }
        if object.get("type").is_some_and(|kind| kind == "integer") {
            object.insert("format".into(), json!("int64"));
        }
    }
}

fn drop_constraints(object: &mut Object) {
    for key in CONSTRAINTS {
        object.remove(key);
    }
    object.remove("example");
    object.remove("examples");
}

fn lower_const(object: &mut Object) {
    match object.remove("const") {
        Some(Value::Bool(_)) => {
            object.insert("type".into(), json!("boolean"));
        }
        Some(value) => {
            object.insert("enum".into(), json!([value]));
        }
        None => {}
    }
    // A boolean enum has no type of its own in Rust.
    if object.get("type").is_some_and(|kind| kind == "boolean") {
        object.remove("enum");
        object.remove("x-name");
    }
}

/// One type and null: that type, nullable. Several types: any JSON.
fn lower_type_array(object: &mut Object) {
    let Some(Value::Array(types)) = object.get("type").cloned() else { return };
    let mut kinds: Vec<Value> = types.into_iter().filter(|kind| kind != "null").collect();
    if kinds.len() == 1 {
        object.insert("nullable".into(), json!(true));
        object.insert("type".into(), kinds.remove(0));
    } else {
        object.remove("type");
    }
}

/// 3.0 ignores what stands beside a reference; the generator drops it anyway.
fn drop_ref_siblings(object: &mut Object) {
    if let Some(reference) = object.remove("$ref") {
        *object = Map::from_iter([("$ref".to_owned(), reference)]);
    }
}

fn refuse_unknown(object: &mut Object, place: &str) -> Result<(), Error> {
    object.retain(|key, _| !key.starts_with("x-") || key == "x-name");
    const KNOWN: [&str; 13] = [
        "type", "format", "enum", "nullable", "properties", "required", "items", "additionalProperties", "oneOf",
        "allOf", "$ref", "description", "x-name",
    ];
    match object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        Some(key) => Err(Error::new(format!("{place}: no rule lowers the schema keyword {key}"))),
        None => Ok(()),
    }
}

/// Moves a named inline schema to a component, so that equal ones are one Rust type.
fn hoist(schema: &mut Value, place: &str, hoisted: &mut BTreeMap<String, Value>) -> Result<(), Error> {
    let Some(object) = schema.as_object_mut() else { return Ok(()) };
    let Some(Value::String(name)) = object.remove("x-name") else { return Ok(()) };
    let nullable = object.remove("nullable").is_some();
    let mut component = schema.take();
    let reference = json!({"$ref": format!("#/components/schemas/{name}")});
    *schema = if nullable { json!({"nullable": true, "allOf": [reference]}) } else { reference };
    let strip = |value: &Value| {
        let mut value = value.clone();
        if let Some(object) = value.as_object_mut() {
            object.remove("description");
        }
        value
    };
    match hoisted.get(&name) {
        Some(known) if strip(known) != strip(&component) => {
            Err(Error::new(format!("{place}: x-name {name} means something else elsewhere")))
        }
        Some(_) => Ok(()),
        None => {
            if let Some(object) = component.as_object_mut() {
                object.remove("x-name");
            }
            hoisted.insert(name, component);
            Ok(())
        }
    }
}

/// Parameters and answers of one operation.
fn lower_operation(operation: &mut Value, place: &str) -> Result<(), Error> {
    let Some(object) = operation.as_object_mut() else { return Ok(()) };
    object.retain(|key, _| !key.starts_with("x-"));
    lower_parameters(object);
    if let Some(content) = object.get_mut("requestBody").and_then(|body| body["content"].as_object_mut()) {
        for (_, media) in content {
            let schema = media["schema"].take();
            *media = json!({"schema": keep_ref(schema)});
        }
    }
    lower_responses(object, place)
}

fn keep_ref(schema: Value) -> Value {
    match schema.get("$ref") {
        Some(reference) => json!({"$ref": reference}),
        None => match schema.get("items").and_then(|items| items.get("$ref")) {
            Some(reference) => json!({"type": "array", "items": {"$ref": reference}}),
            None => json!({}),
        },
    }
}

/// `Accept` is the client's own business. Other headers and all query parameters are text, numbers or lists of text.
fn lower_parameters(operation: &mut Object) {
    let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { return };
    parameters.retain(|parameter| !matches!(parameter["name"].as_str(), Some("Accept" | "Prefer")));
    for parameter in parameters {
        let schema = match parameter["schema"]["type"].as_str() {
            Some("integer") => json!({"type": "integer", "format": "int64"}),
            Some("boolean") => json!({"type": "boolean"}),
            Some("array") => json!({"type": "array", "items": {"type": "string"}}),
            _ if parameter["schema"]["format"] == "uuid" => json!({"type": "string", "format": "uuid"}),
            _ => json!({"type": "string"}),
        };
        parameter["schema"] = schema;
        if let Some(object) = parameter.as_object_mut() {
            object.retain(|key, _| !key.starts_with("x-") && key != "example" && key != "examples");
        }
    }
}

/// One type over all successes, one over all failures: more the generator cannot do. Failures of every status are read as
/// the common error body; what does not fit it is still there as bytes.
fn lower_responses(operation: &mut Object, place: &str) -> Result<(), Error> {
    let Some(Value::Object(responses)) = operation.remove("responses") else {
        return Err(Error::new(format!("{place}: no responses")));
    };
    let error = json!({"description": "Failure.", "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/ErrorResponse"}
    }}});
    let mut lowered = Map::new();
    let successes: Vec<(&String, &Value)> = responses
        .iter()
        .filter(|(status, response)| status.starts_with('2') && response["x-failure"] != json!(true))
        .collect();
    let shapes: BTreeSet<String> = successes
        .iter()
        .flat_map(|(_, response)| match response["content"].as_object() {
            Some(content) if !content.is_empty() => content
                .iter()
                .map(|(media, content)| format!("{media} {}", keep_ref(content["schema"].clone())))
                .collect(),
            _ => vec!["nothing".to_owned()],
        })
        .collect();
    let typed = shapes.len() == 1 && !shapes.iter().any(|shape| shape.starts_with("text/"));
    // The second status of these is asked for with a header that the client does not send.
    let patch = operation.get("operationId").is_some_and(|id| id == "patch_thread");
    for (status, response) in successes {
        if patch && status != "200" {
            continue;
        }
        let content = response["content"].as_object().filter(|content| !content.is_empty());
        let content = match content {
            Some(content) if typed || patch => {
                let schema = content.values().next().map(|media| keep_ref(media["schema"].clone()));
                Some(json!({"application/json": {"schema": schema}}))
            }
            None if typed => None,
            _ => Some(json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}})),
        };
        let mut answer = json!({"description": response["description"]});
        if let Some(content) = content {
            answer["content"] = content;
        }
        lowered.insert(status.clone(), answer);
    }
    lowered.insert("4XX".into(), error.clone());
    lowered.insert("5XX".into(), error);
    operation.insert("responses".into(), Value::Object(lowered));
    Ok(())
}
