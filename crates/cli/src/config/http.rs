//! Where and what the server accepts.

use agent_server_server::{Cors, HeaderRules};

use super::{Sources, cors, first, headers, project::Project};
use crate::{Mode, env::upstream, refusal::Result};

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
    /// Which pages of other origins may call.
    pub(crate) cors: Cors,
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
            cors: cors::resolve(from.env, project)?,
            configurable_headers: headers::resolve(project)?,
            metric_prefix: from
                .env
                .get(upstream::METRIC_PREFIX)
                .unwrap_or(agent_server_server::metrics::PREFIX)
                .to_owned(),
        })
    }

    /// Whether only this machine can reach the server.
    pub(crate) fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}
