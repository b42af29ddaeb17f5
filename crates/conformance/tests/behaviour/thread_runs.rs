//! Tag Thread Runs.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, done, only, refused, same, same_named, turn},
};
use crate::{
    fixtures::{NEVER, new_id, text},
    names::Names,
    request::Request,
    session::Session,
};

behaviours! {
    create_run: run_is_returned_before_it_begins;
    create_run: runs_of_a_thread_wait_for_each_other;
    create_run: superseded_run_is_interrupted;
    create_run: rolled_back_run_disappears;
    create_run: missing_thread_is_made_on_request;
    create_run: unknown_thread_and_unknown_assistant_are_refused_alike;
    wait_run: answer_says_where_to_find_the_run;
    list_runs: newest_run_is_first;
    list_runs: selection_leaves_out_the_rest;
    get_run: finished_run_is_a_success;
    get_run: run_of_another_thread_is_not_found;
    delete_run: deleted_run_takes_its_checkpoints_along;
    join_run: ended_run_is_answered_from_its_thread;
    cancel_run: waiting_run_never_begins;
    cancel_run: running_run_is_stopped;
    cancel_run: ended_run_cannot_be_cancelled;
    cancel_run: rollback_deletes_the_run;
    cancel_runs: runs_that_are_not_over_are_stopped_together;
}

async fn run_is_returned_before_it_begins(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let more = json!({
        "metadata": { "k": 1 },
        "config": { "tags": ["t"], "configurable": { "model": "a" } },
        "after_seconds": NEVER,
    });
    let request = Request::to("create_run")?.path("thread_id", &thread).body(session.says("hello"));
    let mut run = session.call(request.with(more)).await?;
    let started = run["kwargs"]["config"]["configurable"]["__request_start_time_ms__"].take();
    ensure!(started.is_u64(), "__request_start_time_ms__ is {started}");
    let mut names = Names::default();
    names.of(&only(&run, &["thread_id", "run_id", "assistant_id"]));
    let metadata = json!({
        "created_by": "system",
        "graph_id": session.graph_id,
        "assistant_id": "<assistant 1>",
        "k": 1,
    });
    let expected = json!({
        "run_id": "<run 1>",
        "thread_id": "<thread 1>",
        "assistant_id": "<assistant 1>",
        "created_at": "<time 1>",
        "updated_at": "<time 2>",
        "status": "pending",
        "metadata": metadata,
        "kwargs": {
            "input": { "messages": [{ "role": "user", "content": "hello" }] },
            "command": null,
            "config": {
                "tags": ["t"],
                "configurable": {
                    "model": "a",
                    "langgraph_auth_user": null,
                    "langgraph_auth_user_id": "",
                    "langgraph_auth_permissions": [],
                    "langgraph_request_id": "<langgraph_request 1>",
                    "__request_start_time_ms__": null,
                    "__after_seconds__": NEVER,
                    "run_id": "<run 1>",
                    "thread_id": "<thread 1>",
                    "graph_id": session.graph_id,
                    "assistant_id": "<assistant 1>",
                    "user_id": "",
                },
                "metadata": metadata,
            },
            "context": { "model": "a" },
            "stream_mode": ["values"],
            "interrupt_before": null,
            "interrupt_after": null,
            "webhook": null,
            "feedback_keys": null,
            "temporary": false,
            "subgraphs": false,
            "resumable": false,
            "checkpoint_during": true,
            "durability": "async",
        },
        "multitask_strategy": "enqueue",
        "langsmith_session_name": null,
    });
    same_named(&mut names, &run, &expected)
}

/// Time within which a run begins that nothing stands in the way of.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Creates a run with further members; its id.
async fn create(session: &Session, thread: &str, words: &str, more: Value) -> Result<String> {
    let request = Request::to("create_run")?.path("thread_id", thread).body(session.says(words));
    text(&session.call(request.with(more)).await?, "run_id")
}

/// The result of a run, which ends first.
async fn join(session: &Session, thread: &str, run: &str) -> Result<Value> {
    session.of_run("join_run", thread, run).await?.success()
}

async fn status(session: &Session, thread: &str, run: &str) -> Result<Value> {
    Ok(session.of_run("get_run", thread, run).await?.success()?["status"].clone())
}

/// What was said on a thread.
async fn contents(session: &Session, thread: &str) -> Result<Vec<Value>> {
    let found = session.of_thread("get_thread", thread).await?;
    Ok(column(&found["values"]["messages"], "content"))
}

async fn runs_of_a_thread_wait_for_each_other(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    create(session, &thread, "sleep 200", json!({})).await?;
    let second = create(session, &thread, "hello", json!({})).await?;
    join(session, &thread, &second).await?;
    let contents = contents(session, &thread).await?;
    ensure!(
        contents == ["sleep 200", "I slept 200 ms.", "hello", "You said: hello"],
        "{contents:?}"
    );
    Ok(())
}

async fn superseded_run_is_interrupted(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let first = create(session, &thread, "sleep 20000", json!({})).await?;
    let strategy = json!({ "multitask_strategy": "interrupt" });
    let second = create(session, &thread, "hello", strategy).await?;
    join(session, &thread, &second).await?;
    same(&status(session, &thread, &first).await?, &json!("interrupted"))?;
    same(&status(session, &thread, &second).await?, &json!("success"))
}

async fn rolled_back_run_disappears(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let first = create(session, &thread, "sleep 20000", json!({})).await?;
    let strategy = json!({ "multitask_strategy": "rollback" });
    let second = create(session, &thread, "hello", strategy).await?;
    join(session, &thread, &second).await?;
    refused(&session.of_run("get_run", &thread, &first).await?, 404, "Not Found")?;
    let contents = contents(session, &thread).await?;
    ensure!(contents == ["hello", "You said: hello"], "{contents:?}");
    Ok(())
}

async fn missing_thread_is_made_on_request(session: &Session) -> Result<()> {
    let thread = new_id();
    let run = create(session, &thread, "hello", json!({ "if_not_exists": "create" })).await?;
    join(session, &thread, &run).await?;
    let found = session.of_thread("get_thread", &thread).await?;
    let members = ["thread_id", "status", "metadata"];
    let expected = json!({
        "thread_id": "<thread 1>",
        "status": "idle",
        "metadata": { "graph_id": session.graph_id, "assistant_id": "<assistant 1>" },
    });
    same(&only(&found, &members), &expected)
}

async fn unknown_thread_and_unknown_assistant_are_refused_alike(session: &Session) -> Result<()> {
    let known = session.thread(json!({})).await?;
    for operation in ["create_run", "wait_run", "stream_run"] {
        let request = Request::to(operation)?.body(session.says("hello"));
        let unknown = request.clone().path("thread_id", new_id());
        refused(&session.send(&unknown).await?, 404, "Thread or assistant not found.")?;
        let unknown = request.path("thread_id", &known).with(json!({ "assistant_id": new_id() }));
        refused(&session.send(&unknown).await?, 404, "Thread or assistant not found.")?;
    }
    Ok(())
}

async fn answer_says_where_to_find_the_run(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let request = Request::to("wait_run")?.path("thread_id", &thread).body(session.says("hello"));
    let answer = session.send(&request).await?;
    same(&answer.success()?, &json!({ "messages": turn("hello", "You said: hello") }))?;
    let run = text(&session.of_thread("list_runs", &thread).await?[0], "run_id")?;
    let place = format!("/threads/{thread}/runs/{run}");
    ensure!(answer.header("content-location") == Some(&place), "{:?}", answer.headers);
    ensure!(answer.header("location") == Some(&format!("{place}/join")), "{:?}", answer.headers);
    Ok(())
}

async fn newest_run_is_first(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    for words in ["hello", "fail", "hello"] {
        session.say(&thread, words).await?;
    }
    let runs = session.of_thread("list_runs", &thread).await?;
    ensure!(column(&runs, "status") == ["success", "error", "success"], "{runs:#}");
    let list = || Request::to("list_runs").map(|request| request.path("thread_id", &thread));
    for (query, expected) in [
        (vec![("limit", "2")], vec![&runs[0], &runs[1]]),
        (vec![("offset", "2")], vec![&runs[2]]),
        (vec![("status", "error")], vec![&runs[1]]),
        (vec![("status", "unheard-of")], vec![]),
        (vec![("limit", "0")], vec![]),
    ] {
        let request = query
            .iter()
            .try_fold(list()?, |request, (name, value)| anyhow::Ok(request.query(name, value)))?;
        let found = session.call(request).await?;
        ensure!(found == json!(expected), "{query:?}: {found:#}");
    }
    Ok(())
}

async fn selection_leaves_out_the_rest(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    session.say(&thread, "hello").await?;
    let request = Request::to("list_runs")?.path("thread_id", &thread);
    let found = session.call(request.query("select", "run_id").query("select", "status")).await?;
    same(&found, &json!([{ "run_id": "<run 1>", "status": "success" }]))
}

async fn finished_run_is_a_success(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let run = create(session, &thread, "hello", json!({})).await?;
    join(session, &thread, &run).await?;
    let found = session.of_run("get_run", &thread, &run).await?.success()?;
    let listed = session.of_thread("list_runs", &thread).await?;
    ensure!(listed == json!([found]), "listed {listed:#}\nfound {found:#}");
    let members = ["run_id", "status", "multitask_strategy"];
    let expected =
        json!({ "run_id": "<run 1>", "status": "success", "multitask_strategy": "enqueue" });
    same(&only(&found, &members), &expected)
}

async fn run_of_another_thread_is_not_found(session: &Session) -> Result<()> {
    let (one, other) = (session.thread(json!({})).await?, session.thread(json!({})).await?);
    let run = create(session, &one, "hello", json!({})).await?;
    join(session, &one, &run).await?;
    refused(&session.of_run("get_run", &other, &run).await?, 404, "Not Found")?;
    refused(&session.of_run("delete_run", &other, &run).await?, 404, "Run not found")?;
    let cancelled = session.of_run("cancel_run", &other, &run).await?;
    refused(&cancelled, 404, "No runs found to cancel.")?;
    same(&status(session, &one, &run).await?, &json!("success"))
}

async fn deleted_run_takes_its_checkpoints_along(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    session.say(&thread, "hello").await?;
    let before = session.of_thread("get_thread_history", &thread).await?;
    let run = create(session, &thread, "again", json!({})).await?;
    join(session, &thread, &run).await?;
    done(&session.of_run("delete_run", &thread, &run).await?)?;
    refused(&session.of_run("get_run", &thread, &run).await?, 404, "Not Found")?;
    let after = session.of_thread("get_thread_history", &thread).await?;
    ensure!(column(&after, "checkpoint_id") == column(&before, "checkpoint_id"), "{after:#}");
    refused(&session.of_run("delete_run", &thread, &run).await?, 404, "Run not found")
}

async fn ended_run_is_answered_from_its_thread(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let run = create(session, &thread, "hello", json!({})).await?;
    let expected = json!({ "messages": turn("hello", "You said: hello") });
    for _ in 0..2 {
        same(&join(session, &thread, &run).await?, &expected)?;
    }
    let asking = create(session, &thread, "ask name?", json!({})).await?;
    join(session, &thread, &asking).await?;
    let again = join(session, &thread, &asking).await?;
    same(&again["__interrupt__"][0]["value"], &json!({ "question": "name?" }))
}

async fn waiting_run_never_begins(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let run = create(session, &thread, "hello", json!({ "after_seconds": NEVER })).await?;
    let answer = session.of_run("cancel_run", &thread, &run).await?;
    ensure!(answer.status == 202 && answer.body.is_empty(), "{}", answer.describe());
    same(&status(session, &thread, &run).await?, &json!("interrupted"))?;
    let history = session.of_thread("get_thread_history", &thread).await?;
    same(&history, &json!([]))
}

/// Asks until a run has begun; the sleep that it does is longer than that takes.
async fn until_running(session: &Session, thread: &str, run: &str) -> Result<()> {
    let asked = async {
        loop {
            match status(session, thread, run).await?.as_str() {
                Some("running") => return Ok(()),
                Some("pending") => tokio::task::yield_now().await,
                other => bail!("the run is {other:?} before it was stopped"),
            }
        }
    };
    tokio::time::timeout(START_LIMIT, asked).await.context("the run does not begin")?
}

async fn running_run_is_stopped(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let run = create(session, &thread, "sleep 20000", json!({})).await?;
    until_running(session, &thread, &run).await?;
    let cancel = Request::to("cancel_run")?.path("thread_id", &thread).path("run_id", &run);
    session.call(cancel.query("wait", true)).await?;
    same(&status(session, &thread, &run).await?, &json!("interrupted"))?;
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["error"]["error"] == "UserInterrupt", "{found:#}");
    ensure!(found["status"] == "interrupted" || found["status"] == "idle", "{found:#}");
    session.say(&thread, "hello").await?;
    same(&session.of_thread("get_thread", &thread).await?["status"], &json!("idle"))
}

async fn ended_run_cannot_be_cancelled(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let run = create(session, &thread, "hello", json!({})).await?;
    join(session, &thread, &run).await?;
    let text = "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs \
                haven't been deleted or completed.";
    refused(&session.of_run("cancel_run", &thread, &run).await?, 404, text)?;
    let unknown = session.of_run("cancel_run", &thread, &new_id()).await?;
    refused(&unknown, 404, "No runs found to cancel.")
}

async fn rollback_deletes_the_run(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    session.say(&thread, "hello").await?;
    let before = session.of_thread("get_thread", &thread).await?;
    let run = create(session, &thread, "sleep 20000", json!({})).await?;
    until_running(session, &thread, &run).await?;
    let cancel = Request::to("cancel_run")?.path("thread_id", &thread).path("run_id", &run);
    session.call(cancel.query("wait", true).query("action", "rollback")).await?;
    refused(&session.of_run("get_run", &thread, &run).await?, 404, "Not Found")?;
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["values"] == before["values"] && found["status"] == "idle", "{found:#}");
    let history = session.of_thread("get_thread_history", &thread).await?;
    ensure!(column(&history, "checkpoint_id").len() == 3, "{history:#}");
    Ok(())
}

async fn runs_that_are_not_over_are_stopped_together(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let over = create(session, &thread, "hello", json!({})).await?;
    join(session, &thread, &over).await?;
    let running = create(session, &thread, "sleep 20000", json!({})).await?;
    let waiting = create(session, &thread, "hello", json!({})).await?;
    until_running(session, &thread, &running).await?;
    let body = json!({ "thread_id": thread, "run_ids": [over, running, waiting] });
    let answer = session.send(&Request::to("cancel_runs")?.body(body.clone())).await?;
    ensure!(answer.status == 204 && answer.body.is_empty(), "{}", answer.describe());
    for (run, expected) in [(over, "success"), (running, "interrupted"), (waiting, "interrupted")] {
        same(&status(session, &thread, &run).await?, &json!(expected))?;
    }
    let text = "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs \
                haven't been deleted or completed.";
    refused(&session.send(&Request::to("cancel_runs")?.body(body)).await?, 404, text)
}
