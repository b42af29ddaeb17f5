//! A path in front of all routes, for servers that share their host with others.
//!
//! Routes, authentication and figures know nothing of it: it is taken off before they see a request. What an answer says of
//! addresses names it where the client needs it: the cards of agents and `servers` of the document. `Location` headers of
//! runs are without it, as upstream's are, because the SDKs resolve them below their base address.
//!
//! Source: reference/configuration.md, 2.7.

use std::sync::Arc;

use agent_server_api::Rejection;
use axum::{Router, extract::Request};
use http::{Uri, uri::PathAndQuery};
use tower::ServiceExt as _;

use crate::AccessLog;

/// The path in front, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPrefix(Arc<str>);

/// What is also served without the prefix, for those who look after the server.
const AT_THE_ROOT: [&str; 3] = ["/", "/ok", "/metrics"];

/// What upstream keeps for itself.
const RESERVED: &str = "/noauth";

impl MountPrefix {
    /// Reads a prefix; `/` alone is none.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if !text.starts_with('/') {
            return Err(format!("'{text}' does not begin with a slash"));
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        if path.is_empty() {
            return Ok(None);
        }
        if below(path, RESERVED).is_some() {
            return Err(format!("'{text}': {RESERVED} and what is below it are reserved"));
        }
        let is_plain = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
        };
        if !path[1..].split('/').all(is_plain) {
            return Err(format!("'{text}' is not like /agents or /team/agents"));
        }
        Ok(Some(Self(path.into())))
    }

    /// The prefix as it stands in front of paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What of `path` is below `prefix`; empty for the prefix itself.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The address that the router is to see; `None` for what it does not serve.
fn routed(uri: &Uri, prefix: &MountPrefix) -> Option<Uri> {
    let Some(rest) = below(uri.path(), prefix.as_str()) else {
        return AT_THE_ROOT.contains(&uri.path()).then(|| uri.clone());
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", if rest.is_empty() { "/" } else { rest });
    let mut parts = uri.clone().into_parts();
    // A part of an address that was one.
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// Puts a router below a prefix. The prefix is left in the extensions of each request that came through it.
pub fn mounted(router: Router, prefix: MountPrefix) -> Router {
    let outside = Router::new().fallback(|| async { Rejection::not_found() });
    let outside = crate::known(outside, AccessLog::default());
    Router::new().fallback(move |mut request: Request| {
        let (mut router, prefix) = (router.clone(), prefix.clone());
        let uri = routed(request.uri(), &prefix);
        if uri.is_none() {
            router = outside.clone();
        }
        async move {
            if let Some(uri) = uri
                && uri != *request.uri()
            {
                *request.uri_mut() = uri;
                request.extensions_mut().insert(prefix);
            }
            match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> MountPrefix {
        MountPrefix::parse(text).unwrap().unwrap()
    }

    #[test]
    fn prefixes_begin_with_a_slash_and_lose_one_at_their_end() {
        assert_eq!(prefix("/agents/").as_str(), "/agents");
        assert_eq!(prefix("/team/agents").as_str(), "/team/agents");
        assert_eq!(MountPrefix::parse("/"), Ok(None));
        for wrong in ["agents", "", "/noauth", "/noauth/x", "//", "/a//b", "/a/../b", "/{a}", "/ä"]
        {
            assert!(MountPrefix::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(prefix("/noauthx").as_str(), "/noauthx");
    }

    #[test]
    fn only_what_is_below_is_served_and_a_little_at_the_root() {
        let prefix = prefix("/agents");
        let check = |given: &str, seen: Option<&str>| {
            let uri = routed(&given.parse().unwrap(), &prefix);
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), seen, "{given}");
        };
        check("/agents/threads/x?limit=1", Some("/threads/x?limit=1"));
        check("/agents", Some("/"));
        check("/agents/", Some("/"));
        check("/agents//ok", Some("//ok"));
        check("http://host/agents/ok", Some("http://host/ok"));
        for path in AT_THE_ROOT {
            check(path, Some(path));
        }
        for path in ["/info", "/docs", "/openapi.json", "/threads", "/agentsx/ok", "/ok/"] {
            check(path, None);
        }
    }
}
