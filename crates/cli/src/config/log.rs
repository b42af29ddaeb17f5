//! What is logged, and how. The log goes to stderr; stdout belongs to the banner.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{Sources, first};
use crate::{
    env::{Env, RUST_LOG, upstream},
    log::{self, Format},
    refusal::{Refusal, Result},
};

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// Least important level that is logged.
    pub(crate) level: Level,
    /// Filter in the syntax of the `tracing` crates; replaces `level`.
    pub(crate) filter: Option<String>,
    /// One JSON object per line instead of text for people.
    pub(crate) json: bool,
    /// Colours.
    pub(crate) color: bool,
}

/// A level, by its name in this world or in Python's.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub(crate) enum Level {
    /// Only what went wrong.
    Error,
    /// And what is suspicious.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// Everything.
    Trace,
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "error" | "critical" | "fatal" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" | "notset" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err("not one of error, warn, info, debug, trace".into()),
        }
    }
}

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Log {
    pub(crate) fn resolve(from: &Sources<'_>, process: &Env) -> Result<Self> {
        let (args, file) = (from.args, &from.file.log);
        let json = args.log_json.then_some(true);
        Ok(Self {
            level: first(
                [args.log_level, from.env.parsed(upstream::LOG_LEVEL)?, file.level],
                || Level::Info,
            ),
            // A tool of the process, like a debugger: a project does not set it.
            filter: process.get(RUST_LOG).map(str::to_owned),
            json: first([json, from.env.flag(upstream::LOG_JSON)?, file.json], || false),
            color: first([from.env.flag(upstream::LOG_COLOR)?, file.color], || true)
                && std::io::stderr().is_terminal(),
        })
    }

    /// Starts logging. Call once.
    ///
    /// Errors: a refusal if the filter cannot be read.
    pub(crate) fn start(&self) -> Result<()> {
        let filter = match &self.filter {
            Some(filter) => EnvFilter::try_new(filter)
                .map_err(|error| Refusal::usage(format!("variable {RUST_LOG}: {error}")))?,
            None => {
                // Libraries speak at `info` about themselves; only what they find suspicious concerns our users.
                let others = if self.level == Level::Error { "error" } else { "warn" };
                let level = self.level.name();
                // What graphs say comes from `worker`. What they print has no level of its own and always appears.
                let worker = if self.level <= Level::Info { "info" } else { level };
                EnvFilter::new(format!("{others},agent_server={level},worker={worker}"))
            }
        };
        let format = match self.json {
            true => Format::Json,
            false => Format::Text { color: self.color },
        };
        tracing_subscriber::registry().with(filter).with(log::Log::new(format)).init();
        Ok(())
    }
}
