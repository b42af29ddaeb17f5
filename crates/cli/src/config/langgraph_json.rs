//! Reading langgraph.json: refusals name file, entry and cause; what merely has no effect becomes a warning.
//!
//! Source: reference/configuration.md, sections 1 to 3 and 5.1. Paths are relative to the file's directory.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    dotenv, keys,
    project::{Graph, Project, Source},
    suggest::unknown_key,
};
use crate::{
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// Name of the file where none was asked for.
pub(crate) const NAME: &str = "langgraph.json";

/// Reads a project from `file`.
///
/// Errors: a refusal (exit code 2) with file, entry and cause.
pub(crate) fn load(file: &Path, env: &Env) -> Result<Project> {
    Reader::new(Some(file))?.read(env)
}

/// Reads a project from `file`, if there is one, and from the variables that images carry instead; a variable replaces
/// its section as a whole.
///
/// Errors: as [`load`], with the variable's name where it is to blame.
pub(crate) fn load_with_variables(file: Option<&Path>, env: &Env) -> Result<Project> {
    let mut reader = Reader::new(file)?;
    reader.overlay(env)?;
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

    fn overlay(&mut self, env: &Env) -> Result<()> {
        for (variable, key) in upstream::SECTIONS {
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

    fn graphs(&mut self) -> Result<()> {
        let graphs = match self.root.get("graphs") {
            None | Some(Value::Null) => &Map::new(),
            Some(Value::Object(graphs)) => graphs,
            Some(_) => return self.refuse("graphs", "not an object"),
        };
        if graphs.is_empty() {
            return self
                .refuse("graphs", r#"no graphs; write for example {"agent": "./agent.py:graph"}"#);
        }
        let mut entries = Vec::with_capacity(graphs.len());
        let mut warnings = Vec::new();
        for (id, value) in graphs {
            let entry = format!("graphs.{id}");
            if id.is_empty() {
                return self.refuse("graphs", "a graph needs a name");
            }
            let (path, description) = match value {
                Value::String(path) => (path, None),
                Value::Object(object) => {
                    for key in object.keys().filter(|key| !keys::GRAPH.contains(&key.as_str())) {
                        let place = format!("{}.{id}", self.place("graphs"));
                        warnings.push(unknown_key(&place, key, &keys::GRAPH));
                    }
                    let Some(Value::String(path)) = object.get("path") else {
                        return self.refuse(&entry, "the key 'path' is missing or not a string");
                    };
                    match object.get("description") {
                        None | Some(Value::Null) => (path, None),
                        Some(Value::String(text)) => (path, Some(text.clone())),
                        Some(_) => return self.refuse(&entry, "'description' is not a string"),
                    }
                }
                _ => return self.refuse(&entry, "neither a string nor an object with 'path'"),
            };
            let source = self.source(&entry, path)?;
            entries.push(Graph { id: id.clone(), description, source });
        }
        self.project.graphs = entries;
        self.project.warnings.extend(warnings);
        Ok(())
    }

    /// Reads `path:variable`. The last colon counts: paths may hold others.
    fn source(&self, entry: &str, text: &str) -> Result<Source> {
        let Some((path, variable)) = text.rsplit_once(':') else {
            let cause = format!("'{text}' names no variable; write '{text}:graph'");
            return self.refuse(entry, cause);
        };
        let (path, variable) = (path.trim(), variable.trim());
        if path.is_empty() {
            return self.refuse(entry, format!("'{text}' names no file"));
        }
        let extension =
            Path::new(path).extension().and_then(|ext| ext.to_str()).unwrap_or_default();
        if keys::JAVASCRIPT.contains(&extension) {
            return Ok(Source::JavaScript { path: self.absolute(path) });
        }
        if path == "rust" {
            return Ok(Source::Rust { name: variable.into() });
        }
        let variable = variable.to_owned();
        if path.contains('/') {
            return Ok(Source::File { path: self.absolute(path), variable });
        }
        if extension == "py" && self.absolute(path).is_file() {
            let cause = format!("'{path}' is read as the name of a module; write './{text}'");
            return self.refuse(entry, cause);
        }
        Ok(Source::Module { module: path.into(), variable })
    }

    fn dependencies(&mut self) -> Result<()> {
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

    fn env(&mut self, env: &Env) -> Result<()> {
        match self.root.get("env") {
            // A list of names, which the JavaScript tools write, asks for nothing: graphs see the whole environment.
            None | Some(Value::Null | Value::Array(_)) => {}
            Some(Value::String(path)) => {
                let path = self.absolute(path);
                self.project.env_file = Some(path.clone());
                let place = path.display();
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let read = dotenv::parse(&text, env);
                        self.project.env = read.values;
                        self.project.warnings.extend(read.bad_lines.iter().map(|line| {
                            format!("{place}: line {line} is not like NAME=value and is skipped")
                        }));
                    }
                    // Upstream goes on without it: files with secrets are often not there on purpose.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        let place = self.place("env");
                        let warning = format!("{place}: there is no file '{}'", path.display());
                        self.project.warnings.push(warning);
                    }
                    Err(error) => return self.refuse("env", format!("{place}: {error}")),
                }
            }
            Some(Value::Object(values)) => {
                let mut read = Vec::with_capacity(values.len());
                for (name, value) in values {
                    let text = match value {
                        Value::String(text) => text.clone(),
                        Value::Bool(_) | Value::Number(_) => value.to_string(),
                        _ => return self.refuse(&format!("env.{name}"), "not a string"),
                    };
                    read.push((name.clone(), text));
                }
                self.project.env = read;
            }
            Some(_) => return self.refuse("env", "neither a file's path nor an object"),
        }
        Ok(())
    }

    fn absolute(&self, path: &str) -> PathBuf {
        // Taken apart and put together without its `.` parts, so that messages show what a person would write.
        self.project.directory.join(path).components().collect()
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

#[cfg(test)]
#[path = "langgraph_json_tests.rs"]
mod tests;
