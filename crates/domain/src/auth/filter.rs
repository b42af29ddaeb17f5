//! Filters as handlers write them, read into conditions.
//!
//! A filter that cannot be read refuses the request: one that was skipped would match everything. Source:
//! reference/auth-webhooks-encryption.md, section 2.3.

use agent_server_storage::{Condition, Map};
use serde_json::Value;

/// How deep `$or` and `$and` may be nested.
const MOST_NESTED: usize = 2;

/// Reads a filter; `None` for one that asks for nothing.
///
/// # Errors
/// What is wrong with it, for whoever wrote the handler.
pub fn parse(filter: &Map) -> Result<Option<Condition>, String> {
    if filter.is_empty() {
        return Ok(None);
    }
    all_of(filter, 0).map(Some)
}

fn all_of(filter: &Map, depth: usize) -> Result<Condition, String> {
    let mut conditions = Vec::with_capacity(filter.len());
    for (key, value) in filter {
        match key.as_str() {
            "$or" => conditions.push(Condition::Any(branches(key, value, depth + 1)?)),
            "$and" => conditions.push(Condition::All(branches(key, value, depth + 1)?)),
            _ if key.starts_with('$') => {
                return Err(format!(
                    "unknown operator '{key}'; beside keys of metadata there may be $or and $and"
                ));
            }
            _ => of_key(key, value, &mut conditions)?,
        }
    }
    Ok(match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::All(conditions),
    })
}

fn branches(operator: &str, value: &Value, depth: usize) -> Result<Vec<Condition>, String> {
    if depth > MOST_NESTED {
        return Err(format!("$or and $and may be nested {MOST_NESTED} deep, not deeper"));
    }
    let branches = value.as_array().filter(|branches| branches.len() >= 2);
    let branches =
        branches.ok_or_else(|| format!("'{operator}' needs a list of at least two filters"))?;
    let read = |branch: &Value| match branch {
        Value::Object(filter) if !filter.is_empty() => all_of(filter, depth),
        Value::Object(_) => Err(format!(
            "'{operator}' has an empty filter in its list, which would match everything"
        )),
        other => Err(format!("'{operator}' has {other} in its list, which is not a filter")),
    };
    branches.iter().map(read).collect()
}

fn of_key(key: &str, value: &Value, conditions: &mut Vec<Condition>) -> Result<(), String> {
    let Value::Object(operators) = value else {
        conditions.push(Condition::Equals(key.into(), value.clone()));
        return Ok(());
    };
    if operators.is_empty() {
        return Err(format!("'{key}' is compared with an empty object, not with a value"));
    }
    for (operator, value) in operators {
        conditions.push(match (operator.as_str(), value) {
            ("$eq", value) => Condition::Equals(key.into(), value.clone()),
            ("$contains", Value::Array(values)) => Condition::Holds(key.into(), values.clone()),
            ("$contains", value) => Condition::Holds(key.into(), vec![value.clone()]),
            _ => {
                return Err(format!(
                    "unknown operator '{operator}' for '{key}'; there are $eq and $contains"
                ));
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(filter: Value) -> Result<Option<Condition>, String> {
        parse(filter.as_object().expect("an object"))
    }

    #[track_caller]
    fn check(filter: Value, metadata: Value, expected: bool) {
        let condition = read(filter.clone()).expect("a good filter").expect("a condition");
        let metadata = metadata.as_object().expect("an object");
        assert_eq!(condition.is_met_by(metadata), expected, "{filter}");
    }

    #[test]
    fn keys_and_operators() {
        let row = json!({"owner": "a", "team": ["x", "y"], "n": 1, "none": null});
        for (filter, expected) in [
            (json!({"owner": "a"}), true),
            (json!({"owner": "b"}), false),
            (json!({"owner": {"$eq": "a"}}), true),
            (json!({"owner": {"$eq": {"x": 1}}}), false),
            (json!({"none": null}), true),
            (json!({"missing": null}), false),
            (json!({"team": {"$contains": "x"}}), true),
            (json!({"team": {"$contains": ["y", "x"]}}), true),
            (json!({"team": {"$contains": ["x", "z"]}}), false),
            (json!({"owner": {"$contains": "a"}}), false),
            (json!({"team": {"$contains": "x", "$eq": ["x", "y"]}}), true),
            (json!({"owner": "a", "n": 2}), false),
            (json!({"$or": [{"owner": "b"}, {"n": 1}]}), true),
            (json!({"$and": [{"owner": "a"}, {"n": 2}]}), false),
            (json!({"$or": [{"owner": "a"}, {"owner": "b"}], "n": 2}), false),
            (json!({"$or": [{"$and": [{"owner": "a"}, {"n": 1}]}, {"owner": "c"}]}), true),
            (json!({"$or": [{"owner": "c", "n": 1}, {"owner": "a", "n": 2}]}), false),
        ] {
            check(filter, row.clone(), expected);
        }
        assert_eq!(read(json!({})), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let deep = json!({"$or": [{"$and": [{"$or": [{"a": 1}, {"b": 1}]}, {"c": 1}]}, {"d": 1}]});
        for (filter, word) in [
            (json!({"owner": {"$ne": "a"}}), "$ne"),
            (json!({"owner": {"name": "a"}}), "name"),
            (json!({"owner": {"$eq": "a", "$in": ["b"]}}), "$in"),
            (json!({"owner": {}}), "owner"),
            (json!({"$not": [{"a": 1}, {"b": 1}]}), "$not"),
            (json!({"$or": [{"a": 1}]}), "at least two"),
            (json!({"$or": {"a": 1}}), "at least two"),
            (json!({"$and": []}), "at least two"),
            (json!({"$or": [{"a": 1}, {}]}), "empty"),
            (json!({"$or": [{"a": 1}, "b"]}), "not a filter"),
            (deep, "nested"),
        ] {
            let refused = read(filter.clone()).expect_err("no good filter");
            assert!(refused.contains(word), "{filter}: {refused}");
        }
    }
}
