//! The layout of the generated files: a case is a line, so that a difference between two versions reads like a list.

use serde_json::json;

use super::operation::Cases;

const ORIGIN: &str = "from openapi.json by `cargo xtask regenerate`; do not edit";

/// The file of a tag.
pub(super) fn tag(tag: &str, operations: &[Cases]) -> String {
    let operations: Vec<_> = operations.iter().map(operation).collect();
    format!(
        "{{ \"generated\": {},\n  \"tag\": {},\n  \"operations\": [\n{}\n  ]\n}}\n",
        json!(ORIGIN),
        json!(tag),
        operations.join(",\n")
    )
}

fn operation(operation: &Cases) -> String {
    let lines: Vec<_> =
        operation.cases.iter().map(|case| format!("        {}", case.to_json())).collect();
    let mut head = format!(
        "    {{ \"operation\": {}, \"path\": {}",
        json!(operation.name),
        json!(operation.path)
    );
    if !operation.query.is_empty() {
        head += &format!(", \"query\": {}", json!(operation.query));
    }
    if !operation.headers.is_empty() {
        head += &format!(", \"headers\": {}", json!(operation.headers));
    }
    if let Some(body) = &operation.body {
        head += &format!(",\n      \"body\": {body}");
    }
    format!(
        "{head},\n      \"scenarios\": {},\n      \"cases\": [\n{}\n      ] }}",
        json!(operation.scenarios),
        lines.join(",\n")
    )
}

/// The Rust file that names the others.
pub(super) fn index<'a>(files: impl Iterator<Item = &'a str>) -> String {
    let lines: String = files.map(|file| format!("    include_str!(\"{file}\"),\n")).collect();
    format!("// Generated {ORIGIN}.\n\npub(crate) const FILES: &[&str] = &[\n{lines}];\n")
}
