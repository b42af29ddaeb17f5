//! Workers that are given up, worn out or wanted whole: what becomes of the runs in them, and who takes their place.

use std::time::Duration;

use agent_server_domain::ports::{Ending, GraphHost, Slot};
use agent_server_worker::Pool;
use serde_json::json;

use crate::{
    failures::{rough, wait_until_gone, worker_pid},
    fixture::{Fixture, Run, Started},
};

/// A run whose node blocks its thread already: one that has not come so far would just be stopped.
async fn begin_blocking(fixture: &Fixture) -> Started {
    let run = Run::new("blocking", json!({"seconds": 600.0})).modes(&["custom"]);
    let mut stuck = fixture.begin(&run);
    stuck.event("custom").await;
    stuck
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_moves_between_two_supersteps_and_goes_on_elsewhere() {
    let fixture = Fixture::start(rough()).await;
    let run = Run::new("stepping", json!({"seconds": 0.2, "steps": 40})).modes(&["updates"]);
    let mut neighbour = fixture.begin(&run);
    neighbour.event("updates").await;
    let stuck = begin_blocking(&fixture).await;
    fixture.pool.cancel(stuck.lease);
    let ended = neighbour.ended().await;
    assert_eq!(ended.outcome.ending, Ending::Moved);
    assert!(ended.outcome.live.is_none());
    let done = 1 + ended.events.len();
    assert!(done < 40, "it did not come to its end");

    fixture.wait(|pool| pool.reserve("stepping").is_some()).await;
    // The same attempt once more.
    let ended = fixture.run(&run).await;
    ended.succeeded();
    assert_eq!(ended.events.len(), 40 - done, "no step is done twice");
    assert_eq!(ended.state()["values"]["step"], 40);
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_of_a_run_that_blocks_the_loop_do_not_wait_for_the_drain() {
    let mut options = rough();
    options.drain = Duration::from_secs(600);
    let fixture = Fixture::start(options).await;
    let mut neighbour = fixture.begin(&Run::new("sleeping", json!({"seconds": 600.0})));
    neighbour.event("values").await;
    let mut stuck = fixture.begin(&Run::new("blocking_loop", json!({"seconds": 600.0})));
    stuck.event("values").await;
    fixture.pool.cancel(stuck.lease);
    let ended = tokio::time::timeout(Duration::from_secs(60), neighbour.ended()).await;
    assert_eq!(ended.expect("it goes on elsewhere").outcome.ending, Ending::Moved);
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_inside_of_a_node_comes_to_its_end_before_the_run_moves() {
    let fixture = Fixture::start(rough()).await;
    let run = Run::new("calling", json!({"seconds": 0.3, "steps": 20})).modes(&["updates"]);
    let neighbour = fixture.begin(&run);
    let stuck = begin_blocking(&fixture).await;
    let first = worker_pid(&fixture).await;
    fixture.pool.cancel(stuck.lease);
    let ended = neighbour.ended().await;
    assert_eq!(ended.outcome.ending, Ending::Moved);
    let called = [("updates".to_owned(), json!({"call": {"text": "20 steps"}}))];
    assert_eq!(ended.events, called);

    fixture.wait(|pool| pool.reserve("calling").is_some()).await;
    let ended = fixture.run(&run).await;
    let text = ended.state()["values"]["text"].to_string();
    assert!(text.contains("20 steps in ") && !text.contains(&first.to_string()), "{text}");
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_checkpoints_is_not_stopped_halfway() {
    let fixture = Fixture::start(rough()).await;
    let mut run = Run::new("stepping", json!({"seconds": 0.3, "steps": 6})).modes(&["updates"]);
    run.temporary = true;
    let mut neighbour = fixture.begin(&run);
    neighbour.event("updates").await;
    let stuck = begin_blocking(&fixture).await;
    fixture.pool.cancel(stuck.lease);
    neighbour.ended().await.succeeded();
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_worker_is_for_one_run_and_not_for_the_last_worker() {
    let mut options = rough();
    (options.workers, options.jobs_per_worker) = (2, 3);
    let fixture = Fixture::start(options).await;
    let free = || std::iter::from_fn(|| fixture.pool.reserve("simple")).collect::<Vec<_>>();
    fixture
        .wait(|pool| {
            std::iter::from_fn(|| pool.reserve("simple")).take(7).collect::<Vec<_>>().len() == 6
        })
        .await;
    let alone = fixture.pool.reserve_alone("simple").expect("both are idle");
    assert!(fixture.pool.reserve_alone("simple").is_none());
    assert_eq!(free().len(), 3);
    drop(alone);
    // None is idle; new runs go where nobody waits.
    let held = (fixture.pool.reserve("simple"), fixture.pool.reserve("simple"));
    assert!(fixture.pool.reserve_alone("simple").is_none());
    fixture.pool.make_room(true);
    assert_eq!(free().len(), 2);
    fixture.pool.make_room(false);
    assert_eq!(free().len(), 4);
    fixture.pool.make_room(true);
    drop(held);
    let alone = fixture.pool.reserve_alone("simple").expect("room was made");
    assert_eq!(free().len(), 3);
    drop(alone);
    assert_eq!(free().len(), 6);
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_done_enough_is_replaced_before_it_stops() {
    let mut options = rough();
    options.max_runs = Some(3);
    let fixture = Fixture::start(options).await;
    let mut long = fixture.begin(&Run::new("stepping", json!({"seconds": 0.2, "steps": 12})));
    long.event("values").await;
    let first = worker_pid(&fixture).await;
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();
    // There is room all the time, at first in the old one.
    let mut second = first;
    while second == first {
        second = worker_pid(&fixture).await;
    }
    long.ended().await.succeeded();
    wait_until_gone(first).await;
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_too_large_is_replaced() {
    let mut options = rough();
    options.max_memory_bytes = Some(1);
    let fixture = Fixture::start(options).await;
    let first = worker_pid(&fixture).await;
    tokio::time::timeout(Duration::from_secs(30), wait_until_gone(first)).await.expect("its end");
    assert_ne!(worker_pid(&fixture).await, first);
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_blocked_worker_has_not_begun_is_made_by_another_and_once() {
    let mut options = rough();
    (options.workers, options.jobs_per_worker) = (2, 2);
    let fixture = Fixture::start(options).await;
    fixture.wait(|pool| four(pool).len() == 4).await;
    let mut stuck = fixture.begin(&Run::new("blocking_loop", json!({"seconds": 5.0})));
    stuck.event("values").await;
    // Both have as much to do, so the next run goes to the first one, which is blocked.
    let busy = fixture.pool.reserve("noting");
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let waiting = fixture.begin(&Run::new("noting", json!({"text": notes})));
    drop(busy);
    waiting.ended().await.succeeded();
    assert!(fixture.pool.reserve("simple").is_some());
    // Nothing new goes to the blocked one.
    assert_eq!(four(&fixture.pool).len(), 2);
    stuck.ended().await.succeeded();
    fixture.wait(|pool| four(pool).len() == 4).await;
    // It has asked by now, because it has answered.
    assert_eq!(std::fs::read_to_string(&notes).unwrap().lines().count(), 1);
    fixture.pool.shutdown().await;
}

/// All the room there is, at most four.
fn four(pool: &Pool) -> Vec<Box<dyn Slot>> {
    std::iter::from_fn(|| pool.reserve("simple")).take(5).collect()
}
