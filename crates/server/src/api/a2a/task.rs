//! Which runs are a task, and where it stands.
//!
//! A context is a thread. A task is named after its thread and its first run; runs that continue it say so in their
//! metadata. So every run of an assistant is a task or a part of one, however it was made.

use agent_server_domain::{
    Caller, Error,
    storage::{
        Map, Page, RunId, ThreadId,
        runs::{Run, RunStatus},
        threads::{Thread, ThreadStatus},
    },
};
use serde_json::Value;

use super::{
    super::{
        rpc::{Failure, Outcome},
        threads::may_read,
    },
    Api, Call, TASK_NOT_FOUND,
    model::State,
};

/// Runs of a thread that are looked at.
const MAX_RUNS: u32 = 1000;

/// Key of the marks in metadata of runs and in `additional_kwargs` of messages.
pub(super) const MARK: &str = "a2a";
/// Mark of a task's first run and message; the same id on both.
pub(super) const START: &str = "task_start_id";
/// Mark of what continues a task: the task's name.
pub(super) const TASK: &str = "task_id";

/// A thread with its runs, newest first.
pub(super) struct Context {
    pub(super) thread: Thread,
    pub(super) runs: Vec<Run>,
}

/// A task that was found, in its context, and who may look at it.
pub(super) struct Found {
    pub(super) caller: Caller,
    pub(super) context: Context,
    pub(super) task: Task,
}

/// A task as its runs.
#[derive(Clone)]
pub(super) struct Task {
    /// As the client calls it.
    pub(super) id: String,
    /// As runs and messages call it.
    pub(super) name: String,
    /// The run that says where it stands.
    pub(super) latest: Run,
}

/// A mark in metadata.
pub(super) fn mark<'a>(metadata: &'a Map, name: &str) -> Option<&'a str> {
    metadata.get(MARK)?.get(name)?.as_str()
}

/// The name of the task that begins with a run.
pub(super) fn name_of(thread: ThreadId, run: RunId) -> String {
    format!("{thread}:{run}")
}

impl Context {
    /// The task that begins with `run`.
    pub(super) fn task(&self, run: &Run, id: Option<String>) -> Task {
        let name = name_of(run.thread_id, run.run_id);
        let continues = |run: &&Run| mark(&run.metadata, TASK) == Some(&name);
        let latest = self.runs.iter().find(continues).unwrap_or(run).clone();
        Task { id: id.unwrap_or_else(|| name.clone()), name, latest }
    }

    /// The name of the task that began under a start mark. Later runs inherit the mark from their thread, so the oldest
    /// run that has it is meant.
    pub(super) fn started(&self, start: &str) -> Option<String> {
        let run = self.runs.iter().rev().find(|run| mark(&run.metadata, START) == Some(start))?;
        Some(name_of(run.thread_id, run.run_id))
    }

    /// Whether nothing has happened on the thread since the task's last run.
    pub(super) fn is_newest(&self, task: &Task) -> bool {
        self.runs.first().is_some_and(|run| run.run_id == task.latest.run_id)
    }

    /// Where a task stands.
    pub(super) fn state(&self, task: &Task) -> State {
        let waits = self.thread.status == ThreadStatus::Interrupted && self.is_newest(task);
        match task.latest.status {
            RunStatus::Pending => State::Submitted,
            RunStatus::Running => State::Working,
            RunStatus::Success if waits => State::InputRequired,
            RunStatus::Success => State::Completed,
            RunStatus::Interrupted => State::Canceled,
            RunStatus::Error | RunStatus::Timeout => State::Failed,
        }
    }
}

/// Thread and run that a client's name of a task means.
fn ids(id: &str, context: Option<&str>) -> Option<(ThreadId, RunId)> {
    let (thread, run) = match id.split_once(':') {
        Some((thread, run)) => (thread, run),
        None => (context?, id),
    };
    let uuid = agent_server_api::parse_uuid;
    let (thread, run) = (uuid(thread)?, uuid(run)?);
    let is_other = |context: &str| uuid(context) != Some(thread);
    if context.is_some_and(is_other) {
        return None;
    }
    Some((thread.into(), run.into()))
}

impl Api {
    /// A thread and its runs.
    ///
    /// Errors: `NotFound` of the domain.
    pub(super) async fn context(
        &self,
        caller: &Caller,
        thread: ThreadId,
    ) -> agent_server_domain::Result<Context> {
        // Runs first: a thread that waits for input must not be taken together with an older list.
        let page = Page { limit: MAX_RUNS, offset: 0 };
        let runs = self.domain.list_runs(caller, thread, None, page).await?;
        let thread = self.domain.get_thread(caller, thread).await?;
        Ok(Context { thread, runs })
    }

    /// A task of an agent by its name, which is either whole or that of the run alone, with its context.
    pub(super) async fn find_task(
        &self,
        call: &Call<'_>,
        id: &str,
        context: Option<&str>,
    ) -> Outcome<Found> {
        let missing = || {
            let place = context.map(|context| format!(" in context '{context}'"));
            let why = format!("Task not found: {id}{}", place.unwrap_or_default());
            Failure::new(TASK_NOT_FOUND, why)
        };
        let (thread, run) = ids(id, context).ok_or_else(missing)?;
        let caller = may_read(call.cx, thread).await?;
        let context = match self.context(&caller, thread).await {
            Err(Error::NotFound(_)) => return Err(missing()),
            other => other?,
        };
        let of_agent = |known: &&Run| known.run_id == run && known.assistant_id == call.agent;
        let first = context.runs.iter().find(of_agent).ok_or_else(missing)?;
        let task = context.task(first, Some(id.to_owned()));
        Ok(Found { caller, context, task })
    }

    /// The task that the arguments of a call name.
    pub(super) async fn named_task(&self, call: &Call<'_>) -> Outcome<Found> {
        let given = |name: &str| match call.params.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Failure::params("Task id and contextId must be strings")),
        };
        let (id, context) = (given("id")?, given("contextId")?);
        let missing = || Failure::params("Missing required parameter: id (task_id)");
        self.find_task(call, id.ok_or_else(missing)?, context).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_have_a_context() {
        let (t, r) =
            ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002");
        let whole = format!("{t}:{r}");
        assert!(ids(&whole, None).is_some());
        assert!(ids(&whole, Some(t)).is_some());
        assert!(ids(r, Some(t)).is_some());
        for (id, context) in [(whole.as_str(), Some(r)), (r, None), ("x:y", None), ("", Some(t))] {
            assert!(ids(id, context).is_none(), "{id} {context:?}");
        }
    }
}
