//! The section `auth`.

use std::time::Duration;

use agent_server_worker::AuthSettings;
use serde_json::{Map, Value};

use super::Reader;
use crate::{
    config::{
        project::{Auth, Source},
        suggest::unknown_key,
    },
    refusal::Result,
};

/// Keys of `auth.cache`.
const CACHE: [&str; 3] = ["cache_keys", "ttl_seconds", "max_size"];

impl Reader {
    pub(super) fn auth(&mut self) -> Result<()> {
        let Some(Value::Object(section)) = self.root.get("auth") else { return Ok(()) };
        let path = match section.get("path") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(path)) => path,
            Some(_) => return self.refuse("auth.path", "not a string"),
        };
        let source = self.python_object("auth.path", path, "authentication")?;
        let openapi = match section.get("openapi") {
            None | Some(Value::Null) => None,
            Some(Value::Object(openapi)) => Some(openapi.clone()),
            Some(_) => return self.refuse("auth.openapi", "not an object"),
        };
        let refuses_studio = match section.get("disable_studio_auth") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(refuses)) => *refuses,
            Some(_) => return self.refuse("auth.disable_studio_auth", "neither true nor false"),
        };
        let (settings, warnings) = match section.get("cache") {
            None | Some(Value::Null) => (AuthSettings::default(), vec![]),
            Some(Value::Object(cache)) => self.cache(cache)?,
            Some(_) => return self.refuse("auth.cache", "not an object"),
        };
        self.project.auth = Some(Auth { source, settings, refuses_studio, openapi });
        self.project.warnings.extend(warnings);
        Ok(())
    }

    /// An object of the project that is written in Python. `what` it is, for messages.
    pub(super) fn python_object(&self, entry: &str, path: &str, what: &str) -> Result<Source> {
        let source = self.source(entry, path)?;
        match &source {
            Source::File { variable, .. } | Source::Module { variable, .. } => {
                if variable.is_empty() {
                    return self.refuse(entry, format!("'{path}' names no variable"));
                }
                Ok(source)
            }
            Source::JavaScript { path } => {
                let path = path.display();
                self.refuse(entry, format!("{path}: {what} in JavaScript is not supported yet"))
            }
            Source::Rust { .. } => self.refuse(entry, format!("{what} is written in Python")),
        }
    }

    fn cache(&self, cache: &Map<String, Value>) -> Result<(AuthSettings, Vec<String>)> {
        let place = format!("{}.cache", self.place("auth"));
        let unknown = cache.keys().filter(|key| !CACHE.contains(&key.as_str()));
        let warnings = unknown.map(|key| unknown_key(&place, key, &CACHE)).collect();
        let mut settings = AuthSettings::default();
        match cache.get("ttl_seconds") {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_f64().map(Duration::try_from_secs_f64) {
                Some(Ok(remember)) => settings.remember = remember,
                _ => {
                    let cause = format!("{value} is not a number of seconds");
                    return self.refuse("auth.cache.ttl_seconds", cause);
                }
            },
        }
        match cache.get("max_size") {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_u64().map(usize::try_from) {
                Some(Ok(most)) => settings.most_remembered = most,
                _ => {
                    let cause = format!("{value} is not a number of users");
                    return self.refuse("auth.cache.max_size", cause);
                }
            },
        }
        match cache.get("cache_keys") {
            None | Some(Value::Null) => {}
            Some(value) => match serde_json::from_value::<Vec<String>>(value.clone()) {
                Ok(names) if !names.is_empty() => {
                    let names = names.iter().map(|name| name.to_ascii_lowercase());
                    settings.credentials = Some(names.collect());
                }
                _ => {
                    let cause = format!("{value} is not a list of names of headers");
                    return self.refuse("auth.cache.cache_keys", cause);
                }
            },
        }
        Ok((settings, warnings))
    }
}
