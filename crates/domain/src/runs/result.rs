//! The body of `wait` and `join`: the run's events absorbed in order, or the thread's row.
//!
//! Source: reference/runs-and-threads.md, section 10.2.

use agent_server_storage::{Cost, RawJson, Scope, ThreadId, threads::Columns};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Domain, Error, Result,
    ports::Event,
    stream::{Listener, Logged},
};

/// What the events of a run amount to so far.
#[derive(Default)]
pub struct Absorbed {
    latest: Option<Bytes>,
    failed: bool,
    /// Data of the interrupt-carrying events, without repetition.
    interrupts: Vec<Bytes>,
    /// Ids of interrupts seen, so that `values` and `updates` together count each once.
    seen: Vec<Value>,
    feedback: Option<Bytes>,
}

impl Absorbed {
    /// Takes the next event in.
    pub fn absorb(&mut self, event: &Event) {
        match event.name.as_str() {
            "error" => {
                self.failed = true;
                self.latest = Some([b"{\"__error__\":", &event.data[..], b"}"].concat().into());
            }
            "feedback" => self.feedback = Some(event.data.clone()),
            "values" | "updates" => self.absorb_state(event),
            _ => {}
        }
    }

    fn absorb_state(&mut self, event: &Event) {
        if let Some(ids) = interrupt_ids(&event.data) {
            self.latest = Some(event.data.clone());
            if ids.iter().any(|id| !self.seen.contains(id)) {
                self.seen.extend(ids);
                self.interrupts.push(event.data.clone());
            }
        } else if event.name == "values" {
            self.latest = Some(event.data.clone());
        }
    }

    /// The body, or `None` when the events say nothing and the thread's row must speak.
    fn body(&self) -> Option<Bytes> {
        let body = match self.interrupts.as_slice() {
            [one] if !self.failed => Some(one.clone()),
            [_, _, ..] if !self.failed => {
                let all: Vec<Value> =
                    self.interrupts.iter().flat_map(|data| interrupts(data)).collect();
                Some(json!({"__interrupt__": all}).to_string().into())
            }
            _ => self.latest.clone(),
        };
        match (&self.feedback, body) {
            (Some(feedback), Some(body)) => Some(with_feedback(&body, feedback)),
            (_, body) => body,
        }
    }
}

/// Interrupts that an event's data carries at its top level. Text *inside* the state that reads `__interrupt__` is not one.
pub(super) fn interrupts(data: &[u8]) -> Vec<Value> {
    // Almost no event has one: look for the bytes before parsing.
    let key = b"\"__interrupt__\"";
    if !data.windows(key.len()).any(|window| window == key) {
        return vec![];
    }
    #[derive(serde::Deserialize)]
    struct Top {
        #[serde(rename = "__interrupt__", default)]
        interrupts: Vec<Value>,
    }
    serde_json::from_slice::<Top>(data).map(|top| top.interrupts).unwrap_or_default()
}

fn interrupt_ids(data: &[u8]) -> Option<Vec<Value>> {
    let interrupts = interrupts(data);
    let ids = interrupts.iter().map(|interrupt| interrupt["id"].clone()).collect();
    (!interrupts.is_empty()).then_some(ids)
}

fn with_feedback(body: &Bytes, feedback: &Bytes) -> Bytes {
    match (serde_json::from_slice(body), serde_json::from_slice::<Value>(feedback)) {
        (Ok(Value::Object(mut body)), Ok(feedback)) => {
            body.insert("__feedback__".into(), feedback);
            Value::Object(body).to_string().into()
        }
        _ => body.clone(),
    }
}

impl Domain {
    /// Waits for the end of a run and returns its result as JSON bytes.
    ///
    /// # Errors
    /// Storage failed while the thread's row had to be read.
    pub async fn run_result(&self, thread: ThreadId, listener: Option<Listener>) -> Result<Bytes> {
        self.watched_result(thread, listener, |_| {}).await
    }

    /// [`Domain::run_result`], with a look at every event on the way.
    ///
    /// # Errors
    /// As there.
    pub async fn watched_result(
        &self,
        thread: ThreadId,
        listener: Option<Listener>,
        mut watch: impl FnMut(&Event) + Send,
    ) -> Result<Bytes> {
        let mut absorbed = Absorbed::default();
        if let Some(mut listener) = listener {
            let mut batch: Vec<Logged> = vec![];
            while listener.next(&mut batch).await? {
                for logged in batch.drain(..) {
                    watch(&logged.event);
                    absorbed.absorb(&logged.event);
                }
            }
        }
        match absorbed.body() {
            Some(body) => Ok(body),
            None => self.thread_result(thread).await,
        }
    }

    /// What the thread's row says of its last run.
    async fn thread_result(&self, id: ThreadId) -> Result<Bytes> {
        let thread = self
            .storage()
            .read(Cost::Point, move |tx| {
                tx.get_thread(&Scope::server(), id, Columns::Full).map_err(Error::from)
            })
            .await?;
        let Some(thread) = thread else { return Ok(Bytes::from_static(b"{}")) };
        use agent_server_storage::threads::ThreadStatus as S;
        let of = |raw: Option<RawJson>| raw.filter(|raw| !raw.is_null());
        if thread.status == S::Error
            && let Some(error) = of(thread.error)
        {
            return Ok(format!("{{\"__error__\":{}}}", error.get()).into());
        }
        if thread.status == S::Interrupted
            && let Some(by_task) = of(thread.interrupts)
        {
            let by_task: serde_json::Map<String, Value> = by_task.parse().unwrap_or_default();
            let all: Vec<Value> = by_task
                .into_iter()
                .flat_map(|(_, list)| match list {
                    Value::Array(list) => list,
                    _ => vec![],
                })
                .collect();
            if !all.is_empty() {
                return Ok(json!({"__interrupt__": all}).to_string().into());
            }
        }
        Ok(of(thread.values)
            .map_or_else(|| Bytes::from_static(b"{}"), |values| values.get().to_owned().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(events: &[(&str, &str)], expected: Option<&str>) {
        let mut absorbed = Absorbed::default();
        for (name, data) in events {
            absorbed.absorb(&Event {
                name: (*name).into(),
                data: Bytes::copy_from_slice(data.as_bytes()),
            });
        }
        let body = absorbed.body();
        let text = body.as_deref().map(|body| std::str::from_utf8(body).expect("JSON is UTF-8"));
        assert_eq!(text, expected);
    }

    #[test]
    fn the_last_values_are_the_result() {
        check(
            &[("metadata", "{}"), ("values", r#"{"a":1}"#), ("values", r#"{"a":2}"#)],
            Some(r#"{"a":2}"#),
        );
        check(&[("values|sub:1", r#"{"a":1}"#)], None);
        check(&[("updates", r#"{"n":{"a":1}}"#)], None);
    }

    #[test]
    fn an_error_wins_over_everything_before_it() {
        let error = r#"{"error":"ValueError","message":"no"}"#;
        let expected = r#"{"__error__":{"error":"ValueError","message":"no"}}"#;
        check(&[("values", "{}"), ("error", error)], Some(expected));
    }

    #[test]
    fn one_interrupt_comes_with_its_state_and_several_are_joined() {
        let one = r#"{"a":1,"__interrupt__":[{"value":"q","id":"1"}]}"#;
        let two = r#"{"a":1,"__interrupt__":[{"value":"r","id":"2"}]}"#;
        check(&[("values", one)], Some(one));
        let joined = r#"{"__interrupt__":[{"value":"q","id":"1"},{"value":"r","id":"2"}]}"#;
        check(&[("values", one), ("values", two)], Some(joined));
        let update = r#"{"__interrupt__":[{"value":"q","id":"1"}]}"#;
        check(&[("values", one), ("updates", update)], Some(one));
    }

    #[test]
    fn text_that_reads_like_an_interrupt_is_none() {
        let values = r#"{"text":"\"__interrupt__\"","__interrupt__x":[1],"n":{"__interrupt__":[{"id":"1"}]}}"#;
        check(&[("values", values)], Some(values));
    }
}
