#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::{Value, json};

use super::api;

fn document(operation: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": { "/threads/{thread_id}/runs": { "get": operation } },
        "components": { "schemas": {} },
    })
}

/// Generates from one operation and looks for pieces of code, ignoring how they are laid out.
#[track_caller]
fn check(operation: Value, pieces: &[&str]) {
    let squeeze = |text: &str| text.replace(",)", ")").replace([' ', '\n', ','], "");
    let code = api(&document(operation)).unwrap();
    let squeezed = squeeze(&code);
    for piece in pieces {
        assert!(squeezed.contains(&squeeze(piece)), "{piece}\nis not in\n{code}");
    }
}

fn list_runs() -> Value {
    json!({
        "operationId": "list_runs_http_threads__thread_id__runs_get",
        "tags": ["Thread Runs"],
        "summary": "List runs",
        "description": "Newest first.",
        "parameters": [
            { "name": "thread_id", "in": "path", "required": true,
              "schema": { "type": "string", "format": "uuid" },
              "x-invalid": { "status": 422, "detail": "Invalid thread ID: must be a UUID" } },
            { "name": "limit", "in": "query", "schema": { "type": "integer" },
              "x-invalid": { "status": 422, "detail": "Invalid limit {value}" } },
            { "name": "wait", "in": "query", "schema": { "type": "boolean" }, "x-true": ["true", "1"] },
            { "name": "status", "in": "query", "schema": { "type": "string" } },
            { "name": "select", "in": "query",
              "schema": { "type": "array", "items": { "type": "string", "enum": ["run_id"] } },
              "x-invalid": { "status": 422, "detail": "Invalid select: {value}" } },
            { "name": "Last-Event-ID", "in": "header", "schema": { "type": "string" } },
        ],
        "responses": {
            "200": { "description": "Runs.", "headers": { "X-Total": {} }, "content": { "application/json": {
                "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Run" } } } } },
            "404": { "description": "No thread.", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/ErrorResponse" } } } },
        },
    })
}

#[test]
fn trait_method_has_documents_and_typed_arguments() {
    check(
        list_runs(),
        &[
            "pub trait ThreadRuns: Service {
                ///List runs
                ///
                ///Newest first.
                ///
                ///`GET /threads/{thread_id}/runs`
                fn list_runs(&self, cx: Context, path: ListRunsPath, query: ListRunsQuery, headers: ListRunsHeaders)
                    -> impl Future<Output = Result<ListRunsResponse, Self::Error>> + Send;
            }",
        ],
    );
}

#[test]
fn parameters_are_read_as_the_document_says() {
    check(
        list_runs(),
        &[
            "pub thread_id: uuid::Uuid",
            r#"call.path_uuid("thread_id", Refusal { status: 422u16, detail: "Invalid thread ID: must be a UUID" })?"#,
            "pub limit: Option<i64>",
            "pub wait: Option<bool>",
            r#"call.query_flag("wait", &["true", "1"])"#,
            "pub status: Option<String>",
            "pub select: Vec<String>",
            r#"call.query_choices("select", &["run_id"], Refusal"#,
            r#"last_event_id: call.header("Last-Event-ID")"#,
        ],
    );
}

#[test]
fn answers_become_variants_and_common_errors_do_not() {
    check(
        list_runs(),
        &[
            "pub enum ListRunsResponse { ///200 with `application/json`.\nOk(Reply<Vec<types::Run>>) }",
            "Self::Ok(reply) => reply.respond(StatusCode::OK)",
            "impl From<Reply<Vec<types::Run>>> for ListRunsResponse",
            r#"ResponseSpec { status: 404u16, media_type: Some("application/json"),
                schema: ResponseSchema::Component("ErrorResponse"), headers: &[], failure: true }"#,
        ],
    );
}

#[test]
fn shared_responses_stand_where_they_are_referred_to() {
    let mut document = document(list_runs());
    let operation = &mut document["paths"]["/threads/{thread_id}/runs"]["get"];
    operation["responses"]["401"] = json!({ "$ref": "#/components/responses/Unauthenticated" });
    let body = json!({ "schema": { "$ref": "#/components/schemas/ErrorResponse" } });
    document["components"]["responses"] = json!({ "Unauthenticated": {
        "description": "Who are you?", "content": { "application/json": body } } });
    let code = api(&document).unwrap().replace([' ', '\n'], "");
    assert!(code.contains(
        "ResponseSpec{status:401u16,media_type:Some(\"application/json\"),\
         schema:ResponseSchema::Component(\"ErrorResponse\"),headers:&[],failure:true,}"
    ));
}

#[test]
fn other_media_types_and_statuses_are_variants_of_their_own() {
    let mut operation = list_runs();
    operation["responses"] = json!({
        "200": { "content": { "application/json": { "schema": {} }, "text/event-stream": {} } },
        "202": {},
        "201": { "x-failure": true, "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/ErrorResponse" } } } },
        "405": { "headers": { "Allow": {} } },
    });
    check(
        operation,
        &[
            "Ok(Reply<serde_json::Value>)",
            "EventStream(Raw)",
            r#"raw.respond(StatusCode::OK, "text/event-stream; charset=utf-8")"#,
            "///202 without a body.\nAccepted,",
            "MethodNotAllowed(Empty)",
        ],
    );
}

#[test]
fn bodies_are_validated_unless_raw() {
    let mut operation = list_runs();
    operation["requestBody"] = json!({ "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/RunCreate" } } } });
    check(
        operation.clone(),
        &["body: Body<types::RunCreate>", r#"call.json::<types::RunCreate>("RunCreate").await?"#],
    );
    operation["x-raw-body"] = json!(true);
    check(operation, &["body: bytes::Bytes", "let body = call.bytes().await?;"]);
}

#[test]
fn inline_bodies_are_refused_by_name() {
    let mut operation = list_runs();
    operation["requestBody"] =
        json!({ "content": { "application/json": { "schema": { "type": "object" } } } });
    let error = api(&document(operation)).unwrap_err().to_string();
    assert!(error.contains("GET /threads/{thread_id}/runs"), "{error}");
}
