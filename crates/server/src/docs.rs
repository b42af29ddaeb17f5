//! The API reference: the document as served, and a page that shows it.
//!
//! The page carries everything it needs, so that it also works without a way to the internet.

use serde_json::Value;

use crate::auth::{self, Auth};

/// Schemas whose `graph_id` names a configured graph.
const WITH_GRAPH_ID: [&str; 5] =
    ["Assistant", "AssistantCreate", "AssistantPatch", "GraphSchema", "AssistantSearchRequest"];

/// The document with the configured graphs listed where a graph id is expected, and with what the project says of its
/// authentication.
pub(crate) fn document<'a>(graph_ids: impl Iterator<Item = &'a str>, auth: &Auth) -> String {
    let mut document = agent_server_api::document().clone();
    let ids: Vec<Value> = graph_ids.map(Value::from).collect();
    for schema in WITH_GRAPH_ID {
        let property = &mut document["components"]["schemas"][schema]["properties"]["graph_id"];
        if property.is_object() {
            property["enum"] = Value::Array(ids.clone());
        }
    }
    if let Some(openapi) = &auth.openapi {
        auth::describe(&mut document, openapi);
    }
    document.to_string()
}

/// The reference page.
pub(crate) fn page() -> String {
    // Inside a script element only `<` could end it.
    let document = agent_server_api::DOCUMENT.replace('<', "\\u003c");
    include_str!("docs.html").replace("/*DOCUMENT*/null", &document)
}
