//! Which headers a configuration means: names with `*` for any part of one.
//!
//! Source: reference/configuration.md, 2.7.

use http::{HeaderMap, HeaderName};

/// Patterns of names. What is excluded counts more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderNames {
    /// Names that are meant.
    pub includes: Vec<String>,
    /// Of these, names that are not.
    pub excludes: Vec<String>,
}

/// Headers that carry secrets.
const SECRET: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-service-key",
    "webhook-signature",
];

impl HeaderNames {
    /// Whether a header is meant. Those that carry secrets never are.
    fn mean(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        let among =
            |patterns: &[String]| patterns.iter().any(|p| matches(&p.to_ascii_lowercase(), name));
        !SECRET.contains(&name) && among(&self.includes) && !among(&self.excludes)
    }

    /// The headers that are meant, as a JSON object; `None` if there are none.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<String> {
        if self.includes.is_empty() {
            return None;
        }
        let mut found = serde_json::Map::new();
        for name in headers.keys().filter(|name| self.mean(name)) {
            let values = headers.get_all(name).iter();
            let values: Vec<_> =
                values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            found.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        (!found.is_empty()).then(|| serde_json::Value::Object(found).to_string())
    }
}

/// Whether a name is as the pattern says, where `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    rest.char_indices()
        .map(|(place, _)| place)
        .chain([rest.len()])
        .any(|place| matches(after, &rest[place..]))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn patterns_choose_and_secrets_stay_secret() {
        let check = |includes: &[&str], excludes: &[&str], expected: Option<&str>| {
            let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let names = HeaderNames { includes: list(includes), excludes: list(excludes) };
            let mut headers = HeaderMap::new();
            for name in ["x-foo", "x-bar", "authorization", "cookie", "x-api-key", "accept"] {
                headers.insert(name, HeaderValue::from_static("v"));
            }
            assert_eq!(names.of(&headers).as_deref(), expected, "{includes:?}");
        };
        check(&[], &[], None);
        check(&["X-Foo", "x-b*"], &["x-bar"], Some(r#"{"x-foo":"v"}"#));
        check(&["*"], &["x-*"], Some(r#"{"accept":"v"}"#));
        check(&["authorization", "cookie", "x-api-key"], &[], None);
        check(&["*-*o*"], &[], Some(r#"{"x-foo":"v"}"#));
        check(&["none"], &[], None);
    }
}
