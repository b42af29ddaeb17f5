//! Tag A2A: assistants as agents of the Agent2Agent protocol.
//!
//! Two dialects of one protocol: slash names are version 0.3, the others version 1.0. `request` reads the envelope,
//! `message` and `part` what a client says, `input` makes a run of it; `task` finds the runs of a task, `conversation`
//! its messages, `outcome` what a run came to; `send`, `stream`, `tasks` and `list` are the methods, `card` describes
//! the agent, and `model` alone knows how the dialects write things.
//!
//! Source: reference/mcp-and-a2a.md, part 2.

mod card;
mod conversation;
mod history;
mod input;
mod list;
mod message;
mod model;
mod outcome;
mod part;
mod request;
mod send;
mod stream;
mod task;
mod tasks;

use agent_server_api::*;
use agent_server_domain::{
    Caller, Error as DomainError,
    auth::Event,
    storage::{AssistantId, Map, RawJson, assistants::Assistant},
};
use serde_json::{Value, json};

use self::{
    model::Dialect,
    request::{Method, Read},
};
use super::{
    Access, Api, Result,
    rpc::{self, Failure, Outcome},
    thread_runs::event_stream,
};
use crate::{disconnect::OnDisconnect, sse, wait};

/// The protocol's own codes.
const TASK_NOT_FOUND: i64 = -32001;
const NOT_CANCELABLE: i64 = -32002;
const NO_PUSH: i64 = -32003;
const UNSUPPORTED: i64 = -32004;
const CONTENT_TYPE: i64 = -32005;
const INVALID_ANSWER: i64 = -32006;

/// A request that is about to be answered.
struct Call<'a> {
    cx: &'a Context,
    agent: AssistantId,
    dialect: Dialect,
    params: Map,
    /// Which messages the client wants to see, if the header says so.
    scope_header: Option<String>,
}

impl A2a for Api {
    async fn post_a2a(
        &self,
        cx: Context,
        path: PostA2aPath,
        headers: PostA2aHeaders,
        body: bytes::Bytes,
    ) -> Result<PostA2aResponse> {
        let request = match request::read(headers.accept.as_deref(), &body) {
            Read::Request(request) => request,
            Read::NoAnswer => return Ok(PostA2aResponse::Accepted),
            Read::Failed(id, failure) => return Ok(answered(id.as_ref(), &Err(failure))),
            Read::FailedStream(id, failure) => {
                let produce = |messages: sse::Messages| async move {
                    let _ = messages.send(rpc::answer(id.as_ref(), &Err(failure)));
                };
                let stop = self.domain.stopping();
                let body = sse::messages(produce, OnDisconnect::go_on(), stop);
                return Ok(PostA2aResponse::EventStream(event_stream(body, [])));
            }
            Read::NotAcceptable(why) => {
                let why = types::ErrorMessage { error: why.into() };
                return Ok(PostA2aResponse::BadRequest(why.into()));
            }
        };
        let (id, method) = (request.id, request.method);
        let agent = match agent_server_api::parse_uuid(&path.assistant_id) {
            Some(agent) => Ok(agent.into()),
            None => Err(Failure::params("Invalid assistant ID: must be a UUID")),
        };
        let call = agent.and_then(|agent| {
            Ok(Call {
                cx: &cx,
                agent,
                dialect: request.dialect,
                params: params(request.params.as_ref())?,
                scope_header: headers.langgraph_a2a_history_scope,
            })
        });
        let stop = self.domain.stopping();
        if method.streams() {
            // Nothing goes out before the run is committed: its failures are the first message.
            let started = match call {
                Ok(call) => self.start_stream(method, &call).await,
                Err(failure) => Err(failure),
            };
            let (api, dialect) = (self.clone(), request.dialect);
            let produce = |messages: sse::Messages| async move {
                let emit = |outcome: &Outcome| {
                    let _ = messages.send(rpc::answer(Some(&id), outcome));
                };
                match started {
                    Ok(started) => api.follow(started, dialect, emit).await,
                    Err(failure) => emit(&Err(failure)),
                }
            };
            let body = sse::messages(produce, OnDisconnect::go_on(), stop);
            return Ok(PostA2aResponse::EventStream(event_stream(body, [])));
        }
        let call = match call {
            Ok(call) => call,
            Err(failure) => return Ok(answered(Some(&id), &Err(failure))),
        };
        if method == Method::Send {
            let sent = match self.start_task(&call, &["values"]).await {
                Ok(sent) => sent,
                Err(failure) => return Ok(answered(Some(&id), &Err(failure))),
            };
            let (api, dialect) = (self.clone(), call.dialect);
            let outcome = async move {
                let outcome = api.finish_task(sent, dialect).await;
                rpc::answer(Some(&id), &outcome)
            };
            let body = wait::later(outcome, stop, OnDisconnect::go_on());
            return Ok(PostA2aResponse::Ok(Reply::streamed(body)));
        }
        let outcome = match method {
            Method::Get => self.get_task(&call).await,
            Method::Cancel => self.cancel_task(&call).await,
            Method::List => self.list_tasks(&call).await,
            Method::Card => {
                let base = card::base(&cx, "");
                self.own_card(&call, &base).await
            }
            Method::Push => {
                let why = "Push notifications are not supported by this agent";
                Err(Failure::new(NO_PUSH, why))
            }
            Method::Send | Method::Stream | Method::Subscribe => unreachable!("answered above"),
        };
        Ok(answered(Some(&id), &outcome))
    }

    async fn get_agent_card(
        &self,
        cx: Context,
        path: GetAgentCardPath,
    ) -> Result<GetAgentCardResponse> {
        let card = self.card_of(&cx, Some(&path.assistant_id), "").await?;
        Ok(match card {
            Ok(card) => GetAgentCardResponse::Ok(card),
            Err(refusal) => GetAgentCardResponse::BadRequest(refusal),
        })
    }

    async fn get_well_known_agent_card(
        &self,
        cx: Context,
        path: GetWellKnownAgentCardPath,
    ) -> Result<GetWellKnownAgentCardResponse> {
        let card = self.card_of(&cx, Some(&path.assistant_id), "/.well-known/").await?;
        Ok(match card {
            Ok(card) => GetWellKnownAgentCardResponse::Ok(card),
            Err(refusal) => GetWellKnownAgentCardResponse::BadRequest(refusal),
        })
    }

    async fn get_default_agent_card(
        &self,
        cx: Context,
        query: GetDefaultAgentCardQuery,
    ) -> Result<GetDefaultAgentCardResponse> {
        let given = query.assistant_id.filter(|id| !id.is_empty());
        let id = given.or_else(|| self.options.a2a.default_assistant.clone());
        let card = self.card_of(&cx, id.as_deref(), "/.well-known/").await?;
        Ok(match card {
            Ok(card) => GetDefaultAgentCardResponse::Ok(card),
            Err(refusal) => GetDefaultAgentCardResponse::BadRequest(refusal),
        })
    }
}

fn answered(id: Option<&RawJson>, outcome: &Outcome) -> PostA2aResponse {
    PostA2aResponse::Ok(Reply::rendered(rpc::answer(id, outcome)))
}

/// The arguments as an object; absent ones are none.
fn params(params: Option<&RawJson>) -> Outcome<Map> {
    let Some(params) = params else { return Ok(Map::new()) };
    match params.parse() {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(Failure::params("Invalid params: must be an object")),
        Err(error) => Err(Failure::params(format!("Invalid params: {error}"))),
    }
}

impl Api {
    /// Asks about a look at an agent. Those that the server made for its graphs may be called by everybody, so a filter
    /// does not hide them.
    async fn ask_agent(&self, access: &mut Access, id: AssistantId) -> Result<()> {
        let value = || json!({"assistant_id": id});
        match self.domain.is_system_assistant(id).await? {
            true => access.ask_unfiltered(Event::ASSISTANTS_READ, value).await?,
            false => access.ask(Event::ASSISTANTS_READ, value).await?,
        };
        Ok(())
    }

    /// Who may look at an agent.
    async fn may_see(&self, cx: &Context, id: AssistantId) -> Result<Caller> {
        let mut access = Access::of(cx);
        self.ask_agent(&mut access, id).await?;
        Ok(access.into_caller())
    }

    /// The assistant that is called.
    async fn agent(&self, caller: &Caller, id: AssistantId) -> Outcome<Assistant> {
        match self.domain.get_assistant(caller, id).await {
            Err(DomainError::NotFound(_)) => {
                Err(Failure::params(format!("Assistant '{id}' not found")))
            }
            other => Ok(other?),
        }
    }
}
