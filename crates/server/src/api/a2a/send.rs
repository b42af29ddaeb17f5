//! Sending a message: the run that it starts, and the task as it is when that has ended.

use agent_server_domain::{
    Caller, Error,
    runs::{Created, Target, kwargs::RunRequest},
    storage::{Map, RawJson, ThreadId},
    stream::Listener,
};
use serde_json::{Value, json};

use super::{
    super::{
        rpc::{Failure, Outcome},
        run_access::Follows,
    },
    Api, Call, UNSUPPORTED,
    history::Wanted,
    input::{self, Given},
    message::Incoming,
    model::{self, Dialect, Message, State},
    task::{MARK, START, TASK, Task, name_of},
};

/// A message that was accepted, and its run.
pub(super) struct Sent {
    /// Who may look at what becomes of it.
    pub(super) caller: Caller,
    pub(super) task: Task,
    pub(super) listener: Listener,
    pub(super) wanted: Wanted,
    /// The message as part of the history.
    pub(super) message: Message,
}

impl Sent {
    /// The task before its run has done anything.
    pub(super) fn submitted(&self) -> model::Task {
        let run = &self.task.latest;
        model::Task {
            id: self.task.id.clone(),
            context_id: run.thread_id.to_string(),
            status: self.task.status(State::Submitted, None, run.created_at),
            history: self.wanted.cut(vec![self.message.clone()]),
            artifacts: None,
        }
    }
}

/// The run's context of the arguments, an extension.
fn context(params: &Map) -> Outcome<Map> {
    match params.get("context") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(context)) => Ok(context.clone()),
        Some(_) => Err(Failure::params("context must be an object")),
    }
}

/// The thread of a message: the one it names, or a new one.
fn thread(api: &Api, context_id: Option<&str>) -> Outcome<ThreadId> {
    match context_id {
        None => Ok(api.domain.ids().random().into()),
        Some(text) => agent_server_api::parse_uuid(text)
            .map(ThreadId::from)
            .ok_or_else(|| Failure::params("Failed to create run: Invalid thread ID")),
    }
}

impl Api {
    /// Starts the run of a message.
    pub(super) async fn start_task(&self, call: &Call<'_>, stream_mode: &[&str]) -> Outcome<Sent> {
        let Some(Value::Object(message)) = call.params.get("message") else {
            return Err(Failure::params("Missing or invalid 'message' in params"));
        };
        let message = Incoming::read(message)?;
        let wanted = Wanted::of_sent(call)?;
        let context = context(&call.params)?;
        let reader = self.may_see(call.cx, call.agent).await?;
        self.agent(&reader, call.agent).await?;
        let context_id = message.context_id.as_deref();
        let (continued, state) = match &message.task_id {
            None => (None, None),
            Some(id) => {
                let found = self.find_task(call, id, context_id).await?;
                let state = found.context.state(&found.task);
                if state.is_terminal() {
                    let why = "A terminal task cannot accept another message";
                    return Err(Failure::new(UNSUPPORTED, why));
                }
                (Some(found.task), Some(state))
            }
        };
        let thread = match &continued {
            Some(task) => task.latest.thread_id,
            None => thread(self, context_id)?,
        };
        let mark = match &continued {
            Some(task) => json!({TASK: task.name}),
            None => json!({START: self.domain.ids().ordered().to_string()}),
        };
        let given = match input::resumed(&message, state)? {
            Some(value) => Given::Resume(value),
            None => {
                if input::speaks(&message) {
                    self.check_hears(&reader, call.agent).await?;
                }
                Given::Input(input::input(&message, &mark))
            }
        };
        let mut request = RunRequest {
            context,
            metadata: Map::from_iter([(MARK.to_owned(), mark)]),
            stream_mode: stream_mode.iter().map(|mode| (*mode).to_owned()).collect(),
            create_thread: true,
            ..RunRequest::of(call.agent.to_string())
        };
        match given {
            Given::Input(input) => request.input = Some(RawJson::of(&input)),
            Given::Resume(value) => {
                request.command = Some(RawJson::of(&json!({"resume": value})));
            }
        }
        let requests = std::slice::from_mut(&mut request);
        let caller = self.allowed_runs(call.cx, Some(thread), Follows::Events, requests).await?;
        let created = self.domain.create_run(&caller, Target::Thread(thread), request).await;
        let Created { run, listener } = created.map_err(not_created)?;
        let name = name_of(run.thread_id, run.run_id);
        let task = match continued {
            Some(task) => Task { latest: run, ..task },
            None => Task { id: name.clone(), name, latest: run },
        };
        let message = Message {
            role: message.role,
            parts: message.parts,
            id: message.id,
            task_id: Some(task.id.clone()),
            context_id: thread.to_string(),
        };
        Ok(Sent { caller, task, listener, wanted, message })
    }

    /// Waits for the run of a message, and shows its task.
    pub(super) async fn finish_task(&self, sent: Sent, dialect: Dialect) -> Outcome {
        let thread = sent.task.latest.thread_id;
        let result = self.domain.run_result(thread, Some(sent.listener)).await?;
        let ended = self.ended(&sent.caller, &sent.task, &result).await?;
        let task = model::Task {
            id: sent.task.id,
            context_id: thread.to_string(),
            history: self.history_of(&ended.context, &ended.task, &ended.values, sent.wanted),
            status: ended.status,
            artifacts: ended.artifact.map(|artifact| vec![artifact]),
        };
        Ok(task.answer(dialect))
    }
}

/// Why there is no run.
fn not_created(error: Error) -> Failure {
    match error {
        Error::Internal(_) | Error::Unavailable(_) => error.into(),
        other => Failure::params(format!("Failed to create run: {other}")),
    }
}
