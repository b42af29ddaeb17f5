//! Where and what the server accepts.

use std::{net::SocketAddr, time::Duration};

use agent_server_server::{Cors, HeaderRules, MountPrefix};
use serde_json::Value;

use super::{Sources, cors, first, headers, project::Project};
use crate::{
    Mode, banner,
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// Where and what the server accepts.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Address or host name to listen on. The default is this machine alone: without authentication, whoever reaches
    /// the port may run everything.
    pub(crate) host: String,
    /// Port that was asked for; `None` leaves the choice to us, starting at `default_port`.
    pub(crate) port: Option<u16>,
    /// Port of the mode: 2024 in development, 8000 in production.
    pub(crate) default_port: u16,
    /// Largest request body, bytes.
    pub(crate) max_body_bytes: usize,
    /// How long a client may take nothing of what there is for it; `None` for ever.
    pub(crate) patience: Option<Duration>,
    /// Which pages of other origins may call.
    pub(crate) cors: Cors,
    /// Headers that are logged.
    pub(crate) logged_headers: HeaderRules,
    /// Path in front of all routes.
    pub(crate) mount_prefix: Option<MountPrefix>,
    /// Address of the server as others see it.
    pub(crate) api_url: Option<String>,
    /// Which headers reach runs.
    pub(crate) configurable_headers: HeaderRules,
    /// What the names of metrics begin with.
    pub(crate) metric_prefix: String,
}

impl Http {
    /// Upstream's host and port variables describe images; its `dev` does not read them and neither does ours.
    pub(crate) fn resolve(mode: Mode, from: &Sources<'_>, project: &Project) -> Result<Self> {
        let (host, port) = match mode {
            Mode::Dev => (None, None),
            Mode::Serve => (
                from.env.get(upstream::LANGGRAPH_SERVER_HOST).map(str::to_owned),
                from.env.parsed(upstream::PORT)?,
            ),
        };
        Ok(Self {
            host: first([from.args.host.clone(), host, from.file.http.host.clone()], || {
                "127.0.0.1".into()
            }),
            port: from.args.port.or(port).or(from.file.http.port),
            default_port: if mode == Mode::Dev { 2024 } else { 8000 },
            max_body_bytes: first(
                [
                    from.args.max_body_bytes,
                    from.env.parsed(upstream::HTTP_MAX_REQUEST_BODY_BYTES)?,
                    from.file.http.max_body_bytes,
                ],
                || 300 << 20,
            ),
            patience: match first([from.args.stall_seconds, from.file.http.stall_seconds], || 60) {
                0 => None,
                seconds => Some(Duration::from_secs(seconds)),
            },
            cors: cors::resolve(from.env, project)?,
            logged_headers: logged_headers(project)?,
            mount_prefix: mount_prefix(from.env, project)?,
            api_url: from.env.get(upstream::LANGGRAPH_API_URL).map(str::to_owned),
            configurable_headers: headers::resolve(project)?,
            metric_prefix: from
                .env
                .get(upstream::METRIC_PREFIX)
                .unwrap_or(agent_server_server::metrics::PREFIX)
                .to_owned(),
        })
    }

    /// The address of the server as a client on this machine writes it.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let prefix = self.mount_prefix.as_ref().map_or("", MountPrefix::as_str);
        format!("{}{prefix}", banner::url(address))
    }

    /// Where the served document says that the server is.
    pub(crate) fn document_url(&self) -> Option<String> {
        let prefix = self.mount_prefix.as_ref().map(|prefix| prefix.as_str().to_owned());
        self.api_url.clone().or(prefix)
    }

    /// Whether only this machine can reach the server.
    pub(crate) fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The path in front of all routes: the variable, else the project's.
fn mount_prefix(env: &Env, project: &Project) -> Result<Option<MountPrefix>> {
    let given = project.sections.get("http").and_then(|http| http.get("mount_prefix"));
    let (place, text) = match (env.get(upstream::MOUNT_PREFIX), given) {
        (Some(text), _) => (format!("variable {}", upstream::MOUNT_PREFIX), text),
        (None, None | Some(Value::Null)) => return Ok(None),
        (None, Some(Value::String(text))) => ("http.mount_prefix".to_owned(), text.as_str()),
        (None, Some(_)) => return Err(Refusal::usage("http.mount_prefix: not a text").into()),
    };
    let parsed = MountPrefix::parse(text);
    parsed.map_err(|cause| Refusal::usage(format!("{place}: {cause}")).into())
}

/// The headers of `http.logging_headers`.
fn logged_headers(project: &Project) -> Result<HeaderRules> {
    let section = project.sections.get("http").and_then(|http| http.get("logging_headers"));
    let names = |keys: [&str; 2]| -> Result<Vec<String>> {
        let given = keys.iter().find_map(|key| section?.get(key)).cloned();
        serde_json::from_value(given.unwrap_or_else(|| Value::Array(vec![]))).map_err(|_| {
            Refusal::usage(format!("http.logging_headers.{}: not a list of texts", keys[0])).into()
        })
    };
    Ok(HeaderRules::new(&names(["includes", "include"])?, &names(["excludes", "exclude"])?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_variable_wins_over_the_project() {
        let check = |variable: Option<&str>, given: Value, expected: Result<Option<&str>, &str>| {
            let sections = json!({"http": {"mount_prefix": given}});
            let sections = sections.as_object().unwrap().clone();
            let project = Project { sections, ..Project::default() };
            let env = variable.map(|text| ("MOUNT_PREFIX".to_owned(), text.to_owned()));
            let found = mount_prefix(&Env::from_pairs(env), &project);
            let found = found.map_err(|error| error.to_string());
            let found = found.as_ref().map(|prefix| prefix.as_ref().map(MountPrefix::as_str));
            assert_eq!(found.map_err(String::as_str), expected);
        };
        check(None, Value::Null, Ok(None));
        check(None, json!("/a/"), Ok(Some("/a")));
        check(Some("/b"), json!("/a"), Ok(Some("/b")));
        check(Some("/"), json!("/a"), Ok(None));
        check(None, json!("a"), Err("http.mount_prefix: 'a' does not begin with a slash"));
        check(None, json!(1), Err("http.mount_prefix: not a text"));
        check(
            Some("a"),
            json!("/a"),
            Err("variable MOUNT_PREFIX: 'a' does not begin with a slash"),
        );
    }
}
