//! What a run came to, as state and artifact of its task.

use agent_server_domain::{Caller, storage::Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::rpc::{Failure, Outcome},
    Api, INVALID_ANSWER,
    conversation::{BadBlock, Said, answer, messages},
    model::{Artifact, Message, Part, Role, State, Status},
    task::{Context, Task},
};

/// The end of a run.
pub(super) struct Ended {
    pub(super) context: Context,
    pub(super) task: Task,
    pub(super) status: Status,
    pub(super) artifact: Option<Artifact>,
    /// The values that the history is in.
    pub(super) values: Value,
}

impl From<BadBlock> for Failure {
    fn from(_: BadBlock) -> Self {
        Self::new(INVALID_ANSWER, "The agent's answer holds a file that is not base64")
    }
}

/// An id that is the same whenever the thing is shown.
fn id_of(task: &Task, what: &str) -> String {
    Uuid::new_v5(&task.latest.run_id.0, what.as_bytes()).to_string()
}

impl Task {
    /// What the agent has made.
    pub(super) fn response(&self, parts: Vec<Part>) -> Artifact {
        let description = format!("Response from assistant {}", self.latest.assistant_id);
        Artifact { id: id_of(self, "response"), name: "Assistant Response", description, parts }
    }

    /// What the agent wants to know, one part per question.
    pub(super) fn questions(&self, interrupts: &[Value]) -> Option<Artifact> {
        let part = |interrupt: &Value| {
            let mut shown = serde_json::Map::new();
            for name in ["id", "value", "response_schema"] {
                if let Some(value) =
                    interrupt.get(name).filter(|it| name != "response_schema" || !it.is_null())
                {
                    shown.insert(name.into(), value.clone());
                }
            }
            Part::Data(Value::Object(shown))
        };
        let parts: Vec<Part> = interrupts.iter().map(part).collect();
        let description = "Agent requires input to continue".to_owned();
        let id = id_of(self, "interrupt");
        (!parts.is_empty()).then_some(Artifact { id, name: "Interrupt", description, parts })
    }

    /// A status with a word for people.
    pub(super) fn status(&self, state: State, text: Option<String>, time: Timestamp) -> Status {
        let message = text.map(|text| Message {
            role: Role::Agent,
            parts: vec![Part::Text(text)],
            id: id_of(self, state.word()),
            task_id: Some(self.id.clone()),
            context_id: self.latest.thread_id.to_string(),
        });
        Status { state, message, time: Some(time) }
    }
}

/// What values say: the agent's answer, else the values themselves.
pub(super) fn said(values: &Value) -> Result<Vec<Part>, BadBlock> {
    match messages(values) {
        Some(messages) => parts_of(&messages),
        None if values.is_object() => Ok(vec![Part::Data(values.clone())]),
        None => Ok(vec![Part::Text(values.to_string())]),
    }
}

/// The agent's answer; an empty text if there is none.
pub(super) fn parts_of(messages: &[Said<'_>]) -> Result<Vec<Part>, BadBlock> {
    Ok(answer(messages)?.unwrap_or_else(|| vec![Part::Text(String::new())]))
}

/// The interrupts of a thread, of all its tasks.
pub(super) fn interrupts(context: &Context) -> Vec<Value> {
    let by_task: Value = match &context.thread.interrupts {
        Some(interrupts) => interrupts.parse().unwrap_or_default(),
        None => Value::Null,
    };
    let lists = by_task.as_object().into_iter().flatten();
    lists.flat_map(|(_, list)| list.as_array().cloned().unwrap_or_default()).collect()
}

/// The values of a thread.
pub(super) fn values(context: &Context) -> Value {
    let values = context.thread.values.as_ref();
    values.and_then(|values| values.parse().ok()).unwrap_or_default()
}

/// What is told of a failed run.
fn failure(result: &Value) -> String {
    let error = &result["__error__"];
    let part = |name: &str| error[name].as_str().unwrap_or_default();
    let text = match (part("error"), part("message")) {
        ("", "") => "unknown error".to_owned(),
        (class, "") => class.to_owned(),
        (class, message) => format!("{class}: {message}"),
    };
    format!("Error executing assistant: {text}")
}

impl Api {
    /// Looks at a run that has ended with this result.
    pub(super) async fn ended(
        &self,
        caller: &Caller,
        task: &Task,
        result: &[u8],
    ) -> Outcome<Ended> {
        let context = self.context(caller, task.latest.thread_id).await?;
        let run = context.runs.iter().find(|run| run.run_id == task.latest.run_id);
        let missing =
            || Failure::new(super::TASK_NOT_FOUND, format!("Task not found: {}", task.id));
        let run = run.ok_or_else(missing)?.clone();
        let time = run.updated_at;
        let task = Task { latest: run, ..task.clone() };
        let raw = String::from_utf8_lossy(result);
        let result: Option<Value> = serde_json::from_str(&raw).ok();
        let asked = result.as_ref().and_then(|result| result.get("__interrupt__"));
        let asked = asked.and_then(Value::as_array).filter(|asked| !asked.is_empty());
        // By the run's own result, not by the thread, where another run may have begun.
        let state = match (context.state(&task), asked) {
            (State::Completed | State::InputRequired, Some(_)) => State::InputRequired,
            (State::InputRequired, None) if context.is_newest(&task) => State::InputRequired,
            (State::InputRequired, None) => State::Completed,
            (state, _) => state,
        };
        let (mut artifact, mut text) = (None, None);
        let mut shown = values(&context);
        match state {
            State::Completed => {
                let parts = match &result {
                    Some(result) => said(result)?,
                    // Values that this program cannot hold are told as they are.
                    None => vec![Part::Text(raw.into_owned())],
                };
                artifact = Some(task.response(parts));
                shown = result.unwrap_or(shown);
            }
            State::InputRequired => {
                let asked = asked.cloned().unwrap_or_else(|| interrupts(&context));
                artifact = task.questions(&asked);
            }
            State::Failed => text = Some(failure(&result.unwrap_or_default())),
            State::Canceled => text = Some(super::tasks::CANCELED.to_owned()),
            State::Submitted | State::Working => {}
        }
        let status = task.status(state, text, time);
        Ok(Ended { context, task, status, artifact, values: shown })
    }
}
