//! Which parts of a row are encrypted, and how they are found in it.
//!
//! Source: reference/auth-webhooks-encryption.md, section 5.3.

use serde_json::Value;

use super::Part;
use crate::{Error, Map, Result};

/// Key under which an object says in which context it was encrypted.
pub(super) const CONTEXT: &str = "__encryption_context__";
/// Only key of an object that stands for what is no object.
const VALUE: &str = "__encryption_value__";

const SYSTEM: [&str; 18] = [
    CONTEXT,
    "__langgraph_encryption_type__",
    "thread_id",
    "run_id",
    "assistant_id",
    "graph_id",
    "checkpoint_id",
    "task_id",
    "__after_seconds__",
    "__request_start_time_ms__",
    "langgraph_version",
    "langgraph_api_version",
    "langgraph_plan",
    "langgraph_host",
    "langgraph_api_url",
    "langgraph_request_id",
    "langgraph_auth_user_id",
    "langgraph_auth_permissions",
];

/// Whether the server itself reads what stands under this key, wherever it stands: then it cannot be encrypted.
pub fn is_of_the_server(key: &str) -> bool {
    SYSTEM.contains(&key) || key.starts_with("__pregel_")
}

/// One field: its name for the cipher, the way to it, and the keys in it that are not its own.
type Field = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The fields of one kind of row.
pub(super) struct Model {
    name: &'static str,
    fields: &'static [Field],
}

const CONFIG: &[&str] = &["configurable", "metadata", "recursion_limit", "max_concurrency"];
const CONFIGURABLE: &[&str] = &["ttl"];

pub(super) const THREAD: Model = Model {
    name: "thread",
    fields: &[
        ("metadata", &["metadata"], &[]),
        ("config", &["config"], CONFIG),
        ("configurable", &["config", "configurable"], CONFIGURABLE),
        ("metadata", &["config", "metadata"], &[]),
        ("values", &["values"], &[]),
        ("interrupts", &["interrupts"], &[]),
        ("error", &["error"], &[]),
    ],
};

pub(super) const ASSISTANT: Model = Model {
    name: "assistant",
    fields: &[
        ("metadata", &["metadata"], &[]),
        ("config", &["config"], CONFIG),
        ("configurable", &["config", "configurable"], CONFIGURABLE),
        ("metadata", &["config", "metadata"], &[]),
        ("context", &["context"], &[]),
    ],
};

pub(super) const RUN: Model = Model {
    name: "run",
    fields: &[
        ("metadata", &["metadata"], &[]),
        ("input", &["kwargs", "input"], &[]),
        ("command", &["kwargs", "command"], &[]),
        ("context", &["kwargs", "context"], &[]),
        ("config", &["kwargs", "config"], CONFIG),
        ("configurable", &["kwargs", "config", "configurable"], CONFIGURABLE),
        ("metadata", &["kwargs", "config", "metadata"], &[]),
    ],
};

pub(super) const CRON: Model = Model {
    name: "cron",
    fields: &[
        ("metadata", &["metadata"], &[]),
        ("metadata", &["payload", "metadata"], &[]),
        ("input", &["payload", "input"], &[]),
        ("command", &["payload", "command"], &[]),
        ("context", &["payload", "context"], &[]),
        ("config", &["payload", "config"], CONFIG),
        ("configurable", &["payload", "config", "configurable"], CONFIGURABLE),
        ("metadata", &["payload", "config", "metadata"], &[]),
    ],
};

pub(super) const CHECKPOINT: Model = Model {
    name: "checkpoint",
    fields: &[("metadata", &["metadata"], &["source", "step", "parents", "run_attempt"])],
};

pub(super) const ITEM: Model = Model { name: "store", fields: &[("value", &["value"], &[])] };

/// What is told of the end of a run repeats the run and the values of its thread.
pub(super) const DELIVERY: Model = Model {
    name: "run",
    fields: &[("metadata", &["metadata"], &[]), ("webhook", &["payload"], &[])],
};

/// A part of a row, and the field that it is.
pub(super) type Found = (&'static Field, Part);

impl Model {
    /// What of a plain row is to be encrypted. What is no object becomes one.
    pub(super) fn plain_parts(&self, row: &mut Value, context: &Map) -> Vec<Found> {
        let mut found = Vec::new();
        for field in self.fields {
            let Some(value) = at(row, field.1) else { continue };
            if !value.is_object() && !value.is_null() {
                *value = Map::from_iter([(VALUE.to_owned(), value.take())]).into();
            }
            // What somebody else has written there says nothing.
            let Some(object) = value.as_object_mut() else { continue };
            object.shift_remove(CONTEXT);
            let data = own(object, field);
            if !data.is_empty() {
                found.push((field, self.part(field, context.clone(), data)));
            }
        }
        found
    }

    /// What of a stored row is encrypted.
    pub(super) fn sealed_parts(&self, row: &mut Value) -> Vec<Found> {
        let mut found = Vec::new();
        for field in self.fields {
            let Some(object) = at(row, field.1).and_then(Value::as_object_mut) else { continue };
            let Some(Value::Object(context)) = object.get(CONTEXT) else { continue };
            let part = self.part(field, context.clone(), own(object, field));
            found.push((field, part));
        }
        found
    }

    /// The part that is compared with a field of this name in a search.
    pub(super) fn needle(&self, field: &'static str, context: Map, data: Map) -> Part {
        Part { model: self.name, field, context, data }
    }

    fn part(&self, field: &Field, context: Map, data: Map) -> Part {
        Part { model: self.name, field: field.0, context, data }
    }
}

/// Puts encrypted values into a plain row.
pub(super) fn put_sealed(row: &mut Value, (field, part): &Found, sealed: Map) -> Result<()> {
    same_keys(part, &sealed, "encrypts")?;
    if let Some(object) = at(row, field.1).and_then(Value::as_object_mut) {
        for (key, value) in sealed {
            object[&key] = value;
        }
        object.insert(CONTEXT.into(), part.context.clone().into());
    }
    Ok(())
}

/// Puts decrypted values into a stored row.
pub(super) fn put_plain(row: &mut Value, (field, part): &Found, plain: Map) -> Result<()> {
    same_keys(part, &plain, "decrypts")?;
    let Some(value) = at(row, field.1) else { return Ok(()) };
    if let Some(object) = value.as_object_mut() {
        for (key, value) in plain {
            object[&key] = value;
        }
        object.shift_remove(CONTEXT);
        if object.len() == 1
            && let Some(inner) = object.remove(VALUE)
        {
            *value = inner;
        }
    }
    Ok(())
}

/// The keys of an object that are encrypted as this field.
fn own(object: &Map, field: &Field) -> Map {
    let is_own = |key: &str| !is_of_the_server(key) && !field.2.contains(&key);
    object
        .iter()
        .filter(|(key, _)| is_own(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn at<'r>(row: &'r mut Value, path: &[&str]) -> Option<&'r mut Value> {
    path.iter().try_fold(row, |value, key| value.as_object_mut()?.get_mut(*key))
}

/// Merges of rows work key by key, so that keys that come or go would be lost.
pub(super) fn same_keys(part: &Part, answer: &Map, does: &str) -> Result<()> {
    let list = |a: &Map, b: &Map| {
        let mut only: Vec<_> = a.keys().filter(|key| !b.contains_key(*key)).cloned().collect();
        only.sort();
        only.join(", ")
    };
    let (added, removed) = (list(answer, &part.data), list(&part.data, answer));
    if added.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let why = format!(
        "the handler that {does} JSON has to keep the keys of {}.{}; added: [{added}], removed: [{removed}]",
        part.model, part.field
    );
    Err(Error::Backend(why.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Map, RUN, put_plain, put_sealed};

    fn map(value: Value) -> Map {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn fields_are_found_and_put_back() {
        let plain = json!({
            "metadata": {"graph_id": "g", "mine": 1},
            "kwargs": {
                "input": [1, 2],
                "command": null,
                "config": {
                    "tags": [], "recursion_limit": 5,
                    "configurable": {"run_id": "r", "ttl": 1, "words": "w", "__pregel_x": 1},
                    "metadata": {},
                },
                "webhook": "w",
            },
        });
        let mut row = plain.clone();
        let context = map(json!({"key": "k"}));
        let found = RUN.plain_parts(&mut row, &context);
        let seen: Vec<_> =
            found.iter().map(|(_, part)| (part.field, Value::from(part.data.clone()))).collect();
        let expected = [
            ("metadata", json!({"mine": 1})),
            ("input", json!({"__encryption_value__": [1, 2]})),
            ("config", json!({"tags": []})),
            ("configurable", json!({"words": "w"})),
        ];
        assert_eq!(seen, expected);
        for part in &found {
            let sealed = part.1.data.keys().map(|key| (key.clone(), json!("sealed"))).collect();
            put_sealed(&mut row, part, sealed).unwrap();
        }
        assert_eq!(row["kwargs"]["config"]["configurable"]["words"], "sealed");
        assert_eq!(row["kwargs"]["webhook"], "w");
        let again = RUN.sealed_parts(&mut row);
        assert_eq!(again.len(), 4);
        for (sealed, (_, plain)) in again.iter().zip(&found) {
            assert_eq!(sealed.1.context, context);
            put_plain(&mut row, sealed, plain.data.clone()).unwrap();
        }
        assert_eq!(row, plain);
    }

    #[test]
    fn keys_that_come_or_go_are_an_error() {
        let mut row = json!({"metadata": {"a": 1, "b": 2}});
        let found = RUN.plain_parts(&mut row, &Map::new());
        let error = put_sealed(&mut row, &found[0], map(json!({"a": 1, "c": 2}))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "storage failed: the handler that encrypts JSON has to keep the keys of run.metadata; \
             added: [c], removed: [b]"
        );
    }
}
