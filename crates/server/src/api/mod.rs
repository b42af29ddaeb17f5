//! The handlers: one file per tag of the document, each implementing that tag's trait.
//!
//! A handler converts in, calls one method of the domain, converts out.

mod a2a;
mod assistants;
mod crons;
mod mcp;
mod rpc;
mod run_access;
mod run_body;
mod stateless_runs;
mod store;
mod streaming;
mod system;
mod thread_runs;
mod threads;
mod webhooks;

use agent_server_api::{Context, Service};
use agent_server_domain::{
    Domain,
    runs::Once,
    storage::{Map, Page},
};
use http::HeaderName;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(crate) use streaming::{EVENT_SOCKET, websocket};

use crate::{
    Options,
    auth::{Access, allowed, readable},
    error::{Error, invalid},
};

/// The handlers' state.
#[derive(Clone)]
pub struct Api {
    domain: Domain,
    options: Options,
    /// Calls of tools in progress.
    sessions: mcp::Sessions,
}

impl Api {
    /// Handlers over a domain.
    pub fn new(domain: Domain, options: Options) -> Self {
        Self { domain, options, sessions: mcp::Sessions::default() }
    }
}

impl Service for Api {
    type Error = Error;
}

/// Result of a handler.
type Result<T, E = Error> = std::result::Result<T, E>;

const PAGINATION_TOTAL: HeaderName = HeaderName::from_static("x-pagination-total");
const PAGINATION_NEXT: HeaderName = HeaderName::from_static("x-pagination-next");

/// Names given as repeated values, as a JSON array in one value, or both.
pub(crate) fn query_names(values: &[String]) -> Vec<String> {
    agent_server_api::listed(values.iter().filter(|value| !value.is_empty()))
}

/// A page of a search body, whose bounds the document checks.
fn page(limit: Option<i64>, offset: Option<i64>) -> Page {
    let bounded = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX - 1);
    Page { limit: bounded(limit.unwrap_or(10)), offset: bounded(offset.unwrap_or(0)) }
}

/// The pagination headers of a search answer: the next offset if more follows, and a total that is exact on the last
/// page and "at least one more" before it.
fn pagination(page: Page, returned: usize, more: bool) -> Vec<(HeaderName, String)> {
    let (limit, offset) = (u64::from(page.limit), u64::from(page.offset));
    if more {
        let next = offset + limit;
        vec![(PAGINATION_NEXT, next.to_string()), (PAGINATION_TOTAL, (next + 1).to_string())]
    } else {
        vec![(PAGINATION_TOTAL, (offset + returned as u64).to_string())]
    }
}

/// An id in a body; its text is checked here because the document's formats are notes, not checks.
fn body_id(text: &str, what: &str) -> Result<Uuid> {
    agent_server_api::parse_uuid(text)
        .ok_or_else(|| invalid(format!("Invalid {what} ID: must be a UUID")))
}

/// The context of a body as a map. Its text is an object by then, but may hold what no program can (half a surrogate pair, a
/// number that is too large): that is refused, not dropped.
fn context(json: Option<agent_server_client::wire::RawJson>) -> Result<Option<Map>> {
    json.map(|json| json.parse())
        .transpose()
        .map_err(|error| invalid(format!("Invalid context: {error}")))
}

/// The `Idempotency-Key` of a creation, for a body as it was sent.
fn once(cx: &Context, body: &[u8]) -> Result<Option<Once>> {
    let Some(value) = cx.headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| {
        invalid("Invalid Idempotency-Key: must be 1 to 255 visible ASCII characters")
    })?;
    Ok(Some(Once {
        route: cx.uri.path().to_owned(),
        key: key.to_owned(),
        body_hash: Sha256::digest(body).into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_exact_on_the_last_page_only() {
        let text = |headers: Vec<(HeaderName, String)>| {
            headers
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let page = Page { limit: 10, offset: 20 };
        assert_eq!(text(pagination(page, 10, true)), "x-pagination-next=30 x-pagination-total=31");
        assert_eq!(text(pagination(page, 4, false)), "x-pagination-total=24");
        assert_eq!(text(pagination(page, 0, false)), "x-pagination-total=20");
    }

    #[test]
    fn names_may_be_repeated_or_a_json_array() {
        let values = ["values".to_owned(), r#"["updates","custom"]"#.to_owned(), String::new()];
        assert_eq!(query_names(&values), ["values", "updates", "custom"]);
    }
}
