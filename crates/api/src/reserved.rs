//! Keys that clients may not set.
//!
//! The server puts values of its own under these keys when a run starts. A client that sends them, for instance because
//! it echoes a run's metadata, is not refused: the keys are dropped before the body is validated.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::rejection::Rejection;
use crate::split::{Members, join};

/// Dropped from `metadata` and `config.metadata`.
const METADATA: &[&str] =
    &["thread_id", "assistant_id", "run_id", "cron_id", "counters_since_delta_snapshot"];

/// Dropped from `config.configurable` and `context`.
const CONFIGURABLE: &[&str] = &[
    "langgraph_auth_user",
    "langgraph_auth_user_id",
    "langgraph_auth_permissions",
    "langgraph_request_id",
    "__langsmith_project__",
    "__langsmith_example_id__",
    "__request_start_time_ms__",
    "__after_seconds__",
    "__otel_traceparent__",
    "__otel_tracestate__",
    "__dd_trace_headers__",
    "__pregel_node_finished",
    "__context_provided__",
];

/// Ways to write the NUL character that no property name of a configuration may contain. Databases refuse it, escaped
/// or not.
const NUL: &[&str] = &["\0", r"\u0000", r"\U0000"];

/// Whether bodies of this component write metadata or configuration. Searches use the same field names as filters, and a
/// filter on `metadata.assistant_id` must keep that key.
pub(crate) fn applies_to(component: &str) -> bool {
    component.contains("Create") || component.contains("Patch")
}

/// The text of a body without reserved keys; `None` if there are none, which is the usual case.
pub(crate) fn strip(members: &Members<'_>) -> Result<Option<String>, Rejection> {
    rewrite(members, |key, raw| match key {
        "metadata" => Ok(without(raw, METADATA)),
        "context" => guard("context", raw).map(|()| without(raw, CONFIGURABLE)),
        "config" => strip_config(raw),
        _ => Ok(None),
    })
}

fn strip_config(raw: &RawValue) -> Result<Option<String>, Rejection> {
    guard("config", raw)?;
    let Some(members) = Members::of_raw(raw) else { return Ok(None) };
    rewrite(&members, |key, raw| match key {
        "metadata" => Ok(without(raw, METADATA)),
        "configurable" => guard("config.configurable", raw).map(|()| without(raw, CONFIGURABLE)),
        _ => Ok(None),
    })
}

/// Replaces the members for which `change` has a new text; `None` if it has one for none.
fn rewrite(
    members: &Members<'_>,
    mut change: impl FnMut(&str, &RawValue) -> Result<Option<String>, Rejection>,
) -> Result<Option<String>, Rejection> {
    let mut changed = false;
    let mut texts = Vec::with_capacity(members.list.len());
    for (key, raw) in &members.list {
        let text = change(key, raw)?;
        changed |= text.is_some();
        texts.push(text.map_or(Cow::Borrowed(raw.get()), Cow::Owned));
    }
    let keys = members.list.iter().map(|(key, _)| key.as_ref());
    Ok(changed.then(|| join(keys.zip(texts.iter().map(AsRef::as_ref)))))
}

/// The object without the reserved keys; `None` if it has none of them or is no object.
fn without(raw: &RawValue, reserved: &[&str]) -> Option<String> {
    let members = Members::of_raw(raw)?;
    let dropped: Vec<_> = members
        .list
        .iter()
        .map(|(key, _)| key.as_ref())
        .filter(|key| reserved.contains(key))
        .collect();
    if dropped.is_empty() {
        return None;
    }
    tracing::warn!(keys = ?dropped, "reserved keys in a request body are ignored");
    let kept = members.list.iter().filter(|(key, _)| !reserved.contains(&key.as_ref()));
    Some(join(kept.map(|(key, raw)| (key.as_ref(), raw.get()))))
}

/// Refuses property names with a NUL character in them.
fn guard(place: &str, raw: &RawValue) -> Result<(), Rejection> {
    let Some(members) = Members::of_raw(raw) else { return Ok(()) };
    let offends = |key: &str| NUL.iter().any(|nul| key.contains(nul));
    match members.list.iter().any(|(key, _)| offends(key)) {
        true => Err(Rejection::unprocessable(format!(
            "Property names of {place} must not contain NUL characters"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip_text(text: &str) -> Result<Option<String>, Rejection> {
        strip(&Members::of(text).unwrap())
    }

    #[test]
    fn reserved_keys_are_dropped_wherever_they_count() {
        let stripped = strip_text(
            r#"{"metadata":{"a":1,"run_id":"x"},"input":{"run_id":1},
                "context":{"langgraph_auth_user":1,"m":2},
                "config":{"tags":[],"metadata":{"cron_id":1},"configurable":{"__after_seconds__":1,"k":[ 2 ]}}}"#,
        );
        assert_eq!(
            stripped.unwrap().unwrap(),
            r#"{"metadata":{"a":1},"input":{"run_id":1},"context":{"m":2},"config":{"tags":[],"metadata":{},"configurable":{"k":[ 2 ]}}}"#
        );
    }

    #[test]
    fn bodies_without_reserved_keys_are_left_alone() {
        for text in [
            "{}",
            r#"{"metadata":{"graph_id":"g"}}"#,
            r#"{"metadata":3,"config":[],"context":null}"#,
        ] {
            assert_eq!(strip_text(text), Ok(None));
        }
    }

    #[test]
    fn nul_in_property_names_is_refused() {
        for text in [
            r#"{"context":{"a\u0000":1}}"#,
            r#"{"config":{"a\\u0000":1}}"#,
            r#"{"config":{"configurable":{"\\U0000":1}}}"#,
        ] {
            assert_eq!(strip_text(text).unwrap_err().status, 422, "{text}");
        }
        assert_eq!(strip_text(r#"{"context":{"a":"\u0000"}}"#), Ok(None));
    }

    #[test]
    fn searches_keep_their_filters() {
        assert!(
            applies_to("RunCreateStateless")
                && applies_to("ThreadPatch")
                && applies_to("RunBatchCreate")
        );
        assert!(!applies_to("ThreadSearchRequest") && !applies_to("AssistantCountRequest"));
    }
}
