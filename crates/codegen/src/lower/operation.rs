//! The steps that lower an operation.

use serde_json::{Map, Value, json};

use super::Object;
use crate::{
    Error,
    document::{entries, is_success},
};

/// Lowers parameters, body and answers.
pub(super) fn lower(operation: &mut Value, place: &str) -> Result<(), Error> {
    let Some(object) = operation.as_object_mut() else {
        return Err(Error::new(format!("{place}: not an operation")));
    };
    object.retain(|key, _| !key.starts_with("x-"));
    successes(object, place)?;
    parameters(object);
    request_body(object, place)
}

/// Headers that the client sets itself: `Accept` follows from the operation, and without `Prefer` there is one answer less.
fn parameters(operation: &mut Object) {
    let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else {
        return;
    };
    parameters.retain(|parameter| {
        parameter["in"] != "header"
            || !matches!(
                parameter["name"].as_str(),
                Some("Accept" | "Authorization" | "Content-Type" | "Prefer")
            )
    });
    for parameter in parameters {
        parameter["schema"] = parameter_schema(&parameter["schema"]);
        if let Some(object) = parameter.as_object_mut() {
            object.retain(|key, _| !key.starts_with("x-") && key != "example" && key != "examples");
        }
    }
}

/// Parameters are text, numbers, booleans or lists of text: what else the document says about them is for the server.
fn parameter_schema(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("integer") => json!({"type": "integer", "format": "int64"}),
        Some("boolean") => json!({"type": "boolean"}),
        Some("array") => json!({"type": "array", "items": {"type": "string"}}),
        _ if schema["format"] == "uuid" => json!({"type": "string", "format": "uuid"}),
        _ => json!({"type": "string"}),
    }
}

fn request_body(operation: &mut Object, place: &str) -> Result<(), Error> {
    let Some(body) = operation.get_mut("requestBody") else { return Ok(()) };
    for (_, media) in body["content"].as_object_mut().into_iter().flatten() {
        *media = json!({"schema": component(&media["schema"], place)?});
    }
    Ok(())
}

/// A component, or an array of one. Anything else would get a name that nobody can guess.
fn component(schema: &Value, place: &str) -> Result<Value, Error> {
    if let Some(reference) = schema.get("$ref") {
        return Ok(json!({"$ref": reference}));
    }
    match schema["items"].get("$ref") {
        Some(reference) => Ok(json!({"type": "array", "items": {"$ref": reference}})),
        None => Err(Error::new(format!("{place}: bodies are components or arrays of them"))),
    }
}

/// The generator can only do one type over all successes. Where there is more than one, or something else than JSON, the
/// answer is bytes and the client's own code looks at it.
///
/// Failures are left out altogether: the client reads each as status and text, also those without the common error body
/// and those that nobody documented.
fn successes(operation: &mut Object, place: &str) -> Result<(), Error> {
    let responses = operation.remove("responses").unwrap_or_default();
    let sends_prefer = operation
        .get("parameters")
        .and_then(Value::as_array)
        .is_some_and(|parameters| parameters.iter().any(|parameter| parameter["name"] == "Prefer"));
    let found: Vec<(&String, &Value)> = entries(&responses)
        .filter(|(status, response)| is_success(status, response))
        // Empty answers are what `Prefer` asks for, and the client does not.
        .filter(|(_, response)| !sends_prefer || response.get("content").is_some())
        .collect();
    let mut shapes = vec![];
    for (_, response) in &found {
        shapes.push(shape(response, place)?);
    }
    let bytes =
        json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}});
    let common = match shapes.first() {
        Some(first) if shapes.iter().all(|shape| shape == first) => first.clone(),
        _ => Shape::Mixed,
    };
    let mut lowered = Map::new();
    for (status, response) in found {
        let mut answer = json!({"description": response["description"]});
        match &common {
            Shape::Empty => {}
            Shape::Json(schema) => {
                answer["content"] = json!({"application/json": {"schema": schema}})
            }
            Shape::Mixed => answer["content"] = bytes.clone(),
        }
        lowered.insert(status.clone(), answer);
    }
    operation.insert("responses".into(), Value::Object(lowered));
    Ok(())
}

#[derive(Clone, PartialEq)]
enum Shape {
    Empty,
    Json(Value),
    Mixed,
}

fn shape(response: &Value, place: &str) -> Result<Shape, Error> {
    let contents: Vec<_> = entries(&response["content"]).collect();
    Ok(match contents.as_slice() {
        [] => Shape::Empty,
        [(media_type, content)] if *media_type == "application/json" => {
            Shape::Json(component(&content["schema"], place)?)
        }
        _ => Shape::Mixed,
    })
}
