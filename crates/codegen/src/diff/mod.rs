//! What a newer document changes, and what that means for clients written against the older one.
//!
//! Texts (summaries, descriptions, examples) do not count. `schema` compares schemas, each component once in the roles in
//! which it is used.

mod schema;

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::document::{Operation, entries, operations, text, with_responses};

/// What a change means for a client of the older document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Requests that were right are refused, or answers hold what the client cannot read.
    Breaking,
    /// Some clients stumble: generated enums refuse new values, generated methods change their name.
    Warning,
    /// Nobody notices who does not look for it.
    Compatible,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it means.
    pub impact: Impact,
    /// Operation or component, and what in it: `GET /info`, `Run.status`.
    pub place: String,
    /// What is different, as a half sentence.
    pub what: String,
}

/// All differences, those first that break clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of impact, then of place.
    pub changes: Vec<Change>,
}

impl Report {
    /// Whether a client of the older document can fail.
    pub fn is_breaking(&self) -> bool {
        self.changes.iter().any(|change| change.impact == Impact::Breaking)
    }

    /// Without the changes that the caller knows about.
    #[must_use]
    pub fn without(mut self, is_known: impl Fn(&Change) -> bool) -> Self {
        self.changes.retain(|change| !is_known(change));
        self
    }

    fn add(&mut self, impact: Impact, place: &str, what: impl Into<String>) {
        let what = what.into();
        // A component that goes both ways is judged by the way that it breaks.
        let known =
            self.changes.iter_mut().find(|change| change.place == place && change.what == what);
        match known {
            Some(change) => change.impact = change.impact.min(impact),
            None => self.changes.push(Change { impact, place: place.to_owned(), what }),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Change { impact, place, what } in &self.changes {
            let mark = match impact {
                Impact::Breaking => "BREAKS ",
                Impact::Warning => "careful",
                Impact::Compatible => "fine   ",
            };
            writeln!(f, "{mark} {place}: {what}")?;
        }
        Ok(())
    }
}

/// Compares two documents.
pub(crate) fn diff(old: &Value, new: &Value) -> Report {
    let (old, new) = (&with_responses(old), &with_responses(new));
    let mut report = Report::default();
    let mut schemas = schema::Comparison::new(old, new);
    let by_line = |document| {
        operations(document)
            .map(|operation| (operation.place(), operation))
            .collect::<BTreeMap<_, _>>()
    };
    let (before, after) = (by_line(old), by_line(new));
    for place in before.keys().filter(|place| !after.contains_key(*place)) {
        report.add(Impact::Breaking, place, "removed");
    }
    for (place, new) in &after {
        match before.get(place) {
            None => report.add(Impact::Compatible, place, "added"),
            Some(old) => compare_operations(old, new, &mut schemas, &mut report),
        }
    }
    schemas.components(&mut report);
    report.changes.sort_by(|a, b| (a.impact, &a.place).cmp(&(b.impact, &b.place)));
    report
}

fn compare_operations(
    old: &Operation<'_>,
    new: &Operation<'_>,
    schemas: &mut schema::Comparison<'_>,
    report: &mut Report,
) {
    let place = new.place();
    if old.id() != new.id() {
        let what = format!("operationId {} is now {}", old.id(), new.id());
        report.add(Impact::Warning, &place, what);
    }
    compare_parameters(old, new, schemas, report);
    compare_bodies(old, new, schemas, report);
    compare_responses(old, new, schemas, report);
}

fn compare_parameters(
    old: &Operation<'_>,
    new: &Operation<'_>,
    schemas: &mut schema::Comparison<'_>,
    report: &mut Report,
) {
    let by_name = |operation: &Operation<'_>| {
        let key =
            |parameter: &Value| format!("{} {}", text(&parameter["in"]), text(&parameter["name"]));
        let found: BTreeMap<String, Value> =
            operation.parameters().map(|parameter| (key(parameter), parameter.clone())).collect();
        found
    };
    let (before, after) = (by_name(old), by_name(new));
    for (name, parameter) in &before {
        let place = format!("{}: {name}", new.place());
        let Some(newer) = after.get(name) else {
            report.add(Impact::Warning, &place, "parameter removed");
            continue;
        };
        if newer["required"] == true && parameter["required"] != true {
            report.add(Impact::Breaking, &place, "is required now");
        }
        schemas.compare(
            &parameter["schema"],
            &newer["schema"],
            &place,
            schema::Role::Request,
            report,
        );
    }
    for (name, parameter) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        let place = format!("{}: {name}", new.place());
        match parameter["required"] == true {
            true => report.add(Impact::Breaking, &place, "required parameter added"),
            false => report.add(Impact::Compatible, &place, "parameter added"),
        }
    }
}

fn compare_bodies(
    old: &Operation<'_>,
    new: &Operation<'_>,
    schemas: &mut schema::Comparison<'_>,
    report: &mut Report,
) {
    let place = format!("{}: body", new.place());
    match (old.value.get("requestBody"), new.value.get("requestBody")) {
        (None, Some(body)) => match body["required"] == true {
            true => report.add(Impact::Breaking, &place, "a body is required now"),
            false => report.add(Impact::Compatible, &place, "a body may be sent now"),
        },
        (Some(_), None) => report.add(Impact::Warning, &place, "no body is read any more"),
        (Some(old), Some(new)) => {
            if new["required"] == true && old["required"] != true {
                report.add(Impact::Breaking, &place, "is required now");
            }
            compare_contents(old, new, &place, schema::Role::Request, schemas, report);
        }
        (None, None) => {}
    }
}

fn compare_responses(
    old: &Operation<'_>,
    new: &Operation<'_>,
    schemas: &mut schema::Comparison<'_>,
    report: &mut Report,
) {
    let (before, after) = (&old.value["responses"], &new.value["responses"]);
    for (status, response) in entries(before) {
        let place = format!("{}: {status}", new.place());
        match after.get(status) {
            Some(newer) => {
                for (header, _) in entries(&response["headers"]) {
                    if newer["headers"].get(header).is_none() {
                        report.add(Impact::Breaking, &place, format!("header {header} removed"));
                    }
                }
                compare_contents(response, newer, &place, schema::Role::Response, schemas, report);
            }
            None if status.starts_with('2') => {
                report.add(Impact::Breaking, &place, "answer removed")
            }
            None => report.add(Impact::Compatible, &place, "answer removed"),
        }
    }
    for (status, _) in entries(after).filter(|(status, _)| before.get(status).is_none()) {
        let impact = if status.starts_with('2') { Impact::Warning } else { Impact::Compatible };
        report.add(impact, &format!("{}: {status}", new.place()), "answer added");
    }
}

/// Media types and their schemas.
fn compare_contents(
    old: &Value,
    new: &Value,
    place: &str,
    role: schema::Role,
    schemas: &mut schema::Comparison<'_>,
    report: &mut Report,
) {
    for (media_type, content) in entries(&old["content"]) {
        match new["content"].get(media_type) {
            Some(newer) => {
                schemas.compare(&content["schema"], &newer["schema"], place, role, report)
            }
            None => report.add(Impact::Breaking, place, format!("{media_type} removed")),
        }
    }
    for (media_type, _) in entries(&new["content"]) {
        if old["content"].get(media_type).is_none() {
            report.add(Impact::Compatible, place, format!("{media_type} added"));
        }
    }
}

#[cfg(test)]
mod tests;
