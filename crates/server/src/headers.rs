//! Which headers of a request reach the runs that it creates.
//!
//! Source: reference/auth-webhooks-encryption.md, part 3.

use std::sync::Arc;

use agent_server_domain::storage::Map;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// Credentials: what is known of who asks is in the configurable already, and no graph needs more.
const NEVER: [&str; 4] = ["authorization", "x-api-key", "x-service-key", "x-tenant-id"];
/// Members of the configurable that mean something to the server begin so.
const OURS: [&str; 3] = ["__", "langgraph_", "checkpoint"];

/// Headers chosen by patterns: names, in which `*` stands for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    includes: Vec<String>,
    excludes: Vec<String>,
}

impl HeaderRules {
    /// Chooses what one of `includes` names and none of `excludes`, in any case of letters.
    pub fn new(includes: &[String], excludes: &[String]) -> Self {
        let lower = |patterns: &[String]| {
            patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect()
        };
        Self { includes: lower(includes), excludes: lower(excludes) }
    }

    /// Whether a header, named in lower case, is chosen.
    pub fn selects(&self, name: &str) -> bool {
        let names = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        names(&self.includes) && !names(&self.excludes)
    }

    /// The members of a run's configurable that come from the headers of its request.
    fn forwarded(&self, headers: &HeaderMap) -> Map {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut forwarded = Map::new();
        for name in headers.keys().map(http::HeaderName::as_str) {
            let is_ours = OURS.iter().any(|start| name.starts_with(start));
            if !NEVER.contains(&name)
                && !is_ours
                && self.selects(name)
                && let Some(value) = headers.get(name)
            {
                let value = String::from_utf8_lossy(value.as_bytes());
                forwarded.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(trace) = text("langsmith-trace") {
            forwarded.insert("langsmith-trace".into(), json!(trace));
            baggage(text("baggage").unwrap_or_default(), &mut forwarded);
        }
        forwarded
    }
}

/// Adds what the tracing of the caller sent along.
fn baggage(header: &str, forwarded: &mut Map) {
    for item in header.split(',') {
        let Some((name, value)) = item.trim().split_once('=') else { continue };
        let value = percent_decode_str(value).decode_utf8_lossy();
        let value = match name {
            "langsmith-metadata" => match serde_json::from_str(&value) {
                Ok(Value::Object(metadata)) => Value::Object(metadata),
                _ => continue,
            },
            "langsmith-tags" => value.split(',').collect(),
            "langsmith-project" => json!(value),
            _ => continue,
        };
        forwarded.insert(name.to_owned(), value);
    }
}

/// Whether a pattern with `*` describes all of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    // Every place where the rest may begin.
    name.char_indices()
        .map(|(place, _)| place)
        .chain([name.len()])
        .any(|place| matches(rest, &name[place..]))
}

/// What goes from the headers of a request into the runs that it creates, left in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded(pub(crate) Arc<Map>);

/// Notes what is forwarded.
pub(crate) async fn note(
    State(rules): State<Arc<HeaderRules>>,
    mut request: Request,
    next: Next,
) -> Response {
    let forwarded = rules.forwarded(request.headers());
    if !forwarded.is_empty() {
        request.extensions_mut().insert(Forwarded(Arc::new(forwarded)));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(includes: &[&str], excludes: &[&str]) -> HeaderRules {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        HeaderRules::new(&owned(includes), &owned(excludes))
    }

    fn forwarded(rules: &HeaderRules, headers: &[(&'static str, &'static str)]) -> Value {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), http::HeaderValue::from_static(value)))
            .collect();
        Value::Object(rules.forwarded(&headers))
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("x-foo", "x-foo", true),
            ("x-foo", "x-fool", false),
            ("x-*", "x-", true),
            ("x-*-id", "x-a-b-id", true),
            ("x-*-id", "x-id", false),
            ("*", "anything", true),
            ("*a*", "banana", true),
            ("*a*c", "banana", false),
            ("x.foo", "x-foo", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn excludes_win_and_names_have_no_case() {
        let rules = rules(&["X-Foo", "x-b*"], &["x-BAD"]);
        let chosen: Vec<_> =
            ["x-foo", "x-bar", "x-bad", "x-other"].map(|name| rules.selects(name)).into();
        assert_eq!(chosen, [true, true, false, false]);
    }

    #[test]
    fn credentials_and_names_of_ours_are_never_passed_on() {
        let headers = [
            ("authorization", "a"),
            ("x-api-key", "a"),
            ("x-service-key", "a"),
            ("x-tenant-id", "a"),
            ("__langsmith_project__", "a"),
            ("langgraph_auth_user", "a"),
            ("checkpoint_id", "a"),
            ("x-kept", "k"),
        ];
        assert_eq!(forwarded(&rules(&["*"], &[]), &headers), json!({"x-kept": "k"}));
        assert_eq!(forwarded(&HeaderRules::default(), &headers), json!({}));
    }

    #[test]
    fn tracing_is_always_passed_on() {
        let trace = ("langsmith-trace", "t");
        let bag = "langsmith-metadata=%7B%22a%22%3A1%7D, langsmith-tags=x%2Cy,langsmith-project=p%20q,other=1";
        let expected = json!({
            "langsmith-trace": "t", "langsmith-metadata": {"a": 1}, "langsmith-tags": ["x", "y"],
            "langsmith-project": "p q",
        });
        let none = HeaderRules::default();
        assert_eq!(forwarded(&none, &[trace, ("baggage", bag)]), expected);
        assert_eq!(forwarded(&none, &[("baggage", bag)]), json!({}));
        let broken = ("baggage", "langsmith-metadata=%7B,langsmith-project");
        assert_eq!(forwarded(&none, &[trace, broken]), json!({"langsmith-trace": "t"}));
    }
}
