//! What is asked before a run is created.

use agent_server_api::Context;
use agent_server_domain::{
    Caller,
    auth::Event,
    runs::kwargs::RunRequest,
    storage::{Map, RawJson, ThreadId},
};
use serde_json::{Value, json};

use super::{Access, Api, Result, readable};

/// What the client does with the run's events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing: it has the run's id.
    Nothing,
    /// It waits for the end, or reads the stream.
    Events,
}

impl Api {
    /// Asks about runs of one request, which take over what those who decide have changed. `thread` is `None` for stateless
    /// runs.
    ///
    /// All is asked before anything is done: a run whose events may not be read is not made.
    pub(super) async fn allowed_runs(
        &self,
        cx: &Context,
        thread: Option<ThreadId>,
        follows: Follows,
        requests: &mut [RunRequest],
    ) -> Result<Caller> {
        let mut access = Access::of(cx);
        if !access.is_decided() {
            return Ok(access.into_caller());
        }
        for request in requests {
            let assistant = self.domain.resolve_assistant(&request.assistant_id)?;
            let run = self.domain.new_run_id();
            request.run_id = Some(run);
            let input = request.input.as_ref().map(readable).transpose()?;
            let command = request.command.as_ref().map(readable).transpose()?;
            let value = || {
                json!({
                    "thread_id": thread, "assistant_id": assistant, "run_id": run, "status": "pending",
                    "metadata": request.metadata,
                    "prevent_insert_if_inflight": request.multitask_strategy.as_str() == "reject",
                    "multitask_strategy": request.multitask_strategy.as_str(),
                    "if_not_exists": if request.create_thread { "create" } else { "reject" },
                    "after_seconds": request.after_seconds,
                    "kwargs": {
                        "input": input, "command": command, "config": request.config,
                        "context": request.context, "stream_mode": request.stream_mode,
                        "interrupt_before": request.interrupt_before,
                        "interrupt_after": request.interrupt_after, "webhook": request.webhook,
                    },
                })
            };
            let mut changed = access.ask(Event::THREADS_CREATE_RUN, value).await?;
            request.metadata = changed.member("metadata", std::mem::take(&mut request.metadata))?;
            if let Some(kwargs) = changed.member::<Option<Map>>("kwargs", None)? {
                take_over(request, kwargs);
            }
            // Those that the server made for its graphs may be run by everybody.
            if !self.domain.is_system_assistant(assistant).await? {
                access.ask(Event::ASSISTANTS_READ, || json!({"assistant_id": assistant})).await?;
            }
        }
        if follows == Follows::Events {
            access.ask(Event::THREADS_READ, || json!({"thread_id": thread})).await?;
        }
        Ok(access.into_caller())
    }
}

/// Takes over what a handler made of a run's kwargs.
fn take_over(request: &mut RunRequest, mut kwargs: Map) {
    let json = |value: Option<Value>| {
        value.filter(|value| !value.is_null()).map(|value| RawJson::of(&value))
    };
    let object = |value: Option<Value>| match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    request.input = json(kwargs.remove("input"));
    request.command = json(kwargs.remove("command"));
    request.config = object(kwargs.remove("config"));
    request.context = object(kwargs.remove("context"));
}
