//! Tag Threads.

mod shown;

use agent_server_api::{types, *};
use agent_server_domain::{
    Caller,
    auth::Event,
    state::{StateAt, StateUpdate},
    storage::{
        Map, Page, RawJson, ThreadId, checkpoints,
        threads::{Columns, Filter, SortBy, ThreadStatus, TtlStrategy},
    },
    threads::{
        NewThread, TtlChange,
        extract::{self, Extract},
    },
};
use bytes::Bytes;
use serde_json::{Value, json};

use self::shown::{extracted, number, storage_of, thread_of, thread_partial, ttl_of};
use super::{
    Access, Api, Result, allowed, body_id, page, pagination, query_names, thread_runs::event_stream,
};
use crate::{convert, disconnect::OnDisconnect, error::invalid, sse};

impl Threads for Api {
    async fn create_thread(
        &self,
        cx: Context,
        body: Body<types::ThreadCreate>,
    ) -> Result<CreateThreadResponse> {
        let supersteps = body.field("supersteps").and_then(supersteps);
        let body = body.value;
        let id = body.thread_id.as_deref().map(|id| body_id(id, "thread")).transpose()?;
        let id = id.map_or_else(|| self.domain.new_thread_id(), Into::into);
        let mut new = NewThread {
            thread_id: Some(id),
            metadata: body.metadata.unwrap_or_default(),
            do_nothing: body.if_exists == Some(types::IfExists::DoNothing),
            ttl: body.ttl.map(ttl_change),
            supersteps,
        };
        let mut access = Access::of(&cx);
        let value = || {
            let if_exists = if new.do_nothing { "do_nothing" } else { "raise" };
            json!({"thread_id": id, "metadata": new.metadata, "if_exists": if_exists})
        };
        let mut changed = access.ask(Event::THREADS_CREATE, value).await?;
        new.metadata = changed.member("metadata", new.metadata)?;
        let thread = self.domain.create_thread(&access.into_caller(), new).await?;
        Ok(CreateThreadResponse::Ok(thread_of(&thread).into()))
    }

    async fn get_thread(
        &self,
        cx: Context,
        path: GetThreadPath,
        query: GetThreadQuery,
    ) -> Result<GetThreadResponse> {
        let id = path.thread_id.into();
        let caller = may_read(&cx, id).await?;
        let thread = self.domain.get_thread(&caller, id).await?;
        let mut shown = thread_of(&thread);
        if query.include.is_some_and(|include| include.split(',').any(|name| name == "ttl")) {
            shown.ttl = ttl_of(&thread);
        }
        Ok(GetThreadResponse::Ok(shown.into()))
    }

    async fn patch_thread(
        &self,
        cx: Context,
        path: PatchThreadPath,
        headers: PatchThreadHeaders,
        body: Body<types::ThreadPatch>,
    ) -> Result<PatchThreadResponse> {
        let (id, body): (ThreadId, _) = (path.thread_id.into(), body.value);
        let ttl = body.ttl.map(ttl_change);
        let mut access = Access::of(&cx);
        let value = || json!({"thread_id": id, "metadata": body.metadata});
        let mut changed = access.ask(Event::THREADS_UPDATE, value).await?;
        let metadata = changed.member("metadata", body.metadata)?;
        let thread = self.domain.patch_thread(&access.into_caller(), id, metadata, ttl).await?;
        if headers.prefer.as_deref() == Some("return=minimal") {
            return Ok(PatchThreadResponse::NoContent);
        }
        Ok(PatchThreadResponse::Ok(thread_of(&thread).into()))
    }

    async fn delete_thread(
        &self,
        cx: Context,
        path: DeleteThreadPath,
    ) -> Result<DeleteThreadResponse> {
        let id: ThreadId = path.thread_id.into();
        let caller = allowed(&cx, Event::THREADS_DELETE, || json!({"thread_id": id})).await?;
        self.domain.delete_thread(&caller, id).await?;
        Ok(DeleteThreadResponse::NoContent)
    }

    async fn search_threads(
        &self,
        cx: Context,
        body: Body<types::ThreadSearchRequest>,
    ) -> Result<SearchThreadsResponse> {
        let body = body.value;
        let extract = extract::parse(body.extract.unwrap_or_default())?;
        let filter = Filter {
            ids: body.ids.as_deref().filter(|ids| !ids.is_empty()).map(thread_ids).transpose()?,
            metadata: body.metadata,
            values: body.values,
            status: body.status.map(convert::thread_status_filter),
        };
        let sort_by = match body.sort_by {
            None | Some(types::ThreadSortBy::UpdatedAt) => SortBy::UpdatedAt,
            Some(types::ThreadSortBy::ThreadId) => SortBy::ThreadId,
            Some(types::ThreadSortBy::Status) => SortBy::Status,
            Some(types::ThreadSortBy::CreatedAt) => SortBy::CreatedAt,
            Some(types::ThreadSortBy::StateUpdatedAt) => SortBy::StateUpdatedAt,
        };
        // The order is only used together with a column.
        let order = body.sort_by.and(body.sort_order);
        let sort = (sort_by, convert::sort_order(order));
        let page = page(body.limit, body.offset);
        let select = body.select.unwrap_or_default();
        let wants_large = select.is_empty()
            || extract.iter().any(Extract::is_large)
            || select.iter().any(|field| {
                matches!(field, types::ThreadSelect::Values | types::ThreadSelect::Interrupts)
            });
        let columns = if wants_large { Columns::Full } else { Columns::Header };
        let caller = may_search(&cx, &filter, page).await?;
        let found = self.domain.search_threads(&caller, filter, sort, page, columns).await?;
        let threads: Vec<_> = found
            .items
            .iter()
            .map(|thread| types::ThreadPartial {
                extracted: extracted(thread, &extract),
                ..thread_partial(thread, &select)
            })
            .collect();
        let mut reply = Reply::new(&threads);
        for (name, value) in pagination(page, threads.len(), found.more) {
            reply = reply.with_header(name, value);
        }
        Ok(SearchThreadsResponse::Ok(reply))
    }

    async fn count_threads(
        &self,
        cx: Context,
        body: Body<types::ThreadCountRequest>,
    ) -> Result<CountThreadsResponse> {
        let body = body.value;
        let filter = Filter {
            ids: None,
            metadata: body.metadata,
            values: body.values,
            status: body.status.map(convert::thread_status_filter),
        };
        let caller = may_search(&cx, &filter, Page { limit: 0, offset: 0 }).await?;
        let count = self.domain.count_threads(&caller, filter).await?;
        Ok(CountThreadsResponse::Ok(Reply::new(&types::CountResponse(number(count)))))
    }

    async fn get_thread_state(
        &self,
        cx: Context,
        path: GetThreadStatePath,
        query: GetThreadStateQuery,
    ) -> Result<GetThreadStateResponse> {
        let at = StateAt { subgraphs: query.subgraphs.unwrap_or(false), ..Default::default() };
        let state = self.state(&cx, path.thread_id.into(), at).await?;
        Ok(GetThreadStateResponse::Ok(Reply::rendered(state)))
    }

    async fn get_thread_state_at_checkpoint(
        &self,
        cx: Context,
        path: GetThreadStateAtCheckpointPath,
        query: GetThreadStateAtCheckpointQuery,
    ) -> Result<GetThreadStateAtCheckpointResponse> {
        let at = StateAt {
            checkpoint_id: Some(path.checkpoint_id),
            subgraphs: query.subgraphs.unwrap_or(false),
            ..Default::default()
        };
        let state = self.state(&cx, path.thread_id.into(), at).await?;
        Ok(GetThreadStateAtCheckpointResponse::Ok(Reply::rendered(state)))
    }

    async fn post_thread_state_at_checkpoint(
        &self,
        cx: Context,
        path: PostThreadStateAtCheckpointPath,
        body: Body<types::ThreadStateCheckpointRequest>,
    ) -> Result<PostThreadStateAtCheckpointResponse> {
        let checkpoint = body.value.checkpoint;
        let at = StateAt {
            ns: checkpoint.checkpoint_ns.unwrap_or_default(),
            checkpoint_id: checkpoint.checkpoint_id,
            subgraphs: body.value.subgraphs.unwrap_or(false),
        };
        let state = self.state(&cx, path.thread_id.into(), at).await?;
        Ok(PostThreadStateAtCheckpointResponse::Ok(Reply::rendered(state)))
    }

    async fn update_thread_state(
        &self,
        cx: Context,
        path: UpdateThreadStatePath,
        body: Body<types::ThreadStateUpdate>,
    ) -> Result<UpdateThreadStateResponse> {
        let body = body.value;
        let mut checkpoint = Map::new();
        if let Some(id) = body.checkpoint_id {
            checkpoint.insert("checkpoint_id".into(), Value::String(id));
        }
        if let Some(given) = &body.checkpoint {
            checkpoint.extend(convert::map(given));
        }
        let update = StateUpdate {
            values: body.values.map_or_else(RawJson::null, convert::stored),
            as_node: body.as_node,
            checkpoint,
        };
        let id: ThreadId = path.thread_id.into();
        let mut access = Access::of(&cx);
        access.ask(Event::THREADS_UPDATE, || json!({"thread_id": id})).await?;
        access.ask(Event::THREADS_READ, || json!({"thread_id": id})).await?;
        let caller = access.into_caller();
        let configurable = self.domain.update_thread_state(&caller, id, update).await?;
        let checkpoint_id = configurable
            .get("checkpoint_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let checkpoint: types::CheckpointConfig =
            serde_json::from_value(Value::Object(configurable)).map_err(|error| {
                agent_server_domain::Error::Internal(format!(
                    "a worker answered an odd config: {error}"
                ))
            })?;
        let answer = types::ThreadStateUpdateResponse {
            checkpoint: checkpoint.clone(),
            configurable: checkpoint,
            checkpoint_id,
        };
        Ok(UpdateThreadStateResponse::Ok(answer.into()))
    }

    async fn get_thread_history(
        &self,
        cx: Context,
        path: GetThreadHistoryPath,
        query: GetThreadHistoryQuery,
    ) -> Result<GetThreadHistoryResponse> {
        let filter = checkpoints::Filter { before: query.before, ..Default::default() };
        let limit = u32::try_from(query.limit.unwrap_or(10).max(0)).unwrap_or(u32::MAX);
        let states = self.history(&cx, path.thread_id.into(), filter, limit).await?;
        Ok(GetThreadHistoryResponse::Ok(Reply::rendered(states)))
    }

    async fn get_thread_history_post(
        &self,
        cx: Context,
        path: GetThreadHistoryPostPath,
        body: Body<types::ThreadStateSearch>,
    ) -> Result<GetThreadHistoryPostResponse> {
        let body = body.value;
        let before = body.before.and_then(|before| before_id(before.get().as_bytes()));
        let checkpoint = body.checkpoint;
        let filter = checkpoints::Filter {
            ns: checkpoint.as_ref().and_then(|at| at.checkpoint_ns.clone()).unwrap_or_default(),
            id: checkpoint.and_then(|at| at.checkpoint_id),
            before,
            metadata: body.metadata,
        };
        let limit = u32::try_from(body.limit.unwrap_or(1)).unwrap_or(u32::MAX);
        let states = self.history(&cx, path.thread_id.into(), filter, limit).await?;
        Ok(GetThreadHistoryPostResponse::Ok(Reply::rendered(states)))
    }

    async fn prune_threads(
        &self,
        cx: Context,
        body: Body<types::ThreadPruneRequest>,
    ) -> Result<PruneThreadsResponse> {
        let body = body.value;
        let ids: Result<Vec<ThreadId>> =
            body.thread_ids.iter().map(|id| Ok(body_id(id, "thread")?.into())).collect();
        let strategy = match body.strategy {
            None | Some(types::PruneStrategy::Delete) => TtlStrategy::Delete,
            Some(types::PruneStrategy::KeepLatest) => TtlStrategy::KeepLatest,
        };
        let ids = ids?;
        let mut access = Access::of(&cx);
        access.ask(Event::THREADS_DELETE, || json!({"thread_ids": ids})).await?;
        for id in &ids {
            access.ask(Event::THREADS_DELETE, || json!({"thread_id": id})).await?;
        }
        let count = self.domain.prune_threads(&access.into_caller(), ids, strategy).await?;
        let answer = types::ThreadPruneResponse { pruned_count: number(count) };
        Ok(PruneThreadsResponse::Ok(answer.into()))
    }

    async fn get_thread_storage(
        &self,
        cx: Context,
        path: GetThreadStoragePath,
    ) -> Result<GetThreadStorageResponse> {
        let id = path.thread_id.into();
        let caller = may_read(&cx, id).await?;
        let usage = self.domain.thread_storage(&caller, id).await?;
        Ok(GetThreadStorageResponse::Ok(storage_of(id, &usage).into()))
    }

    async fn copy_thread(&self, cx: Context, path: CopyThreadPath) -> Result<CopyThreadResponse> {
        let (id, copy_id) = (path.thread_id.into(), self.domain.new_copy_id());
        let mut access = Access::of(&cx);
        access.ask(Event::THREADS_READ, || json!({"thread_id": id})).await?;
        access.ask_unfiltered(Event::THREADS_CREATE, || json!({"thread_id": copy_id})).await?;
        let copy = self.domain.copy_thread(&access.into_caller(), id, copy_id).await?;
        Ok(CopyThreadResponse::Ok(thread_of(&copy).into()))
    }

    async fn join_thread_stream(
        &self,
        cx: Context,
        path: JoinThreadStreamPath,
        query: JoinThreadStreamQuery,
        headers: JoinThreadStreamHeaders,
    ) -> Result<JoinThreadStreamResponse> {
        let modes = thread_modes(&[query.stream_modes, query.stream_mode].concat())?;
        let (id, last) = (path.thread_id.into(), headers.last_event_id.as_deref());
        let caller = may_read(&cx, id).await?;
        let listener = self.domain.join_thread(&caller, id, last).await?;
        let filter = sse::Filter::Thread(modes);
        let body = self.event_body(Some(listener), filter, OnDisconnect::go_on());
        Ok(JoinThreadStreamResponse::EventStream(event_stream(body, [])))
    }
}

impl Api {
    async fn state(&self, cx: &Context, id: ThreadId, at: StateAt) -> Result<Bytes> {
        let caller = may_read(cx, id).await?;
        let state = self.domain.thread_state(&caller, id, at).await?;
        Ok(Bytes::copy_from_slice(state.get().as_bytes()))
    }

    async fn history(
        &self,
        cx: &Context,
        id: ThreadId,
        filter: checkpoints::Filter,
        limit: u32,
    ) -> Result<Bytes> {
        let caller = may_read(cx, id).await?;
        let states = self.domain.thread_history(&caller, id, filter, limit).await?;
        let states: Vec<&str> = states.iter().map(RawJson::get).collect();
        Ok(format!("[{}]", states.join(",")).into())
    }
}

/// Asks whether a thread may be read; runs, states and events are parts of it.
pub(super) async fn may_read(cx: &Context, id: ThreadId) -> Result<Caller> {
    allowed(cx, Event::THREADS_READ, || json!({"thread_id": id})).await
}

async fn may_search(cx: &Context, filter: &Filter, page: Page) -> Result<Caller> {
    let value = || {
        json!({
            "metadata": filter.metadata, "values": filter.values,
            "status": filter.status.map(ThreadStatus::as_str),
            "limit": page.limit, "offset": page.offset,
        })
    };
    allowed(cx, Event::THREADS_SEARCH, value).await
}

/// Modes of a thread's stream: names, lists with commas, or JSON arrays; those of runs when none is given.
fn thread_modes(values: &[String]) -> Result<Vec<sse::ThreadMode>> {
    let names = query_names(values);
    let names = names.iter().flat_map(|name| name.split(',')).map(str::trim);
    let modes: Vec<_> = names
        .filter(|name| !name.is_empty())
        .map(|name| {
            sse::ThreadMode::parse(name)
                .ok_or_else(|| invalid(format!("Invalid stream mode: {name}")))
        })
        .collect::<Result<_>>()?;
    Ok(if modes.is_empty() { vec![sse::ThreadMode::RunModes] } else { modes })
}

/// The checkpoint id of a history's `before`: a flat checkpoint, a config around one, or the bare id.
fn before_id(json: &[u8]) -> Option<String> {
    let before: Value = serde_json::from_slice(json).ok()?;
    let id = |value: &Value| value["checkpoint_id"].as_str().map(str::to_owned);
    before
        .as_str()
        .map(str::to_owned)
        .or_else(|| id(&before))
        .or_else(|| id(&before["configurable"]))
}

fn thread_ids(ids: &[String]) -> Result<Vec<ThreadId>> {
    ids.iter()
        .map(|id| {
            let parsed = parse_uuid(id).map(ThreadId::from);
            parsed.ok_or_else(|| {
                agent_server_domain::Error::Refused(format!("Invalid thread ID {id}")).into()
            })
        })
        .collect()
}

/// State updates to begin with, as they were sent; an empty list asks for nothing.
fn supersteps(json: Bytes) -> Option<RawJson> {
    let text = str::from_utf8(&json).ok()?;
    let some =
        serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text).is_ok_and(|list| !list.is_empty());
    some.then(|| RawJson::trusted(text))
}

fn ttl_change(ttl: types::ThreadTtlConfig) -> TtlChange {
    let strategy = ttl.strategy.map(|strategy| match strategy {
        types::TtlStrategy::Delete => TtlStrategy::Delete,
        types::TtlStrategy::KeepLatest => TtlStrategy::KeepLatest,
    });
    TtlChange { strategy, minutes: ttl.ttl }
}

#[cfg(test)]
mod tests {
    use super::{before_id, thread_modes};
    use crate::sse::ThreadMode::{Lifecycle, RunModes, StateUpdate};

    #[test]
    fn before_is_read_in_every_form_that_clients_send() {
        for json in [
            r#""1ef""#,
            r#"{"checkpoint_id":"1ef","thread_id":"t","checkpoint_ns":""}"#,
            r#"{"configurable":{"checkpoint_id":"1ef"}}"#,
        ] {
            assert_eq!(before_id(json.as_bytes()).as_deref(), Some("1ef"), "{json}");
        }
        assert_eq!(before_id(b"{}"), None);
    }

    #[test]
    fn modes_are_read_in_every_form_that_clients_send() {
        let modes = |values: &[&str]| {
            let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
            thread_modes(&values).ok()
        };
        assert_eq!(modes(&[]), Some(vec![RunModes]));
        assert_eq!(modes(&[""]), Some(vec![RunModes]));
        let both = Some(vec![Lifecycle, StateUpdate]);
        assert_eq!(modes(&["lifecycle", "state_update"]), both);
        assert_eq!(modes(&["lifecycle, state_update"]), both);
        assert_eq!(modes(&[r#"["lifecycle","state_update"]"#]), both);
        assert_eq!(modes(&["lifecycle,bogus"]), None);
    }
}
