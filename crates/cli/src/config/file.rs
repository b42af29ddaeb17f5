//! `agent-server.toml`: settings of the server in a file, below flags and variables.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::refusal::{Refusal, Result};

/// Name of the file; it stands beside langgraph.json, else in the current directory.
pub(crate) const NAME: &str = "agent-server.toml";

/// The file. Every key is optional; unknown ones are refused, so that a typing error does not pass for a setting.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    /// Folder of all data, relative to the file.
    pub(crate) data_dir: Option<PathBuf>,
    /// Table `[http]`.
    pub(crate) http: Http,
    /// Table `[workers]`.
    pub(crate) workers: Workers,
    /// Table `[runs]`.
    pub(crate) runs: Runs,
    /// Table `[webhooks]`.
    pub(crate) webhooks: Webhooks,
    /// Table `[store]`.
    pub(crate) store: Store,
    /// Table `[log]`.
    pub(crate) log: Log,
    /// Table `[auth]`.
    pub(crate) auth: Auth,
    /// Table `[limits]`.
    pub(crate) limits: Limits,
}

/// Table `[http]`; see [`super::http::Http`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) max_body_bytes: Option<usize>,
    pub(crate) stall_seconds: Option<u64>,
}

/// Table `[workers]`; see [`super::workers::Workers`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Workers {
    pub(crate) python: Option<PathBuf>,
    pub(crate) processes: Option<u32>,
    pub(crate) jobs_per_worker: Option<u32>,
    pub(crate) max_runs: Option<u64>,
    pub(crate) max_memory_mb: Option<u64>,
    pub(crate) auth_timeout_seconds: Option<u64>,
}

/// Table `[runs]`; see [`super::runs`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Runs {
    pub(crate) max_attempts: Option<u32>,
    pub(crate) timeout_seconds: Option<f64>,
    pub(crate) save_delay_ms: Option<u64>,
    pub(crate) replay_seconds: Option<u64>,
    pub(crate) shutdown_grace_seconds: Option<u64>,
    pub(crate) log_bytes: Option<usize>,
}

/// Table `[webhooks]`; see [`super::webhooks`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    pub(crate) secret: Option<String>,
}

/// Table `[store]`; see [`super::store::Store`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    pub(crate) embed_timeout_seconds: Option<u64>,
}

/// Table `[log]`; see [`super::log::Log`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) level: Option<super::log::Level>,
    pub(crate) json: Option<bool>,
    pub(crate) color: Option<bool>,
}

/// Table `[auth]`; see [`super::auth`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    pub(crate) keys: Option<bool>,
    pub(crate) jwt: Jwt,
}

/// Table `[auth.jwt]`; see [`super::auth`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Jwt {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<Words>,
    pub(crate) jwks_url: Option<String>,
    pub(crate) jwks_file: Option<PathBuf>,
    pub(crate) refresh_seconds: Option<u64>,
    pub(crate) allow_http: Option<bool>,
    pub(crate) algorithms: Option<Vec<String>>,
    pub(crate) leeway_seconds: Option<u64>,
    pub(crate) identity_claim: Option<String>,
    pub(crate) permissions_claim: Option<String>,
    pub(crate) display_name_claim: Option<String>,
    pub(crate) claims: Option<Vec<String>>,
}

/// Table `[limits]`; see [`super::limits`].
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) burst: Option<u32>,
    pub(crate) inflight_runs: Option<u32>,
    pub(crate) inflight_runs_per_assistant: Option<u32>,
    pub(crate) trusted_proxies: Option<usize>,
    /// By name of an operation or of a tag.
    pub(crate) operations: BTreeMap<String, OperationLimit>,
}

/// A rate of an operation, with or without its burst.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub(crate) enum OperationLimit {
    PerSecond(f64),
    Full { requests_per_second: f64, burst: Option<u32> },
}

/// One word or a list of them.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub(crate) enum Words {
    One(String),
    Many(Vec<String>),
}

impl File {
    /// Reads the file of a directory; no file is an empty one.
    ///
    /// Errors: a refusal with file, place and cause.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Refusal::usage(format!("{}: {error}", path.display())).into()),
        };
        let mut file: Self = toml::from_str(&text).map_err(|error| {
            Refusal::usage(format!("{}: {}", path.display(), error.to_string().trim_end()))
        })?;
        let paths = [&mut file.data_dir, &mut file.workers.python, &mut file.auth.jwt.jwks_file];
        for relative in paths.into_iter().flatten() {
            *relative = directory.join(&*relative);
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_paths_start_at_the_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(File::load(folder.path()).unwrap(), File::default());
        let text = "data_dir = \"data\"\n[http]\nport = 9000\n[log]\nlevel = \"DEBUG\"\n";
        std::fs::write(folder.path().join(NAME), text).unwrap();
        let file = File::load(folder.path()).unwrap();
        assert_eq!(file.data_dir, Some(folder.path().join("data")));
        assert_eq!(file.http.port, Some(9000));
        assert_eq!(file.log.level, Some(super::super::log::Level::Debug));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), "[http]\nprot = 9000\n").unwrap();
        let error = File::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("agent-server.toml: ") && error.contains("prot"), "{error}");
    }
}
