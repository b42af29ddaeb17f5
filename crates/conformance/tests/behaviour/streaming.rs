//! Tag Streaming: commands, and the events of a thread.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{events_of, refused, same},
};
use crate::{
    events::Event,
    fixtures::{new_id, text},
    names::Names,
    request::{Payload, Request},
    session::Session,
};

behaviours! {
    send_thread_command: a_run_is_started_and_told_from_its_beginning_to_its_end;
    send_thread_command: a_question_is_asked_and_answered_once;
    send_thread_command: what_is_no_command_says_so;
    send_thread_command: commands_that_do_not_work_are_answered_with_200;
    stream_thread_events: a_replay_is_the_same_and_may_begin_behind_an_event;
    stream_thread_events: channels_are_checked;
    stream_thread_events: a_thread_that_cannot_be_has_no_events;
}

/// Sends a command to a thread.
async fn command(session: &Session, thread: &str, method: &str, params: Value) -> Result<Value> {
    let body = json!({ "id": 7, "method": method, "params": params });
    session.call(Request::to("send_thread_command")?.path("thread_id", thread).body(body)).await
}

/// Starts a run on a thread that does not exist yet; the thread's id.
async fn started(session: &Session, words: &str) -> Result<String> {
    let thread = new_id();
    let mut params = json!({ "input": session.says(words)["input"] });
    params["assistant_id"] = json!(session.assistant);
    let answer = command(session, &thread, "run.start", params).await?;
    let meta = json!({ "applied_through_seq": 0 });
    let run = text(&answer["result"], "run_id")?;
    same(
        &answer,
        &json!({ "type": "success", "id": 7, "result": { "run_id": "<run 1>" }, "meta": meta }),
    )
    .with_context(|| format!("run {run}"))?;
    Ok(thread)
}

/// The events of a thread after its last run has ended.
async fn events(session: &Session, thread: &str, more: Value) -> Result<Vec<Event>> {
    let body = json!({ "channels": ["values", "lifecycle", "input"] });
    let request = Request::to("stream_thread_events")?.path("thread_id", thread).body(body);
    events_of(&session.send(&request.with(more)).await?)
}

/// Method and content of events.
fn told(events: &[Event]) -> Value {
    let row = |event: &Event| json!([event.name, event.data["params"]["data"]]);
    let rows: Value = events.iter().map(row).collect();
    Names::default().of(&rows)
}

fn lifecycle(session: &Session, event: &str) -> Value {
    json!(["lifecycle", { "event": event, "graph_name": session.graph_id }])
}

async fn a_run_is_started_and_told_from_its_beginning_to_its_end(session: &Session) -> Result<()> {
    let thread = started(session, "hello").await?;
    let events = events(session, &thread, json!({})).await?;
    let message = |kind: &str, content: &str| json!([kind, content]);
    let texts = |event: &Event| -> Vec<Value> {
        let messages = event.data["params"]["data"]["messages"].as_array().cloned();
        let row = |one: &Value| json!([one["type"], one["content"]]);
        messages.unwrap_or_default().iter().map(row).collect()
    };
    let values: Vec<_> = events.iter().filter(|event| event.name == "values").collect();
    let (human, ai) = (message("human", "hello"), message("ai", "You said: hello"));
    ensure!(values.len() == 2, "{values:?}");
    ensure!(texts(values[0]) == [human.clone()], "{values:?}");
    ensure!(texts(values[1]) == [human, ai], "{values:?}");
    let ends = [&events[0], &events[events.len() - 1]].map(Clone::clone);
    same(&told(&ends), &json!([lifecycle(session, "running"), lifecycle(session, "completed")]))?;
    for event in &events {
        let data = &event.data;
        ensure!(data["type"] == "event" && data["method"] == *event.name, "{data}");
        ensure!(event.id.as_deref() == Some(&*data["seq"].to_string()), "{event:?}");
        ensure!(data["params"]["namespace"] == json!([]), "{data}");
    }
    Ok(())
}

async fn a_question_is_asked_and_answered_once(session: &Session) -> Result<()> {
    let thread = started(session, "ask me").await?;
    let events = events(session, &thread, json!({ "channels": ["input", "lifecycle"] })).await?;
    let asked = &events.get(1).context("no question")?.data;
    ensure!(asked["method"] == "input.requested", "{asked}");
    let data = &asked["params"]["data"];
    ensure!(data["payload"] == data["value"] && !data["payload"].is_null(), "{data}");
    ensure!(told(&events)[2] == lifecycle(session, "interrupted"), "{events:?}");
    let answer = json!({
        "interrupt_id": data["interrupt_id"], "namespace": asked["params"]["namespace"], "response": "yes",
    });
    let answered = command(session, &thread, "input.respond", answer.clone()).await?;
    ensure!(answered["result"] == json!({}), "{answered}");
    let gone = command(session, &thread, "input.respond", answer).await?;
    ensure!(gone["error"] == "no_such_interrupt" || gone["error"] == "no_such_run", "{gone}");
    Ok(())
}

async fn what_is_no_command_says_so(session: &Session) -> Result<()> {
    let send = async |text: &str| {
        let mut request = Request::to("send_thread_command")?.path("thread_id", new_id());
        request.payload = Payload::Bytes(text.as_bytes().to_vec());
        session.send(&request).await
    };
    refused(&send("{").await?, 400, "Invalid JSON body")?;
    let answer = send(r#"{"id":"x","method":"run.start"}"#).await?;
    ensure!(answer.status == 400, "{}", answer.describe());
    let message = "Protocol commands must include an integer id and string method.";
    let expected =
        json!({ "type": "error", "id": "x", "error": "invalid_argument", "message": message });
    same(&answer.json()?, &expected)
}

async fn commands_that_do_not_work_are_answered_with_200(session: &Session) -> Result<()> {
    for (method, params, code, message) in [
        ("foo.bar", json!({}), "unknown_command", "Unknown protocol command: foo.bar"),
        ("run.start", json!({}), "invalid_argument", "run.start requires an assistant_id."),
        (
            "run.start",
            json!({ "assistant_id": new_id() }),
            "unknown_error",
            "404: Thread or assistant not found.",
        ),
        (
            "input.respond",
            json!({ "responses": [] }),
            "invalid_argument",
            "input.respond requires at least one response.",
        ),
        (
            "input.respond",
            json!({ "interrupt_id": "i" }),
            "no_such_run",
            "No interrupted run is bound to this thread.",
        ),
    ] {
        let answer = command(session, &new_id(), method, params).await?;
        same(&answer, &json!({ "type": "error", "id": 7, "error": code, "message": message }))?;
    }
    Ok(())
}

async fn a_replay_is_the_same_and_may_begin_behind_an_event(session: &Session) -> Result<()> {
    let thread = started(session, "hello").await?;
    let first = events(session, &thread, json!({})).await?;
    ensure!(events(session, &thread, json!({})).await? == first, "another replay differs");
    let since = json!({ "since": first[1].data["seq"] });
    ensure!(events(session, &thread, since).await? == first[2..], "the rest differs");
    Ok(())
}

async fn channels_are_checked(session: &Session) -> Result<()> {
    for (channels, start) in [
        (json!([]), "channels is required and must be a non-empty array"),
        (json!(["bogus", 1]), "channels contains unsupported entries: bogus, 1. Allowed: "),
    ] {
        let request = Request::to("stream_thread_events")?.path("thread_id", new_id());
        let answer = session.send(&request.body(json!({ "channels": channels }))).await?;
        let detail = text(&answer.json()?, "detail")?;
        ensure!(answer.status == 400 && detail.starts_with(start), "{}", answer.describe());
    }
    Ok(())
}

async fn a_thread_that_cannot_be_has_no_events(session: &Session) -> Result<()> {
    let none = events(session, "nope", json!({})).await?;
    ensure!(none.is_empty(), "{none:?}");
    Ok(())
}
