//! The environment: the only place of the workspace that reads it, and the names of upstream's variables.
//!
//! `AGENT_SERVER_*` variables stand beside their flags in [`crate::args`]. Here are the names that deployments of the
//! upstream server already use; they rank below our own and above `agent-server.toml`.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use crate::refusal::{Refusal, Result};

/// Upstream's variables that are honoured.
pub(crate) mod upstream {
    /// Concurrent runs per worker process.
    pub(crate) const N_JOBS_PER_WORKER: &str = "N_JOBS_PER_WORKER";
    /// Attempts of one run after failures of the infrastructure, the first included.
    pub(crate) const BG_JOB_MAX_RETRIES: &str = "BG_JOB_MAX_RETRIES";
    /// How long runs in progress get to end when the server is told to stop, seconds.
    pub(crate) const BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS: &str = "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS";
    /// Longest time that an attempt of a run may take, seconds.
    pub(crate) const BG_JOB_TIMEOUT_SECS: &str = "BG_JOB_TIMEOUT_SECS";
    /// How long the events of a resumable run stay replayable, seconds.
    pub(crate) const RESUMABLE_STREAM_TTL_SECONDS: &str = "RESUMABLE_STREAM_TTL_SECONDS";
    /// Lifetime of threads that are made without one: minutes, or the object of `checkpointer.ttl`.
    pub(crate) const LANGGRAPH_THREAD_TTL: &str = "LANGGRAPH_THREAD_TTL";
    /// Largest request body, bytes.
    pub(crate) const HTTP_MAX_REQUEST_BODY_BYTES: &str = "HTTP_MAX_REQUEST_BODY_BYTES";
    /// What the names of metrics begin with.
    pub(crate) const METRIC_PREFIX: &str = "METRIC_PREFIX";
    /// Address to listen on; `serve` only.
    pub(crate) const LANGGRAPH_SERVER_HOST: &str = "LANGGRAPH_SERVER_HOST";
    /// Port to listen on; `serve` only.
    pub(crate) const PORT: &str = "PORT";
    /// Address of the server as others see it; stands in the metadata of runs.
    pub(crate) const LANGGRAPH_API_URL: &str = "LANGGRAPH_API_URL";
    /// Which pages of other origins may call: the object of `http.cors`.
    pub(crate) const CORS_CONFIG: &str = "CORS_CONFIG";
    /// Origins whose pages may call, with commas between them; for where no object says it.
    pub(crate) const CORS_ALLOW_ORIGINS: &str = "CORS_ALLOW_ORIGINS";
    /// Agent whose card stands at the root.
    pub(crate) const DEFAULT_A2A_ASSISTANT_ID: &str = "DEFAULT_A2A_ASSISTANT_ID";
    /// Names of the tools whose results agents show, separated by commas; all of them if it is not set.
    pub(crate) const A2A_ALLOWED_TOOL_CALL_RESULTS: &str = "A2A_ALLOWED_TOOL_CALL_RESULTS";
    /// Key of 16, 24 or 32 bytes that what is stored is encrypted with.
    pub(crate) const LANGGRAPH_AES_KEY: &str = "LANGGRAPH_AES_KEY";
    /// Top-level keys of metadata that are encrypted as well, separated by commas.
    pub(crate) const LANGGRAPH_AES_JSON_KEYS: &str = "LANGGRAPH_AES_JSON_KEYS";
    /// Least important level that is logged.
    pub(crate) const LOG_LEVEL: &str = "LOG_LEVEL";
    /// One JSON object per log line.
    pub(crate) const LOG_JSON: &str = "LOG_JSON";
    /// Colours in the log.
    pub(crate) const LOG_COLOR: &str = "LOG_COLOR";

    /// Sections of langgraph.json that images carry as JSON in variables: name of the variable, key of the section.
    pub(crate) const SECTIONS: [(&str, &str); 10] = [
        ("LANGSERVE_GRAPHS", "graphs"),
        ("LANGGRAPH_STORE", "store"),
        ("LANGGRAPH_CHECKPOINTER", "checkpointer"),
        ("LANGGRAPH_AUTH", "auth"),
        ("LANGGRAPH_ENCRYPTION", "encryption"),
        ("LANGGRAPH_PRIORITY", "priority"),
        ("LANGGRAPH_HTTP", "http"),
        ("LANGGRAPH_WEBHOOKS", "webhooks"),
        ("LANGGRAPH_UI", "ui"),
        ("LANGGRAPH_UI_CONFIG", "ui_config"),
    ];
}

/// Secret that webhooks are signed with. A variable without a flag beside it: command lines can be read by others.
pub(crate) const WEBHOOK_SECRET: &str = "AGENT_SERVER_WEBHOOK_SECRET";
/// Active virtual environment of the shell.
pub(crate) const VIRTUAL_ENV: &str = "VIRTUAL_ENV";
/// Directories that Python imports from; the workers see it unchanged.
pub(crate) const PYTHONPATH: &str = "PYTHONPATH";
/// Where programs are looked for.
pub(crate) const PATH: &str = "PATH";
/// Filter of the log in the syntax of the `tracing` crates; wins over every level setting.
pub(crate) const RUST_LOG: &str = "RUST_LOG";

/// A value without the quotes that some tools leave around it; the SDKs take them off keys.
pub(crate) fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// A snapshot of variables. Values that are not Unicode are left out; an empty value counts as not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env(BTreeMap<String, String>);

impl Env {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// Variables from anywhere; later ones win.
    pub(crate) fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// These variables with `over` on top of them: what the project's `env` sets wins over the shell, as upstream has it.
    pub(crate) fn with(&self, over: &[(String, String)]) -> Self {
        let mut all = self.clone();
        all.0.extend(over.iter().cloned());
        all
    }

    /// The value, unless it is not set or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value as something that can be parsed.
    ///
    /// Errors: a refusal that names the variable.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|error| Refusal::usage(format!("variable {name}: '{text}': {error}")).into())
    }

    /// The value as a boolean: `true`, `1`, `false`, `0` in any case, and nothing else, as upstream has it.
    ///
    /// Errors: a refusal that names the variable.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(Refusal::usage(format!(
                "variable {name}: '{text}' is neither true or 1 nor false or 0"
            ))
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn empty_value_counts_as_not_set() {
        let env = env(&[("A", ""), ("B", "x")]);
        assert_eq!(env.get("A"), None);
        assert_eq!(env.get("B"), Some("x"));
    }

    #[test]
    fn refusal_names_the_variable() {
        let env = env(&[("N_JOBS_PER_WORKER", "many"), ("LOG_JSON", "yes")]);
        let error = env.parsed::<u32>("N_JOBS_PER_WORKER").unwrap_err().to_string();
        assert_eq!(error, "variable N_JOBS_PER_WORKER: 'many': invalid digit found in string");
        let error = env.flag("LOG_JSON").unwrap_err().to_string();
        assert_eq!(error, "variable LOG_JSON: 'yes' is neither true or 1 nor false or 0");
    }

    #[test]
    fn project_variables_win_over_the_shell() {
        let env = env(&[("A", "shell"), ("B", "shell")]).with(&[("A".into(), "project".into())]);
        assert_eq!((env.get("A"), env.get("B")), (Some("project"), Some("shell")));
    }
}
