//! Tag Threads.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    behaviours,
    helpers::{column, done, only, refused, same, turn},
};
use crate::{
    answer::Answer,
    fixtures::{NEVER, new_id, text},
    names::Names,
    request::Request,
    session::Session,
};

behaviours! {
    create_thread: fresh_thread_is_idle_and_empty;
    create_thread: existing_thread_is_returned_unchanged_on_request;
    create_thread: reserved_metadata_is_left_out;
    get_thread: thread_shows_what_its_run_left;
    get_thread: failed_run_leaves_its_error;
    get_thread: interrupt_is_shown_until_it_is_answered;
    get_thread: waiting_run_makes_a_thread_busy;
    patch_thread: metadata_is_merged_and_state_untouched;
    patch_thread: content_is_left_out_on_request;
    delete_thread: deleted_thread_is_gone_with_its_runs;
    search_threads: filters_are_combined;
    search_threads: pages_follow_each_other;
    search_threads: selection_leaves_out_the_rest;
    count_threads: count_is_what_a_search_finds;
}

async fn fresh_thread_is_idle_and_empty(session: &Session) -> Result<()> {
    let made = session.post("create_thread", json!({})).await?;
    let expected = json!({
        "thread_id": "<thread 1>",
        "created_at": "<time 1>",
        "updated_at": "<time 1>",
        "state_updated_at": "<time 1>",
        "metadata": {},
        "config": {},
        "status": "idle",
        "values": null,
        "interrupts": {},
    });
    same(&made, &expected)?;
    let found = session.of_thread("get_thread", &text(&made, "thread_id")?).await?;
    ensure!(made == found, "created {made}\nfound   {found}");
    Ok(())
}

async fn existing_thread_is_returned_unchanged_on_request(session: &Session) -> Result<()> {
    let first = session.post("create_thread", json!({ "metadata": { "k": 1 } })).await?;
    let again = json!({
        "thread_id": first["thread_id"],
        "metadata": { "k": 2 },
        "if_exists": "do_nothing",
    });
    let again = session.post("create_thread", again).await?;
    ensure!(first == again, "first {first}\nagain {again}");
    Ok(())
}

async fn reserved_metadata_is_left_out(session: &Session) -> Result<()> {
    let metadata =
        json!({ "thread_id": "a", "run_id": "b", "assistant_id": "c", "graph_id": "g", "k": 1 });
    let made = session.post("create_thread", json!({ "metadata": metadata })).await?;
    same(&made["metadata"], &json!({ "graph_id": "g", "k": 1 }))
}

async fn thread_shows_what_its_run_left(session: &Session) -> Result<()> {
    let thread = session.thread(json!({ "metadata": { "user": "u" } })).await?;
    let result = session.say(&thread, "hello").await?;
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["values"] == result, "the run gave {result}\nthe thread has {}", found["values"]);
    let expected = json!({
        "thread_id": "<thread 1>",
        "created_at": "<time 1>",
        "updated_at": "<time 2>",
        "state_updated_at": "<time 2>",
        "metadata": { "user": "u", "graph_id": session.graph_id, "assistant_id": "<assistant 1>" },
        "config": { "configurable": {} },
        "status": "idle",
        "values": { "messages": turn("hello", "You said: hello") },
        "interrupts": {},
        "error": null,
    });
    same(&found, &expected)
}

async fn failed_run_leaves_its_error(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let error = json!({ "error": "ValueError", "message": "You asked for it." });
    same(&session.say(&thread, "fail").await?, &json!({ "__error__": error }))?;
    let members = ["status", "error", "interrupts"];
    let found = session.of_thread("get_thread", &thread).await?;
    let expected = json!({ "status": "error", "error": error, "interrupts": {} });
    same(&only(&found, &members), &expected)?;
    session.say(&thread, "hello").await?;
    let found = session.of_thread("get_thread", &thread).await?;
    same(&only(&found, &members), &json!({ "status": "idle", "error": null, "interrupts": {} }))
}

async fn interrupt_is_shown_until_it_is_answered(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let stopped = session.say(&thread, "ask name?").await?;
    let asked = stopped["__interrupt__"][0].clone();
    same(&asked["value"], &json!({ "question": "name?" }))?;
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["status"] == "interrupted" && found["error"].is_null(), "{found}");
    let state = session.of_thread("get_thread_state", &thread).await?;
    let task = text(&state["tasks"][0], "id")?;
    let pending = json!([{ "id": asked["id"], "value": { "question": "name?" } }]);
    same(&found["interrupts"], &Names::default().of(&json!({ task: pending })))?;
    ensure!(state["next"] == json!(["reply"]), "{state}");
    ensure!(state["interrupts"] == pending, "{}", state["interrupts"]);
    let answer = json!({ "assistant_id": session.assistant, "command": { "resume": "Ada" } });
    let result = session.post_to("wait_run", &thread, answer).await?;
    same(&result, &json!({ "messages": turn("ask name?", "You answered: Ada") }))?;
    let found = session.of_thread("get_thread", &thread).await?;
    same(&only(&found, &["status", "interrupts"]), &json!({ "status": "idle", "interrupts": {} }))
}

async fn waiting_run_makes_a_thread_busy(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let run = Request::to("create_run")?.path("thread_id", &thread).body(session.says("hello"));
    let run = session.call(run.with(json!({ "after_seconds": NEVER }))).await?;
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["status"] == "busy", "{found}");
    let cancel =
        Request::to("cancel_run")?.path("thread_id", &thread).path("run_id", text(&run, "run_id")?);
    session.call(cancel.query("wait", true)).await?;
    let found = session.of_thread("get_thread", &thread).await?;
    ensure!(found["status"] == "idle", "{found}");
    Ok(())
}

async fn metadata_is_merged_and_state_untouched(session: &Session) -> Result<()> {
    let thread = session.thread(json!({ "metadata": { "kept": 1, "nested": { "a": 1 } } })).await?;
    let change = json!({ "metadata": { "nested": { "b": 2 }, "new": null } });
    let patched = session.post_to("patch_thread", &thread, change).await?;
    let expected = json!({
        "thread_id": "<thread 1>",
        "created_at": "<time 1>",
        "updated_at": "<time 2>",
        "state_updated_at": "<time 1>",
        "metadata": { "kept": 1, "nested": { "b": 2 }, "new": null },
        "config": {},
        "status": "idle",
        "values": null,
        "interrupts": {},
    });
    same(&patched, &expected)?;
    same(&session.of_thread("get_thread", &thread).await?, &expected)?;
    let unknown = Request::to("patch_thread")?.path("thread_id", new_id()).body(json!({}));
    refused(&session.send(&unknown).await?, 404, "Not Found")
}

async fn content_is_left_out_on_request(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let patch = Request::to("patch_thread")?.path("thread_id", &thread);
    let patch = patch.header("Prefer", "return=minimal").body(json!({ "metadata": { "k": 1 } }));
    done(&session.send(&patch).await?)?;
    same(&session.of_thread("get_thread", &thread).await?["metadata"], &json!({ "k": 1 }))
}

async fn deleted_thread_is_gone_with_its_runs(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    session.say(&thread, "hello").await?;
    let runs = session.of_thread("list_runs", &thread).await?;
    let run = text(&runs[0], "run_id")?;
    let delete = Request::to("delete_thread")?.path("thread_id", &thread);
    done(&session.send(&delete).await?)?;
    for operation in
        ["get_thread", "get_thread_state", "get_thread_history", "list_runs", "delete_thread"]
    {
        let answer = session.send(&Request::to(operation)?.path("thread_id", &thread)).await?;
        missing(&answer, &thread)?;
    }
    let answer = session.send(&Request::to("get_stateless_run")?.path("run_id", run)).await?;
    ensure!(answer.status == 404, "the run is still there: {}", answer.describe());
    Ok(())
}

/// Checks that an answer says that the thread is not there.
fn missing(answer: &Answer, thread: &str) -> Result<()> {
    let told = answer.detail() == Some(format!("Thread with ID {thread} not found"));
    ensure!(answer.status == 404 && told, "{}", answer.describe());
    Ok(())
}

async fn filters_are_combined(session: &Session) -> Result<()> {
    let group = new_id();
    let metadata =
        |name: &str| json!({ "metadata": { "group": group, "name": name, "tags": ["a", name] } });
    let silent = session.thread(metadata("silent")).await?;
    let spoken = session.thread(metadata("spoken")).await?;
    session.say(&spoken, "hello").await?;
    let failed = session.thread(metadata("failed")).await?;
    session.say(&failed, "fail").await?;
    for (filter, expected) in [
        (json!({}), vec!["failed", "spoken", "silent"]),
        (json!({ "status": "idle" }), vec!["spoken", "silent"]),
        (json!({ "status": "error" }), vec!["failed"]),
        (json!({ "ids": [silent, failed] }), vec!["failed", "silent"]),
        (json!({ "ids": [silent], "status": "error" }), vec![]),
        (json!({ "values": { "messages": [{ "content": "You said: hello" }] } }), vec!["spoken"]),
        (json!({ "metadata": { "group": group, "tags": ["silent"] } }), vec!["silent"]),
        (
            json!({ "sort_by": "created_at", "sort_order": "asc" }),
            vec!["silent", "spoken", "failed"],
        ),
    ] {
        let request =
            Request::to("search_threads")?.body(json!({ "metadata": { "group": group } }));
        let found = session.call(request.with(filter.clone())).await?;
        let names: Vec<_> =
            column(&found, "metadata").iter().map(|of| of["name"].clone()).collect();
        ensure!(names == expected, "{filter} finds {found:#}");
    }
    Ok(())
}

async fn pages_follow_each_other(session: &Session) -> Result<()> {
    let group = new_id();
    for number in 1..=3 {
        session.thread(json!({ "metadata": { "group": group, "number": number } })).await?;
    }
    for (limit, offset, numbers, next, total) in [
        (2, 0, vec![3, 2], Some("2"), "3"),
        (2, 2, vec![1], None, "3"),
        (3, 0, vec![3, 2, 1], None, "3"),
        (2, 5, vec![], None, "5"),
    ] {
        let body = json!({ "metadata": { "group": group }, "limit": limit, "offset": offset });
        let answer = session.send(&Request::to("search_threads")?.body(body)).await?;
        let found = column(&answer.success()?, "metadata");
        let found: Vec<_> = found.iter().map(|metadata| metadata["number"].clone()).collect();
        ensure!(found == numbers, "offset {offset} finds {found:?}");
        ensure!(
            answer.header("x-pagination-next") == next,
            "offset {offset}: {:?}",
            answer.headers
        );
        ensure!(
            answer.header("x-pagination-total") == Some(total),
            "offset {offset}: {:?}",
            answer.headers
        );
    }
    Ok(())
}

async fn selection_leaves_out_the_rest(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let body = json!({ "ids": [thread], "select": ["thread_id", "values", "status"] });
    let found = session.post("search_threads", body).await?;
    same(&found, &json!([{ "thread_id": "<thread 1>", "values": null, "status": "idle" }]))
}

async fn count_is_what_a_search_finds(session: &Session) -> Result<()> {
    let group = new_id();
    let thread = session.thread(json!({ "metadata": { "group": group } })).await?;
    session.thread(json!({ "metadata": { "group": group } })).await?;
    session.say(&thread, "fail").await?;
    for (filter, expected) in
        [(json!({}), 2), (json!({ "status": "error" }), 1), (json!({ "status": "busy" }), 0)]
    {
        let request = Request::to("count_threads")?.body(json!({ "metadata": { "group": group } }));
        let count = session.call(request.with(filter)).await?;
        ensure!(count == expected, "{count} instead of {expected}");
    }
    Ok(())
}
