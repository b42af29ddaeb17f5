//! Short method names: `get_run` for `get_run_http_threads__thread_id__runs__run_id__get`.
//!
//! Most ids are a name followed by their path and method, which is cut off mechanically. The others are in a table, among
//! them those that carry another path's tail or would collide.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Error;

/// Ids that the rule does not shorten, or not to a good name.
const EXCEPTIONS: [(&str, &str); 16] = [
    // Two operations would be called `get_assistant_subgraphs`.
    (
        "get_assistant_subgraphs_assistants__assistant_id__subgraphs__namespace__get",
        "get_assistant_subgraphs_by_namespace",
    ),
    ("get_latest_thread_state_threads__thread_id__state_get", "get_thread_state"),
    ("copy_thread_post_threads__thread_id__copy_post", "copy_thread"),
    // The tail is the one of waiting for a run, and the name the one of starting it.
    ("stream_run_http_threads__thread_id__runs__run_id__join_get", "join_run_stream"),
    ("stream_run_stateless_runs_stream_post", "stream_stateless_run"),
    ("wait_run_stateless_runs_wait_post", "wait_stateless_run"),
    ("run_stateless_runs_post", "create_stateless_run"),
    ("run_batch_stateless_runs_post", "create_run_batch"),
    // The rule would leave nothing but `cancel`.
    ("cancel_runs_post", "cancel_runs"),
    ("system_metrics_metrics_get", "get_metrics"),
    ("docs_get", "get_docs"),
    ("health_check_ok_get", "health_check"),
    ("health_check__get", "health_check_root"),
    ("openapi_json_get", "get_openapi"),
    ("protocol_thread_events_post", "stream_thread_events"),
    ("protocol_thread_command_post", "send_thread_command"),
];

/// Ids that are short names already.
const SHORT: [&str; 14] = [
    "delete_item",
    "delete_mcp",
    "get_agent_card",
    "get_default_agent_card",
    "get_item",
    "get_mcp",
    "get_well_known_agent_card",
    "list_namespaces",
    "list_webhook_deliveries",
    "post_a2a",
    "post_mcp",
    "put_item",
    "replay_webhook_delivery",
    "search_items",
];

/// Collections with which the paths begin that ids end with.
const COLLECTIONS: [&str; 4] = ["_assistants_", "_threads_", "_runs_", "_info_"];

/// The short name of an operation.
///
/// # Errors
/// Neither the rule nor the tables cover the id.
pub fn short_name(operation_id: &str) -> Result<String, Error> {
    if let Some((_, name)) = EXCEPTIONS.iter().find(|(id, _)| *id == operation_id) {
        return Ok((*name).to_owned());
    }
    if SHORT.contains(&operation_id) {
        return Ok(operation_id.to_owned());
    }
    by_rule(operation_id).map(str::to_owned).ok_or_else(|| {
        Error::new(format!(
            "operationId {operation_id} has no short name: add it to codegen/src/names.rs"
        ))
    })
}

/// Cuts off path and method.
fn by_rule(operation_id: &str) -> Option<&str> {
    let has_method = ["_get", "_post", "_put", "_patch", "_delete"]
        .iter()
        .any(|method| operation_id.ends_with(method));
    // A name can have the word of a collection in it too, so its last occurrence counts, and of several collections the
    // one that the path begins with.
    let tail = COLLECTIONS.iter().filter_map(|collection| operation_id.rfind(collection)).min()?;
    let name = &operation_id[..tail];
    (has_method && !name.is_empty()).then(|| name.strip_suffix("_http").unwrap_or(name))
}

/// Replaces every `operationId` by its short name.
///
/// # Errors
/// An id has no short name, or two have the same.
pub fn shorten(document: &mut Value) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            let Some(id) = operation.get("operationId").and_then(Value::as_str) else { continue };
            let name = short_name(id)?;
            if let Some(other) = seen.insert(name.clone(), id.to_owned()) {
                return Err(Error::new(format!("{path}: {id} and {other} are both called {name}")));
            }
            operation["operationId"] = Value::String(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_cut_off_and_exceptions_looked_up() {
        for (id, name) in [
            ("get_run_http_threads__thread_id__runs__run_id__get", "get_run"),
            ("create_assistant_assistants_post", "create_assistant"),
            ("search_threads_threads_search_post", "search_threads"),
            ("get_thread_threads__thread_id__get", "get_thread"),
            ("create_cron_runs_crons_post", "create_cron"),
            ("stream_run_http_threads__thread_id__runs__run_id__join_get", "join_run_stream"),
            ("server_info_info_get", "server_info"),
        ] {
            assert_eq!(short_name(id).expect("covered"), name);
        }
        assert!(short_name("mystery").is_err());
    }

    #[test]
    fn every_operation_of_the_document_has_a_name_of_its_own() {
        let text = include_str!("../../../openapi.json");
        let mut document: Value = serde_json::from_str(text).expect("the document is JSON");
        shorten(&mut document).expect("unique names");
        let ids = EXCEPTIONS.iter().map(|(id, _)| *id).chain(SHORT);
        for id in ids {
            assert!(text.contains(&format!("\"{id}\"")), "{id} is not in the document any more");
        }
    }

    #[test]
    fn exceptions_are_what_the_rule_does_not_give() {
        for (id, name) in EXCEPTIONS {
            assert_ne!(by_rule(id), Some(name), "{id} needs no exception");
        }
    }

    #[test]
    fn names_do_not_collide() {
        let operation = |id: &str| serde_json::json!({"get": {"operationId": id}});
        let mut document = serde_json::json!({"paths": {
            "/a": operation("get_thread_threads__thread_id__get"),
            "/b": operation("get_thread_http_threads__thread_id__get"),
        }});
        let error = shorten(&mut document).expect_err("both are called get_thread");
        assert!(error.to_string().starts_with("/b: "), "{error}");
    }
}
