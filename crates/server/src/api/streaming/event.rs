//! One event of the protocol.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

/// Method of events of the channel `input`.
pub(super) const INPUT_REQUESTED: &str = "input.requested";

/// Position of a nested graph.
pub(super) type Namespace = Vec<String>;

/// One event. The same, but for nothing, for whoever reads it at whatever time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProtocolEvent {
    /// Identifies it for good.
    pub(super) id: String,
    /// Its place in what the thread has kept, from 1.
    pub(super) seq: u64,
    pub(super) method: &'static str,
    pub(super) namespace: Namespace,
    /// Milliseconds since 1970.
    pub(super) timestamp: u64,
    /// The node that produced it, where known.
    pub(super) node: Option<String>,
    /// Name of a custom event that has one.
    pub(super) name: Option<String>,
    /// JSON.
    pub(super) data: Bytes,
}

impl ProtocolEvent {
    /// The channel that it belongs to.
    pub(super) fn channel(&self) -> &'static str {
        if self.method == INPUT_REQUESTED { "input" } else { self.method }
    }

    /// The event as the wire has it.
    pub(super) fn to_json(&self) -> Bytes {
        let text = |value: &str| Value::from(value).to_string();
        let mut json = format!(
            r#"{{"type":"event","event_id":{},"seq":{},"method":"{}","params":{{"namespace":{},"timestamp":{}"#,
            text(&self.id),
            self.seq,
            self.method,
            json!(self.namespace),
            self.timestamp,
        )
        .into_bytes();
        if let Some(node) = &self.node {
            json.extend_from_slice(format!(r#","node":{}"#, text(node)).as_bytes());
        }
        json.extend_from_slice(br#","data":"#);
        json.extend_from_slice(&self.data);
        json.extend_from_slice(b"}}");
        json.into()
    }

    /// What a lifecycle says: its event and the name of the graph.
    pub(super) fn lifecycle(&self) -> Option<(String, String)> {
        if self.method != "lifecycle" {
            return None;
        }
        let mut data: HashMap<String, Value> = serde_json::from_slice(&self.data).ok()?;
        let mut text = |name: &str| match data.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some((text("event")?, text("graph_name").unwrap_or_default()))
    }

    /// The id of the interrupt that it asks about.
    pub(super) fn interrupt_id(&self) -> Option<String> {
        if self.method != INPUT_REQUESTED {
            return None;
        }
        let data: Value = serde_json::from_slice(&self.data).ok()?;
        data["interrupt_id"].as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_the_wire_has_it() {
        let event = ProtocolEvent {
            id: "5-1".into(),
            seq: 2,
            method: "messages",
            namespace: vec!["child:1".into()],
            timestamp: 5,
            node: Some("say".into()),
            name: None,
            data: Bytes::from_static(br#"{"event":"message-finish"}"#),
        };
        let expected = concat!(
            r#"{"type":"event","event_id":"5-1","seq":2,"method":"messages","params":{"namespace":["child:1"],"#,
            r#""timestamp":5,"node":"say","data":{"event":"message-finish"}}}"#
        );
        assert_eq!(event.to_json(), expected);
        let plain = ProtocolEvent { node: None, ..event };
        let expected = expected.replace(r#""node":"say","#, "");
        assert_eq!(plain.to_json(), expected);
    }
}
