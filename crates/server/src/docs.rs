//! The API reference: the document as served, and a page that shows it.
//!
//! The page is Swagger UI, which is part of this program (`assets/swagger-ui/`, put there by `cargo xtask assets`), so that
//! it also works without a way to the internet.

use axum::{Router, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

/// Schemas whose `graph_id` names a configured graph.
const WITH_GRAPH_ID: [&str; 5] =
    ["Assistant", "AssistantCreate", "AssistantPatch", "GraphSchema", "AssistantSearchRequest"];

/// How long a browser may keep a part of the page, seconds: a day. A new version of the server may bring another.
const MAX_AGE: &str = "public, max-age=86400";

/// The document with the configured graphs listed where a graph id is expected.
pub(crate) fn document<'a>(graph_ids: impl Iterator<Item = &'a str>) -> String {
    let mut document = agent_server_api::document().clone();
    let ids: Vec<Value> = graph_ids.map(Value::from).collect();
    for schema in WITH_GRAPH_ID {
        let property = &mut document["components"]["schemas"][schema]["properties"]["graph_id"];
        if property.is_object() {
            property["enum"] = Value::Array(ids.clone());
        }
    }
    document.to_string()
}

/// The reference page.
pub(crate) fn page() -> &'static str {
    include_str!("docs.html")
}

/// The parts of the page. They are no operations of the API: nobody but the page asks for them.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let script = include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js.gz");
    let style = include_bytes!("../assets/swagger-ui/swagger-ui.css.gz");
    Router::new()
        .route("/docs/swagger-ui-bundle.js", get(async || asset("text/javascript", script)))
        .route("/docs/swagger-ui.css", get(async || asset("text/css", style)))
}

/// Always compressed: whoever shows the page can read it.
fn asset(media_type: &'static str, gzipped: &'static [u8]) -> impl axum::response::IntoResponse {
    let headers =
        [(CONTENT_TYPE, media_type), (CONTENT_ENCODING, "gzip"), (CACHE_CONTROL, MAX_AGE)];
    (headers, gzipped)
}
