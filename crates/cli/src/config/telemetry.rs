//! Where traces go: the standard variables of OpenTelemetry.
//!
//! They are read here and not by the SDK, so that the project's `env` counts as it does for every other variable.

use std::{collections::HashMap, time::Duration};

use crate::{
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// The protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";
/// Where the standard has a collector that no variable names.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
/// How long sending a batch may take where no variable says it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces go, and which.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Telemetry {
    /// Address that batches are sent to.
    pub(crate) endpoint: String,
    /// Headers of each batch.
    pub(crate) headers: HashMap<String, String>,
    /// How long sending a batch may take.
    pub(crate) timeout: Duration,
    /// What the server says of itself; a later pair wins.
    pub(crate) resource: Vec<(String, String)>,
    /// Which traces are recorded.
    pub(crate) sampler: Sampler,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampler {
    /// Whether somebody else's decision about a trace counts.
    pub(crate) parent_based: bool,
    /// Share of the traces that begin here, 0 to 1.
    pub(crate) share: f64,
}

/// Whether traces are sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tracing {
    /// Nobody asks for it.
    Off,
    /// Somebody does, in a way that this version does not know.
    Unsupported(String),
    /// They are.
    On(Box<Telemetry>),
}

impl Tracing {
    /// Reads the variables. Traces are on where an address is given.
    ///
    /// Errors: a refusal that names the variable.
    pub(crate) fn resolve(env: &Env) -> Result<Self> {
        // Of two variables, the one for traces alone wins.
        let of = |traces: &'static str, all: &'static str| {
            env.get(traces).map(|value| (traces, value)).or(env.get(all).map(|value| (all, value)))
        };
        let is_disabled = env
            .get(upstream::OTEL_SDK_DISABLED)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let enabled = env.flag(upstream::OTEL_ENABLED)?;
        let (own, common) = (
            env.get(upstream::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
            env.get(upstream::OTEL_EXPORTER_OTLP_ENDPOINT),
        );
        let is_asked_for = enabled.unwrap_or(own.is_some() || common.is_some());
        if is_disabled || !is_asked_for {
            return Ok(Self::Off);
        }
        match env.get(upstream::OTEL_TRACES_EXPORTER) {
            None | Some("otlp") => {}
            Some("none") => return Ok(Self::Off),
            Some(other) => {
                let name = upstream::OTEL_TRACES_EXPORTER;
                return Ok(Self::Unsupported(format!("variable {name}: '{other}' is not otlp")));
            }
        }
        let protocol =
            of(upstream::OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, upstream::OTEL_EXPORTER_OTLP_PROTOCOL);
        if let Some((name, protocol)) = protocol.filter(|(_, protocol)| *protocol != PROTOCOL) {
            return Ok(Self::Unsupported(format!(
                "variable {name}: '{protocol}' is not spoken, only {PROTOCOL}, for which collectors listen on port 4318 \
                 as a rule"
            )));
        }
        let endpoint = match own {
            Some(own) => own.to_owned(),
            None => {
                format!("{}/v1/traces", common.unwrap_or(DEFAULT_ENDPOINT).trim_end_matches('/'))
            }
        };
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            let text = format!("the OTLP endpoint '{endpoint}' is no http or https address");
            return Err(Refusal::usage(text).into());
        }
        let headers =
            of(upstream::OTEL_EXPORTER_OTLP_TRACES_HEADERS, upstream::OTEL_EXPORTER_OTLP_HEADERS);
        let timeout =
            of(upstream::OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, upstream::OTEL_EXPORTER_OTLP_TIMEOUT);
        let timeout = match timeout {
            Some((name, _)) => env.parsed(name)?.map(Duration::from_millis),
            None => None,
        };
        let mut resource = vec![
            ("service.name".to_owned(), "agent-server".to_owned()),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        if let Some(text) = env.get(upstream::OTEL_RESOURCE_ATTRIBUTES) {
            resource.extend(pairs(upstream::OTEL_RESOURCE_ATTRIBUTES, text)?);
        }
        if let Some(name) = env.get(upstream::OTEL_SERVICE_NAME) {
            resource.push(("service.name".to_owned(), name.to_owned()));
        }
        Ok(Self::On(Box::new(Telemetry {
            endpoint,
            headers: match headers {
                Some((name, text)) => pairs(name, text)?.into_iter().collect(),
                None => HashMap::new(),
            },
            timeout: timeout.unwrap_or(TIMEOUT),
            resource,
            sampler: sampler(env)?,
        })))
    }
}

/// `name=value` with commas between them. Values are not shown: they may be secrets.
fn pairs(variable: &str, text: &str) -> Result<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                Refusal::usage(format!("variable {variable}: not like name=value,name=value"))
            })?;
            Ok((name.trim().to_owned(), decoded(value.trim())))
        })
        .collect()
}

/// Text whose special characters are written as `%20`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| first == b'%').map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sampler(env: &Env) -> Result<Sampler> {
    let share = env.parsed(upstream::OTEL_TRACES_SAMPLER_ARG)?.unwrap_or(1.0);
    let name = env.get(upstream::OTEL_TRACES_SAMPLER).unwrap_or("parentbased_always_on");
    let (parent_based, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name),
    };
    let share = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" if (0.0..=1.0).contains(&share) => share,
        "traceidratio" => {
            let name = upstream::OTEL_TRACES_SAMPLER_ARG;
            return Err(
                Refusal::usage(format!("variable {name}: {share} is not from 0 to 1")).into()
            );
        }
        _ => {
            return Err(Refusal::usage(format!(
                "variable {}: '{name}' is not one of always_on, always_off, traceidratio, or one of these after parentbased_",
                upstream::OTEL_TRACES_SAMPLER
            ))
            .into());
        }
    };
    Ok(Sampler { parent_based, share })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> Result<Tracing> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Tracing::resolve(&Env::from_pairs(variables))
    }

    fn on(variables: &[(&str, &str)]) -> Telemetry {
        match resolve(variables).unwrap() {
            Tracing::On(telemetry) => *telemetry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn traces_are_off_until_somebody_says_where_they_go() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        assert_eq!(resolve(&[]).unwrap(), Tracing::Off);
        assert_eq!(on(&[endpoint]).endpoint, "http://c:4318/v1/traces");
        assert_eq!(on(&[("OTEL_ENABLED", "true")]).endpoint, "http://localhost:4318/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x");
        assert_eq!(on(&[endpoint, own]).endpoint, "http://t/x");
        for off in
            [("OTEL_SDK_DISABLED", "True"), ("OTEL_ENABLED", "0"), ("OTEL_TRACES_EXPORTER", "none")]
        {
            assert_eq!(resolve(&[endpoint, off]).unwrap(), Tracing::Off, "{off:?}");
        }
        let grpc = resolve(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap();
        assert!(matches!(grpc, Tracing::Unsupported(why) if why.contains("'grpc' is not spoken")));
        assert!(resolve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]).is_err());
    }

    #[test]
    fn headers_and_attributes_are_lists_of_pairs() {
        let telemetry = on(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc=, x = y"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=b"),
            ("OTEL_SERVICE_NAME", "c"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ]);
        assert_eq!(telemetry.headers["authorization"], "Basic abc=");
        assert_eq!(telemetry.headers["x"], "y");
        assert_eq!(telemetry.timeout, Duration::from_millis(250));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let rest = [pair("service.name", "a"), pair("team", "b"), pair("service.name", "c")];
        assert_eq!(telemetry.resource[2..], rest);
    }

    #[test]
    fn samplers_have_their_standard_names() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
        let check = |name: &str, argument: &str, parent_based, share| {
            let variables =
                [endpoint, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            assert_eq!(on(&variables).sampler, Sampler { parent_based, share }, "{name}");
        };
        check("", "", true, 1.0);
        check("always_off", "", false, 0.0);
        check("traceidratio", "0.25", false, 0.25);
        check("parentbased_traceidratio", "0.5", true, 0.5);
        assert!(resolve(&[endpoint, ("OTEL_TRACES_SAMPLER", "some")]).is_err());
        let wrong = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert!(resolve(&[&[endpoint], &wrong[..]].concat()).is_err());
    }
}
