//! The section `graphs`.

use std::path::Path;

use serde_json::{Map, Value};

use super::Reader;
use crate::{
    config::{
        keys,
        project::{Graph, Source},
        suggest::unknown_key,
    },
    refusal::Result,
};

impl Reader {
    pub(super) fn graphs(&mut self) -> Result<()> {
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
    pub(super) fn source(&self, entry: &str, text: &str) -> Result<Source> {
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
}
