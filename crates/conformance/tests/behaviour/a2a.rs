//! Tag A2A.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, only, same},
};
use crate::{
    fixtures::{new_id, text},
    request::Request,
    session::Session,
};

behaviours! {
    post_a2a: message_is_answered_in_both_dialects;
    post_a2a: question_is_answered;
    post_a2a: failed_run_is_a_failed_task;
    post_a2a: task_is_read_and_listed;
    post_a2a: mistakes_have_the_codes_of_the_protocol;
    get_agent_card: card_stands_at_the_address;
    get_well_known_agent_card: card_stands_below_the_address;
    get_default_agent_card: card_stands_at_the_root;
}

/// An assistant of the suite's graph.
async fn agent(session: &Session) -> Result<String> {
    session.new_assistant(json!({ "name": "an agent" })).await
}

async fn send(session: &Session, agent: &str, method: &str, params: Value) -> Result<Value> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = Request::to("post_a2a")?.path("assistant_id", agent);
    session.call(request.header("Accept", "application/json").body(message)).await
}

fn says(words: &str, more: Value) -> Value {
    let parts = json!([{ "kind": "text", "text": words }]);
    let mut message = json!({ "role": "user", "messageId": new_id(), "parts": parts });
    for (name, value) in more.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    json!({ "message": message })
}

async fn message_is_answered_in_both_dialects(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let old = send(session, &agent, "message/send", says("hello", json!({}))).await?;
    let new = send(session, &agent, "SendMessage", says("hello", json!({}))).await?;
    let (old, new) = (&old["result"], &new["result"]["task"]);
    ensure!(old["kind"] == "task" && old["status"]["state"] == "completed", "{old:#}");
    ensure!(new["status"]["state"] == "TASK_STATE_COMPLETED", "{new:#}");
    let parts = |task: &Value| task["artifacts"][0]["parts"].clone();
    same(&parts(old), &json!([{ "kind": "text", "text": "You said: hello" }]))?;
    same(&parts(new), &json!([{ "text": "You said: hello" }]))?;
    same(&json!(column(&old["history"], "role")), &json!(["user", "agent"]))?;
    same(&json!(column(&new["history"], "role")), &json!(["ROLE_USER", "ROLE_AGENT"]))
}

async fn question_is_answered(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let task = send(session, &agent, "message/send", says("ask me", json!({}))).await?;
    let task = &task["result"];
    ensure!(task["status"]["state"] == "input-required", "{task:#}");
    ensure!(task["artifacts"][0]["name"] == "Interrupt", "{task:#}");
    let names = json!({ "taskId": task["id"], "contextId": task["contextId"] });
    let done = send(session, &agent, "message/send", says("yes", names)).await?;
    let members = json!({ "id": task["id"], "contextId": task["contextId"] });
    ensure!(only(&done["result"], &["id", "contextId"]) == members, "{done:#}");
    ensure!(done["result"]["status"]["state"] == "completed", "{done:#}");
    Ok(())
}

async fn failed_run_is_a_failed_task(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let task = send(session, &agent, "message/send", says("fail", json!({}))).await?;
    let status = &task["result"]["status"];
    ensure!(status["state"] == "failed", "{task:#}");
    let told = status["message"]["parts"][0]["text"].as_str().unwrap_or_default();
    ensure!(told.starts_with("Error executing assistant: "), "{task:#}");
    Ok(())
}

async fn task_is_read_and_listed(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let task = send(session, &agent, "message/send", says("hello", json!({}))).await?;
    let task = &task["result"];
    let read = send(session, &agent, "tasks/get", json!({ "id": task["id"] })).await?;
    let members = ["id", "contextId", "history", "artifacts"];
    ensure!(only(&read["result"], &members) == only(task, &members), "{read:#}");
    let listed = send(session, &agent, "ListTasks", json!({ "historyLength": 0 })).await?;
    let ids = column(&listed["result"]["tasks"], "id");
    ensure!(ids == [task["id"].clone()], "{listed:#}");
    let again = says("more", json!({ "taskId": task["id"], "contextId": task["contextId"] }));
    let refused = send(session, &agent, "message/send", again).await?;
    let error =
        json!({ "code": -32004, "message": "A terminal task cannot accept another message" });
    same(&refused["error"], &error)
}

async fn mistakes_have_the_codes_of_the_protocol(session: &Session) -> Result<()> {
    let (agent, nobody) = (agent(session).await?, new_id());
    for (agent, method, params, code, message) in [
        (&agent, "foo", json!({}), -32601, "Method not found: foo".to_owned()),
        (&agent, "tasks/get", json!({ "id": "x" }), -32001, "Task not found: x".to_owned()),
        (
            &nobody,
            "message/send",
            says("hello", json!({})),
            -32602,
            format!("Assistant '{nobody}' not found"),
        ),
    ] {
        let answer = send(session, agent, method, params).await?;
        let error = json!({ "code": code, "message": message });
        ensure!(answer == json!({ "jsonrpc": "2.0", "id": 1, "error": error }), "{answer:#}");
    }
    Ok(())
}

fn check_card(card: &Value, agent: &str) -> Result<()> {
    let members = ["name", "description", "preferredTransport", "version"];
    let expected = json!({
        "name": "an agent",
        "description": "an agent assistant",
        "preferredTransport": "JSONRPC",
        "version": "0.16.7",
    });
    same(&only(card, &members), &expected)?;
    let url = text(card, "url")?;
    ensure!(url.ends_with(&format!("/a2a/{agent}")), "{url}");
    ensure!(card["supportedInterfaces"][0]["url"] == url.as_str(), "{card:#}");
    ensure!(card["skills"][0]["metadata"]["inputSchema"]["supportsA2A"] == true, "{card:#}");
    Ok(())
}

async fn card_stands_at_the_address(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let request = Request::to("get_agent_card")?.path("assistant_id", &agent);
    check_card(&session.call(request).await?, &agent)
}

async fn card_stands_below_the_address(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let request = Request::to("get_well_known_agent_card")?.path("assistant_id", &agent);
    check_card(&session.call(request).await?, &agent)
}

async fn card_stands_at_the_root(session: &Session) -> Result<()> {
    let agent = agent(session).await?;
    let request = Request::to("get_default_agent_card")?.query("assistant_id", &agent);
    check_card(&session.call(request).await?, &agent)
}
