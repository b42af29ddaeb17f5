//! What a run is created with: the request, and its merge with assistant and thread.
//!
//! Source: reference/runs-and-threads.md, sections 5 to 7. All merges are shallow per level; later wins.

use agent_server_storage::{
    CronId, Map, RawJson, RunId, assistants::Assistant, runs::MultitaskStrategy, threads::Thread,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Caller,
    assistants::{configurable, merged},
    runs::origin,
};

/// Body of a run creation, already checked against the document.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Assistant id or graph id.
    pub assistant_id: String,
    /// Graph input; `None` is `null`.
    pub input: Option<RawJson>,
    /// Command; replaces the input unless empty.
    pub command: Option<RawJson>,
    /// Runnable config of this run.
    pub config: Map,
    /// Static context of this run.
    pub context: Map,
    /// Metadata of this run.
    pub metadata: Map,
    /// Checkpoint to start from: members merged into `configurable`.
    pub checkpoint: Map,
    /// `"*"` or array, or `None`.
    pub interrupt_before: Option<RawJson>,
    /// As `interrupt_before`.
    pub interrupt_after: Option<RawJson>,
    /// Never empty.
    pub stream_mode: Vec<String>,
    /// Whether subgraphs' events are streamed.
    pub stream_subgraphs: bool,
    /// Whether events carry ids and are kept for replay.
    pub stream_resumable: bool,
    /// Address that is told of the run's end; see [`crate::webhooks`].
    pub webhook: Option<String>,
    /// Where traces go: members of the configurable under names that clients cannot set otherwise.
    pub tracer: Tracer,
    /// Keys of feedback links.
    pub feedback_keys: Option<Vec<String>>,
    /// On a busy thread.
    pub multitask_strategy: MultitaskStrategy,
    /// Whether a missing thread is made.
    pub create_thread: bool,
    /// Delay of the start, seconds.
    pub after_seconds: f64,
    /// `sync`, `async` or `exit`.
    pub durability: Option<String>,
    /// Deprecated form of `durability`.
    pub checkpoint_during: Option<bool>,
    /// Stateless runs: whether the thread stays.
    pub keep_thread: bool,
    /// The cron that asks for the run, if one does.
    pub cron_id: Option<CronId>,
    /// Its id, where somebody was told of it before; else it is made with the run.
    pub run_id: Option<RunId>,
}

impl RunRequest {
    /// A run of an assistant with nothing special about it.
    pub fn of(assistant_id: impl Into<String>) -> Self {
        Self {
            assistant_id: assistant_id.into(),
            input: None,
            command: None,
            config: Map::new(),
            context: Map::new(),
            metadata: Map::new(),
            checkpoint: Map::new(),
            interrupt_before: None,
            interrupt_after: None,
            stream_mode: vec!["values".into()],
            stream_subgraphs: false,
            stream_resumable: false,
            webhook: None,
            tracer: Tracer::default(),
            feedback_keys: None,
            multitask_strategy: MultitaskStrategy::Enqueue,
            create_thread: false,
            after_seconds: 0.0,
            durability: None,
            checkpoint_during: None,
            keep_thread: false,
            cron_id: None,
            run_id: None,
        }
    }
}

/// Where the traces of a run go.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    /// LangSmith project.
    pub project: Option<String>,
    /// Example of a LangSmith dataset that the run is an answer to.
    pub example: Option<String>,
}

/// The fourteen keys of a run's kwargs, in the order of the wire.
#[derive(Serialize)]
struct Kwargs<'a> {
    input: Option<&'a RawJson>,
    command: Option<&'a RawJson>,
    config: &'a Map,
    context: &'a Map,
    stream_mode: &'a [String],
    interrupt_before: Option<&'a RawJson>,
    interrupt_after: Option<&'a RawJson>,
    webhook: Option<&'a str>,
    feedback_keys: Option<&'a [String]>,
    temporary: bool,
    subgraphs: bool,
    resumable: bool,
    checkpoint_during: bool,
    durability: &'a str,
}

/// What a new run and its thread become.
#[derive(Debug)]
pub struct Merged {
    /// The run's metadata.
    pub metadata: Map,
    /// The run's kwargs.
    pub kwargs: RawJson,
    /// The thread's config, if the run finds the thread not busy.
    pub thread_config: Map,
    /// The thread's metadata, likewise.
    pub thread_metadata: Map,
}

/// What the merge needs beside request, assistant and thread.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Id of the new run.
    pub run_id: RunId,
    /// Who asks, for the config.
    pub caller: &'a Caller,
    /// Now, milliseconds since 1970.
    pub now_millis: i64,
    /// Whether the thread goes away with the run.
    pub temporary: bool,
}

fn object(map: &Map, key: &str) -> Map {
    map.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Merges assistant ← thread ← request.
pub fn merge(
    request: &RunRequest,
    assistant: &Assistant,
    thread: &Thread,
    facts: Facts<'_>,
) -> Merged {
    let assistant_id = json!(assistant.assistant_id.to_string());
    let graph_id = json!(assistant.graph_id);
    let mut thread_metadata = thread.metadata.clone();
    thread_metadata.insert("graph_id".into(), graph_id.clone());
    thread_metadata.insert("assistant_id".into(), assistant_id.clone());

    let config_metadata = object(&request.config, "metadata");
    let mut metadata = merged(assistant.metadata.clone(), &thread_metadata);
    metadata = merged(metadata, &config_metadata);
    metadata = merged(metadata, &request.metadata);
    metadata.insert("assistant_id".into(), assistant_id.clone());

    // Only one of the two is given (both are refused before): each also stands for the other.
    let given = configurable(&request.config).cloned().unwrap_or_default();
    let given = if given.is_empty() { request.context.clone() } else { given };
    let context = merged(assistant.context.clone(), &given);

    let assistant_configurable = object(&assistant.config, "configurable");
    let thread_configurable = object(&thread.config, "configurable");
    let kept = merged(assistant_configurable.clone(), &thread_configurable);
    let mut run_configurable = merged(kept.clone(), &given);
    run_configurable = merged(run_configurable, &request.checkpoint);
    if let Some(forwarded) = &facts.caller.forwarded {
        run_configurable = merged(run_configurable, forwarded);
    }
    if !request.context.is_empty() {
        // The worker then also hides what the graph's context does not declare.
        run_configurable.insert("__context_provided__".into(), json!(true));
    }
    for (key, value) in [
        ("__langsmith_project__", &request.tracer.project),
        ("__langsmith_example_id__", &request.tracer.example),
    ] {
        if let Some(value) = value {
            run_configurable.insert(key.into(), json!(value));
        }
    }
    if let Some(trace) = &facts.caller.trace {
        origin::keep(trace, &mut run_configurable);
    }
    let request_id = match request.cron_id {
        // Nobody sent a request. Only here: the context is for the graph's own values.
        Some(cron_id) => {
            run_configurable.insert("cron_id".into(), json!(cron_id.to_string()));
            Value::Null
        }
        None => json!(facts.caller.request_id),
    };
    // A caller's own `user_id` wins, so nothing may trust it (reference/auth-webhooks-encryption.md, 2.6).
    let user = facts.caller.user.as_deref();
    let identity = user.map_or("", |user| &user.identity);
    let user_id = run_configurable.get("user_id").cloned().unwrap_or_else(|| json!(identity));
    for (key, value) in [
        ("langgraph_auth_user", user.map_or(Value::Null, |user| json!(user.fields))),
        ("langgraph_auth_user_id", json!(identity)),
        ("langgraph_auth_permissions", json!(user.map_or(&[][..], |user| &user.permissions))),
        ("langgraph_request_id", request_id),
        ("__request_start_time_ms__", json!(facts.now_millis)),
        ("__after_seconds__", seconds(request.after_seconds)),
        ("run_id", json!(facts.run_id.to_string())),
        ("thread_id", json!(thread.thread_id.to_string())),
        ("graph_id", graph_id),
        ("assistant_id", assistant_id),
        ("user_id", user_id),
    ] {
        // Moved to the end: clients' keys first, as the wire shows them.
        run_configurable.shift_remove(key);
        run_configurable.insert(key.into(), value);
    }

    let mut config = merged(assistant.config.clone(), &request.config);
    for key in ["configurable", "metadata"] {
        config.shift_remove(key);
    }
    let mut thread_config = merged(assistant.config.clone(), &thread.config);
    thread_config = merged(thread_config, &request.config);
    thread_config.insert("configurable".into(), Value::Object(kept));

    config.insert("configurable".into(), Value::Object(run_configurable));
    config.insert("metadata".into(), Value::Object(metadata.clone()));

    let during = request.checkpoint_during;
    let durability = request.durability.as_deref().unwrap_or(match during {
        Some(false) => "exit",
        Some(true) | None => "async",
    });
    let kwargs = RawJson::of(&Kwargs {
        input: request.input.as_ref(),
        command: request.command.as_ref(),
        config: &config,
        context: &context,
        stream_mode: &request.stream_mode,
        interrupt_before: request.interrupt_before.as_ref(),
        interrupt_after: request.interrupt_after.as_ref(),
        webhook: request.webhook.as_deref(),
        feedback_keys: request.feedback_keys.as_deref(),
        temporary: facts.temporary,
        subgraphs: request.stream_subgraphs,
        resumable: request.stream_resumable,
        checkpoint_during: during.unwrap_or(true),
        durability,
    });
    Merged { metadata, kwargs, thread_config, thread_metadata }
}

/// A whole number of seconds is an integer on the wire.
fn seconds(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// Whether a run was created with `stream_resumable`.
pub fn is_resumable(kwargs: &RawJson) -> bool {
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        resumable: bool,
    }
    kwargs.parse::<Part>().is_ok_and(|part| part.resumable)
}

/// The address that is told of the run's end, if there is one.
pub fn webhook(kwargs: &RawJson) -> Option<String> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        webhook: Option<String>,
    }
    kwargs.parse::<Part>().ok()?.webhook
}

/// The checkpoint that a run starts from, if it asked for one.
pub fn checkpoint_id(kwargs: &RawJson) -> Option<String> {
    #[derive(Deserialize)]
    struct Configurable {
        checkpoint_id: Option<String>,
    }
    in_configurable::<Configurable>(kwargs)?.checkpoint_id
}

/// Some members of the configurable of a run; `None` if they are of another form.
pub(crate) fn in_configurable<T: DeserializeOwned>(kwargs: &RawJson) -> Option<T> {
    #[derive(Deserialize)]
    struct Part<T> {
        config: Config<T>,
    }
    #[derive(Deserialize)]
    struct Config<T> {
        configurable: T,
    }
    Some(kwargs.parse::<Part<T>>().ok()?.config.configurable)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agent_server_storage::{Timestamp, threads::ThreadStatus};
    use uuid::Uuid;

    use super::*;
    use crate::auth::User;

    fn map(value: Value) -> Map {
        value.as_object().cloned().expect("an object")
    }

    pub(super) fn request() -> RunRequest {
        RunRequest { input: Some(RawJson::trusted(r#"{"foo":"i"}"#)), ..RunRequest::of("ctx") }
    }

    fn assistant(config: Value, context: Value) -> Assistant {
        Assistant {
            assistant_id: Uuid::from_u128(1).into(),
            graph_id: "ctx".into(),
            config: map(config),
            context: map(context),
            metadata: map(json!({"am": "a"})),
            name: "n".into(),
            description: None,
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn thread(config: Value) -> Thread {
        Thread {
            thread_id: Uuid::from_u128(2).into(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            state_updated_at: Timestamp::UNIX_EPOCH,
            metadata: Map::new(),
            config: map(config),
            status: ThreadStatus::Idle,
            values: None,
            interrupts: None,
            error: None,
            ttl: None,
        }
    }

    fn run(request: &RunRequest, assistant: &Assistant, thread: &Thread) -> (Value, Merged) {
        run_of(None, request, assistant, thread)
    }

    fn run_of(
        user: Option<User>,
        request: &RunRequest,
        assistant: &Assistant,
        thread: &Thread,
    ) -> (Value, Merged) {
        let caller = Caller::open(user.map(Arc::new), "req-1".into());
        let facts = Facts {
            run_id: Uuid::from_u128(3).into(),
            caller: &caller,
            now_millis: 7,
            temporary: false,
        };
        let merged = merge(request, assistant, thread, facts);
        (merged.kwargs.parse().expect("kwargs are JSON"), merged)
    }

    #[test]
    fn run_configurable_lies_over_the_assistants_and_mirrors_into_context() {
        let configurable = json!({"k1": "asst", "k2": "asst"});
        let assistant = assistant(json!({"configurable": configurable}), configurable);
        let mut request = request();
        request.config = map(
            json!({"tags": ["tr"], "recursion_limit": 7, "configurable": {"k2": "run", "k3": "run"}}),
        );
        request.metadata = map(json!({"rm": "r"}));
        let (kwargs, merged) = run(&request, &assistant, &thread(json!({})));
        let asst = "00000000-0000-0000-0000-000000000001";
        let metadata = json!({"am": "a", "graph_id": "ctx", "assistant_id": asst, "rm": "r"});
        assert_eq!(
            kwargs,
            json!({
                "input": {"foo": "i"}, "command": null,
                "config": {
                    "tags": ["tr"], "recursion_limit": 7,
                    "configurable": {
                        "k1": "asst", "k2": "run", "k3": "run",
                        "langgraph_auth_user": null, "langgraph_auth_user_id": "",
                        "langgraph_auth_permissions": [], "langgraph_request_id": "req-1",
                        "__request_start_time_ms__": 7, "__after_seconds__": 0,
                        "run_id": "00000000-0000-0000-0000-000000000003",
                        "thread_id": "00000000-0000-0000-0000-000000000002",
                        "graph_id": "ctx", "assistant_id": asst, "user_id": "",
                    },
                    "metadata": metadata,
                },
                "context": {"k1": "asst", "k2": "run", "k3": "run"},
                "stream_mode": ["values"], "interrupt_before": null, "interrupt_after": null,
                "webhook": null, "feedback_keys": null, "temporary": false, "subgraphs": false,
                "resumable": false, "checkpoint_during": true, "durability": "async",
            })
        );
        assert_eq!(
            Value::Object(merged.thread_config),
            json!({"configurable": {"k1": "asst", "k2": "asst"}, "tags": ["tr"], "recursion_limit": 7})
        );
    }

    #[test]
    fn a_context_alone_becomes_the_configurable() {
        let mut request = request();
        request.context = map(json!({"model": "m"}));
        let (kwargs, _) = run(&request, &assistant(json!({}), json!({})), &thread(json!({})));
        assert_eq!(kwargs["config"]["configurable"]["model"], "m");
        assert_eq!(kwargs["context"], json!({"model": "m"}));
    }

    #[test]
    fn the_id_of_a_cron_is_in_the_configurable_alone() {
        let mut request = request();
        request.cron_id = Some(Uuid::from_u128(4).into());
        request.context = map(json!({"model": "m"}));
        let (kwargs, merged) = run(&request, &assistant(json!({}), json!({})), &thread(json!({})));
        let configurable = &kwargs["config"]["configurable"];
        assert_eq!(configurable["cron_id"], "00000000-0000-0000-0000-000000000004");
        assert_eq!(configurable["langgraph_request_id"], Value::Null);
        assert_eq!(kwargs["context"], json!({"model": "m"}));
        assert_eq!(merged.metadata.get("cron_id"), None);
        assert_eq!(merged.thread_config["configurable"], json!({}), "for this run alone");
    }

    #[test]
    fn the_user_is_told_and_does_not_replace_the_callers_own_word() {
        let mut user = User::named("alice", vec!["read".into()]);
        user.fields.insert("org".into(), json!("acme"));
        // What a stored config holds of another user does not count.
        let other = json!({"configurable": {"langgraph_auth_user": {"identity": "bob"}}});
        let mut request = request();
        let of = |request: &RunRequest| {
            let assistant = assistant(other.clone(), json!({}));
            let (kwargs, _) =
                run_of(Some(user.clone()), request, &assistant, &thread(other.clone()));
            kwargs["config"]["configurable"].clone()
        };
        let configurable = of(&request);
        assert_eq!(
            configurable["langgraph_auth_user"],
            json!({"identity": "alice", "is_authenticated": true, "display_name": "alice", "org": "acme"})
        );
        assert_eq!(configurable["langgraph_auth_user_id"], "alice");
        assert_eq!(configurable["langgraph_auth_permissions"], json!(["read"]));
        assert_eq!(configurable["user_id"], "alice");
        request.config = map(json!({"configurable": {"user_id": "mine"}}));
        assert_eq!(of(&request)["user_id"], "mine");
    }

    #[test]
    fn webhook_and_tracer_are_stored() {
        let mut request = request();
        request.webhook = Some("https://example.com/hook".into());
        request.tracer = Tracer { project: Some("p".into()), example: None };
        let (kwargs, merged) = run(&request, &assistant(json!({}), json!({})), &thread(json!({})));
        assert_eq!(kwargs["webhook"], "https://example.com/hook");
        let configurable = &kwargs["config"]["configurable"];
        assert_eq!(configurable["__langsmith_project__"], "p");
        assert_eq!(configurable.get("__langsmith_example_id__"), None);
        assert_eq!(merged.thread_config["configurable"], json!({}), "for this run alone");
    }

    #[test]
    fn durability_wins_over_its_deprecated_form() {
        for (durability, during, expected) in [
            (None, None, "async"),
            (None, Some(false), "exit"),
            (None, Some(true), "async"),
            (Some("sync"), Some(false), "sync"),
        ] {
            let mut request = request();
            request.durability = durability.map(str::to_owned);
            request.checkpoint_during = during;
            let (kwargs, _) = run(&request, &assistant(json!({}), json!({})), &thread(json!({})));
            assert_eq!(kwargs["durability"], expected);
        }
    }
}
