//! From what was typed to a request.

use std::io::Read as _;

use agent_server_api::{Location, Operation};
use agent_server_client::{Client, Request};
use clap::ArgMatches;
use serde_json::{Map, Value};

use super::{
    flags::{self, BODY, FIELD, Field},
    kind::{Alone, Kind, List},
};
use crate::refusal::{Refusal, Result};

/// The request for an operation.
///
/// Errors: a refusal that names the flag.
pub(super) fn request(
    client: &Client,
    operation: &Operation,
    given: &ArgMatches,
) -> Result<Request> {
    let streams = super::is_stream(operation);
    let mut request = client.request(operation.method, operation.path)?;
    for parameter in operation.parameters {
        let texts = texts(given, &flags::parameter_id(parameter));
        let [first, ..] = &texts[..] else { continue };
        request = match parameter.location {
            Location::Path => request.path(parameter.name, first),
            Location::Header => request.header(parameter.name, first)?,
            Location::Query if streams => request.query_list(parameter.name, texts),
            Location::Query => {
                texts.iter().fold(request, |request, text| request.query(parameter.name, text))
            }
        };
    }
    match body(operation, given)? {
        Some(body) => Ok(request.body(body)),
        None => Ok(request),
    }
}

/// The body as JSON text. One that is given whole is sent as it was written.
fn body(operation: &Operation, given: &ArgMatches) -> Result<Option<String>> {
    if operation.body.is_none() {
        return Ok(None);
    }
    let whole = match given.get_one::<String>(BODY) {
        Some(text) => Some(read("--body", text)?),
        None => None,
    };
    let mut fields = Map::new();
    for field in flags::fields(operation) {
        if let Some(value) = value(&field, given)? {
            fields.insert(field.name.to_owned(), value);
        }
    }
    for text in given.get_many::<String>(FIELD).into_iter().flatten() {
        let Some((name, json)) = text.split_once('=') else {
            return Err(Refusal::usage(format!("--field: '{text}' is not name=JSON")).into());
        };
        fields.insert(name.to_owned(), parse(&format!("--field {name}"), &read("--field", json)?)?);
    }
    let Some(whole) = whole else { return Ok(Some(Value::Object(fields).to_string())) };
    let mut value = parse("--body", &whole)?;
    if fields.is_empty() {
        return Ok(Some(whole));
    }
    match &mut value {
        Value::Object(object) => object.extend(fields),
        _ => {
            let text = "--body: fields can only be added to an object";
            return Err(Refusal::usage(text).into());
        }
    }
    Ok(Some(value.to_string()))
}

fn value(field: &Field, given: &ArgMatches) -> Result<Option<Value>> {
    let texts = texts(given, &flags::field_id(field.name));
    let Some(first) = texts.first() else { return Ok(None) };
    let place = || format!("--{}", field.name.replace('_', "-"));
    Ok(Some(match &field.kind {
        Kind::Text | Kind::Choice(_) => first.as_str().into(),
        Kind::Integer | Kind::Number | Kind::Boolean => parse(&place(), first)?,
        Kind::List(list) => listed(list, texts),
        Kind::Json(or_text) => match parse(&place(), &read(&place(), first)?) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
            _ if *or_text => first.as_str().into(),
            other => other?,
        },
    }))
}

fn listed(list: &List, texts: Vec<String>) -> Value {
    match (&texts[..], &list.alone) {
        ([one], Alone::All) => one.as_str().into(),
        ([one], Alone::These(words)) if words.contains(one) => one.as_str().into(),
        _ => texts.into(),
    }
}

/// What was typed for a flag, as text.
fn texts(given: &ArgMatches, id: &str) -> Vec<String> {
    let raw = given.get_raw(id).into_iter().flatten();
    raw.map(|text| text.to_string_lossy().into_owned()).collect()
}

/// JSON as it was typed, or where `@` and `-` say that it is.
fn read(place: &str, text: &str) -> Result<String> {
    let refused = |error| Refusal::usage(format!("{place}: {text}: {error}"));
    if text == "-" {
        let mut typed = String::new();
        std::io::stdin().read_to_string(&mut typed).map_err(refused)?;
        return Ok(typed);
    }
    match text.strip_prefix('@') {
        Some(path) => Ok(std::fs::read_to_string(path).map_err(refused)?),
        None => Ok(text.to_owned()),
    }
}

fn parse(place: &str, text: &str) -> Result<Value> {
    let problem = |error| Refusal::usage(format!("{place}: not JSON: {error}"));
    Ok(serde_json::from_str(text).map_err(problem)?)
}
