use super::{check, send};

/// Sends a body that is refused and compares the whole text.
async fn refused(request: &str, body: &str, detail: &str) {
    let answer = send(&request.replace("{t}", super::THREAD), body.to_owned()).await;
    assert_eq!(answer.status, 422, "{body}: {}", answer.text);
    assert_eq!(answer.detail(), detail, "{body}");
}

#[tokio::test]
async fn anything_but_json_is_refused() {
    for body in ["", "{", "nope", "{\"a\":1}}", "\u{feff}{}"] {
        refused("POST /threads", body, "Invalid JSON in request body").await;
    }
    let answer = send("POST /threads", vec![b'"', 0xff, b'"']).await;
    assert_eq!(answer.detail(), "Invalid JSON in request body");
}

#[tokio::test]
async fn content_type_is_ignored_and_unknown_fields_pass() {
    check("POST /threads", r#"{"strict_resume":true}"#, 501, "create_thread").await;
}

#[tokio::test]
async fn violations_are_worded_like_upstream() {
    refused(
        "POST /threads/{t}/runs",
        r#"{"input":{"b":1,"a":[2]}}"#,
        "\"assistant_id\" is a required property\n\nFailed validating \"required\" in schema\n\nOn instance:\n    {\"input\":{\"a\":[2],\"b\":1}}",
    )
    .await;
    // Two fields are required, and there are many others.
    refused(
        "POST /runs/crons",
        "{}",
        "\"assistant_id\" is a required property\n\nFailed validating \"required\" in schema\n\nOn instance:\n    {}",
    )
    .await;
    refused(
        "POST /threads",
        r#"{"if_exists":"bogus"}"#,
        "\"bogus\" is not one of \"raise\" or \"do_nothing\"\n\nFailed validating \"enum\" in schema[\"properties\"][\"if_exists\"]\n\nOn instance[\"if_exists\"]:\n    \"bogus\"",
    )
    .await;
    refused(
        "POST /threads/search",
        r#"{"limit":1001}"#,
        "1001 is greater than the maximum of 1000\n\nFailed validating \"maximum\" in schema[\"properties\"][\"limit\"]\n\nOn instance[\"limit\"]:\n    1001",
    )
    .await;
    refused(
        "POST /runs/batch",
        "[]",
        "[] has less than 1 item\n\nFailed validating \"minItems\" in schema\n\nOn instance:\n    []",
    )
    .await;
    refused(
        "POST /threads",
        "5",
        "5 is not of type \"object\"\n\nFailed validating \"type\" in schema\n\nOn instance:\n    5",
    )
    .await;
}

#[tokio::test]
async fn violations_inside_a_reference_name_the_component() {
    refused(
        "POST /threads/{t}/history",
        r#"{"checkpoint":"x"}"#,
        "\"x\" is not of type \"object\"\n\nFailed validating \"type\" in schema[\"components\"][\"schemas\"][\"CheckpointConfig\"]\n\nOn instance[\"checkpoint\"]:\n    \"x\"",
    )
    .await;
}

#[tokio::test]
async fn null_is_not_absent() {
    for (request, body) in [
        ("PATCH /threads/{t}", r#"{"metadata":null}"#),
        ("POST /threads/{t}/runs", r#"{"assistant_id":"g","stream_mode":null}"#),
        ("POST /threads/{t}/runs", r#"{"assistant_id":"g","context":null}"#),
    ] {
        let answer = send(&request.replace("{t}", super::THREAD), body.to_owned()).await;
        assert_eq!(answer.status, 422, "{body}");
    }
    check("POST /threads/{t}/runs", r#"{"assistant_id":"g","input":null}"#, 501, "create_run")
        .await;
}

#[tokio::test]
async fn user_payloads_pass_unread_in_the_order_sent() {
    let body = r#"{"assistant_id":"g","input":{"z":1e2,"a":{"b":[1, 2]}}}"#;
    let answer = send("POST /runs", body).await;
    assert!(answer.detail().ends_with(body), "{}", answer.text);
}

#[tokio::test]
async fn fields_nested_beyond_reading_are_refused() {
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let run = |levels| format!(r#"{{"assistant_id":"g","input":{}}}"#, nested(levels));
    check("POST /runs", &run(1024), 501, "create_stateless_run").await;
    let detail = "'input' is nested too deeply (limit: 1024 levels)";
    refused("POST /runs", &run(1025), detail).await;
    refused("POST /runs/batch", &format!("[{}]", run(1025)), detail).await;
    // What rules read is read here.
    let thread = |levels| format!(r#"{{"metadata":{{"a":{}}}}}"#, nested(levels));
    check("POST /threads", &thread(99), 501, "create_thread").await;
    let detail = "'metadata' is nested too deeply (limit: 100 levels)";
    refused("POST /threads", &thread(100), detail).await;
    refused("POST /threads", &thread(100_000), detail).await;
    let assistant = format!(r#"{{"graph_id":"g","config":{{"a":{}}}}}"#, nested(100));
    let detail = "'config' is nested too deeply (limit: 100 levels)";
    refused("POST /assistants", &assistant, detail).await;
    // Another violation, in a body that cannot be shown.
    refused(
        "POST /runs",
        &format!(r#"{{"input":{}}}"#, nested(1024)),
        "The request body does not fit its schema, and is nested too deeply to say where",
    )
    .await;
}

#[tokio::test]
async fn the_last_of_repeated_fields_counts() {
    let answer =
        send("POST /threads", r#"{"if_exists":1,"metadata":{},"if_exists":"raise"}"#).await;
    let expected = r#"{"if_exists":"raise","metadata":{}}"#;
    assert!(answer.detail().ends_with(expected), "{}", answer.text);
}

#[tokio::test]
async fn reserved_keys_are_dropped_before_validation() {
    let answer = send("POST /threads", r#"{"metadata":{"run_id":1,"a":2}}"#).await;
    assert!(answer.detail().ends_with(r#"{"metadata":{"a":2}}"#), "{}", answer.text);
    let body = r#"[{"assistant_id":"g"},{"assistant_id":"g","context":{"langgraph_auth_user":1}}]"#;
    let answer = send("POST /runs/batch", body).await;
    let expected = r#"[{"assistant_id":"g"},{"assistant_id":"g","context":{}}]"#;
    assert!(answer.detail().ends_with(expected), "{}", answer.text);
    let filter = r#"{"metadata":{"assistant_id":"a"}}"#;
    let answer = send("POST /threads/search", filter).await;
    assert!(answer.detail().ends_with(filter), "{}", answer.text);
}

#[tokio::test]
async fn config_of_an_assistant_is_a_document_of_its_own() {
    refused(
        "POST /assistants",
        r#"{"graph_id":"g","config":{"tags":"x"}}"#,
        "\"x\" is not of type \"array\"\n\nFailed validating \"type\" in schema[\"properties\"][\"tags\"]\n\nOn instance[\"tags\"]:\n    \"x\"",
    )
    .await;
}

#[tokio::test]
async fn ids_in_bodies_are_uuids() {
    refused(
        "POST /assistants",
        r#"{"graph_id":"g","assistant_id":"x"}"#,
        "Invalid assistant ID: must be a UUID",
    )
    .await;
    let body = format!(r#"{{"thread_id":"{}","run_ids":["x"]}}"#, super::THREAD);
    refused("POST /runs/cancel", &body, "Invalid run ID: must be a UUID").await;
    check("POST /threads/search", r#"{"ids":["x"]}"#, 400, "Invalid thread ID x").await;
    check("POST /runs", r#"{"assistant_id":"graph name"}"#, 501, "").await;
}

#[tokio::test]
async fn protocols_of_their_own_get_their_bodies_unchecked() {
    check("POST /a2a/agent", "nope", 501, "post_a2a").await;
    check("POST /threads/x/commands", "", 501, "send_thread_command").await;
}
