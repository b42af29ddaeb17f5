//! What must hold in a document, beyond what the generators look at by themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Operation, entries, operations, parameter_name, ref_name, response_name, text};
use crate::{Error, api, client, lower};

/// Collects everything that is wrong.
pub(super) fn validate(document: &Value) -> Vec<Error> {
    let mut problems = Problems(vec![]);
    if !text(&document["openapi"]).starts_with("3.1.") {
        problems.add("openapi", "only OpenAPI 3.1 is read");
    }
    references(document, "#", document, &mut problems);
    ids(document, &mut problems);
    for operation in operations(document) {
        descriptions(&operation, &mut problems);
        parameters(&operation, &mut problems);
        if entries(&operation.value["responses"]).next().is_none() {
            problems.add(&operation.place(), "no responses");
        }
    }
    for (name, component) in entries(&document["components"]["schemas"]) {
        described(component, name, &mut problems);
    }
    for (name, response) in entries(&document["components"]["responses"]) {
        if text(&response["description"]).is_empty() {
            problems.add(&format!("components.responses.{name}"), "no description");
        }
    }
    #[cfg(feature = "conformance")]
    schemas::check(document, &mut problems);
    // The generators stop at the first thing that they do not understand; what they say about a document that is broken
    // otherwise would only repeat it.
    if problems.0.is_empty() {
        problems.0.extend(client::generate(document).err());
        problems.0.extend(api::api(document).err());
    }
    problems.0
}

/// What was found.
struct Problems(Vec<Error>);

impl Problems {
    fn add(&mut self, place: &str, what: impl std::fmt::Display) {
        self.0.push(Error::new(format!("{place}: {what}")));
    }
}

fn references(value: &Value, place: &str, document: &Value, problems: &mut Problems) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        let names = [ref_name(value), response_name(value), parameter_name(value)];
        if target.is_none() || names.iter().flatten().next().is_none() {
            problems.add(place, format!("{reference} is not a component of this document"));
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                references(
                    value,
                    &format!("{place}/{}", key.replace('/', "~1")),
                    document,
                    problems,
                );
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                references(value, &format!("{place}/{index}"), document, problems);
            }
        }
        _ => {}
    }
}

/// Every operation has an id, and a short name that no other one has.
fn ids(document: &Value, problems: &mut Problems) {
    let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
    for operation in operations(document) {
        let place = operation.place();
        if operation.id().is_empty() {
            problems.add(&place, "no operationId");
            continue;
        }
        if let Some(other) = ids.insert(operation.id(), place.clone()) {
            problems.add(&place, format!("operationId {} is the one of {other}", operation.id()));
            continue;
        }
        match operation.short_name() {
            Err(error) => problems.0.push(error),
            Ok(name) => {
                if let Some(other) = names.insert(name.clone(), place.clone()) {
                    problems.add(&place, format!("the short name {name} is the one of {other}"));
                }
            }
        }
    }
}

fn descriptions(operation: &Operation<'_>, problems: &mut Problems) {
    for key in ["summary", "description"] {
        if text(&operation.value[key]).is_empty() {
            problems.add(&operation.place(), format!("no {key}"));
        }
    }
    if text(&operation.value["tags"][0]).is_empty() {
        problems.add(&operation.place(), "no tag");
    }
}

/// Path parameters stand in the path and are declared, and all parameters have schemas with rules.
fn parameters(operation: &Operation<'_>, problems: &mut Problems) {
    let place = operation.place();
    let in_path: BTreeSet<&str> = operation
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .collect();
    let mut declared = BTreeSet::new();
    for parameter in operation.parameters() {
        let name = text(&parameter["name"]);
        if text(&parameter["description"]).is_empty() {
            problems.add(&place, format!("parameter {name} has no description"));
        }
        if let Err(error) =
            lower::check_keywords(&parameter["schema"], &format!("{place}: parameter {name}"))
        {
            problems.0.push(error);
        }
        if parameter["in"] == "path" {
            declared.insert(name);
            if parameter["required"] != true {
                problems.add(&place, format!("path parameter {name} is not required"));
            }
        }
    }
    for name in in_path.symmetric_difference(&declared) {
        problems.add(&place, format!("path parameter {name} is not both in the path and declared"));
    }
}

/// Components and their properties are described.
fn described(component: &Value, name: &str, problems: &mut Problems) {
    let without = |schema: &Value| text(&schema["description"]).is_empty();
    if without(component) {
        problems.add(&format!("components.schemas.{name}"), "no description");
    }
    for (property, schema) in entries(&component["properties"]) {
        if without(schema) {
            problems.add(&format!("components.schemas.{name}.{property}"), "no description");
        }
    }
}

/// Schemas as the engine reads them that validates requests.
#[cfg(feature = "conformance")]
mod schemas {
    use serde_json::{Value, json};

    use super::Problems;
    use crate::document::{entries, operations};

    /// Every component is a schema, and every example follows its own.
    pub(super) fn check(document: &Value, problems: &mut Problems) {
        for (name, _) in entries(&document["components"]["schemas"]) {
            let schema = json!({"$ref": format!("#/components/schemas/{name}")});
            if let Err(error) = compile(&schema, document) {
                problems.add(&format!("components.schemas.{name}"), error);
            }
        }
        for (name, response) in entries(&document["components"]["responses"]) {
            examples(response, &format!("components.responses.{name}"), document, problems);
        }
        for operation in operations(document) {
            let place = operation.place();
            examples(&operation.value["requestBody"], &place, document, problems);
            for (status, response) in entries(&operation.value["responses"]) {
                examples(response, &format!("{place}: {status}"), document, problems);
            }
        }
    }

    fn examples(body: &Value, place: &str, document: &Value, problems: &mut Problems) {
        for (_, media) in entries(&body["content"]) {
            let Ok(validator) = compile(&media["schema"], document) else { continue };
            let named = entries(&media["examples"])
                .map(|(name, example)| (name.as_str(), &example["value"]));
            for (name, example) in
                media.get("example").map(|example| ("", example)).into_iter().chain(named)
            {
                if let Err(error) = validator.validate(example) {
                    problems
                        .add(place, format!("example {name} does not follow the schema: {error}"));
                }
            }
        }
    }

    fn compile(schema: &Value, document: &Value) -> Result<jsonschema::Validator, String> {
        let mut root = schema.clone();
        root["components"] = document["components"].clone();
        jsonschema::draft202012::new(&root).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
