//! Tag Webhooks.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{only, same},
};
use crate::{
    fixtures::{NOBODY, new_id, text},
    request::Request,
    session::Session,
};

behaviours! {
    list_webhook_deliveries: the_end_of_a_run_is_to_be_delivered;
    list_webhook_deliveries: an_unknown_status_matches_nothing;
    replay_webhook_delivery: a_repeated_delivery_starts_anew;
    replay_webhook_delivery: a_run_without_a_webhook_has_no_delivery;
}

async fn the_end_of_a_run_is_to_be_delivered(session: &Session) -> Result<()> {
    let (thread, run) = ended(session, json!({ "webhook": NOBODY })).await?;
    let found = delivery(session, &run).await?;
    let fixed = ["run_id", "thread_id", "url"];
    let expected = json!({ "run_id": run, "thread_id": thread, "url": NOBODY });
    ensure!(only(&found, &fixed) == expected, "{found}");
    ensure!(["pending", "failed"].contains(&text(&found, "status")?.as_str()), "{found}");
    Ok(())
}

async fn an_unknown_status_matches_nothing(session: &Session) -> Result<()> {
    ended(session, json!({ "webhook": NOBODY })).await?;
    let request = Request::to("list_webhook_deliveries")?.query("status", "bogus");
    same(&session.call(request).await?, &json!([]))
}

async fn a_repeated_delivery_starts_anew(session: &Session) -> Result<()> {
    let (_, run) = ended(session, json!({ "webhook": NOBODY })).await?;
    let again = session.call(Request::to("replay_webhook_delivery")?.path("run_id", &run)).await?;
    let names = ["run_id", "url", "status", "attempts"];
    let expected = json!({ "run_id": run, "url": NOBODY, "status": "pending", "attempts": 0 });
    ensure!(only(&again, &names) == expected, "{again}");
    ensure!(again["due_at"] == again["updated_at"], "{again}");
    Ok(())
}

async fn a_run_without_a_webhook_has_no_delivery(session: &Session) -> Result<()> {
    let (_, run) = ended(session, json!({})).await?;
    for id in [run, new_id()] {
        let request = Request::to("replay_webhook_delivery")?.path("run_id", &id);
        let detail = format!("Delivery of run {id} not found");
        let answer = session.send(&request).await?;
        ensure!(answer.status == 404, "{}", answer.describe());
        ensure!(answer.detail() == Some(detail), "{}", answer.describe());
    }
    Ok(())
}

/// A run that has ended; its thread and its id.
async fn ended(session: &Session, members: Value) -> Result<(String, String)> {
    let thread = session.thread(json!({})).await?;
    let create = Request::to("create_run")?.path("thread_id", &thread).body(session.says("hello"));
    let run = text(&session.call(create.with(members)).await?, "run_id")?;
    session.of_run("join_run", &thread, &run).await?.success()?;
    Ok((thread, run))
}

/// The delivery of a run, which is among the newest.
async fn delivery(session: &Session, run: &str) -> Result<Value> {
    let list = Request::to("list_webhook_deliveries")?.query("limit", "1000");
    let all = session.call(list).await?;
    let found = all.as_array().into_iter().flatten().find(|each| each["run_id"] == run);
    Ok(found.cloned().unwrap_or_default())
}
