//! Reading langgraph.json: refusals name file, entry and cause; what merely has no effect becomes a warning.
//!
//! Source: reference/configuration.md, sections 1 to 3 and 5.1. Paths are relative to the file's directory.

mod auth;
mod dependencies;
mod encryption;
mod env;
mod graphs;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{keys, project::Project, suggest::unknown_key};
use crate::{
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// Name of the file where none was asked for.
pub(crate) const NAME: &str = "langgraph.json";

/// Reads a project from `file`, and its authentication and encryption from the variables if those are set.
///
/// Errors: a refusal (exit code 2) with file, entry and cause.
pub(crate) fn load(file: &Path, env: &Env) -> Result<Project> {
    let mut reader = Reader::new(Some(file))?;
    // Who relies on these variables relies on them everywhere: they keep strangers out.
    reader.overlay(env, |key| matches!(key, "auth" | "encryption"))?;
    reader.read(env)
}

/// Reads a project from `file`, if there is one, and from the variables that images carry instead; a variable replaces
/// its section as a whole.
///
/// Errors: as [`load`], with the variable's name where it is to blame.
pub(crate) fn load_with_variables(file: Option<&Path>, env: &Env) -> Result<Project> {
    let mut reader = Reader::new(file)?;
    reader.overlay(env, |_| true)?;
    reader.read(env)
}

/// Whether the variables that images carry describe graphs.
pub(crate) fn variables_have_graphs(env: &Env) -> bool {
    let (variable, _) = upstream::SECTIONS[0];
    env.get(variable).is_some_and(|text| text.trim() != "{}")
}

struct Reader {
    /// As the user wrote it, for messages.
    name: String,
    root: Map<String, Value>,
    /// Sections that came from variables.
    injected: BTreeSet<&'static str>,
    project: Project,
}

impl Reader {
    fn new(file: Option<&Path>) -> Result<Self> {
        let current = std::env::current_dir()?;
        let mut project = Project { directory: current.clone(), ..Project::default() };
        let Some(file) = file else {
            let (name, root) = (NAME.into(), Map::new());
            return Ok(Self { name, root, injected: BTreeSet::new(), project });
        };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Refusal::usage(format!("{name}: there is no such file"))
            }
            _ => Refusal::usage(format!("{name}: {error}")),
        })?;
        let root = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(root)) => root,
            Ok(_) => return Err(Refusal::usage(format!("{name}: not a JSON object")).into()),
            Err(error) => {
                return Err(Refusal::usage(format!("{name}: not valid JSON: {error}")).into());
            }
        };
        let file = current.join(file);
        project.directory = file.parent().unwrap_or(&current).to_owned();
        project.file = Some(file);
        Ok(Self { name, root, injected: BTreeSet::new(), project })
    }

    fn overlay(&mut self, env: &Env, takes: impl Fn(&str) -> bool) -> Result<()> {
        for (variable, key) in upstream::SECTIONS.into_iter().filter(|(_, key)| takes(key)) {
            let Some(text) = env.get(variable) else { continue };
            let value: Value = serde_json::from_str(text).map_err(|error| {
                Refusal::usage(format!("variable {variable}: not valid JSON: {error}"))
            })?;
            if value.as_object().is_some_and(Map::is_empty) {
                continue;
            }
            self.injected.insert(key);
            self.root.insert(key.into(), value);
        }
        Ok(())
    }

    fn read(mut self, env: &Env) -> Result<Project> {
        self.known_keys()?;
        self.python_version()?;
        self.graphs()?;
        self.auth()?;
        self.encryption()?;
        self.dependencies()?;
        self.env(env)?;
        for (key, _) in keys::SECTIONS {
            if let Some(value) = self.root.shift_remove(key) {
                self.project.sections.insert(key.into(), value);
            }
        }
        Ok(self.project)
    }

    /// Where a key stands, for messages.
    fn place(&self, key: &str) -> String {
        let injected = upstream::SECTIONS.iter().find(|(_, section)| *section == key);
        match injected.filter(|(_, section)| self.injected.contains(section)) {
            Some((variable, _)) => format!("variable {variable}"),
            None => format!("{}: {key}", self.name),
        }
    }

    fn refuse<T>(&self, entry: &str, cause: impl std::fmt::Display) -> Result<T> {
        let (key, rest) = entry.split_once('.').unwrap_or((entry, ""));
        let place = self.place(key);
        let dot = if rest.is_empty() { "" } else { "." };
        Err(Refusal::usage(format!("{place}{dot}{rest}: {cause}")).into())
    }

    /// Warns of keys that mean nothing, refuses sections that are no objects.
    fn known_keys(&mut self) -> Result<()> {
        let known = [&keys::SERVER[..], &keys::BUILD[..]].concat();
        let mut warnings = Vec::new();
        for key in self.root.keys().filter(|key| !known.contains(&key.as_str())) {
            warnings.push(unknown_key(&self.name, key, &known));
        }
        for (key, known) in keys::SECTIONS {
            let Some(value) = self.root.get(key).filter(|value| !value.is_null()) else { continue };
            let Some(section) = value.as_object() else {
                return self.refuse(key, "not an object");
            };
            if !known.is_empty() {
                let unknown = section.keys().filter(|key| !known.contains(&key.as_str()));
                warnings.extend(unknown.map(|entry| unknown_key(&self.place(key), entry, known)));
            }
        }
        self.project.warnings = warnings;
        let build_only = self.root.keys().filter(|key| keys::BUILD.contains(&key.as_str()));
        self.project.build_only = build_only.cloned().collect();
        Ok(())
    }

    /// Refuses Python versions that the upstream tools refuse, so that a file is good for both or for neither.
    fn python_version(&self) -> Result<()> {
        let Some(value) = self.root.get("python_version") else { return Ok(()) };
        let version = value.as_str().unwrap_or_default();
        let minor = version.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
        match minor {
            Some(11..) => Ok(()),
            Some(_) => self.refuse(
                "python_version",
                format!("Python {version} is not supported, 3.11 is the oldest that is"),
            ),
            None => self.refuse("python_version", format!("{value} is not like \"3.12\"")),
        }
    }

    fn absolute(&self, path: &str) -> PathBuf {
        // Taken apart and put together without its `.` parts, so that messages show what a person would write.
        self.project.directory.join(path).components().collect()
    }
}

#[cfg(test)]
mod tests;
