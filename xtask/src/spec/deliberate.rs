//! Differences between our document and upstream's that are there on purpose.
//!
//! Two kinds: operations marked `x-extension`, which are ours alone, and what `deliberate.json` lists with the reason:
//! upstream's document is corrected wherever the wire shows something else. An entry is exact, so that the same change in
//! another place is told.

use std::collections::BTreeSet;

use agent_server_codegen::{Document, diff::Change};
use anyhow::{Context as _, Result};
use serde_json::Value;

/// The list. A reason, and the changes it stands for: place, then what is different.
const LIST: &str = include_str!("deliberate.json");

/// Differences that are known.
pub(super) struct Deliberate {
    /// Place and what, as reports write them.
    changes: BTreeSet<(String, String)>,
    extensions: BTreeSet<String>,
}

impl Deliberate {
    /// What is deliberate in this document.
    pub(super) fn of(ours: &Document) -> Result<Self> {
        Self::parse(ours, LIST)
    }

    fn parse(ours: &Document, list: &str) -> Result<Self> {
        let list: Vec<Value> = serde_json::from_str(list).context("deliberate.json")?;
        let mut changes = BTreeSet::new();
        for (place, texts) in list.iter().flat_map(|group| members(&group["changes"])) {
            let texts = texts.as_array().into_iter().flatten().filter_map(Value::as_str);
            changes.extend(texts.map(|what| (place.clone(), what.to_owned())));
        }
        let mut extensions = BTreeSet::new();
        for (path, item) in members(&ours.value()["paths"]) {
            let own = members(item).filter(|(_, operation)| operation["x-extension"] == true);
            extensions.extend(own.map(|(method, _)| format!("{} {path}", method.to_uppercase())));
        }
        Ok(Self { changes, extensions })
    }

    /// Whether a change of the other document is one of them.
    pub(super) fn has(&self, change: &Change) -> bool {
        let is_extension = change.what == "removed" && self.extensions.contains(&change.place);
        is_extension || self.changes.contains(&(change.place.clone(), change.what.clone()))
    }

    /// Entries of the list that none of the changes is.
    pub(super) fn stale<'a>(&'a self, changes: &'a [Change]) -> impl Iterator<Item = String> + 'a {
        let found = |place: &str, what: &str| {
            changes.iter().any(|change| change.place == place && change.what == what)
        };
        let stale = self.changes.iter().filter(move |(place, what)| !found(place, what));
        stale.map(|(place, what)| format!("{place}: {what}"))
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(paths: &Value) -> Document {
        let text = json!({"paths": paths, "components": {"schemas": {}}}).to_string();
        Document::parse(&text).expect("JSON")
    }

    fn operation(id: &str, status: &str) -> Value {
        json!({"operationId": id, "responses": {status: {"description": "An answer."}}})
    }

    #[test]
    fn extensions_and_listed_changes_are_left_out_and_nothing_else() {
        let mut extension = operation("own", "200");
        extension["x-extension"] = true.into();
        let ours = document(&json!({
            "/own": {"get": extension},
            "/thing": {"get": operation("get_thing", "404"), "delete": operation("delete_thing", "404")},
        }));
        let theirs = document(&json!({
            "/thing": {"get": operation("get_thing", "200"), "delete": operation("delete_thing", "200")},
        }));
        let list = json!([{"why": "We answer 404.", "changes": {
            "GET /thing: 404": ["answer removed"],
            "GET /other": ["removed"],
        }}]);
        let deliberate = Deliberate::parse(&ours, &list.to_string()).expect("a list");
        let report = ours.diff(&theirs);
        let stale: Vec<_> = deliberate.stale(&report.changes).collect();
        assert_eq!(stale, ["GET /other: removed"]);
        let left = report.without(|change| deliberate.has(change));
        assert_eq!(
            left.to_string(),
            "careful DELETE /thing: 200: answer added\n\
             careful GET /thing: 200: answer added\n\
             fine    DELETE /thing: 404: answer removed\n"
        );
    }
}
