//! Which headers the line of a request in the log carries.
//!
//! Source: reference/configuration.md, 2.7.

use http::HeaderMap;

use crate::HeaderRules;

/// Headers that carry secrets, which no rule can choose.
const SECRET: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-service-key",
    "webhook-signature",
];

impl HeaderRules {
    /// The chosen headers but those that carry secrets, as a JSON object; `None` if there are none.
    pub(crate) fn logged(&self, headers: &HeaderMap) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let is_logged = |name: &str| !SECRET.contains(&name) && self.selects(name);
        let mut found = serde_json::Map::new();
        for name in headers.keys().filter(|name| is_logged(name.as_str())) {
            let values = headers.get_all(name).iter();
            let values: Vec<_> =
                values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            found.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        (!found.is_empty()).then(|| serde_json::Value::Object(found).to_string())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::header_rules::tests::rules;

    #[test]
    fn patterns_choose_and_secrets_stay_secret() {
        let check = |includes: &[&str], excludes: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for name in ["x-foo", "x-bar", "authorization", "cookie", "x-api-key", "accept"] {
                headers.insert(name, HeaderValue::from_static("v"));
            }
            assert_eq!(
                rules(includes, excludes).logged(&headers).as_deref(),
                expected,
                "{includes:?}"
            );
        };
        check(&[], &[], None);
        check(&["X-Foo", "x-b*"], &["x-bar"], Some(r#"{"x-foo":"v"}"#));
        check(&["*"], &["x-*"], Some(r#"{"accept":"v"}"#));
        check(&["authorization", "cookie", "x-api-key"], &[], None);
        check(&["*-*o*"], &[], Some(r#"{"x-foo":"v"}"#));
        check(&["none"], &[], None);
    }
}
