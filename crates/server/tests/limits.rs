//! How many runs may be in flight, through HTTP: refused, counted, and free again.

#[allow(dead_code, reason = "each target needs a part of it")]
mod support;

use agent_server_domain::{Options, ports::Ending, runs::Limits};
use futures::future::join_all;
use serde_json::{Value, json};
use support::TestServer;

const PER_IDENTITY: &str = "Too many runs in flight: at most 2 per identity may be pending or running. Wait until one has ended, \
                            or cancel one, and try again.";
const PER_ASSISTANT: &str = "Too many runs in flight: at most 2 per assistant may be pending or running. Wait until one has \
                             ended, or cancel one, and try again.";

fn limits(per_identity: Option<u32>, per_assistant: Option<u32>) -> Options {
    Options { limits: Limits { per_identity, per_assistant }, ..Options::default() }
}

async fn thread(server: &TestServer) -> String {
    let (_, thread) = server.call("POST", "/threads", Some(json!({}))).await;
    thread["thread_id"].as_str().expect("an id").to_owned()
}

async fn create(server: &TestServer, path: &str, more: Value) -> (u16, Value) {
    let mut body = json!({"assistant_id": "g", "input": {"a": 1}});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    server.call("POST", path, Some(body)).await
}

#[tokio::test]
async fn a_run_too_many_is_refused_until_one_has_ended() {
    let server = TestServer::start_with(4, limits(Some(2), None)).await;
    let thread = thread(&server).await;
    let path = format!("/threads/{thread}/runs");
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
    let stateless = server.started().await.lease;
    // One that waits counts like one that runs.
    let later = create(&server, &path, json!({"after_seconds": 3600})).await;
    assert_eq!(later.0, 200);

    let refused = json!({"detail": PER_IDENTITY});
    for path in [path.as_str(), "/runs", "/runs/wait", "/runs/stream"] {
        assert_eq!(create(&server, path, json!({})).await, (429, refused.clone()), "{path}");
    }
    let body = json!({"assistant_id": "g", "input": {"a": 1}});
    let response = server.send("POST", "/runs", Some(body)).await;
    assert_eq!(response.headers()["retry-after"], "5");
    let (_, runs) = server.call("GET", &path, None).await;
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "what is refused leaves nothing");

    server.host.done(stateless, Ending::Success).await;
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
    assert_eq!(create(&server, "/runs", json!({})).await.0, 429);
    let id = later.1["run_id"].as_str().expect("an id");
    let (status, _) = server.call("POST", &format!("{path}/{id}/cancel"), None).await;
    assert_eq!(status, 202);
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
}

#[tokio::test]
async fn a_limit_holds_however_many_are_created_at_once() {
    let server = TestServer::start_with(4, limits(Some(2), None)).await;
    let created = join_all((0..20).map(|_| create(&server, "/runs", json!({})))).await;
    let accepted = created.iter().filter(|(status, _)| *status == 200).count();
    let refused = created.iter().filter(|(status, _)| *status == 429).count();
    assert_eq!((accepted, refused), (2, 18));
}

#[tokio::test]
async fn a_batch_is_created_whole_or_not_at_all() {
    let server = TestServer::start_with(4, limits(Some(2), None)).await;
    let batch = |count: usize| json!(vec![json!({"assistant_id": "g", "input": {}}); count]);
    let (status, body) = server.call("POST", "/runs/batch", Some(batch(3))).await;
    assert_eq!((status, body), (429, json!({"detail": PER_IDENTITY})));
    assert!(server.nothing_started());
    assert_eq!(server.call("POST", "/runs/batch", Some(batch(2))).await.0, 200);
    assert_eq!(server.call("POST", "/runs/batch", Some(batch(1))).await.0, 429);
}

#[tokio::test]
async fn assistants_have_a_limit_of_their_own() {
    let server = TestServer::start_with(4, limits(None, Some(2))).await;
    let (_, other) =
        server.call("POST", "/assistants", Some(json!({"graph_id": "g", "name": "other"}))).await;
    for _ in 0..2 {
        assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
    }
    let refused = create(&server, "/runs", json!({})).await;
    assert_eq!(refused, (429, json!({"detail": PER_ASSISTANT})));
    let of_other = json!({"assistant_id": other["assistant_id"]});
    assert_eq!(create(&server, "/runs", of_other).await.0, 200);
}

#[tokio::test]
async fn a_run_that_replaces_another_takes_its_place() {
    let server = TestServer::start_with(4, limits(Some(2), None)).await;
    let (full, other) = (thread(&server).await, thread(&server).await);
    for _ in 0..2 {
        assert_eq!(create(&server, &format!("/threads/{full}/runs"), json!({})).await.0, 200);
    }
    let first = server.started().await.lease;
    // Where there is no room all the same, nothing is stopped for it.
    let elsewhere = json!({"multitask_strategy": "rollback"});
    let (status, _) = create(&server, &format!("/threads/{other}/runs"), elsewhere).await;
    assert_eq!(status, 429);
    let (_, runs) = server.call("GET", &format!("/threads/{full}/runs"), None).await;
    let words: Vec<_> = runs.as_array().expect("a list").iter().map(|run| &run["status"]).collect();
    assert_eq!(words, ["pending", "running"]);

    let rollback = json!({"multitask_strategy": "rollback"});
    let (status, _) = create(&server, &format!("/threads/{full}/runs"), rollback).await;
    assert_eq!(status, 200);
    assert_eq!(server.cancelled().await, first);
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200, "both of them are gone");
}

#[tokio::test]
async fn runs_count_after_a_restart_if_they_did_before() {
    let server = TestServer::start(0).await;
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
    server.domain.shutdown().await;
    // Nothing was limited when the first was created.
    let server = server.next_with(0, limits(Some(2), None)).await;
    for expected in [200, 200, 429] {
        assert_eq!(create(&server, "/runs", json!({})).await.0, expected);
    }
    server.domain.shutdown().await;
    let server = server.next_with(0, limits(Some(2), None)).await;
    assert_eq!(create(&server, "/runs", json!({})).await.0, 429);
    let server = {
        server.domain.shutdown().await;
        server.next_with(0, limits(Some(3), None)).await
    };
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
}

#[tokio::test]
async fn a_cron_for_whose_run_there_is_no_room_is_tried_again() {
    const SECOND: u64 = 1_000;
    // 2023-11-14T22:13:20.
    let server = TestServer::start_with(4, limits(Some(1), None)).await;
    let daily = json!({"schedule": "14 22 * * *"});
    let (status, cron) = create(&server, "/runs/crons", daily).await;
    assert_eq!((status, &cron["next_run_date"]), (200, &json!("2023-11-14T22:14:00+00:00")));
    assert_eq!(create(&server, "/runs", json!({})).await.0, 200);
    let running = server.started().await.lease;
    let path = format!("/runs/crons/{}", cron["cron_id"].as_str().expect("an id"));
    let wake = async || server.call("PATCH", &path, Some(json!({"metadata": {"n": 1}}))).await.1;
    let next_run_date = async || {
        let (_, cron) = server.call("GET", &path, None).await;
        cron["next_run_date"].as_str().expect("a time").to_owned()
    };

    server.pass(60 * SECOND);
    wake().await;
    while next_run_date().await == "2023-11-14T22:14:00+00:00" {
        tokio::task::yield_now().await;
    }
    let again = next_run_date().await;
    assert!(again.starts_with("2023-11-14T22:14:3"), "some seconds later: {again}");
    assert!(server.nothing_started());

    server.host.done(running, Ending::Success).await;
    server.pass(20 * SECOND);
    wake().await;
    server.started().await;
    while next_run_date().await == again {
        tokio::task::yield_now().await;
    }
    assert_eq!(next_run_date().await, "2023-11-15T22:14:00+00:00", "the schedule goes on");
}
