//! Crons on a clock that the test sets: what is missed, what is doubled, what goes wrong.

#[allow(dead_code, reason = "each target needs a part of it")]
mod support;

use agent_server_domain::ports::Ending;
use serde_json::{Value, json};
use support::TestServer;

/// A second of the test's clock, which begins at a whole one.
const SECOND: u64 = 1_000;

async fn cron(server: &TestServer, path: &str, more: Value) -> Value {
    let mut body = json!({"assistant_id": "g", "schedule": "* * * * *", "input": {"a": 1}});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let (status, cron) = server.call("POST", path, Some(body)).await;
    assert_eq!(status, 200, "{cron}");
    cron
}

fn id(cron: &Value) -> &str {
    cron["cron_id"].as_str().expect("an id")
}

async fn next_run_date(server: &TestServer, cron: &Value) -> String {
    let (status, cron) = server.call("GET", &format!("/runs/crons/{}", id(cron)), None).await;
    assert_eq!(status, 200, "{cron}");
    cron["next_run_date"].as_str().expect("a time").to_owned()
}

async fn thread(server: &TestServer) -> String {
    let (_, thread) = server.call("POST", "/threads", Some(json!({}))).await;
    thread["thread_id"].as_str().expect("an id").to_owned()
}

async fn runs(server: &TestServer, thread: &str) -> Vec<Value> {
    let (_, runs) = server.call("GET", &format!("/threads/{thread}/runs"), None).await;
    runs.as_array().expect("a list").clone()
}

#[tokio::test]
async fn slots_that_were_missed_make_one_run_at_the_next_start() {
    // 2023-11-14T22:13:20.
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let cron = cron(&server, &format!("/threads/{thread}/runs/crons"), json!({})).await;
    assert_eq!(cron["next_run_date"], "2023-11-14T22:14:00+00:00");
    server.domain.shutdown().await;
    server.pass(5 * 60 * SECOND);

    let server = server.next(4).await;
    let order = server.started().await;
    assert_eq!(next_run_date(&server, &cron).await, "2023-11-14T22:19:00+00:00");
    assert_eq!(runs(&server, &thread).await.len(), 1);
    server.host.done(order.lease, Ending::Success).await;
    server.domain.shutdown().await;

    // Nothing is left to be made up for.
    let server = server.next(4).await;
    server.call("PATCH", &format!("/runs/crons/{}", id(&cron)), Some(json!({"input": {}}))).await;
    assert_eq!(runs(&server, &thread).await.len(), 1);
    assert!(server.nothing_started());
}

#[tokio::test]
async fn a_change_of_a_cron_wakes_the_timer() {
    let server = TestServer::start(4).await;
    let first = cron(&server, "/runs/crons", json!({"enabled": false})).await;
    server.pass(60 * SECOND);
    assert!(server.nothing_started(), "it is switched off");
    let on = json!({"enabled": true});
    let (_, cron) = server.call("PATCH", &format!("/runs/crons/{}", id(&first)), Some(on)).await;
    assert_eq!(cron["next_run_date"], first["next_run_date"], "its slot has passed meanwhile");
    server.started().await;
    assert_eq!(next_run_date(&server, &cron).await, "2023-11-14T22:15:00+00:00");
}

#[tokio::test]
async fn a_slot_is_not_fired_for_again_when_the_clock_was_put_back() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let cron = cron(&server, &format!("/threads/{thread}/runs/crons"), json!({})).await;
    let place = format!("/runs/crons/{}", id(&cron));
    server.pass(41 * SECOND);
    server.call("PATCH", &place, Some(json!({"input": {}}))).await;
    let order = server.started().await;
    server.host.done(order.lease, Ending::Success).await;

    server.pass_back(41 * SECOND);
    let again = json!({"schedule": "*/1 * * * *"});
    let (_, again) = server.call("PATCH", &place, Some(again)).await;
    assert_eq!(again["next_run_date"], cron["next_run_date"]);
    server.pass(41 * SECOND);
    let beside = json!({"assistant_id": "g", "schedule": "@yearly"});
    server.call("POST", "/runs/crons", Some(beside)).await;
    while next_run_date(&server, &cron).await == "2023-11-14T22:14:00+00:00" {
        tokio::task::yield_now().await;
    }
    assert_eq!(runs(&server, &thread).await.len(), 1);
    assert!(server.nothing_started());
}

#[tokio::test]
async fn a_run_that_is_refused_does_not_stop_the_cron() {
    let server = TestServer::start(4).await;
    let thread = thread(&server).await;
    let reject = json!({"multitask_strategy": "reject"});
    let path = format!("/threads/{thread}/runs/crons");
    let cron = cron(&server, &path, reject).await;
    let run = json!({"assistant_id": "g"});
    server.call("POST", &format!("/threads/{thread}/runs"), Some(run)).await;
    let busy = server.started().await;
    server.pass(60 * SECOND);
    let place = format!("/runs/crons/{}", id(&cron));
    server.call("PATCH", &place, Some(json!({"input": {"a": 2}}))).await;
    while next_run_date(&server, &cron).await != "2023-11-14T22:15:00+00:00" {
        tokio::task::yield_now().await;
    }
    assert_eq!(runs(&server, &thread).await.len(), 1, "the thread was busy");

    server.host.done(busy.lease, Ending::Success).await;
    server.pass(60 * SECOND);
    server.call("PATCH", &place, Some(json!({"input": {"a": 3}}))).await;
    let order = server.started().await;
    let kwargs: Value = order.kwargs.parse().expect("JSON");
    assert_eq!(kwargs["input"], json!({"a": 3}));
}

#[tokio::test]
async fn nothing_fires_after_the_end() {
    let server = TestServer::start(4).await;
    let end = json!({"end_time": "2023-11-14T22:15:30"});
    let ended = cron(&server, "/runs/crons", end).await;
    let other = cron(&server, "/runs/crons", json!({})).await;
    assert_eq!(ended["end_time"], "2023-11-14T22:15:30+00:00");
    server.domain.shutdown().await;
    server.pass(10 * 60 * SECOND);
    let server = server.next(4).await;
    let kwargs: Value = server.started().await.kwargs.parse().expect("JSON");
    assert_eq!(kwargs["config"]["configurable"]["cron_id"], other["cron_id"]);
    assert!(server.nothing_started());
}
