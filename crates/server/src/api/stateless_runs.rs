//! Tag Stateless Runs.

use agent_server_api::{types, *};
use agent_server_domain::{Caller, auth::Event, storage::RunId};
use http::header;
use serde_json::json;

use super::{
    Api, Result, allowed,
    run_access::Follows,
    run_body,
    run_body::RunBody,
    thread_runs::{event_stream, locations},
};
use crate::{convert, disconnect::OnDisconnect, sse};

/// Where a stateless run is to be found again; the temporary thread is not disclosed here.
fn run_path(run: RunId) -> String {
    format!("/runs/{run}")
}

impl StatelessRuns for Api {
    async fn create_stateless_run(
        &self,
        cx: Context,
        body: Body<types::RunCreateStateless>,
    ) -> Result<CreateStatelessRunResponse> {
        let RunBody { request, .. } = run_body::stateless(body)?;
        let created = self.start_run(&cx, None, Follows::Nothing, request).await?;
        let place = run_path(created.run.run_id);
        let reply =
            Reply::new(&convert::run(&created.run)).with_header(header::CONTENT_LOCATION, place);
        Ok(CreateStatelessRunResponse::Ok(reply))
    }

    async fn stream_stateless_run(
        &self,
        cx: Context,
        body: Body<types::RunCreateStreamingStateless>,
    ) -> Result<StreamStatelessRunResponse> {
        let RunBody { request, cancel_on_disconnect } = run_body::streaming_stateless(body)?;
        let created = self.start_run(&cx, None, Follows::Events, request).await?;
        let place = run_path(created.run.run_id);
        let guard = OnDisconnect::new(cancel_on_disconnect, &self.domain, &created.run);
        let body = self.event_body(Some(created.listener), sse::Filter::default(), guard);
        Ok(StreamStatelessRunResponse::EventStream(event_stream(body, locations(&place, "stream"))))
    }

    async fn wait_stateless_run(
        &self,
        cx: Context,
        body: Body<types::RunCreateStreamingStateless>,
    ) -> Result<WaitStatelessRunResponse> {
        let RunBody { request, cancel_on_disconnect } = run_body::streaming_stateless(body)?;
        let created = self.start_run(&cx, None, Follows::Events, request).await?;
        let guard = OnDisconnect::new(cancel_on_disconnect, &self.domain, &created.run);
        Ok(WaitStatelessRunResponse::Ok(self.result_reply(
            &created.run,
            Some(created.listener),
            guard,
        )))
    }

    async fn get_stateless_run(
        &self,
        cx: Context,
        path: GetStatelessRunPath,
    ) -> Result<GetStatelessRunResponse> {
        let caller = may_read_some(&cx).await?;
        let run = self.domain.find_run(&caller, path.run_id.into()).await?;
        Ok(GetStatelessRunResponse::Ok(convert::run(&run).into()))
    }

    async fn join_stateless_run_stream(
        &self,
        cx: Context,
        path: JoinStatelessRunStreamPath,
        query: JoinStatelessRunStreamQuery,
        headers: JoinStatelessRunStreamHeaders,
    ) -> Result<JoinStatelessRunStreamResponse> {
        let caller = may_read_some(&cx).await?;
        let run = self.domain.find_run(&caller, path.run_id.into()).await?;
        let joined = self.domain.listen(run, headers.last_event_id.as_deref()).await?;
        let place = run_path(joined.run.run_id);
        let cancel = query.cancel_on_disconnect.unwrap_or(false);
        let guard = OnDisconnect::new(cancel, &self.domain, &joined.run);
        let filter = sse::Filter::from_query(&query.stream_mode);
        let body = self.event_body(joined.listener, filter, guard);
        let raw = event_stream(body, locations(&place, "stream"));
        Ok(JoinStatelessRunStreamResponse::EventStream(raw))
    }

    async fn create_run_batch(
        &self,
        cx: Context,
        body: Body<types::RunBatchCreate>,
    ) -> Result<CreateRunBatchResponse> {
        let members = body.value.0.into_iter().map(run_body::stateless_member);
        let mut requests = members.collect::<Result<Vec<_>>>()?;
        let caller = self.allowed_runs(&cx, None, Follows::Nothing, &mut requests).await?;
        let created = self.domain.create_runs(&caller, requests).await?;
        let runs: Vec<_> = created.iter().map(|created| convert::run(&created.run)).collect();
        Ok(CreateRunBatchResponse::Ok(Reply::new(&runs)))
    }
}

/// Asks about a thread that the client does not know.
async fn may_read_some(cx: &Context) -> Result<Caller> {
    allowed(cx, Event::THREADS_READ, || json!({"thread_id": null})).await
}
