use serde_json::{Value, json};

use super::{Impact, diff};

fn document() -> Value {
    json!({
        "paths": {"/runs": {"post": {
            "operationId": "create_run",
            "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 10}}],
            "requestBody": {"required": true, "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/RunCreate"}
            }}},
            "responses": {
                "200": {"description": "The run.", "content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Run"}
                }}},
                "404": {"description": "No."},
            },
        }}},
        "components": {"schemas": {
            "RunCreate": {"type": "object", "required": ["graph"], "properties": {
                "graph": {"type": "string", "description": "Which."},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "input": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]},
            }},
            "Part": {"type": "object", "properties": {"text": {"type": ["string", "null"]}}},
            "Run": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "string"},
                "status": {"type": "string", "enum": ["done"]},
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
            }},
        }},
    })
}

/// What a change to the document is reported as.
fn check(change: impl FnOnce(&mut Value), expected: &[(Impact, &str, &str)]) {
    let (old, mut new) = (document(), document());
    change(&mut new);
    let report = diff(&old, &new);
    let found: Vec<_> = report
        .changes
        .iter()
        .map(|change| (change.impact, change.place.as_str(), change.what.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        report.is_breaking(),
        expected.iter().any(|(impact, ..)| *impact == Impact::Breaking)
    );
}

use Impact::{Breaking, Compatible, Warning};

const REQUEST: &str = "/components/schemas/RunCreate";
const RESPONSE: &str = "/components/schemas/Run";

fn at<'a>(document: &'a mut Value, component: &str, path: &str) -> &'a mut Value {
    document.pointer_mut(&format!("{component}{path}")).expect("the path is there")
}

#[test]
fn texts_and_extensions_do_not_count() {
    let change = |document: &mut Value| {
        at(document, REQUEST, "/properties/graph")["description"] = json!("Another.");
        at(document, REQUEST, "/properties/mode")["x-name"] = json!("Mode");
        at(document, REQUEST, "/properties/input/anyOf/0")["x-name"] = json!("Input");
        document["paths"]["/runs"]["post"]["summary"] = json!("Create");
    };
    check(change, &[]);
}

#[test]
fn operations_come_and_go() {
    let change = |document: &mut Value| {
        let operation = document["paths"]["/runs"]["post"].take();
        document["paths"] = json!({"/jobs": {"post": operation}});
    };
    check(change, &[(Breaking, "POST /runs", "removed"), (Compatible, "POST /jobs", "added")]);
    let change = |document: &mut Value| {
        document["paths"]["/runs"]["post"]["operationId"] = json!("make_run")
    };
    check(change, &[(Warning, "POST /runs", "operationId create_run is now make_run")]);
}

#[test]
fn parameters_may_be_added_but_not_demanded() {
    let change = |document: &mut Value| {
        document["paths"]["/runs"]["post"]["parameters"] = json!([
            {"name": "limit", "in": "query", "required": true, "schema": {"type": "integer", "maximum": 5}},
            {"name": "offset", "in": "query", "schema": {"type": "integer"}},
        ]);
    };
    check(
        change,
        &[
            (Breaking, "POST /runs: query limit", "is required now"),
            (Breaking, "POST /runs: query limit", "maximum 10 is now 5"),
            (Compatible, "POST /runs: query offset", "parameter added"),
        ],
    );
}

#[test]
fn requests_must_not_become_narrower() {
    let change = |document: &mut Value| {
        let request = at(document, REQUEST, "");
        request["required"] = json!(["graph", "mode", "extra"]);
        request["properties"]["mode"]["enum"] = json!(["b", "c"]);
        request["properties"]["extra"] = json!({"type": "string"});
        request["properties"]["input"] = json!({"$ref": "#/components/schemas/Part"});
        request["properties"]["graph"]["type"] = json!(["string", "integer"]);
    };
    check(
        change,
        &[
            (Breaking, "RunCreate.extra", "added, required"),
            (Breaking, "RunCreate.input", "is not null any more"),
            (Breaking, "RunCreate.mode", "is required now"),
            (Breaking, "RunCreate.mode", "value \"a\" removed"),
            (Compatible, "RunCreate.graph", "type string is now integer, string"),
            (Compatible, "RunCreate.mode", "value \"c\" added"),
        ],
    );
}

#[test]
fn answers_must_not_become_wider() {
    let change = |document: &mut Value| {
        let response = at(document, RESPONSE, "");
        response["required"] = json!([]);
        response["properties"]["status"] =
            json!({"type": ["string", "null"], "enum": ["done", "lost"]});
        response["properties"]["more"] = json!({"type": "string"});
        response["properties"].as_object_mut().expect("an object").remove("parts");
    };
    check(
        change,
        &[
            (Breaking, "Run.id", "is optional now"),
            (Breaking, "Run.parts", "removed"),
            (Breaking, "Run.status", "may be null now"),
            (Warning, "Run.status", "value \"lost\" added"),
            (Compatible, "Run.more", "added"),
        ],
    );
}

#[test]
fn a_component_of_both_ways_is_judged_by_the_way_that_breaks() {
    let change = |document: &mut Value| {
        at(document, "/components/schemas/Part", "/properties/text")["type"] = json!("string");
    };
    check(change, &[(Breaking, "Part.text", "is not null any more")]);
}

#[test]
fn statuses_media_types_and_bodies_are_compared() {
    let change = |document: &mut Value| {
        let operation = &mut document["paths"]["/runs"]["post"];
        operation["responses"] =
            json!({"200": {"content": {"text/plain": {}}}, "202": {}, "409": {}});
        operation.as_object_mut().expect("an object").remove("requestBody");
    };
    check(
        change,
        &[
            (Breaking, "POST /runs: 200", "application/json removed"),
            (Warning, "POST /runs: 202", "answer added"),
            (Warning, "POST /runs: body", "no body is read any more"),
            (Compatible, "POST /runs: 200", "text/plain added"),
            (Compatible, "POST /runs: 404", "answer removed"),
            (Compatible, "POST /runs: 409", "answer added"),
        ],
    );
}

#[test]
fn what_has_no_rule_is_reported_all_the_same() {
    let change =
        |document: &mut Value| at(document, RESPONSE, "/properties/id")["format"] = json!("uuid");
    check(change, &[(Warning, "Run.id", "format changed")]);
}

#[test]
fn a_report_can_leave_out_what_is_known() {
    let (old, mut new) = (document(), document());
    at(&mut new, RESPONSE, "/properties/id")["format"] = json!("uuid");
    let report = diff(&old, &new);
    assert_eq!(report.to_string(), "careful Run.id: format changed\n");
    assert!(report.without(|change| change.place == "Run.id").changes.is_empty());
}
