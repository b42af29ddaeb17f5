//! The document: reading it, what is where in it, whether it is sound, how it is laid out.

mod validate;

use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, diff, names};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// An OpenAPI document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Value);

impl Document {
    /// Reads a document from a file.
    ///
    /// # Errors
    /// The file cannot be read or is not JSON.
    pub fn load(path: &Path) -> Result<Self, Error> {
        read_document(path).map(Self)
    }

    /// Reads a document from text.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map(Self).map_err(|error| Error::new(error.to_string()))
    }

    /// The document as JSON.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Everything that is wrong with the document, each with its place. Empty when code can be generated from it.
    pub fn validate(&self) -> Vec<Error> {
        validate::validate(&self.0)
    }

    /// The text that the document should have: two spaces, members in their order, a final newline.
    pub fn format(&self) -> String {
        format!("{:#}\n", self.0)
    }

    /// What a newer document changes, and what that means for clients of this one.
    pub fn diff(&self, newer: &Self) -> diff::Report {
        diff::diff(&self.0, &newer.0)
    }
}

/// Reads a document as plain JSON.
///
/// # Errors
/// The file cannot be read or is not JSON.
pub fn read_document(path: &Path) -> Result<Value, Error> {
    let place = |error: &dyn std::fmt::Display| Error::new(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| place(&error))?;
    serde_json::from_str(&text).map_err(|error| place(&error))
}

/// An operation of the document, in place.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) path: &'a str,
    /// In lower case, as the document writes it.
    pub(crate) method: &'a str,
    pub(crate) value: &'a Value,
}

impl<'a> Operation<'a> {
    /// `GET /threads/{thread_id}`, to say where something is wrong.
    pub(crate) fn place(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    pub(crate) fn id(&self) -> &'a str {
        text(&self.value["operationId"])
    }

    pub(crate) fn short_name(&self) -> Result<String, Error> {
        names::short_name(self.id())
            .map_err(|error| Error::new(format!("{}: {error}", self.place())))
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.value["parameters"].as_array().into_iter().flatten()
    }

    /// Status and response of everything that is a success, which statuses marked `x-failure` are not.
    pub(crate) fn successes(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        entries(&self.value["responses"]).filter(|(status, response)| is_success(status, response))
    }

    /// The other responses.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        entries(&self.value["responses"]).filter(|(status, response)| !is_success(status, response))
    }
}

/// Whether a response is what the caller wanted.
pub(crate) fn is_success(status: &str, response: &Value) -> bool {
    status.starts_with('2') && response["x-failure"] != true
}

/// The document with the responses that operations share (`#/components/responses/…`) in the place of every reference to
/// one, so that nobody behind has to follow it.
pub(crate) fn with_responses(document: &Value) -> Value {
    let mut document = document.clone();
    let shared = document["components"]["responses"].clone();
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
        for response in responses.into_iter().flat_map(Map::values_mut) {
            if let Some(name) = response_name(response) {
                *response = shared[name].clone();
            }
        }
    }
    document
}

/// Name of the shared response that a response refers to.
pub(crate) fn response_name(response: &Value) -> Option<&str> {
    response.get("$ref")?.as_str()?.strip_prefix("#/components/responses/")
}

/// The name of the parameter that a path refers to.
pub(crate) fn parameter_name(parameter: &Value) -> Option<&str> {
    parameter.get("$ref")?.as_str()?.strip_prefix("#/components/parameters/")
}

/// The operations in the order of the document.
pub(crate) fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    entries(&document["paths"]).flat_map(|(path, item)| {
        entries(item)
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
            .map(move |(method, value)| Operation { path, method, value })
    })
}

/// Name of the component that a schema refers to.
pub(crate) fn ref_name(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

/// Members of an object; none of anything else.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// The text of a string; empty for anything else.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
