//! Commands that start runs: `run.start` and `input.respond`.
//!
//! Source: reference/event-streaming-v2.md, sections 6.4 and 6.5.

use agent_server_api::{Context, parse_uuid};
use agent_server_domain::{
    runs::kwargs::{RunRequest, Tracer},
    storage::{
        Map, RawJson, ThreadId,
        runs::MultitaskStrategy,
        threads::{Thread, ThreadStatus},
    },
};
use serde_json::{Value, json};

use super::{
    super::{Api, run_access::Follows, threads::may_read},
    command::{Failure, NO_SUCH_INTERRUPT, NO_SUCH_RUN, Outcome, Params},
};
use crate::error::{Error, invalid};

/// What a run of the protocol sends.
const MODES: [&str; 8] =
    ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"];

/// One answer to a question of a graph.
pub(super) struct Response {
    pub(super) interrupt_id: String,
    /// Where the client says that the question comes from.
    pub(super) namespace: Vec<String>,
    response: RawJson,
}

impl Api {
    /// Starts a run, or answers the one question that the thread has asked.
    pub(super) async fn run_start(&self, cx: &Context, thread: &str, params: &Params) -> Outcome {
        let Some(assistant) = text(params, "assistant_id") else {
            return Err(Failure::argument("run.start requires an assistant_id."));
        };
        let mut request = request(assistant, params);
        check_checkpoint(&request.config)?;
        request.tracer = tracer(params)?;
        let word = text(params, "multitaskStrategy").unwrap_or_default();
        request.multitask_strategy = MultitaskStrategy::parse(&word).unwrap_or_default();
        request.create_thread = true;
        let thread = thread_id(thread)?;
        if let Some(input) = params.given("input") {
            let found = self.settled(cx, thread).await;
            let asks = found.is_some_and(|thread| !interrupt_ids(&thread).is_empty());
            match asks {
                true => request.command = Some(object(&[("resume", input)])),
                false => request.input = Some(input.clone()),
            }
        }
        self.start(cx, thread, request).await
    }

    /// Answers questions of the thread with a run.
    pub(super) async fn input_respond(
        &self,
        cx: &Context,
        thread: &str,
        params: &Params,
        responses: Vec<Response>,
    ) -> Outcome {
        let unbound = || Failure::new(NO_SUCH_RUN, "No interrupted run is bound to this thread.");
        let thread = thread_id(thread).map_err(|_| unbound())?;
        let found = self.settled(cx, thread).await.ok_or_else(unbound)?;
        // While a run is at work, the questions that the thread shows are those that this run answers.
        let asked = match found.status {
            ThreadStatus::Interrupted => interrupt_ids(&found),
            _ => vec![],
        };
        for Response { interrupt_id, .. } in &responses {
            if !asked.contains(interrupt_id) {
                let text = format!("Unknown or already-consumed interrupt: {interrupt_id}");
                return Err(Failure::new(NO_SUCH_INTERRUPT, text));
            }
        }
        let assistant = found.metadata.get("assistant_id").and_then(Value::as_str);
        let mut request = request(assistant.ok_or_else(unbound)?.to_owned(), params);
        let answers: Vec<_> = responses
            .iter()
            .map(|response| (&*response.interrupt_id, &response.response))
            .collect();
        let answers = object(&answers);
        let mut command = vec![("resume", &answers)];
        for name in ["update", "goto"] {
            command.extend(params.given(name).map(|value| (name, value)));
        }
        request.command = Some(object(&command));
        self.start(cx, thread, request).await.map(|_| json!({}))
    }

    async fn start(&self, cx: &Context, thread: ThreadId, mut request: RunRequest) -> Outcome {
        let configurable = request.config.entry("configurable").or_insert_with(|| json!({}));
        if !configurable.is_object() {
            *configurable = json!({});
        }
        configurable["__event_streaming_v2"] = true.into();
        configurable["thread_id"] = json!(thread.to_string());
        request.stream_mode = MODES.map(str::to_owned).to_vec();
        request.stream_subgraphs = true;
        request.stream_resumable = true;
        request.durability = Some("async".into());
        let created = self.start_run(cx, Some(thread), Follows::Nothing, request, None).await?;
        Ok(json!({"run_id": created.run.run_id.to_string()}))
    }

    /// The thread, if it may be read. A run that has asked something is about to end: its questions are the thread's from
    /// then on, so its end is waited for.
    async fn settled(&self, cx: &Context, thread: ThreadId) -> Option<Thread> {
        let caller = may_read(cx, thread).await.ok()?;
        if let Err(error) = self.domain.settle_question(&caller, thread).await {
            tracing::debug!(%error, %thread, "a thread is answered without waiting for its run");
        }
        self.domain.get_thread(&caller, thread).await.ok()
    }
}

/// Reads the answers of `input.respond`.
pub(super) fn responses(params: &Params) -> Result<Vec<Response>, Failure> {
    let responses = match params.given("responses") {
        None => vec![response(params, "input.respond requires an interrupt_id.")?],
        Some(list) => {
            let entries: Vec<RawJson> = list.parse().unwrap_or_default();
            let read = |entry: &RawJson| {
                let text = "input.respond responses entries must be objects.";
                let entry = Params::of(entry).ok_or_else(|| Failure::argument(text))?;
                response(&entry, "input.respond responses entries require an interrupt_id.")
            };
            entries.iter().map(read).collect::<Result<_, _>>()?
        }
    };
    if responses.is_empty() {
        return Err(Failure::argument("input.respond requires at least one response."));
    }
    Ok(responses)
}

fn response(params: &Params, no_id: &str) -> Result<Response, Failure> {
    let interrupt_id = text(params, "interrupt_id").ok_or_else(|| Failure::argument(no_id))?;
    let namespace = match params.given("namespace") {
        None => vec![],
        Some(namespace) => namespace.parse().map_err(|_| {
            Failure::argument("input.respond requires namespace to be a list of strings.")
        })?,
    };
    let response = params.given("response").cloned().unwrap_or_else(RawJson::null);
    Ok(Response { interrupt_id, namespace, response })
}

fn request(assistant: String, params: &Params) -> RunRequest {
    let object = |name: &str| match params.value(name) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    RunRequest {
        config: object("config"),
        metadata: object("metadata"),
        ..RunRequest::of(assistant)
    }
}

/// An argument that is text and not empty.
fn text(params: &Params, name: &str) -> Option<String> {
    let text: String = params.given(name)?.parse().ok()?;
    Some(text).filter(|text| !text.is_empty())
}

fn thread_id(text: &str) -> Result<ThreadId, Error> {
    parse_uuid(text).map(ThreadId::from).ok_or_else(|| invalid("Invalid thread ID"))
}

fn check_checkpoint(config: &Map) -> Result<(), Failure> {
    let id = config.get("configurable").and_then(|configurable| configurable.get("checkpoint_id"));
    let Some(id) = id else { return Ok(()) };
    match id.as_str().filter(|id| !id.is_empty()) {
        None => {
            Err(Failure::argument("config.configurable.checkpoint_id must be a non-empty string."))
        }
        Some(id) if parse_uuid(id).is_none() => {
            Err(Failure::argument(format!("Invalid config.configurable.checkpoint_id: '{id}'.")))
        }
        Some(_) => Ok(()),
    }
}

fn tracer(params: &Params) -> Result<Tracer, Failure> {
    let refused = || {
        Failure::argument(
            "langsmith_tracer must be an object with only project_name and example_id, both strings.",
        )
    };
    let mut given = match params.value("langsmith_tracer") {
        Value::Null => return Ok(Tracer::default()),
        Value::Object(given) => given,
        _ => return Err(refused()),
    };
    let mut text = |name: &str| match given.shift_remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refused()),
    };
    let tracer = Tracer { project: text("project_name")?, example: text("example_id")? };
    if given.is_empty() { Ok(tracer) } else { Err(refused()) }
}

/// Ids of the questions that a thread waits with.
fn interrupt_ids(thread: &Thread) -> Vec<String> {
    let by_task: Map =
        thread.interrupts.as_ref().and_then(|json| json.parse().ok()).unwrap_or_default();
    let all = by_task.values().filter_map(Value::as_array).flatten();
    all.map(|interrupt| interrupt["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// An object of values as they were sent.
fn object(members: &[(&str, &RawJson)]) -> RawJson {
    let member = |(name, value): &(&str, &RawJson)| format!("{}:{}", json!(name), value.get());
    RawJson::trusted(format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: Value) -> Params {
        Params::of(&RawJson::of(&value)).expect("an object")
    }

    fn refused(value: Value) -> Failure {
        responses(&params(value)).err().expect("refused")
    }

    #[test]
    fn answers_are_checked_in_their_order() {
        for (given, text) in [
            (json!({"responses": []}), "input.respond requires at least one response."),
            (json!({"responses": [1]}), "input.respond responses entries must be objects."),
            (
                json!({"responses": [{"response": 1}]}),
                "input.respond responses entries require an interrupt_id.",
            ),
            (json!({}), "input.respond requires an interrupt_id."),
            (json!({"interrupt_id": 1}), "input.respond requires an interrupt_id."),
            (
                json!({"interrupt_id": "i", "namespace": "a"}),
                "input.respond requires namespace to be a list of strings.",
            ),
        ] {
            assert_eq!(refused(given), Failure::argument(text));
        }
        let read = responses(&params(json!({"interrupt_id": "i", "response": {"a": 1}})));
        let read = read.expect("read");
        assert_eq!((&*read[0].interrupt_id, read[0].response.get()), ("i", r#"{"a":1}"#));
    }

    #[test]
    fn a_tracer_has_two_members_at_most() {
        let tracer = |given: Value| tracer(&params(json!({"langsmith_tracer": given})));
        assert_eq!(
            tracer(json!({"project_name": "p"})).expect("one").project.as_deref(),
            Some("p")
        );
        for given in [json!(1), json!({"project_name": 1}), json!({"a": "b"})] {
            assert!(tracer(given).is_err());
        }
    }
}
