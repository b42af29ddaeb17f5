//! Tag System.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{refused, same},
};
use crate::{request::Request, session::Session};

behaviours! {
    health_check: database_is_asked_only_on_request;
    health_check: unknown_paths_and_wrong_methods_answer_json;
    health_check: head_works_where_get_does;
    health_check_root: root_answers_like_ok;
    server_info: version_is_the_one_that_we_are_compatible_with;
    get_openapi: document_is_served_with_the_configured_graphs;
    get_metrics: figures_come_in_two_formats;
    get_docs: page_needs_no_other_server;
}

async fn database_is_asked_only_on_request(session: &Session) -> Result<()> {
    let plain = session.call(Request::to("health_check")?).await?;
    same(&plain, &json!({ "ok": true, "services": { "database": "skipped" } }))?;
    let asked = session.call(Request::to("health_check")?.query("check_db", 1)).await?;
    same(&asked, &json!({ "ok": true, "services": { "database": "healthy" } }))
}

async fn root_answers_like_ok(session: &Session) -> Result<()> {
    let root = session.call(Request::to("health_check_root")?).await?;
    same(&root, &session.call(Request::to("health_check")?).await?)
}

async fn unknown_paths_and_wrong_methods_answer_json(session: &Session) -> Result<()> {
    for path in ["/nothing", "/threads/a/b/c/d", "/ok/"] {
        refused(&session.fetch(Method::GET, path).await?, 404, "Not Found")?;
    }
    for (method, path) in [(Method::PUT, "/threads/search"), (Method::POST, "/store/items")] {
        let answer = session.fetch(method, path).await?;
        refused(&answer, 405, "Method Not Allowed")?;
        ensure!(answer.header("allow").is_some(), "{path}: a 405 without Allow");
    }
    for (method, path) in [(Method::DELETE, "/info"), (Method::POST, "/ok")] {
        refused(&session.fetch(method, path).await?, 404, "Not Found")?;
    }
    Ok(())
}

async fn head_works_where_get_does(session: &Session) -> Result<()> {
    for path in ["/ok", "/info", "/openapi.json"] {
        let answer = session.fetch(Method::HEAD, path).await?;
        ensure!(
            answer.status == 200 && answer.body.is_empty(),
            "HEAD {path}: {}",
            answer.describe()
        );
    }
    Ok(())
}

async fn version_is_the_one_that_we_are_compatible_with(session: &Session) -> Result<()> {
    let mut info = session.call(Request::to("server_info")?).await?;
    if let Some(info) = info.as_object_mut() {
        // Only there when a worker has said so.
        info.shift_remove("langgraph_py_version");
    }
    let expected = json!({
        "version": "0.16.7",
        "agent_server_version": env!("CARGO_PKG_VERSION"),
        "flags": {
            "assistants": true,
            "crons": true,
            "langsmith": false,
            "langsmith_tracing_replicas": false,
            "langsmith_tracing_session_on_runs": false,
        },
        "host": {
            "kind": "self-hosted",
            "project_id": null,
            "host_revision_id": null,
            "revision_id": null,
            "tenant_id": null,
        },
    });
    same(&info, &expected)
}

async fn document_is_served_with_the_configured_graphs(session: &Session) -> Result<()> {
    let mut served = session.call(Request::to("get_openapi")?).await?;
    for schema in
        ["Assistant", "AssistantCreate", "AssistantPatch", "GraphSchema", "AssistantSearchRequest"]
    {
        let graph_id = &mut served["components"]["schemas"][schema]["properties"]["graph_id"];
        let graphs = graph_id.as_object_mut().and_then(|schema| schema.shift_remove("enum"));
        let lists = graphs.as_ref().and_then(Value::as_array);
        let known = lists.is_some_and(|graphs| graphs.contains(&json!(session.graph_id)));
        ensure!(known, "{schema} does not name {}", session.graph_id);
    }
    ensure!(served == *agent_server_api::document(), "the document is not the one that is served");
    Ok(())
}

async fn figures_come_in_two_formats(session: &Session) -> Result<()> {
    // One request that is counted, by the path of the document.
    session.send(&Request::to("count_threads")?.body(json!({}))).await?;
    let json = session.call(Request::to("get_metrics")?.query("format", "json")).await?;
    let requests = json["api"]["http_requests_total"].as_array().cloned().unwrap_or_default();
    let counted = |path: &str| requests.iter().find(|request| request["path"] == path).cloned();
    let count = counted("/threads/count").unwrap_or_default();
    ensure!(
        count["method"] == "POST" && count["status"] == 200 && count["count"].as_i64() > Some(0),
        "the request is not counted: {json}"
    );
    ensure!(counted("/metrics").is_none(), "looking at the figures changes them: {json}");
    ensure!(json["queue"]["n_pending"].is_u64(), "no queue: {json}");
    for query in [None, Some("anything")] {
        let request = Request::to("get_metrics")?;
        let request = match query {
            Some(format) => request.query("format", format),
            None => request,
        };
        let answer = session.send(&request).await?;
        ensure!(answer.header("content-type") == Some("text/plain; charset=utf-8"), "not text");
        let text = String::from_utf8(answer.body)?;
        for line in [
            r#"lg_api_http_requests_total{method="POST",path="/threads/count",status="200"} "#,
            r#"lg_api_http_requests_latency_count{method="POST",path="/threads/count"} "#,
            "lg_api_num_pending_runs ",
            "process_resident_memory_bytes ",
        ] {
            ensure!(text.lines().any(|found| found.starts_with(line)), "{line} is missing: {text}");
        }
    }
    Ok(())
}

async fn page_needs_no_other_server(session: &Session) -> Result<()> {
    let answer = session.send(&Request::to("get_docs")?).await?;
    let page = String::from_utf8(answer.body)?.to_lowercase();
    ensure!(page.contains("<html"), "the page is not HTML");
    for loading in ["src=\"http", "src=\"//", "href=\"http", "@import"] {
        ensure!(!page.contains(loading), "the page has {loading}");
    }
    Ok(())
}
