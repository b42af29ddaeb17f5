//! How much callers may ask for: flags, `AGENT_SERVER_*` and `[limits]` of agent-server.toml. Nothing is limited unless it
//! says so.

use agent_server_domain::runs;
use agent_server_server::{Rate, RateLimits, Rules, limited_names};

use super::{
    Sources,
    file::{self, OperationLimit},
    first,
    suggest::nearest,
};
use crate::refusal::{Refusal, Result};

/// How much callers may ask for.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// How often.
    pub(crate) rates: RateLimits,
    /// How many runs may be in flight.
    pub(crate) runs: runs::Limits,
}

/// The limits.
///
/// Errors: a refusal that names the entry.
pub(crate) fn resolve(from: &Sources<'_>) -> Result<Limits> {
    let (args, file) = (&from.args.limits, &from.file.limits);
    let burst = args.request_burst.or(file.burst);
    let all = match args.requests_per_second.or(file.requests_per_second) {
        Some(per_second) => Some(
            Rate::new(per_second, burst).or_else(|cause| refuse("requests_per_second", &cause))?,
        ),
        None if burst.is_some() => {
            return refuse("burst", "requests_per_second is not set, which it belongs to");
        }
        None => None,
    };
    let mut operations = Vec::with_capacity(file.operations.len());
    for (name, limit) in &file.operations {
        let (per_second, burst) = match *limit {
            OperationLimit::PerSecond(per_second) => (per_second, None),
            OperationLimit::Full { requests_per_second, burst } => (requests_per_second, burst),
        };
        let rate = Rate::new(per_second, burst);
        let rate = rate.or_else(|cause| refuse(&format!("operations.{name}"), &cause))?;
        operations.push((name.clone(), rate));
    }
    let rules = Rules::new(all, &operations)
        .or_else(|cause| refuse("operations", &with_hint(cause, &operations)))?;
    let runs = runs::Limits {
        per_identity: args.inflight_runs.or(file.inflight_runs),
        per_assistant: args.inflight_runs_per_assistant.or(file.inflight_runs_per_assistant),
    };
    if runs.per_identity == Some(0) || runs.per_assistant == Some(0) {
        return refuse("inflight_runs", "0 would let nobody run anything; at least 1 is needed");
    }
    let trusted_proxies = first([args.trusted_proxies, file.trusted_proxies], || 0);
    Ok(Limits { rates: RateLimits { rules, trusted_proxies }, runs })
}

/// A cause with the name that was probably meant.
fn with_hint(cause: String, operations: &[(String, Rate)]) -> String {
    let known: Vec<String> =
        limited_names().map(|name| name.to_lowercase().replace(['_', ' '], "-")).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let wrong = operations.iter().find(|(name, _)| cause.ends_with(&format!("'{name}'")));
    match wrong.and_then(|(name, _)| nearest(name, &known)) {
        Some(word) => format!("{cause}, did you mean '{word}'?"),
        None => cause,
    }
}

fn refuse<T>(key: &str, cause: &str) -> Result<T> {
    let variable = match key {
        "requests_per_second" => " (AGENT_SERVER_REQUESTS_PER_SECOND)",
        "burst" => " (AGENT_SERVER_REQUEST_BURST)",
        _ => "",
    };
    Err(Refusal::usage(format!("limits.{key} of {}{variable}: {cause}", file::NAME)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::ServerArgs, env::Env};

    fn check(args: &ServerArgs, toml: &str) -> Result<Limits> {
        let file = toml::from_str(toml).unwrap();
        resolve(&Sources { args, env: &Env::default(), file: &file })
    }

    #[test]
    fn nothing_is_limited_unless_it_says_so() {
        let limits = check(&ServerArgs::default(), "").unwrap();
        assert!(!limits.rates.is_on());
        assert_eq!(limits.runs, runs::Limits::default());
        assert!(
            !check(&ServerArgs::default(), "[limits]\ntrusted_proxies = 1").unwrap().rates.is_on()
        );
    }

    #[test]
    fn flags_win_over_the_file() {
        let toml = "[limits]\nrequests_per_second = 5\nburst = 9\ninflight_runs = 2\ninflight_runs_per_assistant = 3\n\
                    [limits.operations]\ncreate-run = 0.5\nstore = { requests_per_second = 100, burst = 7 }\n";
        let mut args = ServerArgs::default();
        args.limits.inflight_runs = Some(4);
        args.limits.trusted_proxies = Some(1);
        let limits = check(&args, toml).unwrap();
        assert!(limits.rates.is_on());
        assert_eq!(limits.rates.trusted_proxies, 1);
        assert_eq!(limits.runs, runs::Limits { per_identity: Some(4), per_assistant: Some(3) });
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let cause = |toml: &str| {
            check(&ServerArgs::default(), &format!("[limits]\n{toml}")).unwrap_err().to_string()
        };
        assert_eq!(
            cause("requests_per_second = 0"),
            "limits.requests_per_second of agent-server.toml (AGENT_SERVER_REQUESTS_PER_SECOND): 0 requests per second; it must be from one a day \
             (0.0000116) to 1000000"
        );
        assert_eq!(
            cause("burst = 3"),
            "limits.burst of agent-server.toml (AGENT_SERVER_REQUEST_BURST): requests_per_second is not set, which it belongs to"
        );
        assert_eq!(
            cause("inflight_runs = 0"),
            "limits.inflight_runs of agent-server.toml: 0 would let nobody run anything; at least 1 is needed"
        );
        assert_eq!(
            cause("operations.creat-run = 1"),
            "limits.operations of agent-server.toml: there is no operation or tag 'creat-run', did you mean \
             'create-run'?"
        );
        assert!(
            cause("operations.create-run = -1").starts_with("limits.operations.create-run of ")
        );
    }
}
