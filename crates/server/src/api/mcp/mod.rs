//! Tag MCP: assistants as tools of the Model Context Protocol.
//!
//! Streamable HTTP without state: every request is answered by itself, whatever came before. `tools` lists, `call` runs,
//! `schema` simplifies what a tool takes, `sessions` knows which calls can be cancelled, `version` what clients speak.
//!
//! Source: reference/mcp-and-a2a.md, part 1.

mod call;
mod schema;
mod sessions;
mod tools;
mod version;

use agent_server_api::*;
use agent_server_domain::storage::RawJson;
use http::HeaderName;
use serde_json::{Value, json};

use self::version::Version;
use super::{
    Api, Result,
    rpc::{self, Failure, Message, NoMessage, Outcome},
};
use crate::API_VERSION;

pub(super) use sessions::Sessions;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// A request that is about to be answered.
struct Request<'a> {
    cx: &'a Context,
    id: &'a RawJson,
    params: Option<&'a RawJson>,
    version: Version,
    /// Name of the connection, if the client repeats it.
    session: Option<String>,
    /// Whether the client reads event streams.
    reads_streams: bool,
}

impl Mcp for Api {
    async fn post_mcp(
        &self,
        cx: Context,
        headers: PostMcpHeaders,
        body: bytes::Bytes,
    ) -> Result<PostMcpResponse> {
        let message = match message(&headers, &body) {
            Ok(message) => message,
            Err(refusal) => return Ok(PostMcpResponse::BadRequest(refused(refusal))),
        };
        let method = match &message.method {
            Some(Value::String(method)) if !method.is_empty() => Some(method.as_str()),
            _ => None,
        };
        let (id, method) = match (&message.id, method) {
            (Some(id), Some(method)) => (id, method),
            (Some(_), None) => return Ok(PostMcpResponse::Accepted),
            (None, Some(method)) => {
                if method == "notifications/cancelled" {
                    self.cancel_call(&cx, &headers, message.params.as_ref()).await;
                }
                return Ok(PostMcpResponse::Accepted);
            }
            (None, None) => {
                let why = "Invalid JSON-RPC message. It is neither a request, nor a response, nor a notification.";
                return Ok(PostMcpResponse::BadRequest(refused(why)));
            }
        };
        let version = match Version::of_request(headers.mcp_protocol_version.as_deref()) {
            Ok(version) => version,
            Err(failure) => return Ok(reply(Some(id), &Err(failure))),
        };
        let request = Request {
            cx: &cx,
            id,
            params: message.params.as_ref(),
            version,
            session: headers.mcp_session_id,
            reads_streams: accepts(headers.accept.as_deref(), "text/event-stream"),
        };
        if method == "tools/call" {
            return Ok(match self.call_tool(&request).await {
                Ok(response) => response,
                Err(failure) => reply(Some(id), &Err(failure)),
            });
        }
        let outcome = self.answer_mcp(method, &request).await;
        let named = method == "initialize" && outcome.is_ok();
        let outcome = outcome.map(|result| RawJson::of(&version.complete(result)));
        Ok(match reply(Some(id), &outcome) {
            PostMcpResponse::Ok(reply) if named => {
                let name = self.domain.ids().random().to_string();
                PostMcpResponse::Ok(reply.with_header(SESSION, name))
            }
            other => other,
        })
    }

    async fn get_mcp(&self, _cx: Context) -> Result<GetMcpResponse> {
        let allow = Empty::new().with_header(http::header::ALLOW, "POST, DELETE");
        Ok(GetMcpResponse::MethodNotAllowed(allow))
    }

    async fn delete_mcp(
        &self,
        cx: Context,
        headers: DeleteMcpHeaders,
    ) -> Result<DeleteMcpResponse> {
        let Some(session) = headers.mcp_session_id else { return Ok(DeleteMcpResponse::NotFound) };
        self.cancel_all(&cx, &session).await;
        Ok(DeleteMcpResponse::NoContent)
    }
}

/// The message of a body, or why there is none.
fn message(headers: &PostMcpHeaders, body: &[u8]) -> Result<Message, &'static str> {
    let message = Message::read(body);
    if matches!(message, Err(NoMessage::NotJson)) {
        return Err("Invalid JSON");
    }
    let accept = headers.accept.as_deref();
    if !accepts(accept, "application/json") && !accepts(accept, "text/event-stream") {
        return Err("Accept header must include application/json or text/event-stream");
    }
    let message = message.map_err(|why| match why {
        NoMessage::NotJson => "Invalid JSON",
        NoMessage::NotObject => "Invalid message format.",
        NoMessage::WrongVersion => "Invalid JSON-RPC message. Missing or invalid jsonrpc version.",
    })?;
    match message.has_plain_id() {
        true => Ok(message),
        false => Err("Invalid JSON-RPC message. The id must be a string or a number."),
    }
}

/// Whether a header names a media type. The protocol demands the names, so wildcards are none.
fn accepts(header: Option<&str>, media_type: &str) -> bool {
    header.is_some_and(|header| header.to_ascii_lowercase().contains(media_type))
}

fn refused(why: &str) -> Reply<types::ErrorMessage> {
    // A space behind the colon, as upstream has it.
    Reply::rendered(format!("{{\"error\": {}}}", json!(why)))
}

fn reply(id: Option<&RawJson>, outcome: &Outcome) -> PostMcpResponse {
    PostMcpResponse::Ok(Reply::rendered(rpc::answer(id, outcome)))
}

impl Api {
    /// The methods that are answered at once.
    async fn answer_mcp(&self, method: &str, request: &Request<'_>) -> Outcome<Value> {
        match method {
            "initialize" => {
                let wanted = request.param("protocolVersion");
                Ok(json!({
                    "protocolVersion": version::negotiated(wanted.as_ref().and_then(Value::as_str)),
                    "capabilities": {"tools": {"listChanged": false}},
                    "serverInfo": {"name": "LangGraph", "version": API_VERSION},
                }))
            }
            "server/discover" => Ok(version::discovered()),
            "ping" => Ok(json!({})),
            "tools/list" => self.list_tools(request).await,
            other => {
                let why = format!("Method not found: {other}");
                Err(Failure::new(rpc::METHOD_NOT_FOUND, why))
            }
        }
    }
}

impl Request<'_> {
    /// A member of the arguments; null counts as absent.
    fn param(&self, name: &str) -> Option<Value> {
        let params: serde_json::Map<String, Value> = self.params?.parse().ok()?;
        params.get(name).filter(|value| !value.is_null()).cloned()
    }
}
