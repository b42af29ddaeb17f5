//! Reference pages: of the operations, which follow from the document, and of the configuration, which follows from a table
//! that a test of the server holds against what the server does.

use std::collections::BTreeMap;

use agent_server_codegen::{Document, names};
use anyhow::{Context as _, Result};
use serde_json::Value;

use super::File;
use crate::files;

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

/// The table of what is made of upstream's settings.
const CONFIGURATION: &str = "crates/cli/src/config/reference.json";

const CONFIGURATION_HEAD: &str = "\
<!-- Generated from crates/cli/src/config/reference.json by `cargo xtask regenerate`; do not edit. -->

# Configuration

What this server makes of the settings that exist for LangGraph projects. `agent-server check` says what of it concerns a project;
its own settings are listed by `agent-server dev --help` and `agent-server serve --help`.

- *honoured*: has the effect that it has upstream.
- *refused*: `serve`, and `dev` where other machines can reach it, do not start with it, because ignoring it would expose or misplace
  something. `dev` on a local address warns.
- *warned*: the server starts and says that it has no effect.
- *without effect*: accepted in silence, because nothing is missing or nothing depends on it.
";

/// `docs/reference/configuration.md`: a table of keys and one of variables.
pub(super) fn configuration() -> Result<Vec<File>> {
    let table: Value = serde_json::from_str(&files::read(&files::at(CONFIGURATION))?)?;
    let mut page = CONFIGURATION_HEAD.to_owned();
    for (list, title) in [("keys", "Keys of langgraph.json"), ("variables", "Variables")] {
        page += &format!("\n## {title}\n\n| name | | |\n|---|---|---|\n");
        for entry in table[list].as_array().context(CONFIGURATION)? {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().replace('|', "\\|");
            page += &format!("| `{}` | *{}* | {} |\n", text("name"), text("status"), text("text"));
        }
    }
    Ok(vec![("docs/reference/configuration.md".into(), page)])
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
