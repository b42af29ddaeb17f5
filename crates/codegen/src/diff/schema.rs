//! Comparing schemas.
//!
//! What a client may send and what it may receive have opposite rules: of a request it is bad to allow less, of an answer to
//! send more.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Impact, Report};
use crate::document::{entries, ref_name};

/// The way that a value takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// From the client.
    Request,
    /// To the client.
    Response,
}

impl Role {
    /// Impact of allowing less.
    fn narrower(self) -> Impact {
        match self {
            Self::Request => Impact::Breaking,
            Self::Response => Impact::Compatible,
        }
    }

    /// Impact of allowing more.
    fn wider(self) -> Impact {
        match self {
            Self::Request => Impact::Compatible,
            Self::Response => Impact::Breaking,
        }
    }
}

/// Texts, and what is compared by rules of its own.
const SKIPPED: [&str; 14] = [
    "$ref",
    "anyOf",
    "const",
    "description",
    "enum",
    "example",
    "examples",
    "items",
    "nullable",
    "oneOf",
    "properties",
    "required",
    "title",
    "type",
];

/// Limits that become narrower as they grow.
const LOWER_LIMITS: [&str; 4] = ["minItems", "minLength", "minProperties", "minimum"];

/// Limits that become narrower as they shrink.
const UPPER_LIMITS: [&str; 4] = ["maxItems", "maxLength", "maxProperties", "maximum"];

/// Two sets of components, and which of them are still to be compared.
pub(super) struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// Names in the old and the new document.
    todo: Vec<(String, String, Role)>,
    done: BTreeSet<(String, String, Role)>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: &'a Value, new: &'a Value) -> Self {
        let components = |document: &'a Value| &document["components"]["schemas"];
        Self { old: components(old), new: components(new), todo: vec![], done: BTreeSet::new() }
    }

    /// Compares the components that were met, and those that they refer to.
    pub(super) fn components(mut self, report: &mut Report) {
        while let Some(pair) = self.todo.pop() {
            if self.done.insert(pair.clone()) {
                let (old, new, role) = pair;
                let (before, after) = (&self.old[&old], &self.new[&new]);
                let place = if old == new { new } else { format!("{old} as {new}") };
                self.compare(before, after, &place, role, report);
            }
        }
        for (name, _) in entries(self.old).filter(|(name, _)| self.new.get(name).is_none()) {
            report.add(Impact::Warning, name, "component removed");
        }
        for (name, _) in entries(self.new).filter(|(name, _)| self.old.get(name).is_none()) {
            report.add(Impact::Compatible, name, "component added");
        }
    }

    /// Compares two schemas.
    pub(super) fn compare(
        &mut self,
        old: &Value,
        new: &Value,
        place: &str,
        role: Role,
        report: &mut Report,
    ) {
        nullability(old, new, place, role, report);
        // A union with null is what is left without it.
        let (old, new) = (&without_null(old), &without_null(new));
        if let (Some(before), Some(after)) = (ref_name(old), ref_name(new)) {
            if before != after {
                report.add(Impact::Warning, place, format!("{before} is now {after}"));
            }
            self.todo.push((before.to_owned(), after.to_owned(), role));
            return;
        }
        let (old, new) = (&self.resolved(old, true), &self.resolved(new, false));
        types(old, new, place, role, report);
        enums(old, new, place, role, report);
        limits(old, new, place, role, report);
        unions(old, new, place, role, report);
        self.properties(old, new, place, role, report);
        for key in ["items", "additionalProperties"] {
            match (&old[key], &new[key]) {
                (before @ Value::Object(_), after @ Value::Object(_)) => {
                    self.compare(before, after, &format!("{place}[]"), role, report);
                }
                (before, after) if key == "items" && before != after => {
                    report.add(Impact::Warning, place, "items changed");
                }
                _ => {}
            }
        }
        others(old, new, place, report);
    }

    fn resolved(&self, schema: &Value, is_old: bool) -> Value {
        let components = if is_old { self.old } else { self.new };
        ref_name(schema).map_or_else(|| schema.clone(), |name| components[name].clone())
    }

    fn properties(
        &mut self,
        old: &Value,
        new: &Value,
        place: &str,
        role: Role,
        report: &mut Report,
    ) {
        let is_required = |schema: &Value, name: &String| {
            schema["required"]
                .as_array()
                .is_some_and(|names| names.iter().any(|known| known == name))
        };
        for (name, before) in entries(&old["properties"]) {
            let place = format!("{place}.{name}");
            let Some(after) = new["properties"].get(name) else {
                let impact =
                    if role == Role::Response { Impact::Breaking } else { Impact::Warning };
                report.add(impact, &place, "removed");
                continue;
            };
            match (is_required(old, name), is_required(new, name)) {
                (false, true) => report.add(role.narrower(), &place, "is required now"),
                (true, false) => report.add(role.wider(), &place, "is optional now"),
                _ => {}
            }
            self.compare(before, after, &place, role, report);
        }
        for (name, _) in entries(&new["properties"]) {
            if old["properties"].get(name).is_some() {
                continue;
            }
            let needed = role == Role::Request && is_required(new, name);
            let (impact, what) = if needed {
                (Impact::Breaking, "added, required")
            } else {
                (Impact::Compatible, "added")
            };
            report.add(impact, &format!("{place}.{name}"), what);
        }
    }
}

/// The types that a schema names, without null. Empty for any.
fn type_names(schema: &Value) -> BTreeSet<&str> {
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    names.into_iter().filter(|name| *name != "null").collect()
}

fn branches(schema: &Value) -> Vec<&Value> {
    ["anyOf", "oneOf"].iter().filter_map(|key| schema[*key].as_array()).flatten().collect()
}

fn is_nullable(schema: &Value) -> bool {
    let names_null = |schema: &Value| match &schema["type"] {
        Value::String(name) => name == "null",
        Value::Array(names) => names.iter().any(|name| name == "null"),
        _ => false,
    };
    names_null(schema) || branches(schema).into_iter().any(names_null)
}

fn nullability(old: &Value, new: &Value, place: &str, role: Role, report: &mut Report) {
    match (is_nullable(old), is_nullable(new)) {
        (false, true) => report.add(role.wider(), place, "may be null now"),
        (true, false) => report.add(role.narrower(), place, "is not null any more"),
        _ => {}
    }
}

/// A union of one branch and null as that branch.
fn without_null(schema: &Value) -> Value {
    let mut rest = branches(schema).into_iter().filter(|branch| branch["type"] != "null");
    match (rest.next(), rest.next()) {
        (Some(only), None) => only.clone(),
        _ => schema.clone(),
    }
}

fn types(old: &Value, new: &Value, place: &str, role: Role, report: &mut Report) {
    let (before, after) = (type_names(old), type_names(new));
    if before == after {
        return;
    }
    let list = |names: &BTreeSet<&str>| match names.is_empty() {
        true => "any".to_owned(),
        false => names.iter().copied().collect::<Vec<_>>().join(", "),
    };
    let what = format!("type {} is now {}", list(&before), list(&after));
    let allows_less = !after.is_empty() && (before.is_empty() || !before.is_subset(&after));
    let allows_more = !before.is_empty() && (after.is_empty() || !after.is_subset(&before));
    let impacts = [(allows_less, role.narrower()), (allows_more, role.wider())];
    let worst = impacts.into_iter().filter(|(applies, _)| *applies).map(|(_, impact)| impact).min();
    report.add(worst.unwrap_or(Impact::Warning), place, what);
}

fn enums(old: &Value, new: &Value, place: &str, role: Role, report: &mut Report) {
    let values = |schema: &Value| match (&schema["enum"], schema.get("const")) {
        (Value::Array(values), _) => Some(values.clone()),
        (_, Some(value)) => Some(vec![value.clone()]),
        _ => None,
    };
    match (values(old), values(new)) {
        (Some(before), Some(after)) => {
            for value in before.iter().filter(|value| !after.contains(value)) {
                report.add(role.narrower(), place, format!("value {value} removed"));
            }
            // Breaks only clients that insist on knowing all values, as generated ones do.
            let added = if role == Role::Response { Impact::Warning } else { Impact::Compatible };
            for value in after.iter().filter(|value| !before.contains(value)) {
                report.add(added, place, format!("value {value} added"));
            }
        }
        (None, Some(_)) => report.add(role.narrower(), place, "has a list of values now"),
        (Some(_), None) => report.add(role.wider(), place, "has no list of values any more"),
        (None, None) => {}
    }
}

fn limits(old: &Value, new: &Value, place: &str, role: Role, report: &mut Report) {
    let upper = UPPER_LIMITS.iter().map(|key| (key, 1.0));
    let lower = LOWER_LIMITS.iter().map(|key| (key, -1.0));
    for (key, sign) in upper.chain(lower) {
        // No limit is the widest one, of either kind.
        let limit =
            |schema: &Value| schema[*key].as_f64().map_or(f64::INFINITY, |limit| limit * sign);
        let (before, after) = (limit(old), limit(new));
        if before == after {
            continue;
        }
        let impact = if after < before { role.narrower() } else { role.wider() };
        let what = match (old.get(*key), new.get(*key)) {
            (Some(old), Some(new)) => format!("{key} {old} is now {new}"),
            (Some(old), None) => format!("{key} {old} removed"),
            (None, new) => format!("{key} {} added", new.unwrap_or_default()),
        };
        report.add(impact, place, what);
    }
}

/// Branches of unions are compared as a whole.
fn unions(old: &Value, new: &Value, place: &str, role: Role, report: &mut Report) {
    let strip =
        |schema: &Value| branches(schema).into_iter().map(without_texts).collect::<Vec<_>>();
    let (before, after) = (strip(old), strip(new));
    if before.iter().any(|branch| !after.contains(branch)) {
        report.add(role.narrower(), place, "a branch of the union changed or was removed");
    }
    if after.iter().any(|branch| !before.contains(branch)) {
        report.add(role.wider(), place, "a branch of the union changed or was added");
    }
}

/// Keywords that have no rule here. Extensions say something to our generators and nothing about the wire.
fn others(old: &Value, new: &Value, place: &str, report: &mut Report) {
    let rest = |schema: &Value| {
        let mut object = schema.as_object().cloned().unwrap_or_default();
        object.retain(|key, value| {
            let compared =
                SKIPPED.iter().chain(&LOWER_LIMITS).chain(&UPPER_LIMITS).any(|known| known == key);
            !compared
                && !key.starts_with("x-")
                && (key != "additionalProperties" || !value.is_object())
        });
        object
    };
    let (before, after): (Map<_, _>, Map<_, _>) = (rest(old), rest(new));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        if before.get(key) != after.get(key) {
            report.add(Impact::Warning, place, format!("{key} changed"));
        }
    }
}

/// A schema without what only readers and our generators look at. A property can have any name, so what is no keyword here
/// is told by its value.
fn without_texts(schema: &Value) -> Value {
    let is_text = |key: &str, value: &Value| match key {
        "description" | "title" => value.is_string(),
        _ => key.starts_with("x-") && !value.is_object(),
    };
    match schema {
        Value::Object(object) => object
            .iter()
            .filter(|(key, value)| !is_text(key, value))
            .map(|(key, value)| (key.clone(), without_texts(value)))
            .collect(),
        Value::Array(list) => list.iter().map(without_texts).collect(),
        other => other.clone(),
    }
}
