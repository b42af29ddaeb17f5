//! Text forms of what a run told, with ids, times and versions under stable names.

use std::collections::HashMap;

use serde_json::Value;

/// Gives ids names in the order of their appearance.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    /// The value with every id, time and version named.
    pub(crate) fn apply(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.apply(item)).collect(),
            Value::Object(map) => map
                .into_iter()
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        "timestamp" | "created_at" | "ts" => Value::String("<time>".into()),
                        "langgraph_version" | "lc_versions" => Value::String("<version>".into()),
                        _ => self.apply(value),
                    };
                    (self.text(&key), value)
                })
                .collect(),
            other => other,
        }
    }

    /// The text with every id in it named.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((start, length)) = find_id(rest) {
            out.push_str(&rest[..start]);
            let count = self.0.len() + 1;
            let id = &rest[start..start + length];
            let name = self.0.entry(id.to_owned()).or_insert_with(|| format!("<{count}>"));
            out.push_str(name);
            rest = &rest[start + length..];
        }
        out + rest
    }
}

/// Start and length of the first id: a UUID or 32 hex digits.
fn find_id(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|start| {
        let is_start = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
        let run = |from: usize, count: usize| {
            bytes.get(from..from + count).is_some_and(|part| part.iter().all(u8::is_ascii_hexdigit))
        };
        let dash = |at: usize| bytes.get(at) == Some(&b'-');
        let uuid = || {
            let mut at = start;
            for (index, count) in [8, 4, 4, 4, 12].into_iter().enumerate() {
                if index > 0 {
                    if !dash(at) {
                        return false;
                    }
                    at += 1;
                }
                if !run(at, count) {
                    return false;
                }
                at += count;
            }
            true
        };
        if !is_start {
            None
        } else if uuid() {
            Some((start, 36))
        } else if run(start, 32) {
            Some((start, 32))
        } else {
            None
        }
    })
}
