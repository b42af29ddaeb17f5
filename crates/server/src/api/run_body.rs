//! Bodies of run creations: five wire types, one request of the domain.

use agent_server_api::{Body, types};
use agent_server_domain::{
    runs::kwargs::{RunRequest, Tracer},
    storage::{Map, RawJson, runs::MultitaskStrategy},
};
use serde::Serialize;
use serde_json::Value;

use super::Result;
use crate::{convert, error::invalid};

/// A run creation and what only the handler needs of it.
pub(super) struct RunBody {
    /// For the domain.
    pub(super) request: RunRequest,
    /// Whether the run is cancelled when its client goes away.
    pub(super) cancel_on_disconnect: bool,
}

fn text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

fn modes(modes: Option<types::StreamModes>) -> Vec<String> {
    let modes = match modes.map(|modes| serde_json::to_value(&modes)) {
        Some(Ok(serde_json::Value::String(mode))) => vec![mode],
        Some(Ok(value)) => serde_json::from_value(value).unwrap_or_default(),
        _ => vec![],
    };
    if modes.is_empty() { vec!["values".into()] } else { modes }
}

fn nodes(selection: Option<types::NodeSelection>) -> Option<RawJson> {
    selection.map(|selection| RawJson::of(&selection))
}

/// Fields of the body that all run creations share.
macro_rules! shared {
    ($body:ident) => {{
        let context: Map = super::context($body.context)?.unwrap_or_default();
        RunRequest {
            assistant_id: $body.assistant_id,
            input: $body.input.map(convert::stored).filter(|input| !input.is_null()),
            command: command($body.command),
            config: $body.config.unwrap_or_default(),
            context,
            metadata: $body.metadata.unwrap_or_default(),
            checkpoint: Map::new(),
            interrupt_before: nodes($body.interrupt_before),
            interrupt_after: nodes($body.interrupt_after),
            stream_mode: modes($body.stream_mode),
            stream_subgraphs: $body.stream_subgraphs.unwrap_or(false),
            stream_resumable: $body.stream_resumable.unwrap_or(false),
            webhook: $body.webhook.map(Into::into),
            tracer: tracer($body.langsmith_tracer)?,
            feedback_keys: $body.feedback_keys,
            multitask_strategy: MultitaskStrategy::Enqueue,
            create_thread: false,
            after_seconds: $body.after_seconds.unwrap_or(0.0),
            durability: $body.durability.as_ref().map(text),
            checkpoint_during: $body.checkpoint_during,
            keep_thread: false,
            cron_id: None,
            run_id: None,
        }
    }};
}

/// The command as it was sent: the typed one has lost members that were null.
fn command_of<T>(body: &Body<T>) -> Option<RawJson> {
    let sent = body.field("command")?;
    let members = sent.strip_prefix(b"{")?;
    let is_empty = members.trim_ascii_start() == b"}";
    (!is_empty).then(|| RawJson::trusted(String::from_utf8_lossy(&sent)))
}

/// An empty command is none.
fn command(command: Option<types::Command>) -> Option<RawJson> {
    command.map(|command| RawJson::of(&command)).filter(|command| command.get() != "{}")
}

/// Members that are absent or null are not given.
fn tracer(given: Option<Map>) -> Result<Tracer> {
    let mut given = given.unwrap_or_default();
    let mut text = |member: &str| match given.shift_remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            Err(invalid(format!("Invalid langsmith_tracer: '{member}' is {other}, not a string")))
        }
    };
    Ok(Tracer { project: text("project_name")?, example: text("example_id")? })
}

macro_rules! stateful {
    ($body:ident) => {{
        let mut checkpoint = Map::new();
        if let Some(id) = $body.checkpoint_id.clone() {
            if agent_server_api::parse_uuid(&id).is_none() {
                return Err(invalid("Invalid checkpoint ID"));
            }
            checkpoint.insert("checkpoint_id".into(), id.into());
        }
        if let Some(given) = &$body.checkpoint {
            checkpoint.extend(convert::map(given));
            checkpoint.shift_remove("thread_id");
        }
        let strategy =
            $body.multitask_strategy.map(convert::multitask_strategy_of).unwrap_or_default();
        let create_thread = $body.if_not_exists == Some(types::IfNotExists::Create);
        let mut request = shared!($body);
        request.checkpoint = checkpoint;
        request.multitask_strategy = strategy;
        request.create_thread = create_thread;
        request
    }};
}

macro_rules! stateless {
    ($body:ident) => {{
        let keep = $body.on_completion == Some(types::OnCompletion::Keep);
        let mut request = shared!($body);
        request.keep_thread = keep;
        request
    }};
}

pub(super) fn stateful(body: Body<types::RunCreateStateful>) -> Result<RunBody> {
    let command = command_of(&body);
    let body = body.value;
    let request = RunRequest { command, ..stateful!(body) };
    Ok(RunBody { request, cancel_on_disconnect: false })
}

pub(super) fn streaming_stateful(body: Body<types::RunCreateStreamingStateful>) -> Result<RunBody> {
    let command = command_of(&body);
    let body = body.value;
    let cancel_on_disconnect = body.on_disconnect == Some(types::OnDisconnect::Cancel);
    let request = RunRequest { command, ..stateful!(body) };
    Ok(RunBody { request, cancel_on_disconnect })
}

pub(super) fn stateless(body: Body<types::RunCreateStateless>) -> Result<RunBody> {
    let command = command_of(&body);
    let request = RunRequest { command, ..stateless_member(body.value)? };
    Ok(RunBody { request, cancel_on_disconnect: false })
}

/// A member of a batch.
pub(super) fn stateless_member(body: types::RunCreateStateless) -> Result<RunRequest> {
    Ok(stateless!(body))
}

pub(super) fn streaming_stateless(
    body: Body<types::RunCreateStreamingStateless>,
) -> Result<RunBody> {
    let command = command_of(&body);
    let body = body.value;
    let cancel_on_disconnect = body.on_disconnect == Some(types::OnDisconnect::Cancel);
    let request = RunRequest { command, ..stateless!(body) };
    Ok(RunBody { request, cancel_on_disconnect })
}
