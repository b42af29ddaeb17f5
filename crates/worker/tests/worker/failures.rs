//! Cancels, crashes, blocked workers: every attempt ends once, and others are not hurt.

use std::time::{Duration, Instant};

use agent_server_domain::ports::{Ending, GraphHost};
use agent_server_worker::{Options, Pool};
use serde_json::json;

use crate::fixture::{Fixture, Run, options, shared};

pub(crate) fn rough() -> Options {
    let mut options = options(&[
        ("simple", "./basic.py:simple"),
        ("blocking", "./rough.py:blocking"),
        ("blocking_loop", "./rough.py:blocking_loop"),
        ("sleeping", "./rough.py:sleeping"),
        ("dying", "./rough.py:dying"),
        ("whoami", "./rough.py:whoami"),
        ("noting", "./rough.py:noting"),
        ("calling", "./rough.py:calling"),
        ("stepping", "./rough.py:stepping"),
    ]);
    options.grace = Duration::from_millis(300);
    options.drain = Duration::from_secs(20);
    options
}

#[test]
fn a_cancelled_run_keeps_what_was_finished() {
    let run = Run::new("waiting", json!({"foo": "x"})).modes(&["updates"]);
    shared(|fixture| async {
        let mut started = fixture.begin(&run);
        assert_eq!(started.event("updates").await, json!({"quick": {"log": ["quick"]}}));
        let asked = Instant::now();
        fixture.pool.cancel(started.lease);
        let ended = started.ended().await;
        assert!(asked.elapsed() < Duration::from_secs(1));
        assert_eq!(ended.outcome.ending, Ending::Cancelled);
        let state = ended.state();
        assert_eq!(state["values"], json!({"foo": "x", "log": ["quick"]}));
        assert_eq!(state["next"], json!(["slow"]));
        assert!(ended.outcome.live.unwrap().pending);
    });
}

#[test]
fn cancelling_what_has_ended_does_nothing() {
    let run = Run::new("simple", json!({}));
    shared(|fixture| async {
        let started = fixture.begin(&run);
        let lease = started.lease;
        started.ended().await.succeeded();
        fixture.pool.cancel(lease);
        fixture.run(&run.next(json!({}))).await.succeeded();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_node_that_returns_in_time_keeps_its_worker() {
    let mut options = rough();
    options.grace = Duration::from_secs(20);
    let fixture = Fixture::start(options).await;
    let mut started = fixture.begin(&Run::new("blocking", json!({"seconds": 0.4})));
    started.event("values").await;
    fixture.pool.cancel(started.lease);
    let ended = started.ended().await;
    assert_eq!(ended.outcome.ending, Ending::Cancelled);
    // The same process goes on.
    let pid = worker_pid(&fixture).await;
    fixture.run(&Run::new("blocking", json!({"seconds": 0.5}))).await.succeeded();
    assert_eq!(worker_pid(&fixture).await, pid);
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_node_that_does_not_return_costs_its_worker_and_no_neighbour() {
    let fixture = Fixture::start(rough()).await;
    let neighbour = fixture.begin(&Run::new("sleeping", json!({"seconds": 4.0})));
    let mut stuck = fixture.begin(&Run::new("blocking", json!({"seconds": 600.0})));
    stuck.event("values").await;
    let pid = worker_pid(&fixture).await;
    let asked = Instant::now();
    fixture.pool.cancel(stuck.lease);
    assert_eq!(stuck.ended().await.outcome.ending, Ending::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(2));
    // Another worker takes over while the old one's neighbour is still at work.
    fixture.wait(|pool| pool.reserve("simple").is_none()).await;
    fixture.wait(|pool| pool.reserve("simple").is_some()).await;
    assert_ne!(worker_pid(&fixture).await, pid);
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();
    let ended = neighbour.ended().await;
    ended.succeeded();
    wait_until_gone(pid).await;
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_loop_is_killed_and_its_neighbours_move() {
    let mut options = rough();
    options.drain = Duration::from_millis(300);
    let fixture = Fixture::start(options).await;
    let mut neighbour = fixture.begin(&Run::new("sleeping", json!({"seconds": 600.0})));
    neighbour.event("values").await;
    let mut stuck = fixture.begin(&Run::new("blocking_loop", json!({"seconds": 600.0})));
    stuck.event("values").await;
    fixture.pool.cancel(stuck.lease);
    assert_eq!(stuck.ended().await.outcome.ending, Ending::Cancelled);
    let ended = neighbour.ended().await;
    assert_eq!(ended.outcome.ending, Ending::Moved);
    fixture.wait(|pool| pool.reserve("simple").is_some()).await;
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_worker_loses_its_runs_at_once_and_is_replaced() {
    let fixture = Fixture::start(rough()).await;
    let mut neighbour = fixture.begin(&Run::new("sleeping", json!({"seconds": 600.0})));
    neighbour.event("values").await;
    let ended = fixture.run(&Run::new("dying", json!({}))).await;
    let died = |alone| Ending::Died { cause: "worker 0: its process ended".into(), alone };
    assert_eq!(ended.outcome.ending, died(false));
    assert!(ended.outcome.live.is_none());
    assert_eq!(neighbour.ended().await.outcome.ending, died(false));
    fixture.wait(|pool| pool.reserve("simple").is_some()).await;
    let ended = fixture.run(&Run::new("dying", json!({}))).await;
    assert_eq!(ended.outcome.ending, died(true));
    fixture.wait(|pool| pool.reserve("simple").is_some()).await;
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_spread_and_bounded() {
    let mut options = rough();
    (options.workers, options.jobs_per_worker) = (2, 3);
    let fixture = Fixture::start(options).await;
    let slots = || std::iter::from_fn(|| fixture.pool.reserve("simple")).collect::<Vec<_>>();
    fixture
        .wait(|pool| {
            std::iter::from_fn(|| pool.reserve("simple")).take(7).collect::<Vec<_>>().len() == 6
        })
        .await;
    assert_eq!(slots().len(), 6);
    let held = slots();
    assert!(fixture.pool.reserve("simple").is_none());
    drop(held);
    assert_eq!(slots().len(), 6);
    fixture.pool.shutdown().await;
}

#[test]
fn a_run_can_be_cancelled_before_it_starts() {
    let run = Run::new("waiting", json!({"foo": "x"}));
    shared(|fixture| async {
        let started = fixture.begin(&run);
        fixture.pool.cancel(started.lease);
        assert_eq!(started.ended().await.outcome.ending, Ending::Cancelled);
    });
}

/// Parent of a process.
fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_forked_from_one_process_and_replaced_by_it() {
    let mut options = rough();
    (options.workers, options.jobs_per_worker) = (2, 1);
    let fixture = Fixture::start(options).await;
    let both = |pool: &Pool| {
        let slots = (pool.reserve("simple"), pool.reserve("simple"));
        slots.0.is_some() && slots.1.is_some()
    };
    fixture.wait(both).await;
    let held = fixture.pool.reserve("simple");
    let second = worker_pid(&fixture).await;
    drop(held);
    let first = worker_pid(&fixture).await;
    let template = parent(first);
    assert_eq!((first == second, parent(second)), (false, template));
    assert_ne!(template, std::process::id());

    let ended = fixture.run(&Run::new("dying", json!({}))).await;
    assert!(matches!(ended.outcome.ending, Ending::Died { alone: true, .. }));
    fixture.wait(both).await;
    let replaced = worker_pid(&fixture).await;
    assert_eq!((replaced == first, parent(replaced)), (false, template));
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();

    // Whoever kills the template does not hurt its workers; the next one gets another template.
    assert!(
        std::process::Command::new("kill")
            .args(["-9", &template.to_string()])
            .status()
            .unwrap()
            .success()
    );
    wait_until_gone(template).await;
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();
    let ended = fixture.run(&Run::new("dying", json!({}))).await;
    assert!(matches!(ended.outcome.ending, Ending::Died { alone: true, .. }));
    fixture.wait(both).await;
    fixture.pool.shutdown().await;
    wait_until_gone(second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn graphs_that_start_threads_are_not_forked() {
    let mut options =
        options(&[("simple", "./basic.py:simple"), ("threaded", "./threaded.py:graph")]);
    options.workers = 2;
    let fixture = Fixture::start(options).await;
    let ended = fixture.run(&Run::new("threaded", json!({}))).await;
    let pid: u32 = ended.state()["values"]["text"].as_str().unwrap().parse().unwrap();
    assert_eq!(parent(pid), std::process::id());
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_fails_loses_the_attempt() {
    let fixture = Fixture::start(rough()).await;
    *fixture.sink.broken.lock() = true;
    let run = Run::new("simple", json!({"foo": "x"})).with("durability", json!("sync"));
    let ended = fixture.run(&run).await;
    assert_eq!(ended.outcome.ending, Ending::Lost("disk full".into()));
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_with_the_server() {
    let fixture = Fixture::start(rough()).await;
    let pid = worker_pid(&fixture).await;
    let mut stuck = fixture.begin(&Run::new("blocking_loop", json!({"seconds": 600.0})));
    stuck.event("values").await;
    let asked = Instant::now();
    fixture.pool.shutdown().await;
    assert!(asked.elapsed() < Duration::from_secs(8));
    wait_until_gone(pid).await;
}

/// Pid of the worker that takes the next run.
pub(crate) async fn worker_pid(fixture: &Fixture) -> u32 {
    let ended = fixture.run(&Run::new("whoami", json!({}))).await;
    ended.state()["values"]["text"].as_str().unwrap().parse().unwrap()
}

pub(crate) async fn wait_until_gone(pid: u32) {
    let path = format!("/proc/{pid}/cmdline");
    for _ in 0..500 {
        // A process that ended but was not waited for has no command line.
        if std::fs::read(&path).map_or(true, |line| line.is_empty()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} is still there");
}
