use serde_json::{Value, json};

use super::{case::Case, operation};

/// A document with one operation, and a component for its body.
fn document(operation: Value) -> Value {
    json!({
        "paths": { "/threads/{thread_id}/runs": { "post": operation } },
        "components": { "schemas": { "RunCreate": {
            "type": "object",
            "properties": {
                "assistant_id": { "type": "string" },
                "limit": { "type": "integer", "minimum": 1 },
                "config": { "type": "object", "properties": { "tags": {
                    "type": "array", "items": { "type": "string" } } } },
            },
            "required": ["assistant_id"],
        } } },
    })
}

fn create_run() -> Value {
    json!({
        "operationId": "create_run_threads__thread_id__runs_post",
        "tags": ["Thread Runs"],
        "parameters": [
            { "name": "thread_id", "in": "path", "required": true,
              "schema": { "type": "string", "format": "uuid" },
              "x-invalid": { "status": 422, "detail": "Invalid thread ID: must be a UUID" } },
            { "name": "limit", "in": "query", "schema": { "type": "integer" },
              "x-invalid": { "status": 422, "detail": "Invalid limit {value}" } },
        ],
        "requestBody": { "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/RunCreate" },
            "example": { "assistant_id": "agent" } } } },
        "responses": { "200": {}, "404": {}, "409": {}, "422": {} },
    })
}

/// The cases of an operation as the lines of its file.
fn lines(operation: Value) -> (Vec<String>, Vec<u16>) {
    let mut all = operation::all(&document(operation)).unwrap();
    let cases = all.remove(0);
    let line = |case: &Case| case.to_json().to_string();
    (cases.cases.iter().map(line).collect(), cases.scenarios.into_iter().collect())
}

#[track_caller]
fn check(operation: Value, expected: &[Value]) {
    let (lines, _) = lines(operation);
    for case in expected {
        assert!(lines.contains(&case.to_string()), "{case}\nis not among\n{}", lines.join("\n"));
    }
}

#[test]
fn examples_succeed_with_fixtures_in_the_place_of_ids() {
    check(
        create_run(),
        &[json!({ "case": "example", "body": { "assistant_id": "<assistant>" }, "expect": 200 })],
    );
}

#[test]
fn parameters_are_refused_as_the_document_says() {
    check(
        create_run(),
        &[
            json!({ "case": "thread_id unknown", "path": { "thread_id": "<new_id>" }, "expect": 404 }),
            json!({ "case": "thread_id: not-a-uuid", "path": { "thread_id": "not-a-uuid" }, "expect": 422,
                "detail": "Invalid thread ID: must be a UUID" }),
            json!({ "case": "limit: abc", "query": [["limit", "abc"]], "expect": 422,
                "detail": "Invalid limit abc" }),
        ],
    );
}

#[test]
fn broken_rules_are_worded_by_the_validator() {
    check(
        create_run(),
        &[
            json!({ "case": "body without assistant_id", "body": {}, "expect": 422,
                "detail": "\"assistant_id\" is a required property\n\nFailed validating \"required\" in schema\n\n\
                           On instance:\n    {}" }),
            json!({ "case": "limit too small", "body": { "assistant_id": "<assistant>", "limit": 0 }, "expect": 422,
                "detail": "0 is less than the minimum of 1\n\nFailed validating \"minimum\" in \
                           schema[\"properties\"][\"limit\"]\n\nOn instance[\"limit\"]:\n    0" }),
            json!({ "case": "config.tags[0] number",
                "body": { "assistant_id": "<assistant>", "config": { "tags": [5] } }, "expect": 422,
                "detail": "5 is not of type \"string\"\n\nFailed validating \"type\" in \
                           schema[\"properties\"][\"config\"][\"properties\"][\"tags\"][\"items\"]\n\n\
                           On instance[\"config\"][\"tags\"][0]:\n    5" }),
        ],
    );
}

#[test]
fn statuses_that_nothing_brings_about_are_left_to_scenarios() {
    let (_, scenarios) = lines(create_run());
    assert_eq!(scenarios, [409]);
    let mut operation = create_run();
    operation["responses"]["202"] = json!({});
    let (_, scenarios) = lines(operation);
    assert_eq!(scenarios, [200, 202, 409], "with two successes neither is sure");
}

#[test]
fn a_body_without_an_example_is_an_error() {
    let mut operation = create_run();
    operation["requestBody"] = json!({ "content": {} });
    let error = operation::all(&document(operation)).err().unwrap();
    assert_eq!(error.to_string(), "create_run has a request body without an example");
}

#[test]
fn the_document_of_this_workspace_has_cases_for_every_operation() {
    let document: Value = serde_json::from_str(include_str!("../../../../openapi.json")).unwrap();
    let files = super::conformance(&document).unwrap();
    let (index, tags) = files.split_last().unwrap();
    assert_eq!(index.0, "mod.rs");
    for (name, text) in tags {
        assert!(
            text.starts_with("{ \"generated\": \"from openapi.json by `cargo xtask regenerate`")
        );
        let tag: Value = serde_json::from_str(text).unwrap();
        assert!(index.1.contains(&format!("include_str!(\"{name}\")")));
        for operation in tag["operations"].as_array().unwrap() {
            assert!(!operation["cases"].as_array().unwrap().is_empty(), "{name}: {operation}");
        }
    }
}
