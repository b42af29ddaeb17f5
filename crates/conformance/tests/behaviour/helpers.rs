//! What cases do all the time.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    events::{self, Event},
    fixtures::text,
    names::Names,
    request::Request,
    session::Session,
};

/// Compares a body with what it should be, after giving names to ids and times.
pub(super) fn same(actual: &Value, expected: &Value) -> Result<()> {
    same_named(&mut Names::default(), actual, expected)
}

/// [`same`] with names that go on from body to body.
pub(super) fn same_named(names: &mut Names, actual: &Value, expected: &Value) -> Result<()> {
    let mut differences = Vec::new();
    differ("", &names.of(actual), expected, &mut differences);
    match differences.is_empty() {
        true => Ok(()),
        false => bail!("{}", differences.join("\n")),
    }
}

/// Tells where two values differ.
fn differ(place: &str, actual: &Value, expected: &Value, found: &mut Vec<String>) {
    let missing = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            let new = actual.keys().filter(|name| !expected.contains_key(*name));
            for name in expected.keys().chain(new) {
                let place = format!("{place}/{name}");
                match (actual.get(name), expected.get(name)) {
                    (Some(actual), Some(expected)) => differ(&place, actual, expected, found),
                    (actual, expected) => found.push(format!(
                        "at {place}: expected {}, got {}",
                        missing(expected),
                        missing(actual)
                    )),
                }
            }
        }
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => {
            for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                differ(&format!("{place}/{index}"), actual, expected, found);
            }
        }
        (actual, expected) if actual == expected => {}
        (actual, expected) => found.push(format!("at {place}: expected {expected}, got {actual}")),
    }
}

/// Checks status and `detail` of a refusal.
pub(super) fn refused(answer: &Answer, status: u16, detail: &str) -> Result<()> {
    if answer.status == status {
        return same(&answer.json()?, &json!({ "detail": detail }));
    }
    bail!("expected {status} {detail:?}, got {}", answer.describe());
}

/// Checks that an answer is a 204.
pub(super) fn done(answer: &Answer) -> Result<()> {
    match answer.status {
        204 => Ok(()),
        _ => bail!("expected 204, got {}", answer.describe()),
    }
}

/// The members of each object that are named, in this order.
pub(super) fn column(values: &Value, member: &str) -> Vec<Value> {
    values.as_array().into_iter().flatten().map(|value| value[member].clone()).collect()
}

/// The object with only these members.
pub(super) fn only(value: &Value, members: &[&str]) -> Value {
    members.iter().map(|name| ((*name).to_owned(), value[*name].clone())).collect()
}

/// A conversation of one turn as the graph keeps it, with names.
pub(super) fn turn(words: &str, answer: &str) -> Value {
    json!([
        {
            "content": words,
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "human",
            "name": null,
            "id": "<id 1>",
        },
        {
            "content": answer,
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "ai",
            "name": null,
            "id": "run-<id 2>",
            "tool_calls": [],
            "invalid_tool_calls": [],
            "usage_metadata": null,
        },
    ])
}

/// The events of an answer.
pub(super) fn events_of(answer: &Answer) -> Result<Vec<Event>> {
    match answer.status {
        200 => events::parse(&answer.body),
        _ => bail!("expected a stream, got {}", answer.describe()),
    }
}

/// The transcript of a stream: name and data of each event.
pub(super) fn transcript(events: &[Event]) -> Value {
    events.iter().map(|event| json!([event.name, event.data])).collect()
}

impl Session {
    /// Calls an operation with a body.
    pub(super) async fn post(&self, operation: &str, body: Value) -> Result<Value> {
        self.call(Request::to(operation)?.body(body)).await
    }

    /// A thread made of a body; its id.
    pub(super) async fn thread(&self, body: Value) -> Result<String> {
        text(&self.post("create_thread", body).await?, "thread_id")
    }

    /// An assistant of the graph, made of further members; its id.
    pub(super) async fn new_assistant(&self, members: Value) -> Result<String> {
        let request = Request::to("create_assistant")?.body(json!({ "graph_id": self.graph_id }));
        text(&self.call(request.with(members)).await?, "assistant_id")
    }

    /// Says something on a thread and waits for the result.
    pub(super) async fn say(&self, thread: &str, words: &str) -> Result<Value> {
        self.call(Request::to("wait_run")?.path("thread_id", thread).body(self.says(words))).await
    }

    /// Calls an operation of a run that has no body.
    pub(super) async fn of_run(&self, operation: &str, thread: &str, run: &str) -> Result<Answer> {
        self.send(&Request::to(operation)?.path("thread_id", thread).path("run_id", run)).await
    }

    /// Calls an operation of a thread that has no body.
    pub(super) async fn of_thread(&self, operation: &str, thread: &str) -> Result<Value> {
        self.call(Request::to(operation)?.path("thread_id", thread)).await
    }

    /// Calls an operation of a thread that has a body.
    pub(super) async fn post_to(
        &self,
        operation: &str,
        thread: &str,
        body: Value,
    ) -> Result<Value> {
        self.call(Request::to(operation)?.path("thread_id", thread).body(body)).await
    }
}
