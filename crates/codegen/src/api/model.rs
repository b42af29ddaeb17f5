//! The document's operations, read once into the form that the emitters need.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use serde_json::{Map, Value};

use crate::{Error, names};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation with everything that is generated from it.
pub(super) struct Operation {
    /// Short name in snake case; method name, and stem of all type names.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) responses: Vec<Response>,
    pub(super) extension: bool,
}

pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) location: Location,
    pub(super) required: bool,
    pub(super) schema: Value,
    pub(super) description: String,
    /// `x-invalid`: answer to a value of a wrong form.
    pub(super) refusal: Option<Refusal>,
    /// `x-true`: the texts that mean true.
    pub(super) truths: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    Path,
    Query,
    Header,
}

pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) detail: String,
}

pub(super) struct Body {
    pub(super) component: String,
    /// `x-raw-body`: the handler checks the body itself.
    pub(super) raw: bool,
}

/// One status with one media type.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) media_type: Option<String>,
    pub(super) schema: Schema,
    pub(super) headers: Vec<String>,
    /// Reported through the service's error type: everything that has the common error body.
    pub(super) is_error: bool,
    /// A status of 400 or more, or one marked `x-failure`.
    pub(super) failure: bool,
}

pub(super) enum Schema {
    None,
    Component(String),
    ArrayOf(String),
    Inline(Value),
}

impl Operation {
    /// `get_run` and `Path` make `GetRunPath`.
    pub(super) fn type_name(&self, suffix: &str) -> Ident {
        ident(&format!("{}{suffix}", pascal(&self.name)))
    }

    pub(super) fn method_name(&self) -> Ident {
        ident(&self.name)
    }

    pub(super) fn parameters_in(&self, location: Location) -> Vec<&Parameter> {
        self.parameters.iter().filter(|parameter| parameter.location == location).collect()
    }

    /// `GET /threads/{thread_id}`
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Schema {
    /// The Rust type that is on the wire.
    pub(super) fn rust_type(&self) -> TokenStream {
        match self {
            Self::None | Self::Inline(_) => quote!(serde_json::Value),
            Self::Component(name) => component_type(name),
            Self::ArrayOf(name) => {
                let element = component_type(name);
                quote!(Vec<#element>)
            }
        }
    }
}

/// Path of the wire type of a component. Component names are Rust type names already.
pub(super) fn component_type(name: &str) -> TokenStream {
    let name = ident(name);
    quote!(types::#name)
}

/// Reads all operations in the order of the document.
pub(super) fn operations(document: &Value) -> Result<Vec<Operation>, Error> {
    let mut found = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in
            entries(item).filter(|(method, _)| METHODS.contains(&method.as_str()))
        {
            found.push(read(path, method, operation)?);
        }
    }
    Ok(found)
}

fn read(path: &str, method: &str, operation: &Value) -> Result<Operation, Error> {
    let place = format!("{} {path}", method.to_uppercase());
    let id = text(&operation["operationId"]);
    if id.is_empty() {
        return Err(Error::new(format!("{place} has no operationId")));
    }
    let tag = text(&operation["tags"][0]);
    if tag.is_empty() {
        return Err(Error::new(format!("{place} has no tag")));
    }
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    Ok(Operation {
        name: names::short_name(&id)?.to_string(),
        tag,
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]),
        parameters: parameters
            .map(|value| read_parameter(&place, value))
            .collect::<Result<_, _>>()?,
        body: read_body(&place, operation)?,
        responses: read_responses(&place, &operation["responses"])?,
        extension: operation["x-extension"] == true,
        id,
    })
}

fn read_parameter(place: &str, value: &Value) -> Result<Parameter, Error> {
    let name = text(&value["name"]);
    let location = match value["in"].as_str() {
        Some("path") => Location::Path,
        Some("query") => Location::Query,
        Some("header") => Location::Header,
        other => return Err(Error::new(format!("{place}: parameter {name} stands in {other:?}"))),
    };
    let invalid = &value["x-invalid"];
    let refusal = match (invalid["status"].as_u64(), invalid["detail"].as_str()) {
        (Some(status), Some(detail)) => Some(Refusal {
            status: u16::try_from(status)
                .map_err(|_| Error::new(format!("{place}: parameter {name}: x-invalid.status")))?,
            detail: detail.to_owned(),
        }),
        _ => None,
    };
    Ok(Parameter {
        name,
        location,
        required: value["required"] == true,
        schema: value["schema"].clone(),
        description: text(&value["description"]),
        refusal,
        truths: value["x-true"].as_array().map(|truths| truths.iter().map(text).collect()),
    })
}

fn read_body(place: &str, operation: &Value) -> Result<Option<Body>, Error> {
    let Some(body) = operation.get("requestBody") else { return Ok(None) };
    match schema(&body["content"]["application/json"]["schema"]) {
        Schema::Component(component) => {
            Ok(Some(Body { component, raw: operation["x-raw-body"] == true }))
        }
        _ => Err(Error::new(format!("{place}: the request body must be JSON and a component"))),
    }
}

fn read_responses(place: &str, responses: &Value) -> Result<Vec<Response>, Error> {
    let mut found = Vec::new();
    for (status, response) in entries(responses) {
        let status: u16 = status
            .parse()
            .map_err(|_| Error::new(format!("{place}: response {status} is not a status")))?;
        let headers: Vec<_> = entries(&response["headers"]).map(|(name, _)| name.clone()).collect();
        let failure = status >= 400 || response["x-failure"] == true;
        let mut contents: Vec<_> = entries(&response["content"])
            .map(|(media_type, content)| (Some(media_type.clone()), schema(&content["schema"])))
            .collect();
        if contents.is_empty() {
            contents.push((None, Schema::None));
        }
        found.extend(contents.into_iter().map(|(media_type, schema)| Response {
            status,
            media_type,
            is_error: failure
                && matches!(&schema, Schema::Component(name) if name == "ErrorResponse"),
            schema,
            headers: headers.clone(),
            failure,
        }));
    }
    Ok(found)
}

fn schema(schema: &Value) -> Schema {
    let component = |schema: &Value| {
        schema["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix("#/components/schemas/"))
            .map(str::to_owned)
    };
    if schema.is_null() {
        Schema::None
    } else if let Some(name) = component(schema) {
        Schema::Component(name)
    } else if let Some(name) = component(&schema["items"]) {
        Schema::ArrayOf(name)
    } else {
        Schema::Inline(schema.clone())
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An identifier, with underscores for what Rust does not allow and escaped where it is a keyword.
pub(super) fn ident(name: &str) -> Ident {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    syn::parse_str(&name).unwrap_or_else(|_| Ident::new_raw(&name, Span::call_site()))
}

/// `thread_runs`, `Thread Runs` and `thread-runs` are all `ThreadRuns`.
pub(super) fn pascal(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| format!("{}{}", word[..1].to_uppercase(), word[1..].to_lowercase())).collect()
}

/// `Last-Event-ID` is `last_event_id`.
pub(super) fn snake(name: &str) -> String {
    name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
