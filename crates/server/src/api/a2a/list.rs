//! Reading many tasks.

use agent_server_domain::{
    Caller, Error,
    storage::{
        Page, RawJson, SortOrder, ThreadId, Timestamp,
        threads::{Columns, Filter, SortBy},
    },
};
use serde_json::{Value, json};

use super::{
    super::{
        rpc::{Failure, Outcome},
        threads::{may_read, may_search},
    },
    Api, Call,
    history::Wanted,
    model::State,
    task::{TASK, Task, mark},
};

/// Threads that are looked at, those that changed last first.
const MAX_THREADS: u32 = 1000;
const PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 100;

/// What is looked for.
struct Query {
    context: Option<ThreadId>,
    /// `Some(None)` is a state that no task has.
    state: Option<Option<State>>,
    after: Option<Timestamp>,
    size: usize,
    offset: usize,
    with_artifacts: bool,
    wanted: Wanted,
}

impl Query {
    /// Reads the arguments; `None` if nothing can be found.
    fn read(call: &Call<'_>) -> Outcome<Option<Self>> {
        let given = |name: &str| call.params.get(name).filter(|value| !value.is_null());
        // The newer dialect writes empty texts for what is not given.
        let text = |name: &str, why: &str| match given(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Failure::params(why)),
        };
        let size = match given("pageSize").map(Value::as_u64) {
            None => PAGE_SIZE,
            Some(Some(size)) if (1..=MAX_PAGE_SIZE).contains(&size) => size,
            Some(_) => {
                let why = format!("pageSize must be an integer between 1 and {MAX_PAGE_SIZE}.");
                return Err(Failure::params(why));
            }
        };
        let token = text("pageToken", "Invalid pageToken.")?;
        let offset = token.map_or(Ok(0), str::parse);
        let offset = offset.map_err(|_| Failure::params("Invalid pageToken."))?;
        let why = "Invalid status value.";
        let state = match text("status", why)? {
            None | Some("TASK_STATE_UNSPECIFIED") => None,
            Some(word) => Some(
                State::parse(word)
                    .map_err(|()| Failure::params(format!("Invalid status value: '{word}'.")))?,
            ),
        };
        let why = "statusTimestampAfter must be a valid ISO 8601 timestamp.";
        let after = match text("statusTimestampAfter", why)? {
            None => None,
            Some(text) => Some(time(text).ok_or_else(|| Failure::params(why))?),
        };
        let with_artifacts = given("includeArtifacts") == Some(&Value::Bool(true));
        let wanted = Wanted::of(call)?;
        let context = match text("contextId", "contextId must be a string")? {
            None => None,
            Some(text) => match agent_server_api::parse_uuid(text) {
                Some(id) => Some(id.into()),
                None => return Ok(None),
            },
        };
        Ok(Some(Self {
            context,
            state,
            after,
            size: size as usize,
            offset,
            with_artifacts,
            wanted,
        }))
    }
}

/// A moment; one without an offset is of UTC.
fn time(text: &str) -> Option<Timestamp> {
    let json = |text: &str| serde_json::from_value::<Timestamp>(json!(text)).ok();
    json(text).or_else(|| json(&format!("{text}Z"))).or_else(|| json(&format!("{text}T00:00:00Z")))
}

impl Api {
    /// Tasks of the agent, those that changed last first.
    pub(super) async fn list_tasks(&self, call: &Call<'_>) -> Outcome {
        let Some(query) = Query::read(call)? else { return Ok(rendered(&[], 0, None)) };
        self.agent(&self.may_see(call.cx, call.agent).await?, call.agent).await?;
        let (caller, threads) = self.threads(call, &query).await?;
        let mut found: Vec<(ThreadId, Task)> = vec![];
        for thread in threads {
            let context = match self.context(&caller, thread).await {
                // Deleted meanwhile, or never there.
                Err(Error::NotFound(_)) => continue,
                other => other?,
            };
            let own = |run: &&agent_server_domain::storage::runs::Run| {
                run.assistant_id == call.agent && mark(&run.metadata, TASK).is_none()
            };
            for run in context.runs.iter().filter(own) {
                let task = context.task(run, None);
                let is_wanted = query.state.is_none_or(|state| state == Some(context.state(&task)))
                    && query.after.is_none_or(|after| task.latest.updated_at > after);
                if is_wanted {
                    found.push((thread, task));
                }
            }
        }
        found.sort_by_key(|(_, task)| std::cmp::Reverse(task.latest.updated_at));
        let total = found.len();
        let mut tasks = vec![];
        for (thread, task) in found.into_iter().skip(query.offset).take(query.size) {
            let context = match self.context(&caller, thread).await {
                Err(Error::NotFound(_)) => continue,
                other => other?,
            };
            let task = self.shown(&context, &task, query.wanted, query.with_artifacts)?;
            tasks.push(task.render(call.dialect));
        }
        let end = query.offset.saturating_add(query.size);
        Ok(rendered(&tasks, total, (end < total).then_some(end)))
    }

    /// Threads to look at, and who may do so.
    async fn threads(&self, call: &Call<'_>, query: &Query) -> Outcome<(Caller, Vec<ThreadId>)> {
        if let Some(context) = query.context {
            return Ok((may_read(call.cx, context).await?, vec![context]));
        }
        let page = Page { limit: MAX_THREADS, offset: 0 };
        let sort = (SortBy::UpdatedAt, SortOrder::Desc);
        let filter = Filter::default();
        let caller = may_search(call.cx, &filter, page).await?;
        let found =
            self.domain.search_threads(&caller, filter, sort, page, Columns::Header).await?;
        Ok((caller, found.items.into_iter().map(|thread| thread.thread_id).collect()))
    }
}

fn rendered(tasks: &[Value], total: usize, next: Option<usize>) -> RawJson {
    RawJson::of(&json!({
        "tasks": tasks,
        "totalSize": total,
        "pageSize": tasks.len(),
        "nextPageToken": next.map(|next| next.to_string()).unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_may_lack_an_offset() {
        for text in ["2026-11-23T17:00:00Z", "2026-11-23T18:00:00+01:00", "2026-11-23T17:00:00"] {
            assert_eq!(time(text), time("2026-11-23T17:00:00Z"), "{text}");
        }
        assert!(time("2026-11-23").is_some());
        assert_eq!(time("yesterday"), None);
    }
}
