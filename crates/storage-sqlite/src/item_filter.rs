//! The filter language of the store.
//!
//! Source: reference/assistants-crons-store-system.md, section 3.5. Text compares with text and numbers with numbers;
//! a missing key matches nothing but `$ne` and `null`.

use agent_server_storage::{Error, Map, Result};
use serde_json::Value;

/// Refuses operators that do not exist.
pub(crate) fn check(filter: &Map) -> Result<()> {
    for condition in filter.values() {
        let Value::Object(condition) = condition else { continue };
        if has_operator(condition) {
            for name in condition.keys() {
                if !matches!(name.as_str(), "$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte") {
                    return Err(Error::Invalid(format!("Unsupported operator: {name}")));
                }
            }
        } else {
            check(condition)?;
        }
    }
    Ok(())
}

/// Whether an item's value fits a filter that passed [`check`].
pub(crate) fn matches(value: &Value, filter: &Map) -> bool {
    filter.iter().all(|(key, condition)| holds(value.get(key), condition))
}

fn has_operator(condition: &Map) -> bool {
    condition.keys().any(|name| name.starts_with('$'))
}

fn holds(found: Option<&Value>, condition: &Value) -> bool {
    match condition {
        Value::Object(condition) if has_operator(condition) => {
            condition.iter().all(|(operator, operand)| apply(operator, found, operand))
        }
        Value::Object(condition) => {
            found.is_some_and(|found| found.is_object() && matches(found, condition))
        }
        condition => equal(found, condition),
    }
}

fn apply(operator: &str, found: Option<&Value>, operand: &Value) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = || match (found?, operand) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match operator {
        "$eq" => equal(found, operand),
        "$ne" => !equal(found, operand),
        "$gt" => order() == Some(Greater),
        "$gte" => matches!(order(), Some(Greater | Equal)),
        "$lt" => order() == Some(Less),
        "$lte" => matches!(order(), Some(Less | Equal)),
        _ => false,
    }
}

/// Equality in which `1` equals `1.0`, and a missing key equals `null`.
fn equal(found: Option<&Value>, wanted: &Value) -> bool {
    match (found, wanted) {
        (None, wanted) => wanted.is_null(),
        (Some(Value::Number(a)), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Some(Value::Array(a)), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(Some(a), b))
        }
        (Some(Value::Object(a)), Value::Object(b)) => {
            a.len() == b.len()
                && b.iter().all(|(key, b)| a.get(key).is_some_and(|a| equal(Some(a), b)))
        }
        (Some(a), b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use agent_server_storage::Map;
    use serde_json::{Value, json};

    use super::{check, matches};

    fn map(value: Value) -> Map {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[track_caller]
    fn fits(value: Value, filter: Value, expected: bool) {
        assert_eq!(matches(&value, &map(filter.clone())), expected, "{value} against {filter}");
    }

    #[test]
    fn conditions_follow_the_reference() {
        fits(json!({"n": 5}), json!({"n": 5.0}), true);
        fits(json!({"n": 5}), json!({"n": "5"}), false);
        fits(json!({"n": 5}), json!({"n": {"$gt": 4, "$lte": 5}}), true);
        fits(json!({"n": 10}), json!({"n": {"$lt": 5}}), false);
        fits(json!({"n": "10"}), json!({"n": {"$lt": "5"}}), true);
        fits(json!({"n": "7"}), json!({"n": {"$gt": 5}}), false);
        fits(json!({}), json!({"n": {"$gt": 5}}), false);
        fits(json!({}), json!({"n": {"$ne": 5}}), true);
        fits(json!({"n": 5}), json!({"n": {"$ne": 5}}), false);
        fits(json!({"n": 6}), json!({"n": {"$eq": 5}}), false);
        fits(json!({}), json!({"n": null}), true);
        fits(json!({"n": null}), json!({"n": null}), true);
        fits(json!({"n": 0}), json!({"n": null}), false);
        fits(json!({"l": [1, 2]}), json!({"l": [1, 2]}), true);
        fits(json!({"l": [1, 2]}), json!({"l": [1]}), false);
        fits(json!({"o": {"a": 1, "b": 2}}), json!({"o": {"a": 1}}), true);
        fits(json!({"o": {"a": 1}}), json!({"o": {"a": {"$gte": 1}}}), true);
        fits(json!({"o": 1}), json!({"o": {"a": 1}}), false);
        fits(json!({"a": {"b": 1}}), json!({"a.b": 1}), false);
        fits(json!({"a": 1}), json!({}), true);
    }

    #[test]
    fn unknown_operators_are_refused() {
        for filter in [
            json!({"n": {"$in": [1]}}),
            json!({"n": {"$gt": 1, "x": 2}}),
            json!({"o": {"n": {"$x": 1}}}),
        ] {
            assert!(check(&map(filter)).is_err());
        }
        let error = check(&map(json!({"n": {"$in": [1]}}))).expect_err("unknown");
        assert_eq!(error.to_string(), "Unsupported operator: $in");
        assert!(check(&map(json!({"$and": 1, "n": {"$gt": 1}, "o": {"a": 1}}))).is_ok());
    }
}
