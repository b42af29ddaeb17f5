//! The API reference: the document as served, and a page that shows it.
//!
//! The page is Swagger UI, which is part of this program (`assets/swagger-ui/`, put there by `cargo xtask assets`), so that
//! it also works without a way to the internet.

use axum::{Router, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{Options, auth};

/// Schemas whose `graph_id` names a configured graph.
const WITH_GRAPH_ID: [&str; 5] =
    ["Assistant", "AssistantCreate", "AssistantPatch", "GraphSchema", "AssistantSearchRequest"];

/// Bodies that can ask for a webhook. `CronPatch` keeps the field, as upstream has it.
const WITH_WEBHOOK: [&str; 6] = [
    "CronCreate",
    "ThreadCronCreate",
    "RunCreateStateful",
    "RunCreateStateless",
    "RunCreateStreamingStateful",
    "RunCreateStreamingStateless",
];

/// Addresses of the page's parts.
pub(crate) const PARTS: [&str; 2] = [SCRIPT, STYLE];
const SCRIPT: &str = "/docs/swagger-ui-bundle.js";
const STYLE: &str = "/docs/swagger-ui.css";

/// How long a browser may keep a part of the page, seconds: a day. A new version of the server may bring another.
const MAX_AGE: &str = "public, max-age=86400";

/// The document with the configured graphs listed where a graph id is expected, without what is switched off, and with
/// where the server is and what the project says of its authentication.
pub(crate) fn document<'a>(graph_ids: impl Iterator<Item = &'a str>, options: &Options) -> String {
    let mut document = agent_server_api::parse_document();
    let ids: Vec<Value> = graph_ids.map(Value::from).collect();
    for schema in WITH_GRAPH_ID {
        let property = &mut document["components"]["schemas"][schema]["properties"]["graph_id"];
        if property.is_object() {
            property["enum"] = Value::Array(ids.clone());
        }
    }
    if let Some(openapi) = &options.auth.openapi {
        auth::describe(&mut document, openapi);
    }
    for schema in WITH_WEBHOOK.iter().filter(|_| !options.webhooks) {
        let properties = &mut document["components"]["schemas"][schema]["properties"];
        if let Some(properties) = properties.as_object_mut() {
            properties.shift_remove("webhook");
        }
    }
    options.disabled.describe(&mut document);
    if let Some(url) = &options.api_url {
        document["servers"] = json!([{"url": url}]);
    }
    document.to_string()
}

/// The reference page.
pub(crate) fn page() -> &'static str {
    include_str!("docs.html")
}

/// The parts of the page. They are no operations of the API: nobody but the page asks for them.
pub(crate) fn parts<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let script = include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js.gz");
    let style = include_bytes!("../assets/swagger-ui/swagger-ui.css.gz");
    Router::new()
        .route(SCRIPT, get(async || part("text/javascript", script)))
        .route(STYLE, get(async || part("text/css", style)))
}

/// Always compressed: whoever shows the page can read it.
fn part(media_type: &'static str, gzipped: &'static [u8]) -> impl axum::response::IntoResponse {
    let headers =
        [(CONTENT_TYPE, media_type), (CONTENT_ENCODING, "gzip"), (CACHE_CONTROL, MAX_AGE)];
    (headers, gzipped)
}
