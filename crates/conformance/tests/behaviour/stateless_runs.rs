//! Tag Stateless Runs.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{events_of, only, refused, same, transcript, turn},
};
use crate::{
    fixtures::{NEVER, text},
    request::Request,
    session::Session,
};

behaviours! {
    create_stateless_run: run_has_a_thread_until_it_ends;
    create_stateless_run: thread_is_kept_on_request;
    wait_stateless_run: result_comes_back_and_nothing_stays;
    wait_stateless_run: failure_is_in_the_body;
    wait_stateless_run: run_stops_before_the_nodes_that_were_named;
    stream_stateless_run: transcript_is_that_of_a_thread_run;
    get_stateless_run: run_is_found_without_its_thread;
    create_run_batch: runs_come_back_in_order;
    join_stateless_run_stream: resumable_run_is_replayed;
}

/// The body of a run that is kept.
fn kept(session: &Session) -> Value {
    let mut body = session.says("hello");
    body["on_completion"] = json!("keep");
    body
}

/// Status of reading a thread.
async fn thread_status(session: &Session, thread: &str) -> Result<u16> {
    Ok(session.send(&Request::to("get_thread")?.path("thread_id", thread)).await?.status)
}

async fn run_has_a_thread_until_it_ends(session: &Session) -> Result<()> {
    let request = Request::to("create_stateless_run")?.body(session.says("hello"));
    let answer = session.send(&request.with(json!({ "after_seconds": NEVER }))).await?;
    let run = answer.success()?;
    let members = ["status", "multitask_strategy"];
    let expected = json!({ "status": "pending", "multitask_strategy": "enqueue" });
    same(&only(&run, &members), &expected)?;
    ensure!(run["kwargs"]["temporary"] == true, "{run:#}");
    let (id, thread) = (text(&run, "run_id")?, text(&run, "thread_id")?);
    ensure!(
        answer.header("content-location") == Some(&format!("/runs/{id}")),
        "{:?}",
        answer.headers
    );
    ensure!(thread_status(session, &thread).await? == 200, "the thread is not there");
    let cancel = Request::to("cancel_run")?.path("thread_id", &thread).path("run_id", &id);
    session.call(cancel.query("wait", true)).await?;
    ensure!(thread_status(session, &thread).await? == 404, "the thread is still there");
    Ok(())
}

async fn thread_is_kept_on_request(session: &Session) -> Result<()> {
    let run = session.post("create_stateless_run", kept(session)).await?;
    ensure!(run["kwargs"]["temporary"] == false, "{run:#}");
    let (id, thread) = (text(&run, "run_id")?, text(&run, "thread_id")?);
    session.of_run("join_run", &thread, &id).await?.success()?;
    let found = session.of_thread("get_thread", &thread).await?;
    let expected = json!({
        "metadata": { "graph_id": session.graph_id, "assistant_id": "<assistant 1>" },
        "status": "idle",
        "values": { "messages": turn("hello", "You said: hello") },
    });
    same(&only(&found, &["metadata", "status", "values"]), &expected)
}

async fn result_comes_back_and_nothing_stays(session: &Session) -> Result<()> {
    let request = Request::to("wait_stateless_run")?.body(session.says("hello"));
    let answer = session.send(&request).await?;
    same(&answer.success()?, &json!({ "messages": turn("hello", "You said: hello") }))?;
    let place = answer.header("content-location").context("no Content-Location")?;
    let parts: Vec<_> = place.split('/').collect();
    ensure!(thread_status(session, parts[2]).await? == 404, "the thread is still there");
    let run = Request::to("get_stateless_run")?.path("run_id", parts[4]);
    refused(&session.send(&run).await?, 404, "Not Found")
}

async fn failure_is_in_the_body(session: &Session) -> Result<()> {
    let result = session.post("wait_stateless_run", session.says("fail")).await?;
    same(
        &result,
        &json!({ "__error__": { "error": "ValueError", "message": "You asked for it." } }),
    )
}

async fn run_stops_before_the_nodes_that_were_named(session: &Session) -> Result<()> {
    let mut body = session.says("hello");
    body["interrupt_before"] = json!("*");
    let result = session.post("wait_stateless_run", body).await?;
    same(&result, &json!({ "messages": [turn("hello", "")[0]] }))
}

async fn transcript_is_that_of_a_thread_run(session: &Session) -> Result<()> {
    let answer =
        session.send(&Request::to("stream_stateless_run")?.body(session.says("hello"))).await?;
    let whole = turn("hello", "You said: hello");
    let expected = json!([
        ["metadata", { "run_id": "<run 1>", "attempt": 1 }],
        ["values", { "messages": [whole[0]] }],
        ["values", { "messages": whole }],
    ]);
    let events = events_of(&answer)?;
    same(&transcript(&events), &expected)?;
    let run = text(&events[0].data, "run_id")?;
    ensure!(
        answer.header("content-location") == Some(&format!("/runs/{run}")),
        "{:?}",
        answer.headers
    );
    ensure!(
        answer.header("location") == Some(&format!("/runs/{run}/stream")),
        "{:?}",
        answer.headers
    );
    Ok(())
}

async fn run_is_found_without_its_thread(session: &Session) -> Result<()> {
    let run = session.post("create_stateless_run", kept(session)).await?;
    let (id, thread) = (text(&run, "run_id")?, text(&run, "thread_id")?);
    session.of_run("join_run", &thread, &id).await?.success()?;
    let found = session.call(Request::to("get_stateless_run")?.path("run_id", &id)).await?;
    let by_thread = session.of_run("get_run", &thread, &id).await?.success()?;
    ensure!(found == by_thread && found["status"] == "success", "{found:#}");
    Ok(())
}

async fn resumable_run_is_replayed(session: &Session) -> Result<()> {
    let mut body = kept(session);
    body["stream_resumable"] = json!(true);
    let events = events_of(&session.send(&Request::to("stream_stateless_run")?.body(body)).await?)?;
    let run = text(&events[0].data, "run_id")?;
    let request = Request::to("join_stateless_run_stream")?.path("run_id", &run);
    let replayed = events_of(&session.send(&request.header("Last-Event-ID", "-1")).await?)?;
    ensure!(events.len() == 3 && replayed == events, "{replayed:?} instead of {events:?}");
    Ok(())
}

async fn runs_come_back_in_order(session: &Session) -> Result<()> {
    let bodies: Vec<_> = (0..3)
        .map(|number| {
            let mut body = kept(session);
            body["metadata"] = json!({ "number": number });
            body
        })
        .collect();
    let runs = session.post("create_run_batch", json!(bodies)).await?;
    let runs = runs.as_array().context("no list")?;
    ensure!(runs.len() == 3, "{runs:#?}");
    for (number, run) in runs.iter().enumerate() {
        ensure!(run["status"] == "pending" && run["metadata"]["number"] == number, "{run:#}");
        let (thread, run) = (text(run, "thread_id")?, text(run, "run_id")?);
        let result = session.of_run("join_run", &thread, &run).await?.success()?;
        ensure!(result["messages"].as_array().is_some_and(|all| all.len() == 2), "{result:#}");
    }
    Ok(())
}
