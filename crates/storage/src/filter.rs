//! Paging and the containment rule that all metadata filters share.

use serde_json::Value;

/// Direction of a sort; the wire's default is descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// Smallest first.
    Asc,
    /// Largest first.
    #[default]
    Desc,
}

/// A window of a result: `limit` rows after skipping `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Most rows to return.
    pub limit: u32,
    /// Rows to skip.
    pub offset: u32,
}

/// Whether `haystack` contains `needle`, as PostgreSQL's `@>` decides it.
///
/// Objects: every key of the needle is there and contains its value. Arrays: every element of the needle is
/// contained in some element of the haystack. Scalars: equal (`1` equals `1.0`). A scalar needle is also found in
/// a top-level array of scalars by PostgreSQL; nothing on the wire can ask for that, so it is left out.
pub fn contains(haystack: &Value, needle: &Value) -> bool {
    match (haystack, needle) {
        (Value::Object(haystack), Value::Object(needle)) => needle
            .iter()
            .all(|(key, value)| haystack.get(key).is_some_and(|found| contains(found, value))),
        (Value::Array(haystack), Value::Array(needle)) => {
            needle.iter().all(|value| haystack.iter().any(|found| contains(found, value)))
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::contains;

    #[track_caller]
    fn check(haystack: Value, needle: Value, expected: bool) {
        assert_eq!(contains(&haystack, &needle), expected, "{haystack} @> {needle}");
    }

    use serde_json::Value;

    #[test]
    fn containment_follows_postgresql() {
        check(json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"c": 2}}), true);
        check(json!({"a": 1}), json!({"a": 1.0}), true);
        check(json!({"a": 1}), json!({"a": "1"}), false);
        check(json!({"a": null}), json!({"a": null}), true);
        check(json!({}), json!({"a": null}), false);
        check(json!({"tags": ["a", "b"]}), json!({"tags": ["b"]}), true);
        check(json!({"tags": ["a", "b"]}), json!({"tags": ["c"]}), false);
        check(json!({"tags": [{"x": 1, "y": 2}]}), json!({"tags": [{"x": 1}]}), true);
        check(json!({"a": 1}), json!({}), true);
    }
}
