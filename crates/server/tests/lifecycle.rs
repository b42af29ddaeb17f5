//! The run engine through HTTP, with a host that does what the test says: queueing, cancelling, losing workers.

#[allow(dead_code, reason = "each target needs a part of it")]
mod support;

use std::sync::atomic::Ordering;

use agent_server_domain::ports::Ending;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
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
async fn a_run_whose_client_leaves_while_it_is_created_is_started_all_the_same() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    for path in ["runs", "runs/wait", "runs/stream"] {
        let body = json!({"assistant_id": "g", "input": {"a": 1}});
        let url = format!("/threads/{thread}/{path}");
        let sending = server.send("POST", &url, Some(body));
        // Looked at once: the creation is on its way to storage.
        assert!(sending.now_or_never().is_none(), "{path}");
        let lease = server.started().await.lease;
        server.host.succeed(lease, "1", r#"{"a":1}"#).await;
    }
    assert_eq!(statuses(&server, &thread).await.1, ["success"; 3].map(str::to_owned));
}

#[tokio::test]
async fn a_run_whose_client_leaves_keeps_what_it_produced() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let body = json!({"assistant_id": "g", "input": {"a": 1}, "on_disconnect": "cancel"});
    let stream = server.send("POST", &format!("/threads/{thread}/runs/stream"), Some(body)).await;
    let lease = server.started().await.lease;
    server.host.checkpoint(lease, "1", r#"{"a":1}"#, r#"["b"]"#);
    drop(stream);
    assert_eq!(server.cancelled().await, lease);
    server.host.done(lease, Ending::Cancelled).await;
    let (_, row) = server.call("GET", &format!("/threads/{thread}"), None).await;
    assert_eq!((&row["status"], &row["values"]), (&json!("interrupted"), &json!({"a": 1})));
}

#[tokio::test]
async fn a_cancelled_run_that_stops_hands_over_what_it_held() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let cancelled = run(&server, &thread, json!({"durability": "exit"})).await;
    let lease = server.started().await.lease;
    let path = format!("/threads/{thread}/runs/{}/cancel?wait=true", id(&cancelled));
    let stop = async {
        assert_eq!(server.cancelled().await, lease);
        server.host.checkpoint(lease, "1", r#"{"a":1}"#, r#"["b"]"#);
        server.host.done(lease, Ending::Cancelled).await;
    };
    let (answer, ()) = tokio::join!(server.call("POST", &path, None), stop);
    assert_eq!(answer, (200, json!({})));
    let (_, row) = server.call("GET", &format!("/threads/{thread}"), None).await;
    assert_eq!((&row["status"], &row["values"]), (&json!("interrupted"), &json!({"a": 1})));
    let reason = "interrupt requested via POST /threads/{thread_id}/runs/{run_id}/cancel";
    assert_eq!(row["error"], json!({"error": "UserInterrupt", "message": reason}));
    let (status, _) = server.call("POST", &path, None).await;
    assert_eq!(status, 404);
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
async fn a_run_that_is_moved_again_and_again_is_not_charged_and_gets_a_worker_of_its_own() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    for moves in 0..10 {
        let order = server.started().await;
        assert_eq!(order.lease.attempt, 1);
        let checkpoint = order.checkpoint.map(|checkpoint| checkpoint.id);
        assert_eq!(checkpoint, (moves > 0).then(|| moves.to_string()), "what was done stays");
        server.host.checkpoint(order.lease, &(moves + 1).to_string(), r#"{"a":1}"#, r#"["b"]"#);
        server.host.done(order.lease, Ending::Moved).await;
    }
    let last = server.started().await.lease;
    assert_eq!(server.host.alone.load(Ordering::Relaxed), 8, "after three moves");
    server.host.succeed(last, "10", r#"{"a":1}"#).await;
    assert_eq!(statuses(&server, &thread).await, ("idle".into(), vec!["success".into()]));
}

#[tokio::test]
async fn a_worker_that_dies_is_charged_to_a_run_only_where_it_was_alone() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    let died = |alone| Ending::Died { cause: "The worker died.".into(), alone };
    let first = server.started().await.lease;
    server.host.done(first, died(false)).await;
    let again = server.started().await.lease;
    assert_eq!(again, first, "the number is used again");
    server.host.done(again, died(true)).await;
    for attempt in 2..=3 {
        let lease = server.started().await.lease;
        assert_eq!(lease.attempt, attempt);
        server.host.done(lease, died(true)).await;
    }
    assert_eq!(server.host.alone.load(Ordering::Relaxed), 3);
    assert_eq!(statuses(&server, &thread).await, ("error".into(), vec!["error".into()]));
}

#[tokio::test]
async fn a_delayed_run_starts_whenever_it_becomes_due() {
    let server = TestServer::start(4).await;
    // One of them becomes due between two looks at the queue.
    for millis in 4..8 {
        let thread = thread(&server).await;
        run(&server, &thread, json!({"after_seconds": f64::from(millis) / 1000.0})).await;
        server.started().await;
    }
}

#[tokio::test]
async fn attempts_that_a_stop_cuts_short_do_not_count() {
    let mut server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let run = run(&server, &thread, json!({})).await;
    // More often than attempts are allowed.
    for stop in 1..=5 {
        let order = server.started().await;
        assert_eq!((order.lease.run_id.to_string().as_str(), order.lease.attempt), (id(&run), 1));
        let checkpoint = order.checkpoint.map(|checkpoint| checkpoint.id);
        assert_eq!(checkpoint, (stop > 1).then(|| (stop - 1).to_string()), "what was done stays");
        server.host.checkpoint(order.lease, &stop.to_string(), r#"{"a":1}"#, r#"["b"]"#);
        server.domain.shutdown().await;
        server = server.next(4).await;
    }
    // Those that fail do, whatever came before.
    for attempt in 1..=3 {
        let lease = server.started().await.lease;
        assert_eq!(lease.attempt, attempt);
        server.host.done(lease, Ending::Lost("The worker died.".into())).await;
    }
    assert_eq!(statuses(&server, &thread).await, ("error".into(), vec!["error".into()]));
}

#[tokio::test]
async fn nothing_is_heard_of_an_attempt_that_was_given_back() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    run(&server, &thread, json!({})).await;
    let stale = server.started().await.lease;
    server.domain.shutdown().await;
    let next = server.next(4).await;
    assert_eq!(next.started().await.lease, stale, "the number is used again");

    server.host.checkpoint(stale, "1", r#"{"a":1}"#, "[]");
    server.host.succeed(stale, "1", r#"{"a":1}"#).await;
    assert_eq!(statuses(&next, &thread).await, ("busy".into(), vec!["running".into()]));
    let (_, history) = next.call("GET", &format!("/threads/{thread}/history"), None).await;
    assert_eq!(history, json!([]));
}

#[tokio::test]
async fn a_stop_breaks_off_what_waits_for_a_run() {
    let server = TestServer::start(4).await;
    let mut waiting = vec![];
    for route in ["stream", "wait"] {
        let path = format!("/threads/{}/runs/{route}", thread(&server).await);
        let body = json!({"assistant_id": "g", "on_disconnect": "cancel"});
        let response = server.send("POST", &path, Some(body)).await;
        let lease = server.started().await.lease;
        server.host.event(lease, "values", r#"{"half":"done"}"#);
        waiting.push(tokio::spawn(response.into_body().collect()));
    }
    tokio::task::yield_now().await;
    server.domain.shutdown().await;
    for body in waiting {
        assert!(body.await.expect("no panic").is_err(), "an end says that the run is over");
    }
    // Nor is it a client that went away.
    let next = server.next(4).await;
    next.started().await;
    next.started().await;
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_lets_runs_end_and_starts_none() {
    let server = TestServer::start(4).await;
    let (first, second) = (thread(&server).await, thread(&server).await);
    run(&server, &first, json!({})).await;
    run(&server, &second, json!({})).await;
    let (ends, lost) = (server.started().await.lease, server.started().await.lease);
    let domain = server.domain.clone();
    let draining = tokio::spawn(async move { domain.drain().await });
    tokio::task::yield_now().await;

    let late = thread(&server).await;
    run(&server, &late, json!({})).await;
    server.host.done(lost, Ending::Lost("The worker was stopped, too.".into())).await;
    assert!(!draining.is_finished(), "one run is still in progress");
    server.host.succeed(ends, "1", r#"{"a":1}"#).await;
    draining.await.expect("the wait ends");
    assert!(server.nothing_started());
    assert_eq!(statuses(&server, &first).await, ("idle".into(), vec!["success".into()]));
    for waiting in [&second, &late] {
        assert_eq!(statuses(&server, waiting).await, ("busy".into(), vec!["pending".into()]));
    }

    server.domain.shutdown().await;
    let next = server.next(4).await;
    let leases = [next.started().await.lease, next.started().await.lease];
    assert_eq!(leases.map(|lease| lease.attempt), [1, 1]);
    assert_eq!(leases[0], lost);
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
