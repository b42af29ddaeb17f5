//! How often callers may ask: a bucket of requests for each identity, or for each address where nobody is known.
//!
//! A layer behind authentication and in front of the routes, which is there only where something is limited. Streams and
//! WebSockets count when they are opened. Nobody counts who looks after the server, and not the project's own code.

mod buckets;
mod client;
mod rate;
mod rules;

use std::{fmt, hash::Hash, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderValue, StatusCode, header};

use crate::{auth, error::detail_response, metrics, webhooks::InProcess};

use buckets::Buckets;
pub use rate::Rate;
pub use rules::{Rules, names as limited_names};

/// How often callers may ask.
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    /// What is limited how.
    pub rules: Rules,
    /// Reverse proxies in front of the server, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: usize,
}

impl RateLimits {
    /// Whether anything is limited.
    pub fn is_on(&self) -> bool {
        !self.rules.is_empty()
    }
}

/// Who shares a bucket.
#[derive(Hash)]
enum Who<'a> {
    Identity(&'a str),
    Address(Option<std::net::IpAddr>),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity(_) => "identity",
            Self::Address(_) => "address",
        })
    }
}

/// What the layer knows.
pub(crate) struct Limiter {
    limits: RateLimits,
    buckets: Buckets,
}

impl Limiter {
    pub(crate) fn new(limits: RateLimits) -> Arc<Self> {
        Arc::new(Self { limits, buckets: Buckets::new() })
    }
}

/// Refuses requests that come too often; a layer.
pub(crate) async fn limit(
    State(limiter): State<Arc<Limiter>>,
    request: Request,
    next: Next,
) -> Response {
    match limiter.refusal(&request) {
        None => next.run(request).await,
        Some(refusal) => auth::refuse_unread(refusal, request).await,
    }
}

impl Limiter {
    fn refusal(&self, request: &Request) -> Option<Response> {
        if request.extensions().get::<InProcess>().is_some() {
            return None;
        }
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let rule = self.limits.rules.of(request.method(), route)?;
        let user = auth::user_of(request);
        let who = match &user {
            Some(user) => Who::Identity(&user.identity),
            None => Who::Address(client::address(request, self.limits.trusted_proxies)),
        };
        let wait = self.buckets.take(&(rule.name(), &who), rule.rate).err()?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!(
            "Rate limit exceeded: {subject} of one {who} are limited to {rate}. Wait {seconds} s and try again.",
            subject = rule.subject(),
            rate = rule.rate,
        );
        Some(too_many(rule.name(), &detail, seconds))
    }
}

/// Which limit refused a request, for the log: left in the extensions of the answer.
#[derive(Clone)]
pub(crate) struct RefusedBy(pub(crate) Arc<str>);

/// The answer to a request that a limit refuses.
pub(crate) fn too_many(limit: &str, detail: &str, retry_after_seconds: u64) -> Response {
    metrics::count_limited(limit);
    let mut response = detail_response(StatusCode::TOO_MANY_REQUESTS, detail);
    let seconds = HeaderValue::from(retry_after_seconds.max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response.extensions_mut().insert(RefusedBy(limit.into()));
    response
}
