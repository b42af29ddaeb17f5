//! Calls of tools and checkpoints: what follows from the library's own forms.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::event::Namespace;

/// The result of a tool as a message of its own: its events, with their namespace.
pub(super) fn mirrored(namespace: &Namespace, data: &Bytes) -> Vec<(Namespace, Value)> {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return vec![] };
    let (output, call) = (&event["output"], event["tool_call_id"].as_str().unwrap_or_default());
    if event["event"] != "tool-finished" || !output.is_object() {
        return vec![];
    }
    let id = output["id"].as_str().map_or_else(|| format!("tool-{call}"), str::to_owned);
    let text = match &output["content"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let block = |text: &str| json!({"type": "text", "text": text});
    let mut below = namespace.clone();
    below.push(format!("tools:{call}"));
    [
        json!({"event": "message-start", "role": "tool", "id": id, "tool_call_id": call}),
        json!({"event": "content-block-start", "index": 0, "content": block(""), "id": id}),
        json!({
            "event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": text},
            "content": block(&text), "id": id,
        }),
        json!({"event": "content-block-finish", "index": 0, "content": block(&text), "id": id}),
        json!({"event": "message-finish", "metadata": {}, "id": id}),
    ]
    .map(|message| (below.clone(), message))
    .into()
}

/// A checkpoint in either form.
#[derive(Deserialize)]
pub(super) struct Checkpoint {
    id: Option<String>,
    parent_id: Option<String>,
    step: Option<i64>,
    source: Option<String>,
    config: Option<Config>,
    parent_config: Option<Config>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Config {
    configurable: Configurable,
}

#[derive(Deserialize)]
struct Configurable {
    checkpoint_id: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    step: Option<i64>,
    source: Option<String>,
}

impl Checkpoint {
    /// Its id, and it as the protocol has it.
    pub(super) fn shown(self) -> Option<(String, Value)> {
        let of =
            |config: Option<Config>| config.and_then(|config| config.configurable.checkpoint_id);
        let id = self.id.or_else(|| of(self.config))?;
        let mut shown = json!({"id": id});
        if let Some(parent) = self.parent_id.or_else(|| of(self.parent_config)) {
            shown["parent_id"] = parent.into();
        }
        let (step, source) = match self.metadata {
            Some(metadata) => (metadata.step, metadata.source),
            None => (self.step, self.source),
        };
        if let Some(step) = step {
            shown["step"] = step.into();
        }
        if let Some(source) = source {
            shown["source"] = source.into();
        }
        Some((id, shown))
    }
}
