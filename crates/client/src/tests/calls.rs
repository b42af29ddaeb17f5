//! Calls with one answer.

use serde_json::json;

use super::{
    RUN, THREAD, client, id,
    server::{Server, empty, json as answer},
};
use crate::{Error, StatusCode, params, types, wire::RawJson};

fn run() -> String {
    json!({
        "run_id": RUN, "thread_id": THREAD, "assistant_id": THREAD,
        "created_at": "2026-11-23T17:24:31.345411+00:00", "updated_at": "2026-11-24T00:00:00+00:00",
        "status": "success", "metadata": {"b": 1, "a": 2}, "kwargs": {"input": {"x": 1.0}},
        "multitask_strategy": "reject", "langsmith_session_name": null, "something": "new",
    })
    .to_string()
}

#[tokio::test]
async fn a_call_returns_the_body() {
    let server = Server::start(vec![answer("200 OK", &run())]).await;
    let run = client(&server.base_url).get_run(&id(THREAD), &id(RUN)).await.expect("a run");
    assert_eq!(run.status, types::RunStatus::Success);
    assert_eq!(run.created_at.to_string(), "2026-11-23T17:24:31.345411+00:00");
    assert_eq!(run.kwargs.get(), r#"{"input":{"x":1.0}}"#);
    let requests = server.requests().await;
    assert!(requests[0].starts_with(&format!("GET /threads/{THREAD}/runs/{RUN} HTTP/1.1\r\n")));
    assert!(requests[0].contains("x-api-key: secret\r\n"));
}

#[tokio::test]
async fn bodies_are_sent_without_what_was_not_set() {
    let server = Server::start(vec![answer("200 OK", &run())]).await;
    let body = types::RunCreateStateful {
        input: Some(RawJson::trusted(r#"{"z":1.0, "a":[]}"#)),
        metadata: Some(serde_json::Map::new()),
        ..types::RunCreateStateful::new("agent")
    };
    client(&server.base_url).create_run(&id(THREAD), &body).await.expect("a run");
    let requests = server.requests().await;
    let (_, sent) = requests[0].split_once("\r\n\r\n").expect("a body");
    assert_eq!(sent, r#"{"assistant_id":"agent","input":{"z":1.0, "a":[]},"metadata":{}}"#);
}

#[tokio::test]
async fn optional_parameters_are_sent_when_set() {
    let server = Server::start(vec![answer("200 OK", "[]"), answer("200 OK", "[]")]).await;
    let client = client(&server.base_url);
    client.list_runs(&id(THREAD)).await.expect("runs");
    let select = Some(vec!["run_id".to_owned(), "status".to_owned()]);
    let params = params::ListRuns { limit: Some(5), select, ..Default::default() };
    client.list_runs_with(&id(THREAD), params).await.expect("runs");
    let requests = server.requests().await;
    assert!(requests[0].starts_with(&format!("GET /threads/{THREAD}/runs HTTP")));
    assert!(requests[1].contains("/runs?limit=5&select=run_id&select=status HTTP"));
}

#[tokio::test]
async fn refusals_have_status_and_detail() {
    let server = Server::start(vec![
        answer("404 Not Found", r#"{"detail":"Run not found"}"#),
        answer("400 Bad Request", r#"{"error":"Key is required"}"#),
        empty("405 Method Not Allowed"),
    ])
    .await;
    let client = client(&server.base_url);
    let error = client.get_run(&id(THREAD), &id(RUN)).await.expect_err("a refusal");
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "404 Not Found: Run not found");
    let error = client.get_item("", "").await.expect_err("a refusal");
    assert_eq!(error.detail(), Some("Key is required"));
    let error = client.get_mcp().await.map(drop).expect_err("a refusal");
    assert_eq!(error.status(), Some(StatusCode::METHOD_NOT_ALLOWED));
}

#[tokio::test]
async fn a_success_that_reports_a_failure_is_one() {
    let server = Server::start(vec![answer("201 Created", r#"{"detail":"no graph"}"#)]).await;
    let error = client(&server.base_url).create_thread(&types::ThreadCreate::default()).await;
    assert_eq!(error.expect_err("a failure").status(), Some(StatusCode::CREATED));
}

#[tokio::test]
async fn answers_that_may_be_empty_are_options() {
    let server =
        Server::start(vec![empty("202 Accepted"), answer("200 OK", "\n\n{\"messages\": []}")])
            .await;
    let client = client(&server.base_url);
    assert_eq!(client.cancel_run(&id(THREAD), &id(RUN)).await.expect("accepted"), None);
    let params = params::CancelRun { wait: Some(true), ..Default::default() };
    let result = client.cancel_run_with(&id(THREAD), &id(RUN), params).await.expect("a result");
    assert_eq!(result.expect("a body").get(), r#"{"messages": []}"#);
    assert!(server.requests().await[1].contains("/cancel?wait=true HTTP"));
}

#[tokio::test]
async fn waiting_skips_the_signs_of_life() {
    let server = Server::start(vec![answer("200 OK", "\n\n\n{\"x\": 1.0}")]).await;
    let body = types::RunCreateStreamingStateful::new("agent");
    let result = client(&server.base_url).wait_run(&id(THREAD), &body).await.expect("a result");
    assert_eq!(result.get(), r#"{"x": 1.0}"#);
}

#[tokio::test]
async fn answers_of_several_kinds_say_what_they_are() {
    let server = Server::start(vec![answer("200 OK", r#"{"a":1}"#)]).await;
    let response = client(&server.base_url).get_metrics().await.expect("metrics");
    assert_eq!(response.content_type(), "application/json");
    assert_eq!(response.text().await.expect("text"), r#"{"a":1}"#);
    assert!(server.requests().await[0].contains("accept: text/plain, application/json\r\n"));
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_reported_with_what_was_sent() {
    let server = Server::start(vec![answer("200 OK", r#"{"run_id": 5}"#)]).await;
    let error = client(&server.base_url).get_run(&id(THREAD), &id(RUN)).await.expect_err("a run");
    assert!(matches!(error, Error::Decode { body, .. } if &*body == br#"{"run_id": 5}"#));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_transport_error() {
    let server = Server::start(vec![]).await;
    let client = client(&server.base_url);
    server.requests().await;
    let error = client.server_info().await.expect_err("nobody listens");
    assert!(error.is_transient());
    assert_eq!(error.status(), None);
}

#[test]
fn calls_and_streams_can_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let client = client("http://127.0.0.1:9");
    let (thread_id, body) = (id(THREAD), types::RunCreateStreamingStateful::new("agent"));
    moves(client.get_run(&thread_id, &thread_id));
    moves(client.cancel_run(&thread_id, &thread_id));
    moves(async { client.stream_run(&thread_id, &body).await });
}

#[tokio::test]
async fn an_operation_may_be_known_by_method_and_path_alone() {
    let script = vec![answer("200 OK", "[]"), answer("404 Not Found", r#"{"detail":"No thread"}"#)];
    let server = Server::start(script).await;
    let client = client(&server.base_url);
    let request = client.request("POST", "/threads/{thread_id}/x").expect("a request");
    let request = request.path("thread_id", "a/b").query("limit", "5").query("limit", "6");
    let request = request.header("x-more", "1").expect("a header").body(r#"{"n":1.0}"#.into());
    let found = request.send("application/json").await.expect("an answer");
    assert_eq!(found.content_type(), "application/json");
    assert_eq!(found.text().await.expect("text"), "[]");
    let request = client.request("GET", "/threads").expect("a request");
    assert_eq!(request.send("*/*").await.err().expect("a refusal").detail(), Some("No thread"));
    assert!(client.request("NOT A METHOD", "/ok").is_err());
    let requests = server.requests().await;
    assert!(requests[0].starts_with("POST /threads/a%2Fb/x?limit=5&limit=6 HTTP/1.1\r\n"));
    for line in ["x-more: 1\r\n", "accept: application/json\r\n", "x-api-key: secret\r\n"] {
        assert!(requests[0].contains(line), "{}", requests[0]);
    }
    assert!(requests[0].ends_with("\r\n\r\n{\"n\":1.0}"));
}
