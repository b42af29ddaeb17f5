//! Reading and cancelling a task.

use agent_server_domain::{
    Error,
    runs::{CancelAction, Selection, Target, kwargs::RunRequest},
    state::StateUpdate,
    storage::{Map, RawJson},
};
use serde_json::{Value, json};

use super::{
    super::{
        Access,
        rpc::{Failure, Outcome},
        thread_runs::{ask_to_cancel, may_cancel},
    },
    Api, Call, NOT_CANCELABLE,
    conversation::{Said, by_task, messages},
    history::Wanted,
    model::{self, Artifact, State},
    outcome::{interrupts, parts_of, said, values},
    task::{Context, Found, MARK, TASK, Task},
};

/// What is said of a task that was cancelled.
pub(super) const CANCELED: &str = "Task was canceled";
/// Delay of the run that marks a task as cancelled: it is cancelled itself long before, seconds.
const NEVER_SECONDS: f64 = 3600.0;

impl Api {
    pub(super) async fn get_task(&self, call: &Call<'_>) -> Outcome {
        let wanted = Wanted::of(call)?;
        let Found { context, task, .. } = self.named_task(call).await?;
        let task = self.shown(&context, &task, wanted, true)?;
        Ok(RawJson::of(&task.render(call.dialect)))
    }

    /// A task as it is now.
    pub(super) fn shown(
        &self,
        context: &Context,
        task: &Task,
        wanted: Wanted,
        with_artifacts: bool,
    ) -> Outcome<model::Task> {
        let state = context.state(task);
        let text = match state {
            State::Completed => Some("Task completed successfully".to_owned()),
            State::Failed => {
                Some(format!("Task failed with status: {}", task.latest.status.as_str()))
            }
            State::Canceled => Some(CANCELED.to_owned()),
            State::Submitted | State::Working | State::InputRequired => None,
        };
        let values = values(context);
        let artifacts = match with_artifacts {
            true => artifact(context, task, state, &values)?.map(|artifact| vec![artifact]),
            false => Some(vec![]),
        };
        Ok(model::Task {
            id: task.id.clone(),
            context_id: task.latest.thread_id.to_string(),
            status: task.status(state, text, task.latest.updated_at),
            history: self.history_of(context, task, &values, wanted),
            artifacts,
        })
    }

    /// Cancels what the task is doing, or that it waits.
    pub(super) async fn cancel_task(&self, call: &Call<'_>) -> Outcome {
        let wanted = Wanted::of(call)?;
        let Found { context, task, .. } = self.named_task(call).await?;
        let why = "Task is not cancelable in its current state";
        match context.state(&task) {
            State::InputRequired => self.stop_waiting(call, &task).await?,
            state if state.is_terminal() => return Err(Failure::new(NOT_CANCELABLE, why)),
            _ => {
                let (thread, run) = (task.latest.thread_id, task.latest.run_id);
                let action = CancelAction::Interrupt;
                let named = Selection::Ids(thread, vec![run]);
                let caller = may_cancel(call.cx, &named, action).await?;
                match self.domain.cancel_run(&caller, thread, run, action).await {
                    // It ended by itself meanwhile.
                    Err(Error::NotFound(_)) => return Err(Failure::new(NOT_CANCELABLE, why)),
                    other => other?,
                }
            }
        }
        let Found { context, task, .. } = self.named_task(call).await?;
        let task = self.shown(&context, &task, wanted, true)?;
        Ok(RawJson::of(&task.render(call.dialect)))
    }

    /// Ends a task that waits for input: a run that never starts is cancelled in its name, and the thread stops waiting.
    async fn stop_waiting(&self, call: &Call<'_>, task: &Task) -> Outcome<()> {
        let (thread, action) = (task.latest.thread_id, CancelAction::Interrupt);
        let mut access = Access::of(call.cx);
        let named = Selection::Ids(thread, vec![task.latest.run_id]);
        ask_to_cancel(&mut access, &named, action).await?;
        // No more is asked than about any cancelled task: the run is but a mark.
        self.ask_agent(&mut access, call.agent).await?;
        let caller = access.into_caller();
        let request = RunRequest {
            metadata: Map::from_iter([(MARK.to_owned(), json!({TASK: task.name}))]),
            after_seconds: NEVER_SECONDS,
            ..RunRequest::of(call.agent.to_string())
        };
        let created = self.domain.create_run(&caller, Target::Thread(thread), request).await?;
        let run = created.run.run_id;
        self.domain.cancel_run(&caller, thread, run, action).await?;
        let update = StateUpdate {
            values: RawJson::null(),
            as_node: Some("__end__".into()),
            checkpoint: Map::new(),
        };
        self.domain.update_thread_state(&caller, thread, update).await?;
        Ok(())
    }
}

/// What a task has made or wants to know, as far as its thread still shows it.
fn artifact(
    context: &Context,
    task: &Task,
    state: State,
    values: &Value,
) -> Outcome<Option<Artifact>> {
    match state {
        State::InputRequired => Ok(task.questions(&interrupts(context))),
        State::Completed => match messages(values) {
            Some(all) => {
                let own: Vec<Said<'_>> = by_task(context, &all)
                    .into_iter()
                    .filter(|(name, _)| name.as_deref() == Some(&task.name))
                    .map(|(_, said)| said)
                    .collect();
                let known = if context.is_newest(task) { &all } else { &own };
                match known.is_empty() {
                    true => Ok(None),
                    false => Ok(Some(task.response(parts_of(known)?))),
                }
            }
            None if context.is_newest(task) => Ok(Some(task.response(said(values)?))),
            None => Ok(None),
        },
        State::Submitted | State::Working | State::Failed | State::Canceled => Ok(None),
    }
}
