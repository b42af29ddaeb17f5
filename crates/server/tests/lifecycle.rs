//! The run engine through HTTP, with a host that does what the test says: queueing, cancelling, losing workers.

mod support;

use agent_server_domain::ports::Ending;
use serde_json::{Value, json};
use support::{TestServer, text_of};

async fn thread(server: &TestServer) -> String {
    let (status, thread) = server.call("POST", "/threads", Some(json!({}))).await;
    assert_eq!(status, 200);
    thread["thread_id"].as_str().expect("an id").to_owned()
}

async fn run(server: &TestServer, thread: &str, more: Value) -> Value {
    let mut body = json!({"assistant_id": "g", "input": {"a": 1}});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let (status, run) = server.call("POST", &format!("/threads/{thread}/runs"), Some(body)).await;
    assert_eq!(status, 200, "{run}");
    assert_eq!(run["status"], "pending");
    run
}

async fn statuses(server: &TestServer, thread: &str) -> (String, Vec<String>) {
    let (_, row) = server.call("GET", &format!("/threads/{thread}"), None).await;
    let (_, runs) = server.call("GET", &format!("/threads/{thread}/runs"), None).await;
    let word = |value: &Value| value["status"].as_str().expect("a status").to_owned();
    (word(&row), runs.as_array().expect("a list").iter().map(word).collect())
}

fn id(run: &Value) -> &str {
    run["run_id"].as_str().expect("an id")
}

#[tokio::test]
async fn second_run_on_a_busy_thread_is_enqueued_and_starts_after_the_first() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    let first = server.started().await.lease;
    let second = run(&server, &thread, json!({})).await;
    assert_eq!(
        statuses(&server, &thread).await,
        ("busy".into(), vec!["pending".into(), "running".into()])
    );
    assert!(server.nothing_started(), "the second waits");

    server.host.checkpoint(first, "1", r#"{"a":1}"#, "[]");
    server.host.succeed(first, "1", r#"{"a":1}"#).await;
    let order = server.started().await;
    assert_eq!(order.lease.run_id.to_string(), id(&second));
    assert_eq!(order.head_id.as_deref(), Some("1"), "the second starts where the first ended");
    assert_eq!(statuses(&server, &thread).await.0, "busy");

    server.host.succeed(order.lease, "1", r#"{"a":1}"#).await;
    assert_eq!(
        statuses(&server, &thread).await,
        ("idle".into(), vec!["success".into(), "success".into()])
    );
    let (_, row) = server.call("GET", &format!("/threads/{thread}"), None).await;
    assert_eq!((&row["values"], &row["error"]), (&json!({"a": 1}), &Value::Null));
}

#[tokio::test]
async fn runs_wait_for_a_slot_and_start_when_one_is_freed() {
    let server = TestServer::start(0).await;
    let thread = thread(&server).await;
    let waiting = run(&server, &thread, json!({})).await;
    assert!(server.nothing_started());
    let (status, body) =
        server.call("POST", &format!("/threads/{thread}/runs/{}/cancel", id(&waiting)), None).await;
    assert_eq!((status, body), (202, Value::Null));
    assert_eq!(statuses(&server, &thread).await, ("idle".into(), vec!["interrupted".into()]));
}

#[tokio::test]
async fn reject_answers_409_and_inserts_nothing() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    let body = json!({"assistant_id": "g", "multitask_strategy": "reject"});
    let (status, body) = server.call("POST", &format!("/threads/{thread}/runs"), Some(body)).await;
    let detail = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.";
    assert_eq!((status, body), (409, json!({"detail": detail})));
    assert_eq!(statuses(&server, &thread).await.1.len(), 1);
}

#[tokio::test]
async fn a_cancelled_run_keeps_what_it_produced_and_its_worker_writes_nothing_more() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let cancelled = run(&server, &thread, json!({})).await;
    let lease = server.started().await.lease;
    server.host.checkpoint(lease, "1", r#"{"a":1}"#, r#"["b"]"#);
    let path = format!("/threads/{thread}/runs/{}/cancel?wait=true", id(&cancelled));
    let (status, body) = server.call("POST", &path, None).await;
    assert_eq!((status, body), (200, json!({})));
    assert_eq!(server.cancelled().await, lease);
    assert_eq!(
        statuses(&server, &thread).await,
        ("interrupted".into(), vec!["interrupted".into()])
    );

    server.host.checkpoint(lease, "2", r#"{"a":2}"#, "[]");
    server.host.succeed(lease, "2", r#"{"a":2}"#).await;
    assert_eq!(
        statuses(&server, &thread).await,
        ("interrupted".into(), vec!["interrupted".into()])
    );
    let (_, history) = server
        .call("POST", &format!("/threads/{thread}/history"), Some(json!({"limit": 10})))
        .await;
    let values: Vec<_> =
        history.as_array().expect("a list").iter().map(|state| &state["values"]).collect();
    assert_eq!(values, [&json!({"a": 1})]);
    let (_, row) = server.call("GET", &format!("/threads/{thread}"), None).await;
    assert_eq!(row["error"]["error"], "UserInterrupt");

    let (status, body) = server.call("POST", &path, None).await;
    assert_eq!(status, 404);
    assert!(
        body["detail"].as_str().expect("a text").starts_with("No matching runs to cancel."),
        "{body}"
    );
}

#[tokio::test]
async fn rollback_takes_the_run_and_its_checkpoints_away() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    let first = server.started().await.lease;
    server.host.checkpoint(first, "1", r#"{"a":1}"#, r#"["b"]"#);
    let second = run(&server, &thread, json!({"multitask_strategy": "rollback"})).await;
    assert_eq!(server.cancelled().await, first);
    let order = server.started().await;
    assert_eq!(order.lease.run_id.to_string(), id(&second));
    assert_eq!(order.head_id, None);
    assert_eq!(statuses(&server, &thread).await, ("busy".into(), vec!["running".into()]));
}

#[tokio::test]
async fn a_lost_attempt_is_tried_again_on_the_same_stream() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let body = json!({"assistant_id": "g", "input": {}, "stream_mode": "values"});
    let response = server.send("POST", &format!("/threads/{thread}/runs/stream"), Some(body)).await;
    let stream = tokio::spawn(text_of(response));
    let first = server.started().await.lease;
    server.host.event(first, "values", r#"{"n":1}"#);
    server.host.checkpoint(first, "1", r#"{"n":1}"#, r#"["b"]"#);
    server.host.done(first, Ending::Lost("The worker died.".into())).await;

    let order = server.started().await;
    assert_eq!((order.lease.run_id, order.lease.attempt), (first.run_id, 2));
    assert_eq!(order.checkpoint.expect("the saved checkpoint").id, "1");
    server.host.event(first, "values", r#"{"late":true}"#);
    server.host.event(order.lease, "values", r#"{"n":2}"#);
    server.host.succeed(order.lease, "1", r#"{"n":2}"#).await;

    let run = first.run_id;
    let event = |name: &str, data: &str| format!("event: {name}\r\ndata: {data}\r\n\r\n");
    let expected = [
        event("metadata", &format!(r#"{{"run_id":"{run}","attempt":1}}"#)),
        event("values", r#"{"n":1}"#),
        event("metadata", &format!(r#"{{"run_id":"{run}","attempt":2}}"#)),
        event("values", r#"{"n":2}"#),
    ];
    assert_eq!(stream.await.expect("a transcript"), expected.concat());
}

#[tokio::test]
async fn a_run_that_is_lost_every_time_ends_in_an_error() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    for attempt in 1..=3 {
        let lease = server.started().await.lease;
        assert_eq!(lease.attempt, attempt);
        server.host.done(lease, Ending::Lost("The worker died.".into())).await;
    }
    assert_eq!(statuses(&server, &thread).await, ("error".into(), vec!["error".into()]));
    let (_, row) = server.call("GET", &format!("/threads/{thread}"), None).await;
    assert_eq!(row["error"]["error"], "RuntimeError");
}

#[tokio::test]
async fn deleting_a_thread_ends_its_runs_and_their_streams() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let body = json!({"assistant_id": "g", "input": {}});
    let response = server.send("POST", &format!("/threads/{thread}/runs/stream"), Some(body)).await;
    let lease = server.started().await.lease;
    let (status, _) = server.call("DELETE", &format!("/threads/{thread}"), None).await;
    assert_eq!(status, 204);
    assert_eq!(server.cancelled().await, lease);
    let transcript = text_of(response).await;
    let last = "event: error\r\ndata: {\"error\":\"HTTPException\",\"message\":\"404: Run not found\"}\r\n\r\n";
    assert!(
        transcript.starts_with("event: metadata\r\n") && transcript.ends_with(last),
        "{transcript}"
    );
    let (status, _) = server.call("GET", &format!("/threads/{thread}"), None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_stateless_run_leaves_nothing_behind() {
    let server = TestServer::start(4).await;
    let body = json!({"assistant_id": "g", "input": {}});
    let response = server.send("POST", "/runs/wait", Some(body)).await;
    let location = response.headers()["location"].to_str().expect("text").to_owned();
    let waiting = tokio::spawn(text_of(response));
    let lease = server.started().await.lease;
    assert_eq!(location, format!("/threads/{}/runs/{}/join", lease.thread_id, lease.run_id));
    server.host.event(lease, "values", r#"{"a":2}"#);
    server.host.done(lease, Ending::Success).await;
    assert_eq!(waiting.await.expect("a body"), r#"{"a":2}"#);
    let (status, _) = server.call("GET", &format!("/threads/{}", lease.thread_id), None).await;
    assert_eq!(status, 404);
}
