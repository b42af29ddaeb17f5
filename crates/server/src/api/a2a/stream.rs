//! Following a task: its state, what its agent says while it says it, its artifact, its end.

use std::collections::HashMap;

use agent_server_domain::{Caller, ports::Event, stream::Listener};
use serde_json::Value;

use super::{
    super::rpc::{Failure, Outcome},
    Api, Call, UNSUPPORTED,
    conversation::{Kind, Said},
    history::Wanted,
    model::{Dialect, Message, Part, State, Status, Update},
    request::Method,
    send::Sent,
    task::{Found, Task},
};

/// A task that is followed.
pub(super) struct Started {
    caller: Caller,
    task: Task,
    /// The first message of the stream.
    first: agent_server_domain::storage::RawJson,
    /// Events of its run, if that goes on.
    listener: Option<Listener>,
    /// Whether there is anything to follow.
    is_active: bool,
}

impl Api {
    /// Starts a stream: by sending a message, or for a task that is there.
    pub(super) async fn start_stream(&self, method: Method, call: &Call<'_>) -> Outcome<Started> {
        if method == Method::Stream {
            let sent = self.start_task(call, &["values", "messages"]).await?;
            let first = sent.submitted().answer(call.dialect);
            let Sent { caller, task, listener, .. } = sent;
            return Ok(Started { caller, task, first, listener: Some(listener), is_active: true });
        }
        let Found { caller, context, task } = self.named_task(call).await?;
        let state = context.state(&task);
        if state.is_terminal() {
            let why = format!("Task is {}; there is nothing to follow", state.word());
            return Err(Failure::new(UNSUPPORTED, why));
        }
        let (run, thread) = (task.latest.run_id, task.latest.thread_id);
        let is_active = state != State::InputRequired;
        // Before the task is shown, so that nothing falls between.
        let listener = match is_active {
            true => self.domain.join_run(&caller, thread, run, None).await?.listener,
            false => None,
        };
        let first = self.shown(&context, &task, Wanted::of(call)?, true)?.answer(call.dialect);
        Ok(Started { caller, task, first, listener, is_active })
    }

    /// Tells everything about a task until its run has ended.
    pub(super) async fn follow(
        &self,
        started: Started,
        dialect: Dialect,
        emit: impl Fn(&Outcome) + Send + Sync,
    ) {
        let Started { caller, task, first, listener, is_active } = started;
        emit(&Ok(first));
        if !is_active {
            return;
        }
        let thread = task.latest.thread_id;
        let context_id = thread.to_string();
        let names = (task.id.as_str(), context_id.as_str());
        let mut last: HashMap<String, Vec<Part>> = HashMap::new();
        let watch = |event: &Event| {
            for message in self.said(event, &task, &mut last) {
                let status = Status { state: State::Working, message: Some(message), time: None };
                emit(&Ok(Update::Status(&status).answer(names, dialect)));
            }
        };
        let result = self.domain.watched_result(thread, listener, watch).await;
        let ended = match result {
            Ok(result) => self.ended(&caller, &task, &result).await,
            Err(error) => Err(error.into()),
        };
        match ended {
            Ok(ended) => {
                if let Some(artifact) = &ended.artifact {
                    emit(&Ok(Update::Artifact(artifact).answer(names, dialect)));
                }
                emit(&Ok(Update::Status(&ended.status).answer(names, dialect)));
            }
            Err(failure) => emit(&Err(failure)),
        }
    }

    /// What the agent says in an event: the whole of each message so far, unless it was told before.
    fn said(
        &self,
        event: &Event,
        task: &Task,
        last: &mut HashMap<String, Vec<Part>>,
    ) -> Vec<Message> {
        if !matches!(event.name.as_str(), "messages/partial" | "messages/complete") {
            return vec![];
        }
        let messages: Vec<Value> = serde_json::from_slice(&event.data).unwrap_or_default();
        let shown_tools = self.options.a2a.shown_tools.as_deref();
        let mut told = vec![];
        for said in messages.iter().filter_map(Value::as_object).map(Said) {
            if !matches!(said.kind(), Kind::Ai | Kind::Tool) {
                continue;
            }
            let Ok((role, parts)) = said.shown(shown_tools) else { continue };
            let key = said.id().unwrap_or_default().to_owned();
            if parts.is_empty() || last.get(&key) == Some(&parts) {
                continue;
            }
            last.insert(key, parts.clone());
            told.push(Message {
                role,
                parts,
                id: self.domain.ids().random().to_string(),
                task_id: Some(task.id.clone()),
                context_id: task.latest.thread_id.to_string(),
            });
        }
        told
    }
}
