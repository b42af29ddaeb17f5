//! Tag Threads: state and history.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, only, same, same_named, turn},
};
use crate::{
    fixtures::{new_id, text},
    names::Names,
    request::Request,
    session::Session,
};

behaviours! {
    get_thread_state: thread_without_a_graph_has_an_empty_state;
    get_thread_state: state_shows_values_and_what_comes_next;
    get_thread_state_at_checkpoint: past_state_is_shown_as_it_was;
    get_thread_state_at_checkpoint: unknown_checkpoint_is_an_empty_state;
    post_thread_state_at_checkpoint: state_is_the_same_by_body_and_by_path;
    update_thread_state: update_is_a_checkpoint_of_its_own;
    update_thread_state: update_of_an_old_checkpoint_is_a_fork;
    update_thread_state: thread_without_a_graph_cannot_be_updated;
    get_thread_history: history_is_newest_first;
    get_thread_history: page_goes_on_before_a_checkpoint;
    get_thread_history_post: metadata_is_a_filter;
}

async fn thread_without_a_graph_has_an_empty_state(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let expected = json!({
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": null,
        "created_at": null,
        "checkpoint": null,
        "parent_checkpoint": null,
        "interrupts": [],
        "checkpoint_id": null,
        "parent_checkpoint_id": null,
    });
    same(&session.of_thread("get_thread_state", &thread).await?, &expected)?;
    same(&session.of_thread("get_thread_history", &thread).await?, &json!([]))
}

async fn state_shows_values_and_what_comes_next(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    session.say(&thread, "hello").await?;
    let state = session.of_thread("get_thread_state", &thread).await?;
    let mut names = Names::default();
    names.of(&json!({ "thread_id": thread, "checkpoint_id": state["checkpoint_id"] }));
    let mut shown = names.of(&state);
    let metadata = shown["metadata"].take();
    let expected = json!({
        "values": { "messages": turn("hello", "You said: hello") },
        "next": [],
        "tasks": [],
        "metadata": null,
        "created_at": "<time 1>",
        "checkpoint": { "thread_id": "<thread 1>", "checkpoint_ns": "", "checkpoint_id": "<checkpoint 1>" },
        "parent_checkpoint": { "thread_id": "<thread 1>", "checkpoint_ns": "", "checkpoint_id": "<checkpoint 2>" },
        "interrupts": [],
        "checkpoint_id": "<checkpoint 1>",
        "parent_checkpoint_id": "<checkpoint 2>",
    });
    same(&shown, &expected)?;
    let members = ["source", "step", "parents", "graph_id", "thread_id", "run_attempt"];
    let expected = json!({
        "source": "loop",
        "step": 1,
        "parents": {},
        "graph_id": session.graph_id,
        "thread_id": "<thread 1>",
        "run_attempt": 1,
    });
    same(&only(&metadata, &members), &expected)
}

/// The checkpoints of a thread that has one turn: end, before the reply, input.
async fn checkpoints_of_one_turn(session: &Session) -> Result<(String, Vec<Value>)> {
    let thread = session.thread(json!({})).await?;
    session.say(&thread, "hello").await?;
    // Without a limit the reference gives one, against its own document.
    let request = Request::to("get_thread_history")?.path("thread_id", &thread).query("limit", 10);
    let history = session.call(request).await?;
    let states = history.as_array().cloned().unwrap_or_default();
    ensure!(states.len() == 3, "expected three checkpoints, got {history:#}");
    Ok((thread, states))
}

async fn past_state_is_shown_as_it_was(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    for state in &states {
        let request = Request::to("get_thread_state_at_checkpoint")?.path("thread_id", &thread);
        let found =
            session.call(request.path("checkpoint_id", text(state, "checkpoint_id")?)).await?;
        ensure!(found == *state, "in the history {state:#}\nby its id {found:#}");
    }
    let before = &states[1];
    ensure!(before["next"] == json!(["reply"]), "{before:#}");
    let result = before["tasks"][0]["result"]["messages"][0]["content"].clone();
    ensure!(result == "You said: hello", "a past task has no result: {before:#}");
    Ok(())
}

async fn unknown_checkpoint_is_an_empty_state(session: &Session) -> Result<()> {
    let (thread, _) = checkpoints_of_one_turn(session).await?;
    for id in [new_id(), "nonsense".to_owned()] {
        let request = Request::to("get_thread_state_at_checkpoint")?.path("thread_id", &thread);
        let found = session.call(request.path("checkpoint_id", &id)).await?;
        let members = [
            "values",
            "next",
            "tasks",
            "metadata",
            "created_at",
            "parent_checkpoint",
            "checkpoint_id",
        ];
        let expected = json!({
            "values": {},
            "next": [],
            "tasks": [],
            "metadata": null,
            "created_at": null,
            "parent_checkpoint": null,
            "checkpoint_id": id,
        });
        ensure!(only(&found, &members) == expected, "{found:#}");
        ensure!(found["checkpoint"]["checkpoint_id"] == id, "{found:#}");
    }
    Ok(())
}

async fn state_is_the_same_by_body_and_by_path(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    for state in &states {
        let body = json!({ "checkpoint": { "checkpoint_id": state["checkpoint_id"] } });
        let found = session.post_to("post_thread_state_at_checkpoint", &thread, body).await?;
        ensure!(found == *state, "in the history {state:#}\nby its id {found:#}");
    }
    let latest = session
        .post_to("post_thread_state_at_checkpoint", &thread, json!({ "checkpoint": {} }))
        .await?;
    ensure!(
        latest == session.of_thread("get_thread_state", &thread).await?,
        "{{}} is not the latest: {latest:#}"
    );
    Ok(())
}

async fn update_is_a_checkpoint_of_its_own(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    let message = json!({ "role": "assistant", "content": "By hand" });
    let update = json!({ "values": { "messages": [message] }, "as_node": "reply" });
    let updated = session.post_to("update_thread_state", &thread, update).await?;
    let mut names = Names::default();
    names.of(&json!({ "thread_id": thread }));
    let checkpoint = json!({ "thread_id": "<thread 1>", "checkpoint_ns": "", "checkpoint_id": "<checkpoint 1>" });
    let expected = json!({ "checkpoint": checkpoint, "configurable": checkpoint, "checkpoint_id": "<checkpoint 1>" });
    same_named(&mut names, &updated, &expected)?;
    let state = session.of_thread("get_thread_state", &thread).await?;
    ensure!(state["checkpoint_id"] == updated["checkpoint_id"], "{state:#}");
    ensure!(state["parent_checkpoint_id"] == states[0]["checkpoint_id"], "{state:#}");
    let seen = only(&state["metadata"], &["source", "step"]);
    same(&seen, &json!({ "source": "update", "step": 2 }))?;
    let contents = column(&state["values"]["messages"], "content");
    ensure!(contents == ["hello", "You said: hello", "By hand"], "{contents:?}");
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["values"] == state["values"] && found["status"] == "idle", "{found:#}");
    Ok(())
}

async fn update_of_an_old_checkpoint_is_a_fork(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    let message = json!({ "role": "assistant", "content": "Otherwise" });
    let update = json!({
        "values": { "messages": [message] },
        "as_node": "reply",
        "checkpoint": { "checkpoint_id": states[1]["checkpoint_id"] },
    });
    session.post_to("update_thread_state", &thread, update).await?;
    let state = session.of_thread("get_thread_state", &thread).await?;
    ensure!(state["parent_checkpoint_id"] == states[1]["checkpoint_id"], "{state:#}");
    let contents = column(&state["values"]["messages"], "content");
    ensure!(contents == ["hello", "Otherwise"], "{contents:?}");
    let history = session.of_thread("get_thread_history", &thread).await?;
    ensure!(column(&history, "checkpoint_id").len() == 4, "the first branch is gone: {history:#}");
    Ok(())
}

async fn thread_without_a_graph_cannot_be_updated(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let request = Request::to("update_thread_state")?.path("thread_id", &thread);
    let answer = session.send(&request.body(json!({ "values": { "messages": [] } }))).await?;
    let told = answer.detail().is_some_and(|detail| detail.contains(&thread));
    ensure!(answer.status == 400 && told, "{}", answer.describe());
    Ok(())
}

async fn history_is_newest_first(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    let seen: Vec<_> = states
        .iter()
        .map(|state| json!([state["metadata"]["source"], state["metadata"]["step"], state["next"]]))
        .collect();
    let expected = json!([["loop", 1, []], ["loop", 0, ["reply"]], ["input", -1, ["__start__"]]]);
    ensure!(json!(seen) == expected, "{seen:?}");
    let parents: Vec<_> =
        states.iter().map(|state| state["parent_checkpoint_id"].clone()).collect();
    ensure!(
        parents[..2] == column(&json!(states), "checkpoint_id")[1..] && parents[2].is_null(),
        "{parents:?}"
    );
    let by_post =
        session.post_to("get_thread_history_post", &thread, json!({ "limit": 10 })).await?;
    ensure!(by_post == json!(states), "by POST {by_post:#}");
    Ok(())
}

async fn page_goes_on_before_a_checkpoint(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    let before = text(&states[0], "checkpoint_id")?;
    let request = Request::to("get_thread_history")?.path("thread_id", &thread);
    let found = session.call(request.query("limit", 1).query("before", &before)).await?;
    ensure!(found == json!([states[1]]), "{found:#}");
    for form in
        [json!({ "checkpoint_id": before }), json!({ "configurable": { "checkpoint_id": before } })]
    {
        let body = json!({ "limit": 10, "before": form });
        let found = session.post_to("get_thread_history_post", &thread, body).await?;
        ensure!(found == json!(states[1..]), "{form}: {found:#}");
    }
    Ok(())
}

async fn metadata_is_a_filter(session: &Session) -> Result<()> {
    let (thread, states) = checkpoints_of_one_turn(session).await?;
    let one = json!({ "checkpoint_id": states[1]["checkpoint_id"] });
    for (filter, expected) in [
        (json!({ "metadata": { "source": "input" } }), json!([states[2]])),
        (json!({ "metadata": { "step": 1 } }), json!([states[0]])),
        (json!({ "metadata": { "step": 7 } }), json!([])),
        (json!({ "checkpoint": one }), json!([states[1]])),
    ] {
        let request = Request::to("get_thread_history_post")?.path("thread_id", &thread);
        let found = session.call(request.body(json!({ "limit": 10 })).with(filter.clone())).await?;
        ensure!(found == expected, "{filter}: {found:#}");
    }
    Ok(())
}
