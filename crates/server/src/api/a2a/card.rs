//! What an agent can do and how it is reached, in a shape that clients of both dialects read.

use agent_server_api::*;
use agent_server_domain::{
    Caller, Error,
    storage::{AssistantId, RawJson},
};
use http::header;
use serde_json::{Value, json};

use super::{
    super::{
        Result,
        rpc::{Failure, INTERNAL_ERROR, Outcome},
    },
    Api, Call, input,
};
use crate::{API_VERSION, MountPrefix};

const MODES: [&str; 2] = ["application/json", "text/plain"];
/// Extension of upstream's: a header chooses the messages of a history.
const HISTORY_SCOPE: &str = "https://langchain.com/a2a/extensions/history-scope/v1";

type Refusal = Reply<types::AgentCardRefusal>;

/// The address under which an agent is called, as the client sees it: what stands in front of `suffix` in its request.
pub(super) fn base(cx: &Context, suffix: &str) -> String {
    let mounted = cx.get().map_or("", MountPrefix::as_str);
    format!("{}{mounted}{}", origin(cx), prefix(cx, suffix).trim_end_matches('/'))
}

fn prefix<'a>(cx: &'a Context, suffix: &str) -> &'a str {
    let path = cx.uri.path();
    match suffix.is_empty() {
        true => path,
        false => path.find(suffix).map_or(path, |end| &path[..end]),
    }
}

fn origin(cx: &Context) -> String {
    let forwarded = cx.header("x-forwarded-proto").and_then(|protos| protos.split(',').next());
    let scheme = forwarded.map(str::trim).filter(|scheme| !scheme.is_empty()).unwrap_or("http");
    let authority = cx.uri.authority().map(|authority| authority.as_str());
    let host = cx.header(header::HOST.as_str()).or(authority).unwrap_or("localhost");
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", host.strip_suffix(default_port).unwrap_or(host))
}

/// Which agent a request for a card means, and where that is called.
fn place(cx: &Context, assistant_id: Option<&str>, suffix: &str) -> Outcome<(AssistantId, String)> {
    let missing = || Failure::params("Missing required query parameter: assistant_id");
    let text = assistant_id.ok_or_else(missing)?;
    let id = agent_server_api::parse_uuid(text).ok_or_else(|| {
        let why = format!("Failed to get assistant '{text}': Invalid assistant ID: must be a UUID");
        Failure::params(why)
    })?;
    // A card at the root has no agent in its address.
    let url = match prefix(cx, suffix).contains("/a2a/") {
        true => base(cx, suffix),
        false => format!("{}/a2a/{id}", base(cx, suffix)),
    };
    Ok((id.into(), url))
}

impl Api {
    /// The answer to a request for a card.
    pub(super) async fn card_of(
        &self,
        cx: &Context,
        assistant_id: Option<&str>,
        suffix: &str,
    ) -> Result<std::result::Result<Reply<types::AgentCard>, Refusal>> {
        let card = match place(cx, assistant_id, suffix) {
            Ok((id, url)) => self.card(&self.may_see(cx, id).await?, id, &url).await,
            Err(failure) => Err(failure),
        };
        Ok(card.map(|card| Reply::rendered(card.to_string())).map_err(|failure| {
            let error = json!({"error": {"code": failure.code, "message": failure.message}});
            Reply::rendered(error.to_string())
        }))
    }

    /// The card of the agent that is called.
    pub(super) async fn own_card(&self, call: &Call<'_>, url: &str) -> Outcome {
        let caller = self.may_see(call.cx, call.agent).await?;
        Ok(RawJson::of(&self.card(&caller, call.agent, url).await?))
    }

    /// The card of an agent that is called at `url`.
    async fn card(&self, caller: &Caller, id: AssistantId, url: &str) -> Outcome<Value> {
        let assistant = self.agent(caller, id).await?;
        let (fields, required) = match self.domain.assistant_schemas(caller, id).await {
            Ok((_, schemas)) => (input::fields(&schemas), input::required(&schemas)),
            // A graph that does not load has a card all the same, which says that it takes nothing.
            Err(Error::BadGraph(_) | Error::Refused(_)) => (vec![], vec![]),
            Err(Error::Internal(cause)) => {
                tracing::error!(%cause, "a schema could not be read");
                return Err(Failure::new(INTERNAL_ERROR, "Internal server error"));
            }
            Err(error) => return Err(error.into()),
        };
        let settings = &assistant.metadata.get("a2a").cloned().unwrap_or_default();
        let inputs = modes(settings, "input_modes")?;
        let outputs = modes(settings, "output_modes")?;
        let name = &assistant.name;
        let given = assistant.description.clone().filter(|text| !text.is_empty());
        let description = given.unwrap_or_else(|| format!("{name} assistant"));
        let talks = fields.iter().any(|field| field == "messages");
        Ok(json!({
            "protocolVersion": "0.3.0",
            "name": name,
            "description": description,
            "url": url,
            "preferredTransport": "JSONRPC",
            "supportedInterfaces": [
                {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            ],
            "capabilities": {
                "streaming": true,
                "pushNotifications": false,
                "stateTransitionHistory": false,
                "extensions": [{
                    "uri": HISTORY_SCOPE,
                    "description": "Chooses whether the history of a task holds the messages of its context or its own.",
                    "required": false,
                    "params": {
                        "header": "LangGraph-A2A-History-Scope",
                        "values": ["context", "task"],
                        "default": "context",
                        "methods": ["SendMessage", "GetTask", "ListTasks"],
                    },
                }],
            },
            "defaultInputModes": inputs,
            "defaultOutputModes": outputs,
            "skills": [{
                "id": format!("{id}-main"),
                "name": format!("{name} Capabilities"),
                "description": description,
                "tags": ["assistant", "langgraph"],
                "examples": [],
                "inputModes": inputs,
                "outputModes": outputs,
                "metadata": {
                    "inputSchema": {
                        "required": required,
                        "properties": fields,
                        "supportsA2A": talks,
                    },
                },
            }],
            "version": API_VERSION,
        }))
    }
}

/// Media types, which the assistant's metadata may name.
fn modes(settings: &Value, name: &str) -> Outcome<Vec<String>> {
    let given = match settings.get(name) {
        None | Some(Value::Null) => return Ok(MODES.map(str::to_owned).to_vec()),
        Some(given) => given,
    };
    let modes: Option<Vec<String>> = serde_json::from_value(given.clone()).ok();
    modes.filter(|modes| !modes.is_empty()).ok_or_else(|| {
        Failure::params(format!(
            "Assistant metadata 'a2a.{name}' must be a non-empty array of strings"
        ))
    })
}
