//! From the events that a run has sent to those of the protocol. Pure: the same events give the same translation, whenever
//! and however often that is made.
//!
//! A run is always translated from its first event on, because its events are kept and forgotten together; so whatever one
//! event has to know of those before it (open subgraphs, questions asked) is there.
//!
//! Source: reference/event-streaming-v2.md, sections 2, 4 and 5.

mod state;
mod tool;

use std::collections::{HashMap, HashSet};

use agent_server_domain::{
    ports::Event,
    storage::{RawJson, RunId, runs::RunStatus},
    stream::{EventId, Sender},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use self::state::Interrupt;
use super::event::{INPUT_REQUESTED, Namespace, ProtocolEvent};

/// Why a run failed that took too long.
const TIMEOUT: &str = "TimeoutError: the run took longer than it may";

/// The translation of one run.
pub(super) struct Run {
    id: RunId,
    graph_id: String,
    speaks_protocol: bool,
    /// Whether it was announced.
    has_begun: bool,
    /// Whether nothing of it follows.
    is_over: bool,
    /// What its last error says.
    error: Option<String>,
    /// Whether it was said that the run waits for an answer.
    is_interrupted: bool,
    /// Ids of the questions that were asked.
    asked: HashSet<String>,
    /// Subgraphs that were announced.
    announced: HashSet<Namespace>,
    /// Those of them that have not ended, with their names.
    open: HashMap<Namespace, String>,
    /// The checkpoints that were told.
    checkpoints: HashSet<String>,
    /// The entry that is being translated, and how many events it has become.
    entry: (EventId, u32),
}

/// Whether an event says that its run is over.
pub(super) fn is_end(event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        status: Option<String>,
    }
    event.name == "metadata"
        && serde_json::from_slice::<Status>(&event.data)
            .is_ok_and(|data| data.status.as_deref() == Some("run_done"))
}

impl Run {
    /// A run before its first event; `None` stands for one that was deleted meanwhile.
    pub(super) fn new(id: RunId, sender: Option<Sender>) -> Self {
        let (graph_id, speaks_protocol) = match sender {
            Some(sender) => (sender.graph_id, sender.speaks_protocol),
            None => (String::new(), false),
        };
        Self {
            id,
            graph_id,
            speaks_protocol,
            has_begun: false,
            is_over: false,
            error: None,
            is_interrupted: false,
            asked: HashSet::new(),
            announced: HashSet::new(),
            open: HashMap::new(),
            checkpoints: HashSet::new(),
            entry: (EventId::MIN, 0),
        }
    }

    /// Whether it was announced and its end was not.
    pub(super) fn is_open(&self) -> bool {
        self.has_begun && !self.is_over
    }

    /// When it last sent something.
    pub(super) fn last_millis(&self) -> u64 {
        self.entry.0.millis
    }

    /// Translates the next event of the run.
    pub(super) fn next(&mut self, entry: EventId, event: &Event) -> Vec<ProtocolEvent> {
        let mut events = vec![];
        if self.is_over {
            return events;
        }
        self.entry = (entry, 0);
        if !self.has_begun {
            self.has_begun = true;
            let data = json!({"event": "running", "graph_name": self.graph_id});
            events.push(self.made("lc||running", "lifecycle", vec![], &data));
        }
        let mut parts = event.name.split('|').map(str::to_owned);
        let mode = parts.next().unwrap_or_default();
        let namespace: Namespace = parts.collect();
        match mode.as_str() {
            "values" => self.values(&mut events, namespace, &event.data),
            "updates" => self.updates(&mut events, namespace, &event.data),
            "messages" if self.speaks_protocol => {
                self.message(&mut events, namespace, &event.data);
            }
            "tools" => self.tool(&mut events, namespace, &event.data),
            "tasks" => events.push(self.sent("tasks", namespace, event.data.clone())),
            "checkpoints" => self.checkpoint(&mut events, namespace, &event.data),
            "lifecycle" => self.lifecycle(&mut events, namespace, &event.data),
            "error" => self.error = Some(error_text(&event.data)),
            _ => {
                if let Some(name) = custom_name(&mode) {
                    events.push(self.custom(namespace, name, &event.data));
                }
            }
        }
        events
    }

    /// The end of the run, whose status is known by now; `None` stands for a run that was deleted.
    pub(super) fn end(&mut self, status: Option<RunStatus>, millis: u64) -> Vec<ProtocolEvent> {
        let (event, error) = match status {
            Some(RunStatus::Success) => ("completed", None),
            Some(RunStatus::Error) => ("failed", Some(self.error.take().unwrap_or_default())),
            Some(RunStatus::Timeout) => ("failed", Some(TIMEOUT.to_owned())),
            Some(RunStatus::Interrupted) | None => ("interrupted", None),
            Some(RunStatus::Pending | RunStatus::Running) => return vec![],
        };
        if !self.is_open() {
            return vec![];
        }
        self.is_over = true;
        self.entry = (EventId { millis, seq: 0 }, 0);
        let mut events = vec![];
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_iter().collect();
        open.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then(one.cmp(other)));
        for (namespace, graph_name) in open {
            let data = json!({"event": "completed", "graph_name": graph_name});
            events.push(self.ended(namespace, "completed", &data));
        }
        if self.is_interrupted {
            return events;
        }
        let mut data = json!({"event": event, "graph_name": self.graph_id});
        if let Some(error) = error {
            data["error"] = error.into();
        }
        events.push(self.made(&format!("lc||{event}"), "lifecycle", vec![], &data));
        events
    }

    /// An event that the run has sent.
    fn sent(&mut self, method: &'static str, namespace: Namespace, data: Bytes) -> ProtocolEvent {
        let (entry, count) = self.entry;
        let id = match count {
            0 => entry.to_string(),
            more => format!("{entry}.{more}"),
        };
        self.entry.1 += 1;
        self.event(id, method, namespace, data)
    }

    /// An event that follows from what the run has sent.
    fn made(
        &self,
        parts: &str,
        method: &'static str,
        namespace: Namespace,
        data: &Value,
    ) -> ProtocolEvent {
        self.event(format!("synth:{}:{parts}", self.id), method, namespace, state::bytes(data))
    }

    fn event(
        &self,
        id: String,
        method: &'static str,
        namespace: Namespace,
        data: Bytes,
    ) -> ProtocolEvent {
        let timestamp = self.entry.0.millis;
        ProtocolEvent { id, seq: 0, method, namespace, timestamp, node: None, name: None, data }
    }

    fn values(&mut self, events: &mut Vec<ProtocolEvent>, namespace: Namespace, data: &Bytes) {
        if !self.speaks_protocol && &data[..] == b"{}" {
            return;
        }
        let Some(values) = state::read(data) else {
            events.push(self.sent("values", namespace, data.clone()));
            return;
        };
        self.ask(events, &namespace, state::interrupts(&values));
        let values = state::bytes(&state::normalised(values));
        events.push(self.sent("values", namespace, values));
    }

    fn updates(&mut self, events: &mut Vec<ProtocolEvent>, namespace: Namespace, data: &Bytes) {
        let read = match self.speaks_protocol {
            true => state::read(data),
            // Looked into for the node.
            false => serde_json::from_slice(data).ok(),
        };
        let Some(updates) = read else {
            events.push(self.sent("updates", namespace, data.clone()));
            return;
        };
        let asks = !updates["__interrupt__"].is_null();
        self.ask(events, &namespace, state::interrupts(&updates));
        let updates = state::normalised(updates);
        let (mut update, mut node) = (updates, None);
        if let Value::Object(nodes) = &mut update {
            if asks && nodes.is_empty() {
                return;
            }
            if !self.speaks_protocol && nodes.len() == 1 {
                let (name, of_node) = std::mem::take(nodes).into_iter().next().unwrap_or_default();
                (node, update) = (Some(name), of_node);
            }
        }
        let event = self.sent("updates", namespace, state::bytes(&update));
        events.push(ProtocolEvent { node, ..event });
    }

    /// Asks the questions that were not asked before; the first one says that the run waits.
    fn ask(
        &mut self,
        events: &mut Vec<ProtocolEvent>,
        namespace: &Namespace,
        questions: Vec<Interrupt>,
    ) {
        for Interrupt { id, value } in questions {
            if !self.asked.insert(id.clone()) {
                continue;
            }
            // Clients of both languages look for the value, under different names.
            let data = json!({"interrupt_id": id, "payload": value, "value": value});
            let parts = format!("input|{}|{id}", key(namespace));
            events.push(self.made(&parts, INPUT_REQUESTED, namespace.clone(), &data));
            if !std::mem::replace(&mut self.is_interrupted, true) {
                let data = json!({"event": "interrupted", "graph_name": self.graph_id});
                events.push(self.made("lc||interrupted", "lifecycle", vec![], &data));
            }
        }
    }

    /// An event of a message and what is known of the model's call, as the worker sends them.
    fn message(&mut self, events: &mut Vec<ProtocolEvent>, namespace: Namespace, data: &Bytes) {
        #[derive(Deserialize)]
        struct Call {
            langgraph_node: Option<String>,
        }
        if let Ok((message, call)) = serde_json::from_slice::<(RawJson, Call)>(data) {
            let event = self.sent("messages", namespace, message.get().to_owned().into());
            events.push(ProtocolEvent { node: call.langgraph_node, ..event });
        }
    }

    fn tool(&mut self, events: &mut Vec<ProtocolEvent>, namespace: Namespace, data: &Bytes) {
        events.push(self.sent("tools", namespace.clone(), data.clone()));
        for (namespace, message) in tool::mirrored(&namespace, data) {
            events.push(self.sent("messages", namespace, state::bytes(&message)));
        }
    }

    fn custom(&mut self, namespace: Namespace, name: Option<&str>, data: &Bytes) -> ProtocolEvent {
        let payload = [&b"{\"payload\":"[..], data, b"}"].concat();
        let Some(name) = name else { return self.sent("custom", namespace, payload.into()) };
        let named =
            format!(r#"{{"name":{},{}"#, json!(name), String::from_utf8_lossy(&payload[1..]));
        let event = self.sent("custom", namespace, named.into());
        ProtocolEvent { name: Some(name.to_owned()), ..event }
    }

    /// A checkpoint as a run of the protocol sends it, or the whole record of other runs.
    fn checkpoint(&mut self, events: &mut Vec<ProtocolEvent>, namespace: Namespace, data: &Bytes) {
        let Ok(given) = serde_json::from_slice::<tool::Checkpoint>(data) else { return };
        let Some((id, data)) = given.shown() else { return };
        let parts = format!("checkpoint|{}|{id}", key(&namespace));
        // Another attempt begins with one that the last had come to.
        if !self.checkpoints.insert(parts.clone()) {
            return;
        }
        events.push(self.made(&parts, "checkpoints", namespace, &data));
    }

    /// The lifecycle of a subgraph.
    fn lifecycle(&mut self, events: &mut Vec<ProtocolEvent>, namespace: Namespace, data: &Bytes) {
        let Ok(given) = serde_json::from_slice::<Value>(data) else { return };
        let Some(event) = given["event"].as_str() else { return };
        if event != "started" {
            if self.open.remove(&namespace).is_some() {
                events.push(self.ended(namespace, event, &given));
            }
            return;
        }
        // Another attempt comes by here again.
        if self.announced.insert(namespace.clone()) {
            let name = given["graph_name"].as_str().unwrap_or_default().to_owned();
            self.open.insert(namespace.clone(), name);
            events.push(self.sent("lifecycle", namespace, data.clone()));
        }
    }

    /// The end of a subgraph.
    fn ended(&self, namespace: Namespace, event: &str, data: &Value) -> ProtocolEvent {
        let parts = format!("lc|{}|{event}", key(&namespace));
        self.made(&parts, "lifecycle", namespace, data)
    }
}

/// A namespace as a part of an id.
fn key(namespace: &Namespace) -> String {
    namespace.join("\0")
}

/// The name of a custom event's channel, if it has one; `None` for events that are no custom ones.
fn custom_name(mode: &str) -> Option<Option<&str>> {
    match mode.strip_prefix("custom") {
        Some("") => Some(None),
        Some(name) => name.strip_prefix(':').map(Some),
        None => None,
    }
}

/// What an error of the stream says.
fn error_text(data: &Bytes) -> String {
    let error: Value = serde_json::from_slice(data).unwrap_or_default();
    let text = |name: &str| error[name].as_str().filter(|text| !text.is_empty());
    text("message").or_else(|| text("error")).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
