//! Tag Crons.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, done, only, refused, same},
};
use crate::{
    answer::Answer,
    fixtures::{new_id, text},
    request::Request,
    session::Session,
};

behaviours! {
    create_cron: a_cron_keeps_the_request_that_made_it;
    create_cron: schedules_that_are_none_are_refused;
    create_thread_cron: a_cron_of_a_thread_fires_on_it;
    get_cron: a_stored_cron_is_returned_whole;
    patch_cron: a_patch_changes_what_it_names;
    delete_cron: a_deleted_cron_is_gone;
    search_crons: filters_are_combined;
    search_crons: pages_follow_each_other;
    count_crons: count_is_what_a_search_finds;
}

/// A time that does not come while the suite runs, or at most once in a year of suites.
const NEVER_SOON: &str = "0 0 1 1 *";
/// How long a cron that fires every second may take to do so on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cron without a thread, with further members.
async fn cron(session: &Session, members: Value) -> Result<Value> {
    let body = json!({ "assistant_id": session.assistant, "schedule": NEVER_SOON });
    session.call(Request::to("create_cron")?.body(body).with(members)).await
}

/// Calls an operation of a cron that has no body.
async fn of_cron(session: &Session, operation: &str, id: &str) -> Result<Answer> {
    session.send(&Request::to(operation)?.path("cron_id", id)).await
}

async fn a_cron_keeps_the_request_that_made_it(session: &Session) -> Result<()> {
    let made = cron(
        session,
        json!({
            "input": { "b": 1, "a": null }, "metadata": { "m": 1 }, "timezone": "Europe/Paris",
            "end_time": "2090-01-01T01:00:00+01:00", "config": { "tags": ["t"] }, "unknown": [1],
        }),
    )
    .await?;
    let next = text(&made, "next_run_date")?;
    ensure!(next.ends_with("-12-31T23:00:00+00:00"), "{next} is no new year in Paris");
    ensure!(made["end_time"] == "2090-01-01T00:00:00+00:00", "{}", made["end_time"]);
    let mut rest = made.clone();
    rest["end_time"] = json!("");
    let expected = json!({
        "cron_id": "<cron 1>",
        "assistant_id": "<assistant 1>",
        "thread_id": null,
        "user_id": "",
        "end_time": "",
        "schedule": NEVER_SOON,
        "timezone": "Europe/Paris",
        "payload": {
            "assistant_id": "<assistant 1>",
            "schedule": NEVER_SOON,
            "input": { "b": 1, "a": null },
            "metadata": { "m": 1 },
            "timezone": "Europe/Paris",
            "end_time": "2090-01-01T01:00:00+01:00",
            "config": { "tags": ["t"], "configurable": { "cron_id": "<cron 1>" } },
            "unknown": [1],
        },
        "next_run_date": "<time 2>",
        "metadata": { "m": 1 },
        "on_run_completed": "delete",
        "enabled": true,
        "created_at": "<time 1>",
        "updated_at": "<time 1>",
    });
    same(&rest, &expected)
}

async fn schedules_that_are_none_are_refused(session: &Session) -> Result<()> {
    for (schedule, status, start) in [
        ("bogus", 422, "Invalid cron schedule: 'bogus'. Reason: "),
        ("60 * * * *", 422, "Invalid cron schedule: '60 * * * *'. Reason: "),
        ("* * * *", 422, "Invalid cron schedule: '* * * *'. Reason: "),
        ("0 0 30 2 *", 400, "failed to find next date"),
    ] {
        let body = json!({ "assistant_id": session.assistant, "schedule": schedule });
        let answer = session.send(&Request::to("create_cron")?.body(body)).await?;
        ensure!(answer.status == status, "{schedule}: {}", answer.describe());
        let detail = answer.detail().unwrap_or_default();
        ensure!(detail.starts_with(start), "{schedule}: {detail}");
    }
    Ok(())
}

async fn a_cron_of_a_thread_fires_on_it(session: &Session) -> Result<()> {
    let thread = session.thread(json!({})).await?;
    let body = json!({ "schedule": "* * * * * *", "metadata": { "m": 1 } });
    let create = Request::to("create_thread_cron")?.path("thread_id", &thread);
    let made = session.call(create.body(session.says("hello")).with(body)).await?;
    let fixed = ["thread_id", "on_run_completed", "schedule"];
    let expected =
        json!({ "thread_id": thread, "on_run_completed": null, "schedule": "* * * * * *" });
    ensure!(only(&made, &fixed) == expected, "{made}");
    let begin = Instant::now();
    let runs = loop {
        let runs = session.of_thread("list_runs", &thread).await?;
        if runs.as_array().is_some_and(|runs| !runs.is_empty()) {
            break runs;
        }
        ensure!(begin.elapsed() < PATIENCE, "no run within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let id = text(&made, "cron_id")?;
    done(&of_cron(session, "delete_cron", &id).await?)?;
    let run = &runs[0];
    ensure!(run["kwargs"]["config"]["configurable"]["cron_id"] == id.as_str(), "{run}");
    let expected = json!({
        "created_by": "system", "m": 1, "graph_id": session.graph_id, "assistant_id": run["assistant_id"],
    });
    ensure!(run["metadata"] == expected, "{run}");
    let end = session.of_run("join_run", &thread, &text(run, "run_id")?).await?.success()?;
    ensure!(end["messages"][1]["content"] == "You said: hello", "{end}");
    Ok(())
}

async fn a_stored_cron_is_returned_whole(session: &Session) -> Result<()> {
    let made = cron(session, json!({ "metadata": { "m": 1 } })).await?;
    let found = of_cron(session, "get_cron", &text(&made, "cron_id")?).await?.success()?;
    ensure!(found == made, "{found} is not {made}");
    refused(&of_cron(session, "get_cron", &new_id()).await?, 404, "Not Found")
}

async fn a_patch_changes_what_it_names(session: &Session) -> Result<()> {
    let before =
        json!({ "metadata": { "a": 1, "b": { "c": 2 } }, "end_time": "2090-01-01T00:00:00Z" });
    let made = cron(session, before).await?;
    let id = text(&made, "cron_id")?;
    let marked = json!({ "configurable": { "cron_id": id } });
    let patch =
        async |body| session.call(Request::to("patch_cron")?.path("cron_id", &id).body(body)).await;

    let changed = patch(json!({ "metadata": { "b": { "d": 3 } } })).await?;
    same(&changed["metadata"], &json!({ "a": 1, "b": { "d": 3 } }))?;
    same(&changed["payload"]["metadata"], &json!({ "b": { "d": 3 } }))?;
    ensure!(changed["next_run_date"] == made["next_run_date"], "{changed} has another date");

    let changed =
        patch(json!({ "config": {}, "assistant_id": new_id(), "end_time": null })).await?;
    ensure!(changed["payload"]["config"] == marked, "{changed} has lost its mark");
    ensure!(changed["assistant_id"] == made["assistant_id"], "{changed} has another assistant");
    ensure!(changed["end_time"].is_null(), "{changed} still ends");

    let changed =
        patch(json!({ "schedule": "30 8 2 1 *", "timezone": "Asia/Tokyo", "enabled": false }))
            .await?;
    let next = text(&changed, "next_run_date")?;
    ensure!(next.ends_with("-01-01T23:30:00+00:00"), "{next}");
    ensure!(changed["enabled"] == false, "{changed} is not switched off");
    let found = of_cron(session, "get_cron", &id).await?.success()?;
    ensure!(found == changed, "{found} is not {changed}");

    let unknown = new_id();
    let request =
        Request::to("patch_cron")?.path("cron_id", &unknown).body(json!({ "enabled": true }));
    let answer = session.send(&request).await?;
    let detail = Some(format!("Cron '{unknown}' not found"));
    ensure!(answer.status == 404 && answer.detail() == detail, "{}", answer.describe());
    Ok(())
}

async fn a_deleted_cron_is_gone(session: &Session) -> Result<()> {
    let id = text(&cron(session, json!({})).await?, "cron_id")?;
    done(&of_cron(session, "delete_cron", &id).await?)?;
    for operation in ["get_cron", "delete_cron"] {
        refused(&of_cron(session, operation, &id).await?, 404, "Not Found")?;
    }
    Ok(())
}

/// Three crons with a mark that no others have: two without a thread, the second of them switched off, and one with one.
async fn three(session: &Session) -> Result<(Value, Vec<Value>, String)> {
    let thread = session.thread(json!({})).await?;
    let mark = json!({ "mark": thread });
    let first = cron(session, json!({ "metadata": { "mark": thread, "n": 1 } })).await?;
    let second =
        cron(session, json!({ "metadata": mark, "enabled": false, "schedule": "0 0 2 1 *" }))
            .await?;
    let body = json!({
        "assistant_id": session.assistant, "schedule": "0 0 3 1 *", "metadata": mark,
    });
    let third = session.post_to("create_thread_cron", &thread, body).await?;
    Ok((mark, vec![first, second, third], thread))
}

async fn filters_are_combined(session: &Session) -> Result<()> {
    let (mark, crons, thread) = three(session).await?;
    for (body, expected) in [
        (json!({}), vec![2, 1, 0]),
        (json!({ "sort_order": "asc" }), vec![0, 1, 2]),
        (json!({ "sort_by": "cron_id", "sort_order": "asc" }), vec![0, 1, 2]),
        (json!({ "enabled": false }), vec![1]),
        (json!({ "thread_id": thread }), vec![2]),
        (json!({ "thread_id": thread, "enabled": false }), vec![]),
        (json!({ "assistant_id": crons[0]["assistant_id"] }), vec![2, 1, 0]),
        (json!({ "assistant_id": new_id() }), vec![]),
        (json!({ "metadata": { "mark": thread, "n": 1 } }), vec![0]),
    ] {
        let request = Request::to("search_crons")?.body(json!({ "metadata": mark }));
        let found = session.call(request.with(body.clone())).await?;
        let expected: Vec<_> = expected.into_iter().map(|at| crons[at].clone()).collect();
        ensure!(found == Value::from(expected), "{body} finds {found}");
    }
    Ok(())
}

async fn pages_follow_each_other(session: &Session) -> Result<()> {
    let (mark, crons, _) = three(session).await?;
    let page = async |offset| {
        let body = json!({
            "metadata": mark, "limit": 2, "offset": offset, "select": ["cron_id", "timezone"],
        });
        session.send(&Request::to("search_crons")?.body(body)).await
    };
    let shown = |cron: &Value| json!({ "cron_id": cron["cron_id"], "timezone": null });
    let first = page(0).await?;
    ensure!(first.json()? == json!([shown(&crons[2]), shown(&crons[1])]), "{}", first.describe());
    ensure!(first.header("x-pagination-next") == Some("2"), "the first page leads nowhere");
    ensure!(first.header("x-pagination-total") == Some("3"), "the first page has another total");
    let last = page(2).await?;
    ensure!(last.json()? == json!([shown(&crons[0])]), "{}", last.describe());
    ensure!(last.header("x-pagination-next").is_none(), "the last page leads somewhere");
    ensure!(last.header("x-pagination-total") == Some("3"), "the last page has another total");
    Ok(())
}

async fn count_is_what_a_search_finds(session: &Session) -> Result<()> {
    let (mark, _, thread) = three(session).await?;
    for body in [json!({}), json!({ "thread_id": thread }), json!({ "assistant_id": new_id() })] {
        let with = async |operation| {
            session
                .call(Request::to(operation)?.body(json!({ "metadata": mark })).with(body.clone()))
                .await
        };
        let found = column(&with("search_crons").await?, "cron_id").len();
        ensure!(with("count_crons").await? == found, "{body}: not {found}");
    }
    Ok(())
}
