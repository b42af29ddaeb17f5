//! Calling a tool: a stateless run whose result is the answer.

use std::collections::HashMap;

use agent_server_api::*;
use agent_server_domain::{
    Domain,
    ports::Event,
    runs::{Created, Target, kwargs::RunRequest},
    storage::{Map, RawJson, ThreadId},
    stream::Listener,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{
    super::{
        rpc::{self, Failure, Outcome},
        run_access::Follows,
        thread_runs::event_stream,
    },
    Api, Request,
    sessions::InProgress,
    version::Version,
};
use crate::{disconnect::OnDisconnect, sse, wait};

/// Arguments of a call. What is checked by the rules is not checked here.
#[derive(Default, Deserialize)]
struct Params {
    #[serde(default)]
    name: Option<Value>,
    #[serde(default)]
    arguments: Option<RawJson>,
    #[serde(default)]
    context: Option<Value>,
    #[serde(default, rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default, rename = "progressToken")]
    progress_token: Option<Value>,
}

impl Params {
    fn read(params: Option<&RawJson>) -> Outcome<Self> {
        let Some(params) = params else { return Ok(Self::default()) };
        if !params.get().starts_with('{') {
            return Err(Failure::params("Invalid params: must be an object"));
        }
        params.parse().map_err(|error| Failure::params(format!("Invalid params: {error}")))
    }

    /// The token under which the client wants to hear of progress.
    fn progress_token(&self) -> Option<Value> {
        let token = self.meta.as_ref()?.progress_token.clone()?;
        (token.is_string() || token.is_number()).then_some(token)
    }

    fn input(&self) -> Outcome<RawJson> {
        match &self.arguments {
            None => Ok(RawJson::trusted("{}")),
            Some(arguments) if arguments.get().starts_with('{') => Ok(arguments.clone()),
            Some(_) => Err(Failure::params("Invalid params: arguments must be an object")),
        }
    }

    fn context(&self) -> Outcome<Map> {
        match &self.context {
            None => Ok(Map::new()),
            Some(Value::Object(context)) => Ok(context.clone()),
            Some(_) => Err(Failure::params("Invalid params: context must be an object")),
        }
    }
}

impl Api {
    /// Starts the run, and answers with its result when that is there.
    ///
    /// Shape: JSON, or an event stream for clients that want to hear of progress.
    pub(super) async fn call_tool(&self, request: &Request<'_>) -> Outcome<PostMcpResponse> {
        let params = Params::read(request.params)?;
        let name = match &params.name {
            Some(Value::String(name)) => name.as_str(),
            _ => "None",
        };
        let (input, context) = (params.input()?, params.context()?);
        let unknown = || Failure::params(format!("Unknown tool: {name}"));
        let assistant = self.tool(request.cx, name).await?.ok_or_else(unknown)?;
        let token = params.progress_token().filter(|_| request.reads_streams);
        let mut run = RunRequest {
            input: Some(input),
            context,
            ..RunRequest::of(assistant.assistant_id.to_string())
        };
        if token.is_some() {
            run.stream_mode.push("updates".into());
        }
        let runs = std::slice::from_mut(&mut run);
        let caller = self.allowed_runs(request.cx, None, Follows::Events, runs).await?;
        let noted = self.sessions.note(request.cx, request.session.as_deref(), request.id);
        let created = self.domain.create_run(&caller, Target::Stateless, run).await?;
        if let Some(noted) = &noted {
            noted.began(&created.run);
        }
        // Where the protocol says that a lost connection cancels. The older versions say that it does not.
        let cancels = request.version == Version::New;
        let guard = OnDisconnect::new(cancels, &self.domain, &created.run);
        let Created { run, listener } = created;
        let (id, version) = (request.id.clone(), request.version);
        let (domain, stop) = (self.domain.clone(), self.domain.stopping());
        let Some(token) = token else {
            let outcome = async move {
                result(&domain, run.thread_id, listener, &id, version, noted, |_| {}).await
            };
            let body = wait::later(outcome, stop, guard);
            return Ok(PostMcpResponse::Ok(Reply::streamed(body)));
        };
        let produce = |messages: sse::Messages| async move {
            let mut progress = 0;
            let watch = |event: &Event| {
                if let Some(step) = step(event) {
                    progress += 1;
                    let params =
                        json!({"progressToken": token, "progress": progress, "message": step});
                    let _ = messages.send(rpc::notification("notifications/progress", &params));
                }
            };
            let answer = result(&domain, run.thread_id, listener, &id, version, noted, watch).await;
            let _ = messages.send(answer);
        };
        let body = sse::messages(produce, guard, stop);
        Ok(PostMcpResponse::EventStream(event_stream(body, [])))
    }
}

/// The nodes that have just done something.
fn step(event: &Event) -> Option<String> {
    if event.name != "updates" {
        return None;
    }
    let nodes: HashMap<String, IgnoredAny> = serde_json::from_slice(&event.data).ok()?;
    let mut nodes: Vec<_> = nodes.into_keys().filter(|name| !name.starts_with("__")).collect();
    nodes.sort();
    (!nodes.is_empty()).then(|| nodes.join(", "))
}

/// Waits for the run and renders the answer.
async fn result(
    domain: &Domain,
    thread: ThreadId,
    listener: Listener,
    id: &RawJson,
    version: Version,
    noted: Option<InProgress>,
    watch: impl FnMut(&Event) + Send,
) -> Bytes {
    let outcome = match domain.watched_result(thread, Some(listener), watch).await {
        // What was there when it was cancelled is no result.
        Ok(_) if noted.is_some_and(|noted| noted.is_cancelled()) => Ok(cancelled(version)),
        Ok(values) => Ok(rendered(values, version)),
        Err(error) => Err(error.into()),
    };
    rpc::answer(Some(id), &outcome)
}

/// The result of a tool. Values pass as they are.
#[derive(Serialize)]
struct ToolResult<'a> {
    content: [Text<'a>; 1],
    #[serde(rename = "structuredContent", skip_serializing_if = "Option::is_none")]
    structured: Option<RawJson>,
    #[serde(rename = "isError", skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
    #[serde(rename = "resultType", skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: &'a str,
}

fn told(text: &str, structured: Option<RawJson>, is_error: bool, version: Version) -> RawJson {
    let content = [Text { r#type: "text", text }];
    let result_type = version.result_type();
    RawJson::of(&ToolResult { content, structured, is_error, result_type })
}

/// The result of a call that the client has cancelled, and does not wait for.
fn cancelled(version: Version) -> RawJson {
    told("The call was cancelled", None, true, version)
}

/// The result of a run as that of a tool: JSON text, and the same as structure.
fn rendered(values: Bytes, version: Version) -> RawJson {
    #[derive(Deserialize)]
    struct Failed {
        #[serde(rename = "__error__")]
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        error: String,
        message: String,
    }
    let values = without_nul(values);
    if values.starts_with(b"{\"__error__\"")
        && let Ok(Failed { error: Error { error, message } }) = serde_json::from_slice(&values)
    {
        let text = if message.is_empty() { error } else { format!("{error}: {message}") };
        return told(&text, None, true, version);
    }
    let text = String::from_utf8_lossy(&values);
    let structured = text.starts_with('{').then(|| RawJson::trusted(&*text));
    told(&text, structured, false, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &'static str, version: Version, expected: Value) {
        let result: Value = rendered(values.into(), version).parse().expect("JSON");
        assert_eq!(result, expected);
    }

    #[test]
    fn values_are_text_and_structure() {
        let text = r#"{"x":21,"none":null,"yes":true}"#;
        let structured: Value = serde_json::from_str(text).expect("JSON");
        let content = json!([{"type": "text", "text": text}]);
        check(
            text,
            Version::New,
            json!({"content": content, "structuredContent": structured, "resultType": "complete"}),
        );
        check("[1]", Version::Old, json!({"content": [{"type": "text", "text": "[1]"}]}));
    }

    #[test]
    fn failures_say_what_went_wrong() {
        check(
            r#"{"__error__":{"error":"ValueError","message":"bad value"}}"#,
            Version::Old,
            json!({"content": [{"type": "text", "text": "ValueError: bad value"}], "isError": true}),
        );
    }

    #[test]
    fn steps_are_nodes() {
        let step = |name: &str, data: &'static str| {
            super::step(&Event { name: name.into(), data: data.into() })
        };
        assert_eq!(step("updates", r#"{"b":1,"a":{}}"#).as_deref(), Some("a, b"));
        assert_eq!(step("updates", r#"{"__interrupt__":[]}"#), None);
        assert_eq!(step("values", r#"{"b":1}"#), None);
    }
}
