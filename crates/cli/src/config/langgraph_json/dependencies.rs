//! The sections `dependencies` and `source`.

use std::path::PathBuf;

use serde_json::Value;

use super::Reader;
use crate::refusal::Result;

impl Reader {
    pub(super) fn dependencies(&mut self) -> Result<()> {
        let source = self.uv_source()?;
        let dependencies = match self.root.get("dependencies") {
            None | Some(Value::Null) => &Vec::new(),
            Some(Value::Array(dependencies)) => dependencies,
            Some(_) => return self.refuse("dependencies", "not an array"),
        };
        // Images have installed them before they started us.
        let described_by_file = self.project.file.is_some() && !self.injected.contains("graphs");
        match source {
            Some(_) if !dependencies.is_empty() => {
                return self.refuse("source", "cannot stand beside 'dependencies'");
            }
            None if dependencies.is_empty() && self.project.needs_python() && described_by_file => {
                return self.refuse(
                    "dependencies",
                    r#"no dependencies; write ["."] where the graphs' own directory is all they need"#,
                );
            }
            _ => {}
        }
        let (mut packages, mut requirements) = (Vec::from_iter(source), Vec::new());
        for (at, value) in dependencies.iter().enumerate() {
            let entry = format!("dependencies.{at}");
            let text = value.as_str().map(str::trim).unwrap_or_default();
            if text.is_empty() || text.starts_with('-') {
                let cause = format!("{value} is neither a directory nor a requirement");
                return self.refuse(&entry, cause);
            }
            if text.starts_with(['.', '/']) {
                let path = self.absolute(text);
                if !path.is_dir() {
                    return self.refuse(&entry, format!("there is no directory '{text}'"));
                }
                packages.push(path);
            } else if has_credentials(text) {
                // Deliberately without the text: messages end up in logs.
                return self.refuse(&entry, "an address with a password in it is not accepted");
            } else {
                requirements.push(text.into());
            }
        }
        self.project.packages = packages;
        self.project.requirements = requirements;
        Ok(())
    }

    /// `source`, the other way to name dependencies: a directory with a pyproject.toml.
    fn uv_source(&self) -> Result<Option<PathBuf>> {
        let source = match self.root.get("source") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(source)) => source,
            Some(_) => return self.refuse("source", "not an object"),
        };
        if source.get("kind").and_then(Value::as_str) != Some("uv") {
            return self.refuse("source.kind", "only \"uv\" is known");
        }
        let root = source.get("root").and_then(Value::as_str).unwrap_or(".");
        let root = self.absolute(root);
        if !root.join("pyproject.toml").is_file() {
            let cause = format!("there is no pyproject.toml in '{}'", root.display());
            return self.refuse("source.root", cause);
        }
        Ok(Some(root))
    }
}

/// Whether a requirement holds a web address with user or password.
fn has_credentials(requirement: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        requirement
            .split_once(scheme)
            .and_then(|(_, rest)| rest.split('/').next())
            .is_some_and(|host| host.contains('@'))
    })
}
