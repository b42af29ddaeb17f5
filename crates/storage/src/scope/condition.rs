//! Conditions on the metadata of a row.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::Map;

/// A condition on metadata. Keys are those of the top level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The key is there and has exactly this value.
    Equals(String, Value),
    /// The key is there and is a list that holds each of these.
    Holds(String, Vec<Value>),
    /// All of these are met; without any it always is.
    All(Vec<Condition>),
    /// One of these is met; without any it never is.
    Any(Vec<Condition>),
}

impl Condition {
    /// Whether metadata meets the condition.
    pub fn is_met_by(&self, metadata: &Map) -> bool {
        match self {
            Self::Equals(key, value) => metadata.get(key).is_some_and(|found| equal(found, value)),
            Self::Holds(key, values) => match metadata.get(key) {
                Some(Value::Array(found)) => {
                    values.iter().all(|value| found.iter().any(|found| equal(found, value)))
                }
                _ => false,
            },
            Self::All(conditions) => conditions.iter().all(|each| each.is_met_by(metadata)),
            Self::Any(conditions) => conditions.iter().any(|each| each.is_met_by(metadata)),
        }
    }
}

/// Equal as a person would say: `1` equals `1.0`, order of keys does not matter. Numbers that only rounding makes equal are
/// not: an owner's number may be large.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || is_float_of(a, b) || is_float_of(b, a),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Up to here every whole number has a float of its own, and no other number has the same.
const EXACT: f64 = 9_007_199_254_740_991.0;

fn is_float_of(float: &Number, whole: &Number) -> bool {
    let value = float.as_f64().filter(|value| float.is_f64() && value.abs() <= EXACT);
    value.is_some() && !whole.is_f64() && whole.as_f64() == value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(a: Value, b: Value, expected: bool) {
        assert_eq!(equal(&a, &b), expected, "{a} {b}");
        assert_eq!(equal(&b, &a), expected, "{b} {a}");
    }

    #[test]
    fn only_what_is_the_same_is_equal() {
        check(json!("a"), json!("a"), true);
        check(json!("a"), json!("A"), false);
        check(json!("1"), json!(1), false);
        check(json!(true), json!(1), false);
        check(json!(null), json!(false), false);
        check(json!(1), json!(1.0), true);
        check(json!(9_007_199_254_740_992_u64), json!(9_007_199_254_740_993_u64), false);
        check(json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0), false);
        check(json!([1, 2]), json!([2, 1]), false);
        check(json!({"a": 1, "b": 2}), json!({"b": 2.0, "a": 1}), true);
        check(json!({"a": 1}), json!({"a": 1, "b": null}), false);
    }
}
