//! The store: `store.ttl` and `store.index` of langgraph.json.
//!
//! `sweep_interval_minutes` is accepted and means nothing: items are removed when they are due. Source:
//! reference/configuration.md, section 2.4.

use std::time::Duration;

use agent_server_domain::store::{Index, Options, lifetime};
use serde_json::{Map, Value};

use super::{file, project::Project};
use crate::refusal::{Refusal, Result};

/// The store's settings, and what embeds: `./file.py:name`, `module:name` or `provider:model`.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// For the rules.
    pub(crate) options: Options,
    /// For the workers.
    pub(crate) embed: Option<String>,
    /// How long the function may take for one request.
    pub(crate) embed_timeout: Duration,
}

/// Time for one request, seconds, where `agent-server.toml` does not say.
const EMBED_TIMEOUT_SECONDS: u64 = 30;

impl Store {
    /// Reads the section of a project.
    ///
    /// Errors: a refusal that names the entry.
    pub(crate) fn resolve(project: &Project, file: &file::Store) -> Result<Self> {
        let seconds = file.embed_timeout_seconds.unwrap_or(EMBED_TIMEOUT_SECONDS).max(1);
        let embed_timeout = Duration::from_secs(seconds);
        let section = |name| match project.sections.get("store").and_then(|store| store.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(section)) => Ok(Some(section)),
            Some(other) => refuse(name, format!("{other} is not an object")),
        };
        let mut options = Options::default();
        if let Some(ttl) = section("ttl")? {
            options.default_ttl = match ttl.get("default_ttl") {
                None | Some(Value::Null) => None,
                Some(minutes) => match minutes.as_f64().map(lifetime) {
                    Some(Ok(ttl)) => Some(ttl),
                    Some(Err(error)) => return refuse("ttl.default_ttl", error),
                    None => {
                        return refuse(
                            "ttl.default_ttl",
                            format!("{minutes} is not a number of minutes"),
                        );
                    }
                },
            };
            options.refresh_on_read = match ttl.get("refresh_on_read") {
                None | Some(Value::Null) => true,
                Some(Value::Bool(refresh)) => *refresh,
                Some(other) => {
                    return refuse("ttl.refresh_on_read", format!("{other} is not true or false"));
                }
            };
        }
        let Some(index) = section("index")? else {
            return Ok(Self { options, embed: None, embed_timeout });
        };
        if !project.needs_python() {
            return refuse("index", "embedding needs a graph in Python, and this project has none");
        }
        options.index = Some(Index { dims: dims(index)?, fields: fields(index)? });
        Ok(Self { options, embed: Some(embed(index)?), embed_timeout })
    }
}

fn embed(index: &Map<String, Value>) -> Result<String> {
    match index.get("embed").and_then(Value::as_str) {
        Some(embed) if embed.contains(':') => Ok(embed.into()),
        _ => refuse(
            "index.embed",
            "must name what embeds: \"./file.py:function\" or \"provider:model\"",
        ),
    }
}

fn dims(index: &Map<String, Value>) -> Result<usize> {
    match index.get("dims").and_then(Value::as_u64) {
        Some(dims @ 1..=65_536) => Ok(dims as usize),
        _ => refuse("index.dims", "must be the number of dimensions of a vector, 1 to 65536"),
    }
}

fn fields(index: &Map<String, Value>) -> Result<Vec<String>> {
    let wrong = "must be a list of paths";
    match index.get("fields") {
        None | Some(Value::Null) => Ok(vec!["$".into()]),
        Some(Value::Array(fields)) => {
            let path = |field: &Value| field.as_str().map(str::to_owned);
            fields
                .iter()
                .map(path)
                .collect::<Option<_>>()
                .map_or_else(|| refuse("index.fields", wrong), Ok)
        }
        Some(_) => refuse("index.fields", wrong),
    }
}

fn refuse<T>(entry: &str, cause: impl std::fmt::Display) -> Result<T> {
    Err(Refusal::usage(format!("store.{entry} of langgraph.json: {cause}")).into())
}

#[cfg(test)]
mod tests {
    use agent_server_domain::storage::store::Ttl;
    use serde_json::json;

    use super::*;
    use crate::config::project::{Graph, Source};

    fn resolve(store: Value) -> Result<Store> {
        let source = Source::Module { module: "m".into(), variable: "g".into() };
        let graphs = vec![Graph { id: "g".into(), description: None, source }];
        let sections = json!({"store": store}).as_object().unwrap().clone();
        Store::resolve(&Project { sections, graphs, ..Project::default() }, &file::Store::default())
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let store = resolve(json!({})).unwrap();
        assert!(store.options.default_ttl.is_none() && store.options.refresh_on_read);
        assert!(store.options.index.is_none() && store.embed.is_none());
        let store = resolve(json!({
            "ttl": {"default_ttl": 0.5, "refresh_on_read": false, "sweep_interval_minutes": 5},
            "index": {"embed": "./e.py:f", "dims": 3},
        }));
        let store = store.unwrap();
        assert_eq!(store.options.default_ttl, Some(Ttl { micros: 30_000_000 }));
        assert!(!store.options.refresh_on_read);
        assert_eq!(store.options.index, Some(Index { dims: 3, fields: vec!["$".into()] }));
        assert_eq!(store.embed.as_deref(), Some("./e.py:f"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (store, entry) in [
            (json!({"ttl": 5}), "ttl"),
            (json!({"ttl": {"default_ttl": "1"}}), "ttl.default_ttl"),
            (json!({"ttl": {"default_ttl": -1}}), "ttl.default_ttl"),
            (json!({"ttl": {"refresh_on_read": 1}}), "ttl.refresh_on_read"),
            (json!({"index": true}), "index"),
            (json!({"index": {"dims": 3}}), "index.embed"),
            (json!({"index": {"embed": "f", "dims": 3}}), "index.embed"),
            (json!({"index": {"embed": "a:b"}}), "index.dims"),
            (json!({"index": {"embed": "a:b", "dims": 0}}), "index.dims"),
            (json!({"index": {"embed": "a:b", "dims": 1.5}}), "index.dims"),
            (json!({"index": {"embed": "a:b", "dims": 1, "fields": "a"}}), "index.fields"),
            (json!({"index": {"embed": "a:b", "dims": 1, "fields": [1]}}), "index.fields"),
        ] {
            let error = resolve(store.clone()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("store.{entry} of langgraph.json: ")),
                "{store}: {error}"
            );
        }
        let sections = json!({"store": {"index": {}}}).as_object().unwrap().clone();
        let project = Project { sections, ..Project::default() };
        let error = Store::resolve(&project, &file::Store::default()).unwrap_err();
        assert!(error.to_string().contains("needs a graph in Python"), "{error}");
    }
}
