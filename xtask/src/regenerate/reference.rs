//! Reference pages that follow from the document.

use std::collections::BTreeMap;

use agent_server_codegen::{Document, names};
use anyhow::Result;
use serde_json::Value;

use super::File;

const HEAD: &str = "\
<!-- Generated from openapi.json by `cargo xtask regenerate`; do not edit. -->

# Operations

`name` is the method of the Rust client and the name that `agent-server call` knows.
";

/// `docs/reference/operations.md`: a table of operations per tag.
pub(super) fn operations(document: &Document) -> Result<Vec<File>> {
    let document = document.value();
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in entries(item) {
            // Other members of a path are texts and shared parameters.
            if let Some(id) = operation["operationId"].as_str() {
                let name = names::short_name(id)?;
                let tag = operation["tags"][0].as_str().unwrap_or("Other");
                let request = format!("{} {path}", method.to_uppercase());
                *rows.entry(tag).or_default() += &row(&request, &name, operation);
            }
        }
    }
    let mut page = HEAD.to_owned();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        if let Some(rows) = rows.remove(name) {
            page += &section(name, tag["description"].as_str(), &rows);
        }
    }
    for (name, rows) in rows {
        page += &section(name, None, &rows);
    }
    Ok(vec![("docs/reference/operations.md".into(), page)])
}

fn row(request: &str, name: &str, operation: &Value) -> String {
    let statuses: Vec<_> = entries(&operation["responses"]).map(|(status, _)| &**status).collect();
    let summary = operation["summary"].as_str().unwrap_or_default();
    let own = if operation["x-extension"] == true { " (addition of this server)" } else { "" };
    format!("| `{request}` | `{name}` | {summary}{own} | {} |\n", statuses.join(", "))
}

fn section(name: &str, about: Option<&str>, rows: &str) -> String {
    let about = about.map(|text| format!("{text}\n\n")).unwrap_or_default();
    format!(
        "\n## {name}\n\n{about}| request | name | what it does | answers |\n|---|---|---|---|\n{rows}"
    )
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
