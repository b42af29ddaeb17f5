//! Tags Thread Runs and Threads: streams.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, events_of, same, transcript, turn},
};
use crate::{answer::Answer, fixtures::text, names::Names, request::Request, session::Session};

behaviours! {
    stream_run: transcript_begins_with_metadata_and_ends_with_the_values;
    stream_run: every_mode_that_was_asked_for_is_streamed;
    stream_run: failure_is_an_event;
    stream_run: interrupt_is_part_of_the_values;
    join_run_stream: resumable_run_is_replayed;
    join_run_stream: replay_goes_on_behind_an_event;
    join_thread_stream: resumable_runs_are_replayed_with_their_ends;
}

/// Streams a run on a new thread.
async fn stream(session: &Session, words: &str, more: Value) -> Result<Answer> {
    let thread = session.thread(json!({})).await?;
    let request = Request::to("stream_run")?.path("thread_id", thread).body(session.says(words));
    session.send(&request.with(more)).await
}

async fn transcript_begins_with_metadata_and_ends_with_the_values(session: &Session) -> Result<()> {
    let answer = stream(session, "hello", json!({})).await?;
    let events = events_of(&answer)?;
    let whole = turn("hello", "You said: hello");
    let expected = json!([
        ["metadata", { "run_id": "<run 1>", "attempt": 1 }],
        ["values", { "messages": [whole[0]] }],
        ["values", { "messages": whole }],
    ]);
    same(&transcript(&events), &expected)?;
    ensure!(events.iter().all(|event| event.id.is_none()), "only resumable runs have ids");
    let run = text(&events[0].data, "run_id")?;
    let place = answer.header("content-location").context("no Content-Location")?;
    ensure!(place.ends_with(&run), "{place} is not the run {run}");
    ensure!(answer.header("cache-control") == Some("no-store"), "{:?}", answer.headers);
    Ok(())
}

async fn every_mode_that_was_asked_for_is_streamed(session: &Session) -> Result<()> {
    let modes = ["values", "updates", "tasks", "checkpoints", "debug"];
    let answer = stream(session, "hello", json!({ "stream_mode": modes })).await?;
    let events = events_of(&answer)?;
    for mode in modes {
        ensure!(events.iter().any(|event| event.name == mode), "no event of {mode}");
    }
    let updates = events.iter().filter(|event| event.name == "updates");
    let updates: Vec<_> = updates.map(|event| &event.data).collect();
    let contents = column(&updates[0]["reply"]["messages"], "content");
    ensure!(updates.len() == 1 && contents == ["You said: hello"], "{updates:?}");
    Ok(())
}

async fn failure_is_an_event(session: &Session) -> Result<()> {
    let events = events_of(&stream(session, "fail", json!({})).await?)?;
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    ensure!(names == ["metadata", "values", "error"], "{names:?}");
    same(&events[2].data, &json!({ "error": "ValueError", "message": "You asked for it." }))
}

async fn interrupt_is_part_of_the_values(session: &Session) -> Result<()> {
    let events = events_of(&stream(session, "ask name?", json!({})).await?)?;
    let last = events.last().context("no events")?;
    let pending = &last.data["__interrupt__"];
    ensure!(last.name == "values" && pending[0]["id"].is_string(), "{last:?}");
    let expected = json!([{
        "id": pending[0]["id"],
        "value": { "question": "name?" },
        "response_schema": null,
    }]);
    same(pending, &Names::default().of(&expected))
}

async fn resumable_run_is_replayed(session: &Session) -> Result<()> {
    let answer = stream(session, "hello", json!({ "stream_resumable": true })).await?;
    let events = events_of(&answer)?;
    ensure!(events.len() == 3 && events.iter().all(|event| event.id.is_some()), "{events:?}");
    for all in ["-1", "0", "-"] {
        let replayed = events_of(&rejoin(session, &answer, Some(all)).await?)?;
        ensure!(replayed == events, "Last-Event-ID: {all} replays {replayed:?}");
    }
    let without = events_of(&rejoin(session, &answer, None).await?)?;
    ensure!(without.is_empty(), "nothing is replayed unasked: {without:?}");
    Ok(())
}

async fn replay_goes_on_behind_an_event(session: &Session) -> Result<()> {
    let answer = stream(session, "hello", json!({ "stream_resumable": true })).await?;
    let events = events_of(&answer)?;
    for (index, event) in events.iter().enumerate() {
        let replayed = events_of(&rejoin(session, &answer, event.id.as_deref()).await?)?;
        ensure!(replayed == events[index + 1..], "behind {:?}: {replayed:?}", event.id);
    }
    Ok(())
}

async fn resumable_runs_are_replayed_with_their_ends(session: &Session) -> Result<()> {
    let answer = stream(session, "hello", json!({ "stream_resumable": true })).await?;
    let events = events_of(&answer)?;
    let place = answer.header("content-location").context("no Content-Location")?;
    let thread = place.split('/').nth(2).context("no thread")?;
    let request = Request::to("join_thread_stream")?.path("thread_id", thread);
    let replayed = events_of(&session.send(&request.header("Last-Event-ID", "-")).await?)?;
    ensure!(replayed.len() == 4 && replayed[..3] == events, "{replayed:?}");
    let last = &replayed[3];
    let end = json!({ "status": "run_done", "run_id": events[0].data["run_id"] });
    ensure!(last.name == "metadata" && last.id.is_some() && last.data == end, "{last:?}");
    Ok(())
}

/// Opens the stream of an answer's run again.
async fn rejoin(session: &Session, answer: &Answer, last: Option<&str>) -> Result<Answer> {
    let place = answer.header("content-location").context("no Content-Location")?;
    let parts: Vec<_> = place.split('/').collect();
    let request =
        Request::to("join_run_stream")?.path("thread_id", parts[2]).path("run_id", parts[4]);
    session
        .send(&last.iter().fold(request, |request, last| request.header("Last-Event-ID", last)))
        .await
}
