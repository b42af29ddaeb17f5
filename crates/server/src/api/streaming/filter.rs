//! Which events of a thread a client wants.

use serde_json::Value;

use super::event::{Namespace, ProtocolEvent};

/// All channels, in the order in which they are listed to clients.
const CHANNELS: [&str; 9] = [
    "values",
    "updates",
    "checkpoints",
    "messages",
    "tools",
    "custom",
    "lifecycle",
    "input",
    "tasks",
];

/// How many unknown channels a refusal names.
const SHOWN: usize = 5;

/// Why there are no channels to be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoChannels {
    /// There is no list of them, or an empty one.
    Missing,
    /// Some are unknown: their names.
    Unknown(Vec<String>),
}

impl NoChannels {
    /// The text of the refusal over HTTP.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Missing => "channels is required and must be a non-empty array".into(),
            Self::Unknown(names) => format!(
                "channels contains unsupported entries: {}. Allowed: {}, or any `custom:<name>` channel.",
                names.join(", "),
                CHANNELS.join(", ")
            ),
        }
    }
}

/// A choice of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    channels: Vec<String>,
    /// Only at or below one of these; all where there is none.
    namespaces: Vec<Namespace>,
    /// How far below.
    depth: Option<usize>,
    /// Only those behind this one.
    since: u64,
}

impl Filter {
    /// Reads the members of a request. Of the optional ones, what is malformed counts as absent.
    pub(super) fn read(request: &Value) -> Result<Self, NoChannels> {
        let channels = request["channels"].as_array().filter(|channels| !channels.is_empty());
        let channels = channels.ok_or(NoChannels::Missing)?;
        let is_known = |channel: &&Value| channel.as_str().is_some_and(is_channel);
        let unknown: Vec<_> =
            channels.iter().filter(|channel| !is_known(channel)).take(SHOWN).map(shown).collect();
        if !unknown.is_empty() {
            return Err(NoChannels::Unknown(unknown));
        }
        let names = |list: &Value| -> Option<Vec<String>> {
            list.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let namespaces = request["namespaces"].as_array();
        Ok(Self {
            channels: names(&request["channels"]).unwrap_or_default(),
            namespaces: namespaces
                .and_then(|prefixes| prefixes.iter().map(names).collect())
                .unwrap_or_default(),
            depth: request["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()),
            since: request["since"].as_u64().unwrap_or_default(),
        })
    }

    /// The same choice of what stands behind `since`.
    pub(super) fn behind(self, since: u64) -> Self {
        Self { since, ..self }
    }

    /// Whether an event is wanted.
    pub(super) fn passes(&self, event: &ProtocolEvent) -> bool {
        let chosen = |channel: &String| match channel.strip_prefix("custom:") {
            Some(name) => event.method == "custom" && event.name.as_deref() == Some(name),
            None => channel == event.channel(),
        };
        event.seq > self.since
            && self.channels.iter().any(chosen)
            && (self.namespaces.is_empty()
                || self.namespaces.iter().any(|prefix| self.is_below(prefix, &event.namespace)))
    }

    fn is_below(&self, prefix: &[String], namespace: &[String]) -> bool {
        let Some(below) = namespace.len().checked_sub(prefix.len()) else { return false };
        self.depth.is_none_or(|depth| below <= depth)
            && prefix.iter().zip(namespace).all(|(wanted, segment)| {
                // A name alone stands for whichever task has it.
                let bare = segment.split(':').next().unwrap_or(segment);
                wanted == segment || (!wanted.contains(':') && wanted == bare)
            })
    }
}

fn is_channel(name: &str) -> bool {
    CHANNELS.contains(&name) || name.strip_prefix("custom:").is_some_and(|name| !name.is_empty())
}

/// An unknown channel as upstream writes it: text as it is, anything else in the manner of Python.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => literal(other),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.escape_default()),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("'{}': {}", name.escape_default(), literal(value))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn event(method: &'static str, namespace: &[&str]) -> ProtocolEvent {
        ProtocolEvent {
            id: String::new(),
            seq: 1,
            method,
            namespace: namespace.iter().map(|segment| (*segment).to_owned()).collect(),
            timestamp: 0,
            node: None,
            name: None,
            data: Bytes::new(),
        }
    }

    fn filter(request: Value) -> Filter {
        Filter::read(&request).expect("it has channels")
    }

    #[test]
    fn channels_and_names_choose() {
        let all = filter(json!({"channels": ["input", "custom:counter"]}));
        assert!(all.passes(&event("input.requested", &[])));
        assert!(!all.passes(&event("values", &[])) && !all.passes(&event("custom", &[])));
        let counter = ProtocolEvent { name: Some("counter".into()), ..event("custom", &["a:1"]) };
        assert!(all.passes(&counter));
        assert!(filter(json!({"channels": ["custom"]})).passes(&counter));
        assert!(!filter(json!({"channels": ["custom:other"]})).passes(&counter));
    }

    #[test]
    fn prefixes_match_segment_by_segment() {
        let passes = |request: Value, namespace: &[&str]| {
            let mut request = request;
            request["channels"] = json!(["values"]);
            filter(request).passes(&event("values", namespace))
        };
        let child = json!({"namespaces": [["child"]]});
        assert!(passes(child.clone(), &["child:1"]) && passes(child.clone(), &["child:1", "b:2"]));
        assert!(!passes(child.clone(), &["children:1"]) && !passes(child, &[]));
        assert!(!passes(json!({"namespaces": [["child:2"]]}), &["child:1"]));
        let root = json!({"namespaces": [[]], "depth": 0});
        assert!(passes(root.clone(), &[]) && !passes(root, &["child:1"]));
        assert!(passes(json!({"depth": 0}), &["child:1"]), "a depth alone filters nothing");
        assert!(passes(json!({"namespaces": "x", "depth": -1}), &["child:1"]), "malformed");
    }

    #[test]
    fn unknown_channels_are_named() {
        let refused = |request: Value| Filter::read(&request).expect_err("refused");
        for request in [json!({}), json!({"channels": []}), json!({"channels": "values"}), json!(1)]
        {
            assert_eq!(refused(request), NoChannels::Missing);
        }
        let unknown =
            refused(json!({"channels": ["values", "debug", 1, null, "custom:", [true, "a"]]}));
        let names = ["debug", "1", "None", "custom:", "[True, 'a']"].map(str::to_owned).to_vec();
        assert_eq!(unknown, NoChannels::Unknown(names));
        let text = unknown.detail();
        assert!(
            text.starts_with("channels contains unsupported entries: debug, 1, None, custom:, ")
        );
    }
}
