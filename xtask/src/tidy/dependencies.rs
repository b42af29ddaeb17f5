//! Direction of dependencies: which crate may know which.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

/// What each crate may depend on, tests left aside. What is not here is forbidden.
const ARROWS: [(&str, &[&str]); 17] = [
    (
        "agent-server",
        &[
            "api",
            "archive",
            "auth",
            "client",
            "domain",
            "server",
            "storage",
            "storage-sqlite",
            "storage-postgres",
            "worker",
        ],
    ),
    ("api", &["client", "codegen (build)"]),
    ("archive", &["storage"]),
    ("auth", &["domain"]),
    ("bench", &[]),
    ("client", &["codegen (build)"]),
    ("codegen", &[]),
    ("conformance", &["api", "client"]),
    ("domain", &["storage"]),
    ("faults", &[]),
    ("graph", &[]),
    ("parity", &[]),
    ("server", &["api", "client", "domain"]),
    ("storage", &[]),
    ("storage-sqlite", &["storage"]),
    ("storage-postgres", &["storage"]),
    ("worker", &["domain", "graph", "storage"]),
];

/// Third-party crates that belong to one layer.
const RESERVED: [(&str, &[&str]); 7] = [
    ("axum", &["api", "server"]),
    ("rusqlite", &["storage-sqlite"]),
    ("tokio-postgres", &["storage-postgres"]),
    ("progenitor", &["codegen"]),
    ("jsonwebtoken", &["auth"]),
    ("opentelemetry_sdk", &["agent-server"]),
    // The binary sends traces with it.
    ("reqwest", &["agent-server", "auth", "client", "conformance", "faults", "parity", "server"]),
];

/// Arrows that are not drawn.
pub(super) fn check() -> Result<Vec<String>> {
    let command = process::command("cargo", ["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value =
        serde_json::from_str(&process::output(command)?).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    Ok(packages.flat_map(check_package).collect())
}

fn short(package: &str) -> &str {
    package.strip_prefix("agent-server-").unwrap_or(package)
}

fn check_package(package: &Value) -> Vec<String> {
    let name = short(package["name"].as_str().unwrap_or_default());
    let mut problems = vec![];
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let other = dependency["name"].as_str().unwrap_or_default();
        let kind = dependency["kind"].as_str();
        if kind == Some("dev") {
            continue;
        }
        if !dependency["path"].is_null() {
            let arrow = match kind {
                Some(kind) => format!("{} ({kind})", short(other)),
                None => short(other).to_owned(),
            };
            // Developer commands may know the generator and nothing else.
            let xtask: &[&str] = &["codegen"];
            let known = ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
            let allowed = if name == "xtask" { Some(xtask) } else { known };
            match allowed {
                None => problems.push(format!(
                    "crate {name} is not in the map of dependencies: add it to ARROWS in xtask/src/tidy/dependencies.rs and to ARCHITECTURE.md"
                )),
                Some(allowed) if !allowed.contains(&arrow.as_str()) => problems.push(format!(
                    "{name} depends on {arrow}: not an arrow of \"Direction of dependencies\" (allowed: {})",
                    if allowed.is_empty() { "none".into() } else { allowed.join(", ") }
                )),
                Some(_) => {}
            }
        }
        if let Some((_, owners)) = RESERVED.iter().find(|(reserved, _)| *reserved == other)
            && !owners.contains(&name)
        {
            problems.push(format!(
                "{name} depends on {other}, which only {} may: the other layers do not know it",
                owners.join(" and ")
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(from: &str, to: &str, kind: Option<&str>, problem: Option<&str>) {
        let dependency = json!({"name": to, "kind": kind, "path": to.starts_with("agent-server").then_some("x")});
        let problems = check_package(&json!({"name": from, "dependencies": [dependency]}));
        match problem {
            None => assert_eq!(problems, [""; 0]),
            Some(text) => assert!(problems[0].contains(text), "{problems:?}"),
        }
    }

    #[test]
    fn only_drawn_arrows_are_allowed() {
        check("agent-server-domain", "agent-server-storage", None, None);
        check("agent-server-storage", "agent-server-domain", None, Some("not an arrow"));
        check("agent-server-storage", "agent-server-domain", Some("dev"), None);
        check("agent-server-api", "agent-server-codegen", Some("build"), None);
        check("agent-server-api", "agent-server-codegen", None, Some("not an arrow"));
        check("agent-server-new", "agent-server-domain", None, Some("not in the map"));
        check("agent-server-domain", "axum", None, Some("only api and server may"));
    }
}
