//! What comes out for a small document: each piece of Rust that others rely on.

use serde_json::{Value, json};

use super::generate;

fn document() -> Value {
    let body = |name: &str| json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}});
    let thread_id = json!({
        "name": "thread_id", "in": "path", "required": true, "description": "The thread.",
        "schema": {"type": "string", "format": "uuid"},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "paths": {
            "/threads/{thread_id}": {"patch": {
                "operationId": "patch_thread_threads__thread_id__patch",
                "summary": "Change a thread",
                "description": "Merges.",
                "parameters": [
                    thread_id,
                    {"name": "include", "in": "query", "description": "More.", "schema": {"type": "string"}},
                ],
                "requestBody": {"required": true, "content": body("ThreadPatch")},
                "responses": {
                    "200": {"description": "D", "content": body("Thread")},
                    "404": {"description": "No such thread."},
                },
            }},
            "/threads/{thread_id}/stream": {"get": {
                "operationId": "join_thread_stream_threads__thread_id__stream_get",
                "summary": "Follow",
                "parameters": [
                    thread_id,
                    {"name": "modes", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"description": "D", "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
            }},
            "/threads/count": {"post": {
                "operationId": "count_threads_threads_count_post",
                "requestBody": {"required": true, "content": body("ThreadPatch")},
                "responses": {"200": {"description": "D", "content": body("Count")}},
            }},
            "/mcp/": {"post": {
                "operationId": "post_mcp",
                "requestBody": {"required": true, "content": body("ThreadPatch")},
                "responses": {"200": {"description": "D", "content": body("Count")}, "202": {"description": "E"}},
            }},
        },
        "components": {"schemas": {
            "Count": {"type": "integer", "minimum": 0},
            "Thread": {"type": "object", "required": ["thread_id", "created_at", "values", "metadata"], "properties": {
                "thread_id": {"type": "string", "format": "uuid"},
                "created_at": {"type": "string", "format": "date-time"},
                "values": {"type": ["object", "null"], "x-payload": true},
                "metadata": {"type": "object"},
                "lastNote": {"type": ["string", "null"]},
                "error": {"type": ["object", "null"], "x-payload": true},
            }},
            "ThreadPatch": {"type": "object", "properties": {
                "metadata": {"type": "object"},
                "end_time": {"type": ["string", "null"], "format": "date-time"},
                "input": {"x-payload": true},
            }},
        }},
    })
}

/// The generated code has this in it, whatever the layout.
fn check(pieces: &[&str]) {
    let squeeze = |text: &str| {
        text.split_whitespace()
            .collect::<String>()
            .replace(",)", ")")
            .replace(",}", "}")
            .replace(",>", ">")
    };
    let code = generate(&document()).expect("the document is fine");
    let squeezed = squeeze(&code);
    for piece in pieces {
        assert!(squeezed.contains(&squeeze(piece)), "{piece}\nis not in\n{code}");
    }
}

#[test]
fn scalars_of_the_wire_are_ours() {
    check(&[
        "pub created_at: crate::wire::Timestamp",
        "pub values: crate::wire::RawJson",
        "pub metadata: ::serde_json::Map<::std::string::String, ::serde_json::Value>",
        "pub metadata: ::std::option::Option<::serde_json::Map<::std::string::String, ::serde_json::Value>>",
    ]);
}

#[test]
fn absent_and_null_differ_in_answers_and_changes() {
    check(&[
        r#"#[serde(rename = "lastNote", default, deserialize_with = "crate::wire::present",
            skip_serializing_if = "::std::option::Option::is_none")]
        pub last_note: ::std::option::Option<::std::option::Option<::std::string::String>>"#,
        r#"#[serde(default, deserialize_with = "crate::wire::payload",
            skip_serializing_if = "::std::option::Option::is_none")]
        pub error: ::std::option::Option<crate::wire::RawJson>"#,
        "pub end_time: ::std::option::Option<::std::option::Option<::std::string::String>>",
        r#"#[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub input: ::std::option::Option<crate::wire::RawJson>"#,
    ]);
}

#[test]
fn structs_with_required_and_optional_fields_have_a_constructor() {
    check(&[
        "impl Thread {
            /// A `Thread` with its required fields; the others are not set.
            pub fn new(
                thread_id: ::uuid::Uuid,
                created_at: crate::wire::Timestamp,
                values: impl ::std::convert::Into<crate::wire::RawJson>,
                metadata: ::serde_json::Map<::std::string::String, ::serde_json::Value>
            ) -> Self",
        "#[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default)]
         pub struct ThreadPatch",
    ]);
}

#[test]
fn methods_return_the_body_and_take_optional_parameters_apart() {
    check(&[
        "/// Change a thread.
         ///
         /// Merges.
         ///
         /// `PATCH /threads/{thread_id}`
         ///
         /// # Errors
         /// - 404: No such thread.
         pub async fn patch_thread(&self, thread_id: &::uuid::Uuid, body: &types::ThreadPatch)
            -> Result<types::Thread, crate::Error> {
            self.patch_thread_with(thread_id, body, params::PatchThread::default()).await
         }",
        "pub async fn patch_thread_with(&self, thread_id: &::uuid::Uuid, body: &types::ThreadPatch, params: params::PatchThread)
            -> Result<types::Thread, crate::Error> {
            crate::error::body(self.raw.patch_thread(thread_id, params.include.as_deref(), body).await).await
         }",
        "pub struct PatchThread {
            /// More.
            pub include: ::std::option::Option<::std::string::String>
         }",
        "pub async fn count_threads(&self, body: &types::ThreadPatch) -> Result<i64, crate::Error>",
    ]);
}

#[test]
fn answers_that_may_be_empty_are_options_and_asked_for_by_type() {
    check(&[
        "pub async fn post_mcp(&self, body: &types::ThreadPatch) -> Result<::std::option::Option<i64>, crate::Error>",
        r#"("post_mcp", "application/json")"#,
    ]);
}

#[test]
fn event_streams_are_called_with_what_the_document_says() {
    check(&[
        "-> Result<crate::RunStream, crate::Error>",
        r#"crate::call::Call::new(::reqwest::Method::GET, "/threads/{thread_id}/stream")
            .path("thread_id", thread_id)
            .query_list("modes", params.modes)
            .last_event_id(params.last_event_id)"#,
        "pub last_event_id: ::std::option::Option<::std::string::String>",
    ]);
}

#[test]
fn nothing_is_left_that_limits_the_time_of_a_call() {
    let code = generate(&document()).expect("the document is fine");
    assert!(!code.contains("timeout"), "{code}");
}

#[test]
fn the_whole_document_generates() {
    let text = include_str!("../../../../openapi.json");
    let document: Value = serde_json::from_str(text).expect("the document is JSON");
    generate(&document).expect("client code");
}
