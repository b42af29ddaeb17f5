//! The payload of a cron: the request that made it, kept member by member as text, and the runs that are made from it.

use std::fmt;

use agent_server_storage::{
    Map, RawJson,
    crons::{Cron, OnRunCompleted},
    runs::MultitaskStrategy,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
    ser::{SerializeMap as _, Serializer},
};
use serde_json::{Value, json};

use crate::{
    Error, Result,
    assistants::merged,
    runs::kwargs::{RunRequest, Tracer},
};

/// The members of an object in their order, as text: what belongs to the user stays as it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Payload(Vec<(String, RawJson)>);

impl Payload {
    /// Takes an object apart.
    pub(super) fn of(json: &RawJson) -> Result<Self> {
        json.parse().map_err(|error| Error::Internal(format!("a cron's payload: {error}")))
    }

    /// Whether there are no members.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as text.
    pub(super) fn to_json(&self) -> RawJson {
        RawJson::of(self)
    }

    /// Sets a member, in its old place if it has one.
    pub(super) fn set(&mut self, key: &str, value: RawJson) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some(member) => member.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Lays the members of another payload over these, but for the assistant, which stays.
    pub(super) fn merge(&mut self, over: Self) {
        for (key, value) in over.0 {
            if key != "assistant_id" {
                self.set(&key, value);
            }
        }
    }

    /// Puts the cron's id where its runs, and whoever looks at it, find it.
    pub(super) fn mark(&mut self, cron_id: &str) {
        let mut config = self.map("config");
        let mut configurable = object(config.get("configurable"));
        configurable.insert("cron_id".into(), json!(cron_id));
        config.insert("configurable".into(), Value::Object(configurable));
        self.set("config", RawJson::of(&config));
    }

    fn map(&self, key: &str) -> Map {
        self.get(key).and_then(|json| json.parse().ok()).unwrap_or_default()
    }

    fn get(&self, key: &str) -> Option<&RawJson> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    fn parsed<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(|json| json.parse().ok())
    }
}

fn object(value: Option<&Value>) -> Map {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The request of a run that a cron makes. Everything in the payload was checked when it was stored.
pub(super) fn request(cron: &Cron) -> Result<RunRequest> {
    let payload = Payload::of(&cron.payload)?;
    let context = payload.map("context");
    let mut config = payload.map("config");
    // It goes its own way, so that it does not end in the context.
    let mut configurable = object(config.get("configurable"));
    configurable.shift_remove("cron_id");
    if configurable.is_empty() || !context.is_empty() {
        // Both may not be given.
        config.shift_remove("configurable");
    } else {
        config.insert("configurable".into(), Value::Object(configurable));
    }
    let modes = match payload.parsed::<Value>("stream_mode") {
        Some(Value::String(mode)) => vec![mode],
        Some(modes) => serde_json::from_value(modes).unwrap_or_default(),
        None => vec![],
    };
    let strategy = payload.parsed::<String>("multitask_strategy");
    Ok(RunRequest {
        run_id: None,
        assistant_id: cron.assistant_id.to_string(),
        input: payload.get("input").cloned(),
        command: None,
        config,
        context,
        metadata: merged(cron.metadata.clone(), &payload.map("metadata")),
        checkpoint: Map::new(),
        interrupt_before: payload.get("interrupt_before").cloned(),
        interrupt_after: payload.get("interrupt_after").cloned(),
        stream_mode: if modes.is_empty() { vec!["values".into()] } else { modes },
        stream_subgraphs: payload.parsed("stream_subgraphs").unwrap_or(false),
        stream_resumable: payload.parsed("stream_resumable").unwrap_or(false),
        webhook: payload.parsed("webhook"),
        tracer: Tracer::default(),
        feedback_keys: None,
        multitask_strategy: strategy
            .and_then(|word| MultitaskStrategy::parse(&word))
            .unwrap_or_default(),
        create_thread: false,
        after_seconds: 0.0,
        durability: payload.parsed("durability"),
        checkpoint_during: None,
        keep_thread: cron.on_run_completed == Some(OnRunCompleted::Keep),
        cron_id: Some(cron.cron_id),
    })
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Payload;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut payload = Payload::default();
                while let Some((key, value)) = map.next_entry::<String, RawJson>()? {
                    payload.set(&key, value);
                }
                Ok(payload)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::of(&RawJson::trusted(text)).unwrap()
    }

    #[test]
    fn what_a_user_sent_stays_as_it_was_sent() {
        let text = r#"{"input":{"n":1.50,"big":123456789012345678901234567890,"é":"\u00e9"},"x":[1, 2],"schedule":"* * * * *"}"#;
        assert_eq!(payload(text).to_json().get(), text);
    }

    #[test]
    fn a_patch_replaces_whole_members_but_for_the_assistant() {
        let mut stored = payload(
            r#"{"assistant_id":"a","input":{"a":1,"b":2},"config":{"tags":["t"],"configurable":{"m":1}}}"#,
        );
        stored.merge(payload(
            r#"{"input":{"c":3},"assistant_id":"other","config":{"recursion_limit":5},"new":null}"#,
        ));
        stored.mark("id");
        let expected = r#"{"assistant_id":"a","input":{"c":3},"config":{"recursion_limit":5,"configurable":{"cron_id":"id"}},"new":null}"#;
        assert_eq!(stored.to_json().get(), expected);
    }
}
