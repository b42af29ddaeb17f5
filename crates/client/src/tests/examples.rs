//! The examples of the document go through the types and come out as they were: nothing lost, added, or null where it was
//! absent.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::types;

fn document() -> Value {
    serde_json::from_str(include_str!("../../../../openapi.json")).expect("the document is JSON")
}

/// All examples below this value whose schema is the component, or a list of it.
fn examples(value: &Value, component: &str, found: &mut Vec<Value>) {
    let reference = format!("#/components/schemas/{component}");
    let media = value.as_object().filter(|media| media.contains_key("schema"));
    if let Some(media) = media {
        let named = media.get("examples").and_then(Value::as_object).into_iter().flatten();
        let all =
            media.get("example").into_iter().chain(named.map(|(_, example)| &example["value"]));
        for example in all {
            if media["schema"]["$ref"] == reference {
                found.push(example.clone());
            } else if media["schema"]["items"]["$ref"] == reference {
                found.extend(example.as_array().into_iter().flatten().cloned());
            }
        }
    }
    match value {
        Value::Object(map) => map.values().for_each(|value| examples(value, component, found)),
        Value::Array(list) => list.iter().for_each(|value| examples(value, component, found)),
        _ => {}
    }
}

fn check<T: Serialize + DeserializeOwned>(
    document: &Value,
    component: &str,
    seen: fn(Value) -> Value,
) {
    let mut found = vec![];
    examples(document, component, &mut found);
    assert!(!found.is_empty(), "{component} has no example");
    for example in found {
        let read: T = serde_json::from_str(&example.to_string())
            .unwrap_or_else(|error| panic!("{component}: {error} in {example}"));
        let written = serde_json::to_string(&read).expect("JSON");
        let written: Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(seen(written), seen(example), "{component}");
    }
}

/// In a request null asks for the same as nothing, and numbers may be written either way.
fn essence(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, essence(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(essence).collect(),
        Value::Number(number) => number.as_f64().into(),
        other => other,
    }
}

macro_rules! check {
    ($seen:expr, $($component:ident),+ $(,)?) => {
        $(check::<types::$component>(&document(), stringify!($component), $seen);)+
    };
}

#[test]
fn answers_come_out_as_they_were() {
    check!(
        |answer| answer,
        Assistant,
        AssistantPartial,
        AssistantVersion,
        CountResponse,
        Cron,
        CronPartial,
        GetItemResponse,
        HealthStatus,
        JsonRpcResponse,
        Run,
        RunPartial,
        SearchItemsResponse,
        ServerInfo,
        Thread,
        ThreadPartial,
        ThreadState,
        ThreadStateUpdateResponse,
    );
}

#[test]
fn requests_come_out_as_they_were() {
    check!(
        essence,
        AssistantCreate,
        AssistantPatch,
        AssistantSearchRequest,
        CronCreate,
        CronPatch,
        CronSearch,
        PostA2aRequest,
        PostMcpRequest,
        RunBatchCreate,
        RunCreateStateful,
        RunCreateStateless,
        RunCreateStreamingStateful,
        RunCreateStreamingStateless,
        RunsCancel,
        StoreListNamespacesRequest,
        StorePutRequest,
        StoreSearchRequest,
        ThreadCreate,
        ThreadCronCreate,
        ThreadPatch,
        ThreadSearchRequest,
        ThreadStateSearch,
        ThreadStateUpdate,
    );
}

#[test]
fn null_absent_and_empty_are_three_answers() {
    for text in ["{}", r#"{"end_time":null}"#, r#"{"metadata":{}}"#] {
        let patch: types::CronPatch = serde_json::from_str(text).expect("a change");
        assert_eq!(serde_json::to_string(&patch).expect("JSON"), text);
    }
    for text in ["{}", r#"{"error":null}"#, r#"{"interrupts":{}}"#] {
        let partial: types::ThreadPartial = serde_json::from_str(text).expect("a thread");
        assert_eq!(serde_json::to_string(&partial).expect("JSON"), text);
    }
}

#[test]
fn null_is_read_where_the_document_only_knows_absence() {
    let text = r#"{"assistant_id":"a","metadata":null,"config":null,"stream_mode":null}"#;
    let run: types::RunCreateStateful = serde_json::from_str(text).expect("a run");
    assert_eq!(serde_json::to_string(&run).expect("JSON"), r#"{"assistant_id":"a"}"#);
}
