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

use crate::HeaderRules;

/// Credentials: what is known of who asks is in the configurable already, and no graph needs more.
const NEVER: [&str; 4] = ["authorization", "x-api-key", "x-service-key", "x-tenant-id"];
/// Members of the configurable that mean something to the server begin so.
const OURS: [&str; 3] = ["__", "langgraph_", "checkpoint"];

impl HeaderRules {
    /// The members of a run's configurable that come from the headers of its request.
    fn forwarded(&self, headers: &HeaderMap) -> Map {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut forwarded = Map::new();
        // Most projects choose none, and every request comes by here.
        let names = headers.keys().filter(|_| !self.is_empty());
        for name in names.map(http::HeaderName::as_str) {
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
    use crate::header_rules::tests::rules;

    fn forwarded(rules: &HeaderRules, headers: &[(&'static str, &'static str)]) -> Value {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), http::HeaderValue::from_static(value)))
            .collect();
        Value::Object(rules.forwarded(&headers))
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
