//! Stable names for what differs from run to run, so that whole bodies can be compared.
//!
//! Ids become `<thread 1>`, `<run 2>`, … by the member that they are found in first, and keep that name wherever they come
//! up, inside of texts too. Times become `<time 1>`, `<time 2>`, …, equal ones alike. Nothing is left out.

use chrono::DateTime;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Length of an id in its usual form.
const ID: usize = 36;

/// The names given so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    given: Vec<(String, String)>,
}

impl Names {
    /// The value with names in it.
    pub(crate) fn of(&mut self, value: &Value) -> Value {
        self.rename("", value)
    }

    fn rename(&mut self, member: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(member, text)),
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.rename(member, value)).collect())
            }
            Value::Object(members) => {
                let renamed = members.iter().map(|(name, value)| {
                    let value = self.rename(name, value);
                    (self.text("id", name), value)
                });
                Value::Object(renamed.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// A text with names in it.
    pub(crate) fn text(&mut self, member: &str, text: &str) -> String {
        if is_time(text) {
            return self.name("time", text);
        }
        let kind =
            member.trim_end_matches('s').trim_end_matches("_id").trim_start_matches("parent_");
        let mut renamed = String::new();
        let mut rest = text;
        while let Some(id) = first_id(rest) {
            renamed.push_str(&rest[..id]);
            renamed.push_str(&self.name(kind, &rest[id..id + ID]));
            rest = &rest[id + ID..];
        }
        renamed + rest
    }

    fn name(&mut self, kind: &str, text: &str) -> String {
        if let Some((_, name)) = self.given.iter().find(|(known, _)| known == text) {
            return name.clone();
        }
        let of_kind = format!("<{kind} ");
        let number = self.given.iter().filter(|(_, name)| name.starts_with(&of_kind)).count() + 1;
        let name = format!("{of_kind}{number}>");
        self.given.push((text.to_owned(), name.clone()));
        name
    }
}

/// The form that all times have: UTC as numeric offset, microseconds or a whole second.
fn is_time(text: &str) -> bool {
    let fraction = match text.len() {
        25 => true,
        32 => text.as_bytes()[19] == b'.',
        _ => false,
    };
    fraction && text.ends_with("+00:00") && DateTime::parse_from_rfc3339(text).is_ok()
}

fn first_id(text: &str) -> Option<usize> {
    (0..text.len().saturating_sub(ID - 1)).find(|start| {
        text.get(*start..start + ID).is_some_and(|part| {
            part.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
                && Uuid::try_parse(part).is_ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_and_times_are_named_and_nothing_else() {
        let thread = "11111111-1111-4111-8111-111111111111";
        let run = "22222222-2222-4222-8222-222222222222";
        let value = json!({
            "thread_id": thread,
            "runs": [{ "run_id": run, "thread_id": thread }],
            "created_at": "2026-11-23T17:24:31.345411+00:00",
            "updated_at": "2026-11-23T17:24:31.345411+00:00",
            "state_updated_at": "2026-11-24T00:00:00+00:00",
            "detail": format!("Thread with ID {thread} not found"),
            "interrupts": { run: [] },
            "count": 3,
        });
        let expected = json!({
            "thread_id": "<thread 1>",
            "runs": [{ "run_id": "<run 1>", "thread_id": "<thread 1>" }],
            "created_at": "<time 1>",
            "updated_at": "<time 1>",
            "state_updated_at": "<time 2>",
            "detail": "Thread with ID <thread 1> not found",
            "interrupts": { "<run 1>": [] },
            "count": 3,
        });
        assert_eq!(Names::default().of(&value), expected);
    }

    #[test]
    fn times_of_another_form_stay_visible() {
        for text in [
            "2026-11-23T17:24:31.345Z",
            "2026-11-23T17:24:31.345+00:00",
            "2026-11-23T18:24:31+01:00",
        ] {
            assert_eq!(Names::default().of(&json!(text)), json!(text));
        }
    }
}
