//! The stories: what is done first, and what is sent then. Texts are those of the reference.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Stage, Told};
use crate::{
    fixtures::{NEVER, new_id, text},
    request::Request,
    session::Session,
};

const BOTH_GIVEN: &str = "Cannot specify both configurable and context. Prefer setting context alone. Context was \
                          introduced in LangGraph 0.6.0 and is the long term planned replacement for configurable.";
const BUSY: &str = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.";

/// A node that no graph has.
const NO_NODE: &str = "no-such-node";

/// Graphs of `tests/project` that do not work.
const REFUSING: &str = "refusing";
const NOT_A_GRAPH: &str = "not_a_graph";

/// Nothing comes first.
pub(super) async fn plain(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain))
}

pub(super) async fn notification(stage: Stage<'_>) -> Result<Told> {
    let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    Ok(Told::Send(stage.plain.body(message)))
}

pub(super) async fn answer_of_a_client(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.body(json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))))
}

pub(super) async fn session_of_tools(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.header("Mcp-Session-Id", new_id())))
}

/// A message that JSON knows and the protocol does not.
pub(super) async fn no_message(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.body(json!({ "no": "message" }))))
}

pub(super) async fn card_of_no_id(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.path("assistant_id", "no-id")))
}

pub(super) async fn cron_that_never_fires(stage: Stage<'_>) -> Result<Told> {
    let never = json!({ "schedule": "0 0 30 2 *" });
    Ok(Told::Refused(stage.plain.with(never), "failed to find next date".to_owned()))
}

pub(super) async fn cron_of_unknown_assistant(stage: Stage<'_>) -> Result<Told> {
    let id = new_id();
    let detail = format!("Assistant '{id}' not found");
    Ok(Told::Refused(stage.plain.with(json!({ "assistant_id": id })), detail))
}

pub(super) async fn patch_of_nothing(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Refused(stage.plain.body(json!({})), "Request body cannot be empty".to_owned()))
}

pub(super) async fn item_without_namespace(stage: Stage<'_>) -> Result<Told> {
    let nowhere = json!({ "namespace": [] });
    Ok(Told::Refused(stage.plain.with(nowhere), "Namespace cannot be empty.".to_owned()))
}

pub(super) async fn search_with_unknown_operator(stage: Stage<'_>) -> Result<Told> {
    let odd = json!({ "filter": { "a": { "$odd": 1 } } });
    Ok(Told::Refused(stage.plain.with(odd), "Unsupported operator: $odd".to_owned()))
}

pub(super) async fn agent_card(stage: Stage<'_>) -> Result<Told> {
    let made = json!({ "graph_id": stage.session.graph_id });
    let made = Request::to("create_assistant")?.body(made);
    let made = stage.session.call(made).await?;
    let id = made["assistant_id"].as_str().context("no assistant")?;
    Ok(Told::Send(stage.plain.path("assistant_id", id).query("assistant_id", id)))
}

pub(super) async fn configurable_and_context(stage: Stage<'_>) -> Result<Told> {
    let both =
        json!({ "config": { "configurable": { "model": "a" } }, "context": { "model": "b" } });
    Ok(Told::Refused(stage.plain.with(both), BOTH_GIVEN.to_owned()))
}

pub(super) async fn unknown_graph(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.with(json!({ "graph_id": "no-such-graph" }))))
}

pub(super) async fn assistant_exists(stage: Stage<'_>) -> Result<Told> {
    let id = new_id();
    let request = stage.plain.with(json!({ "assistant_id": id }));
    stage.session.call(request.clone()).await?;
    Ok(Told::Refused(request, format!("Assistant {id} already exists")))
}

pub(super) async fn unknown_assistant(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.path("assistant_id", new_id())))
}

pub(super) async fn graph_refuses(stage: Stage<'_>) -> Result<Told> {
    match assistant_of(stage.session, REFUSING).await? {
        Some(id) => Ok(Told::Refused(
            stage.plain.path("assistant_id", id),
            "This graph refuses.".to_owned(),
        )),
        None => Ok(lacks(REFUSING)),
    }
}

pub(super) async fn not_a_graph(stage: Stage<'_>) -> Result<Told> {
    match assistant_of(stage.session, NOT_A_GRAPH).await? {
        Some(id) => Ok(Told::Send(stage.plain.path("assistant_id", id))),
        None => Ok(lacks(NOT_A_GRAPH)),
    }
}

pub(super) async fn supersteps_without_graph(stage: Stage<'_>) -> Result<Told> {
    let update = json!({ "values": {}, "as_node": stage.session.node });
    Ok(Told::Send(stage.plain.with(json!({ "supersteps": [{ "updates": [update] }] }))))
}

pub(super) async fn supersteps_of_unknown_node(stage: Stage<'_>) -> Result<Told> {
    let body = json!({
        "metadata": { "graph_id": stage.session.graph_id },
        "supersteps": [{ "updates": [{ "values": {}, "as_node": NO_NODE }] }],
    });
    Ok(Told::Refused(stage.plain.with(body), format!("Node {NO_NODE} does not exist")))
}

pub(super) async fn thread_exists(stage: Stage<'_>) -> Result<Told> {
    let id = new_id();
    let request = stage.plain.with(json!({ "thread_id": id }));
    stage.session.call(request.clone()).await?;
    Ok(Told::Refused(request, format!("Thread with ID {id} already exists")))
}

pub(super) async fn copy_of_nothing(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Refused(stage.plain.path("thread_id", new_id()), "Conflict".to_owned()))
}

pub(super) async fn ids_not_uuids(stage: Stage<'_>) -> Result<Told> {
    let request = Request::to(stage.plain.operation.name)?.body(json!({ "ids": ["x"] }));
    Ok(Told::Refused(request, "Invalid thread ID x".to_owned()))
}

pub(super) async fn update_by_unknown_node(stage: Stage<'_>) -> Result<Told> {
    let request = stage.plain.with(json!({ "as_node": NO_NODE }));
    Ok(Told::Refused(request, format!("Node {NO_NODE} does not exist")))
}

pub(super) async fn update_of_busy_thread(stage: Stage<'_>) -> Result<Told> {
    occupy(&stage).await?;
    let text = "Thread is busy with a running job. Cannot update state.";
    Ok(Told::Refused(stage.plain, text.to_owned()))
}

pub(super) async fn minimal(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.header("Prefer", "return=minimal")))
}

pub(super) async fn busy_thread(stage: Stage<'_>) -> Result<Told> {
    occupy(&stage).await?;
    let request = stage.plain.with(json!({ "multitask_strategy": "reject" }));
    Ok(Told::Refused(request, BUSY.to_owned()))
}

pub(super) async fn waiting(stage: Stage<'_>) -> Result<Told> {
    Ok(Told::Send(stage.plain.query("wait", true)))
}

pub(super) async fn resume_without_thread(stage: Stage<'_>) -> Result<Told> {
    let request = stage.plain.with(json!({ "command": { "resume": "yes" } }));
    Ok(Told::Refused(request, "You must provide a thread_id when resuming.".to_owned()))
}

/// The run of an idempotency key has ended, and its thread went with it.
pub(super) async fn key_of_a_gone_run(stage: Stage<'_>) -> Result<Told> {
    let temporary = json!({ "on_completion": "delete", "stream_resumable": false });
    let request = stage.plain.with(temporary).header("Idempotency-Key", new_id());
    let answer = stage.session.send(&request).await?;
    if request.operation.name == "create_stateless_run" {
        let run = text(&answer.success()?, "run_id")?;
        let join = Request::to("join_stateless_run_stream")?.path("run_id", run);
        stage.session.send(&join).await?;
    }
    Ok(Told::Send(request))
}

pub(super) async fn run_of_unknown_assistant(stage: Stage<'_>) -> Result<Told> {
    let request = stage.plain.with(json!({ "assistant_id": new_id() }));
    Ok(Told::Refused(request, "Thread or assistant not found.".to_owned()))
}

pub(super) async fn cancel_of_unknown_run(stage: Stage<'_>) -> Result<Told> {
    let request = stage.plain.with(json!({ "run_ids": [new_id()] }));
    Ok(Told::Refused(request, "No runs found to cancel.".to_owned()))
}

pub(super) async fn batch_that_resumes(stage: Stage<'_>) -> Result<Told> {
    let bad = json!({ "command": { "resume": "yes" } });
    let request = batch_with(&stage, bad);
    Ok(Told::Refused(request, "You must provide a thread_id when resuming.".to_owned()))
}

pub(super) async fn batch_of_unknown_assistant(stage: Stage<'_>) -> Result<Told> {
    let request = batch_with(&stage, json!({ "assistant_id": new_id() }));
    Ok(Told::Refused(request, "Thread or assistant not found.".to_owned()))
}

/// A batch of a good member and one with `members` added.
fn batch_with(stage: &Stage<'_>, members: Value) -> Request {
    let (good, mut bad) = (stage.session.says("hello"), stage.session.says("hello"));
    if let (Some(bad), Some(members)) = (bad.as_object_mut(), members.as_object()) {
        bad.extend(members.clone());
    }
    stage.plain.clone().body(json!([good, bad]))
}

/// Puts a run on the request's thread that waits for its time.
async fn occupy(stage: &Stage<'_>) -> Result<()> {
    let thread = stage.plain.path.get("thread_id").context("the operation has no thread")?;
    let later = json!({ "after_seconds": NEVER });
    let run = Request::to("create_run")?.path("thread_id", thread);
    stage.session.call(run.body(stage.session.says("hello")).with(later)).await.map(drop)
}

/// The default assistant of a graph, if the server has the graph.
async fn assistant_of(session: &Session, graph_id: &str) -> Result<Option<String>> {
    let body = json!({ "metadata": { "created_by": "system" }, "limit": 1000 });
    let found = session.call(Request::to("search_assistants")?.body(body)).await?;
    let found = found.as_array().cloned().unwrap_or_default();
    let assistant = found.iter().find(|assistant| assistant["graph_id"] == graph_id);
    Ok(assistant
        .and_then(|assistant: &Value| assistant["assistant_id"].as_str())
        .map(str::to_owned))
}

fn lacks(graph_id: &str) -> Told {
    Told::Skip(format!("the server has no graph {graph_id}; tests/project has"))
}
