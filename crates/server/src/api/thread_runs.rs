//! Tag Thread Runs.

use agent_server_api::{types, *};
use agent_server_domain::{
    Caller,
    auth::Event,
    runs::{CancelAction, Created, Selection, Target, kwargs::RunRequest},
    storage::{
        Page, RunId, ThreadId,
        runs::{Run, RunStatus},
    },
};
use http::{HeaderName, header};
use serde_json::{Value, json};

use super::{
    Access, Api, Result, allowed, body_id, run_access::Follows, run_body, run_body::RunBody,
    threads::may_read,
};
use crate::{convert, disconnect::OnDisconnect, sse, wait};

/// Where a run is to be found again, relative to the server.
pub(super) fn run_path(thread: ThreadId, run: RunId) -> String {
    format!("/threads/{thread}/runs/{run}")
}

/// `Location` and `Content-Location` of an answer that ends with the run: where to reconnect, and which run it is.
pub(super) fn locations(base: &str, reconnect: &str) -> [(HeaderName, String); 2] {
    [(header::LOCATION, format!("{base}/{reconnect}")), (header::CONTENT_LOCATION, base.to_owned())]
}

impl ThreadRuns for Api {
    async fn create_run(
        &self,
        cx: Context,
        path: CreateRunPath,
        body: Body<types::RunCreateStateful>,
    ) -> Result<CreateRunResponse> {
        let RunBody { request, .. } = run_body::stateful(body)?;
        let thread = path.thread_id.into();
        let created = self.start_run(&cx, Some(thread), Follows::Nothing, request).await?;
        let place = run_path(created.run.thread_id, created.run.run_id);
        let reply =
            Reply::new(&convert::run(&created.run)).with_header(header::CONTENT_LOCATION, place);
        Ok(CreateRunResponse::Ok(reply))
    }

    async fn stream_run(
        &self,
        cx: Context,
        path: StreamRunPath,
        body: Body<types::RunCreateStreamingStateful>,
    ) -> Result<StreamRunResponse> {
        let RunBody { request, cancel_on_disconnect } = run_body::streaming_stateful(body)?;
        let thread = path.thread_id.into();
        let created = self.start_run(&cx, Some(thread), Follows::Events, request).await?;
        let place = run_path(created.run.thread_id, created.run.run_id);
        let guard = OnDisconnect::new(cancel_on_disconnect, &self.domain, &created.run);
        let body = self.event_body(Some(created.listener), sse::Filter::default(), guard);
        Ok(StreamRunResponse::EventStream(event_stream(body, locations(&place, "stream"))))
    }

    async fn wait_run(
        &self,
        cx: Context,
        path: WaitRunPath,
        body: Body<types::RunCreateStreamingStateful>,
    ) -> Result<WaitRunResponse> {
        let RunBody { request, cancel_on_disconnect } = run_body::streaming_stateful(body)?;
        let thread = path.thread_id.into();
        let created = self.start_run(&cx, Some(thread), Follows::Events, request).await?;
        let guard = OnDisconnect::new(cancel_on_disconnect, &self.domain, &created.run);
        Ok(WaitRunResponse::Ok(self.result_reply(&created.run, Some(created.listener), guard)))
    }

    async fn list_runs(
        &self,
        cx: Context,
        path: ListRunsPath,
        query: ListRunsQuery,
    ) -> Result<ListRunsResponse> {
        let thread = path.thread_id.into();
        let bounded = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
        let page = Page {
            limit: bounded(query.limit.unwrap_or(10)),
            offset: bounded(query.offset.unwrap_or(0)),
        };
        let mut access = Access::of(&cx);
        access.ask(Event::THREADS_READ, || json!({"thread_id": thread})).await?;
        let value = || json!({"thread_id": thread, "metadata": {}});
        access.ask(Event::THREADS_SEARCH, value).await?;
        let caller = access.into_caller();
        // A status that does not exist is one that no run has.
        let status = match query.status.as_deref() {
            None | Some("") => None,
            Some(word) => match word.parse() {
                Ok(status) => Some(convert::run_status_filter(status)),
                Err(_) => {
                    self.domain.get_thread(&caller, thread).await?;
                    return Ok(ListRunsResponse::Ok(Reply::rendered("[]")));
                }
            },
        };
        let runs = self.domain.list_runs(&caller, thread, status, page).await?;
        let runs: Vec<_> =
            runs.iter().map(|run| convert::run_partial(run, &query.select)).collect();
        Ok(ListRunsResponse::Ok(Reply::new(&runs)))
    }

    async fn get_run(&self, cx: Context, path: GetRunPath) -> Result<GetRunResponse> {
        let (thread, run) = (path.thread_id.into(), path.run_id.into());
        let caller = may_read(&cx, thread).await?;
        let run = self.domain.get_run(&caller, thread, run).await?;
        Ok(GetRunResponse::Ok(convert::run(&run).into()))
    }

    async fn delete_run(&self, cx: Context, path: DeleteRunPath) -> Result<DeleteRunResponse> {
        let (thread, run): (ThreadId, RunId) = (path.thread_id.into(), path.run_id.into());
        let value = || json!({"run_id": run, "thread_id": thread});
        let caller = allowed(&cx, Event::THREADS_DELETE, value).await?;
        self.domain.delete_run(&caller, thread, run).await?;
        Ok(DeleteRunResponse::NoContent)
    }

    async fn join_run(
        &self,
        cx: Context,
        path: JoinRunPath,
        query: JoinRunQuery,
    ) -> Result<JoinRunResponse> {
        let (thread, run) = (path.thread_id.into(), path.run_id.into());
        let caller = may_read(&cx, thread).await?;
        let joined = self.domain.join_run(&caller, thread, run, None).await?;
        let cancel = query.cancel_on_disconnect.unwrap_or(false);
        let guard = OnDisconnect::new(cancel, &self.domain, &joined.run);
        Ok(JoinRunResponse::Ok(self.result_reply(&joined.run, joined.listener, guard)))
    }

    async fn join_run_stream(
        &self,
        cx: Context,
        path: JoinRunStreamPath,
        query: JoinRunStreamQuery,
        headers: JoinRunStreamHeaders,
    ) -> Result<JoinRunStreamResponse> {
        let (thread, run) = (path.thread_id.into(), path.run_id.into());
        let last = headers.last_event_id.as_deref();
        let caller = may_read(&cx, thread).await?;
        let joined = self.domain.join_run(&caller, thread, run, last).await?;
        let place = run_path(thread, run);
        let cancel = query.cancel_on_disconnect.unwrap_or(false);
        let guard = OnDisconnect::new(cancel, &self.domain, &joined.run);
        let filter = sse::Filter::from_query(&query.stream_mode);
        let body = self.event_body(joined.listener, filter, guard);
        Ok(JoinRunStreamResponse::EventStream(event_stream(body, locations(&place, "stream"))))
    }

    async fn cancel_run(
        &self,
        cx: Context,
        path: CancelRunPath,
        query: CancelRunQuery,
    ) -> Result<CancelRunResponse> {
        let (thread, run) = (path.thread_id.into(), path.run_id.into());
        let action = cancel_action(query.action.as_deref());
        let caller = may_cancel(&cx, &Selection::Ids(thread, vec![run]), action).await?;
        // The end is committed before this returns, so there is nothing left to wait for.
        self.domain.cancel_run(&caller, thread, run, action).await?;
        if !query.wait.unwrap_or(false) {
            return Ok(CancelRunResponse::Accepted);
        }
        let mut reply = Reply::rendered("{}");
        for (name, value) in locations(&run_path(thread, run), "join") {
            reply = reply.with_header(name, value);
        }
        Ok(CancelRunResponse::Ok(reply))
    }

    async fn cancel_runs(
        &self,
        cx: Context,
        query: CancelRunsQuery,
        body: Body<types::RunsCancel>,
    ) -> Result<CancelRunsResponse> {
        let selection = selection(body.value)?;
        let action = cancel_action(query.action.as_deref());
        let caller = may_cancel(&cx, &selection, action).await?;
        self.domain.cancel_runs(&caller, selection, action).await?;
        Ok(CancelRunsResponse::NoContent)
    }
}

async fn may_cancel(cx: &Context, selection: &Selection, action: CancelAction) -> Result<Caller> {
    let value = || {
        let (thread, runs, status) = match selection {
            Selection::Ids(thread, runs) => (json!(thread), json!(runs), Value::Null),
            Selection::Status(Some(status)) => (Value::Null, Value::Null, json!(status.as_str())),
            Selection::Status(None) => (Value::Null, Value::Null, json!("all")),
        };
        let metadata = json!({"run_ids": runs, "status": status});
        json!({"thread_id": thread, "action": action.word(), "metadata": metadata})
    };
    allowed(cx, Event::THREADS_UPDATE, value).await
}

/// Any other word is read as `interrupt`.
fn cancel_action(word: Option<&str>) -> CancelAction {
    match word {
        Some("rollback") => CancelAction::Rollback,
        _ => CancelAction::Interrupt,
    }
}

/// The runs that a cancel names; the schema has seen to it that it names them in one way only.
fn selection(body: types::RunsCancel) -> Result<Selection> {
    let status = match body.status {
        Some(types::RunsCancelStatus::Pending) => Some(RunStatus::Pending),
        Some(types::RunsCancelStatus::Running) => Some(RunStatus::Running),
        Some(types::RunsCancelStatus::All) => None,
        None => {
            let thread = body_id(&body.thread_id.unwrap_or_default(), "thread")?;
            let runs = body.run_ids.unwrap_or_default();
            let runs = runs.iter().map(|id| body_id(id, "run").map(RunId::from));
            return Ok(Selection::Ids(thread.into(), runs.collect::<Result<_>>()?));
        }
    };
    Ok(Selection::Status(status))
}

/// An event stream with its headers.
pub(super) fn event_stream(
    body: axum::body::Body,
    locations: impl IntoIterator<Item = (HeaderName, String)>,
) -> Raw {
    let mut raw = Raw::new(body)
        .with_header(header::CACHE_CONTROL, "no-store")
        .with_header(HeaderName::from_static("x-accel-buffering"), "no");
    for (name, value) in locations {
        raw = raw.with_header(name, value);
    }
    raw
}

impl Api {
    /// Creates a run, if it is allowed; `thread` is `None` for a stateless one.
    pub(super) async fn start_run(
        &self,
        cx: &Context,
        thread: Option<ThreadId>,
        follows: Follows,
        mut request: RunRequest,
    ) -> Result<Created> {
        let requests = std::slice::from_mut(&mut request);
        let caller = self.allowed_runs(cx, thread, follows, requests).await?;
        let target = thread.map_or(Target::Stateless, Target::Thread);
        Ok(self.domain.create_run(&caller, target, request).await?)
    }

    pub(super) fn event_body(
        &self,
        listener: Option<agent_server_domain::stream::Listener>,
        filter: sse::Filter,
        guard: OnDisconnect,
    ) -> axum::body::Body {
        sse::events(listener, filter, guard, self.domain.stopping())
    }

    /// The result of a run, sent when it is there.
    pub(super) fn result_reply(
        &self,
        run: &Run,
        listener: Option<agent_server_domain::stream::Listener>,
        guard: OnDisconnect,
    ) -> Reply<types::RunWaitResult> {
        let body = wait::result(self.domain.clone(), run.thread_id, listener, guard);
        let mut reply = Reply::streamed(body);
        for (name, value) in locations(&run_path(run.thread_id, run.run_id), "join") {
            reply = reply.with_header(name, value);
        }
        reply
    }
}
