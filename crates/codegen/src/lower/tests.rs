//! One golden test per step: a schema as written, and as the generator gets it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Field, hoist::Hoisted, lower, schema::Scope};
use crate::Error;

fn components() -> super::Object {
    let Value::Object(components) = json!({
        "Part": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "Payload": {"type": "object", "properties": {"data": {"x-payload": true}}},
    }) else {
        unreachable!("an object is written above")
    };
    components
}

fn lowered(schema: Value, is_request: bool) -> Result<(Value, super::Object), Error> {
    let components = components();
    let mut hoisted = Hoisted::default();
    let mut schema = json!({"type": "object", "required": ["x"], "properties": {"x": schema}});
    Scope { components: &components, is_request }.component(&mut schema, "C", &mut hoisted)?;
    let mut moved = super::Object::new();
    hoisted.add_to(&mut moved)?;
    Ok((schema["properties"]["x"].take(), moved))
}

/// What becomes of a required property of an answer.
fn check(written: Value, expected: Value) {
    assert_eq!(lowered(written, false).expect("it can be lowered").0, expected);
}

fn refused(written: Value) -> String {
    lowered(written, false).expect_err("it cannot be lowered").to_string()
}

#[test]
fn payloads_are_raw_text_whatever_their_schema_says() {
    check(
        json!({"type": ["object", "null"], "x-payload": true}),
        json!({"$ref": "#/components/schemas/RawJson"}),
    );
}

#[test]
fn objects_whose_unknown_members_count_are_maps() {
    check(
        json!({"x-name": "RunConfig", "type": "object", "properties": {"tags": {"type": "array"}}}),
        json!({"type": "object", "additionalProperties": {}}),
    );
}

#[test]
fn validation_keywords_are_dropped() {
    check(
        json!({"type": "integer", "minimum": 1, "maximum": 5, "default": 3, "title": "T", "deprecated": true}),
        json!({"type": "integer", "format": "int64"}),
    );
    check(json!({"type": "string", "minLength": 1, "pattern": "^a"}), json!({"type": "string"}));
}

#[test]
fn constants_are_enums_of_one_value() {
    check(
        json!({"type": "string", "const": "event"}),
        json!({"type": "string", "enum": ["event"]}),
    );
    check(json!({"const": true}), json!({"type": "boolean"}));
}

#[test]
fn one_type_and_null_is_nullable_and_several_types_are_any_json() {
    check(json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true}));
    check(json!({"type": ["string", "number"], "description": "D"}), json!({"description": "D"}));
}

#[test]
fn null_branches_become_nullable() {
    let part = json!({"$ref": "#/components/schemas/Part"});
    check(json!({"anyOf": [part, {"type": "null"}]}), json!({"nullable": true, "allOf": [part]}));
    check(
        json!({"oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}),
        json!({"nullable": true, "type": "array", "items": {"type": "string"}}),
    );
}

#[test]
fn branches_that_only_require_are_dropped() {
    check(
        json!({"type": "object", "oneOf": [{"required": ["a"]}, {"not": {"required": ["a"]}}]}),
        json!({"type": "object", "additionalProperties": {}}),
    );
}

#[test]
fn unions_of_strings_are_strings() {
    check(
        json!({"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string"}]}),
        json!({"type": "string"}),
    );
}

#[test]
fn unions_with_numbers_are_any_json() {
    check(json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), json!({}));
}

#[test]
fn other_unions_are_one_of_and_get_a_component() {
    let written = json!({
        "type": "string",
        "x-name": "Choice",
        "anyOf": [{"type": "string", "enum": ["*"], "x-name": "All"}, {"type": "array", "items": {"type": "string"}}],
    });
    let (lowered, hoisted) = lowered(written, false).expect("it can be lowered");
    assert_eq!(lowered, json!({"$ref": "#/components/schemas/Choice"}));
    let expected = json!({
        "All": {"type": "string", "enum": ["*"]},
        "Choice": {"oneOf": [
            {"$ref": "#/components/schemas/All"},
            {"type": "array", "items": {"type": "string"}},
        ]},
    });
    assert_eq!(Value::Object(hoisted), expected);
}

#[test]
fn raw_text_inside_of_a_union_is_refused() {
    let payload = json!({"$ref": "#/components/schemas/Payload"});
    assert_eq!(
        refused(json!({"x-name": "U", "oneOf": [payload, {"type": "string"}]})),
        "components.schemas.C.x: x-payload inside a union cannot be read; mark the union instead"
    );
}

#[test]
fn all_of_is_one_object() {
    let written = json!({"x-name": "Whole", "allOf": [
        {"$ref": "#/components/schemas/Part"},
        {"type": "object", "required": ["b"], "properties": {"b": {"type": "boolean"}}},
    ]});
    let (_, hoisted) = lowered(written, false).expect("it can be lowered");
    let expected = json!({
        "type": "object",
        "required": ["id", "b"],
        "properties": {"id": {"type": "string"}, "b": {"type": "boolean"}},
    });
    assert_eq!(hoisted["Whole"], expected);
}

#[test]
fn what_stands_beside_a_reference_is_dropped() {
    let part = json!({"$ref": "#/components/schemas/Part"});
    check(json!({"type": "object", "description": "D", "$ref": part["$ref"]}), part);
}

#[test]
fn formats_count_in_answers_only() {
    for (format, in_answers) in [("uuid", true), ("date-time", true), ("uri-reference", false)] {
        let written = json!({"type": "string", "format": format});
        let kept = if in_answers { written.clone() } else { json!({"type": "string"}) };
        check(written.clone(), kept);
        assert_eq!(lowered(written, true).expect("it can be lowered").0, json!({"type": "string"}));
    }
}

#[test]
fn optional_properties_are_nullable() {
    let written = json!({"x-name": "O", "type": "object", "required": ["a"], "properties": {
        "a": {"type": "string"},
        "b": {"type": "array", "items": {"type": "string"}},
        "c": {"$ref": "#/components/schemas/Part"},
        "d": {},
        "e": true,
    }});
    let (_, hoisted) = lowered(written, false).expect("it can be lowered");
    let expected = json!({
        "a": {"type": "string"},
        "b": {"type": "array", "items": {"type": "string"}, "nullable": true},
        "c": {"nullable": true, "allOf": [{"$ref": "#/components/schemas/Part"}]},
        "d": {},
        "e": {},
    });
    assert_eq!(hoisted["O"]["properties"], expected);
}

#[test]
fn objects_are_closed_if_described_and_free_if_not() {
    check(
        json!({"type": "object", "additionalProperties": true}),
        json!({"type": "object", "additionalProperties": {}}),
    );
    check(
        json!({"type": "object", "additionalProperties": {"type": "array"}}),
        json!({"type": "object", "additionalProperties": {"type": "array", "items": {}}}),
    );
    let written = json!({"x-name": "O", "type": "object", "properties": {"a": {}}, "additionalProperties": true});
    let (_, hoisted) = lowered(written, false).expect("it can be lowered");
    assert_eq!(hoisted["O"], json!({"type": "object", "properties": {"a": {}}}));
}

#[test]
fn equal_names_mean_equal_schemas() {
    let mode = |values: Value| json!({"type": "string", "enum": values, "x-name": "Mode"});
    let pair = |first, second| {
        let properties = json!({"a": first, "b": second});
        lowered(json!({"x-name": "O", "type": "object", "properties": properties}), false)
    };
    let (_, hoisted) =
        pair(mode(json!(["a", "b"])), mode(json!(["a", "b"]))).expect("they are equal");
    assert_eq!(hoisted["Mode"], json!({"type": "string", "enum": ["a", "b"]}));
    let error = pair(mode(json!(["a", "b"])), mode(json!(["a"]))).expect_err("they differ");
    assert_eq!(
        error.to_string(),
        "components.schemas.C.x.b: this x-name means something else elsewhere"
    );
}

#[test]
fn types_without_a_name_are_refused() {
    let expected = "components.schemas.C.x: an inline type needs an x-name, or becomes a component";
    assert_eq!(refused(json!({"type": "string", "enum": ["a", "b"]})), expected);
    assert_eq!(refused(json!({"type": "object", "properties": {}})), expected);
}

#[test]
fn keywords_without_a_rule_are_refused_with_their_place() {
    assert_eq!(
        refused(json!({"type": "array", "items": {"if": {}}})),
        "components.schemas.C.x.items: no rule lowers the schema keyword if"
    );
}

/// A document with one operation.
fn document(operation: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": {"/threads/{thread_id}": {"patch": operation}},
        "components": {"schemas": {
            "Changes": {"type": "object", "properties": {"end": {"type": ["string", "null"]}}},
            "Part": {"type": "object", "properties": {
                "note": {"type": ["string", "null"]},
                "value": {"type": ["object", "null"], "x-payload": true},
            }},
        }},
    })
}

fn json_body(name: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}, "example": {}}})
}

fn operation() -> Value {
    json!({
        "operationId": "patch_thread_threads__thread_id__patch",
        "parameters": [],
        "requestBody": {"content": json_body("Changes")},
        "responses": {"200": {"description": "D", "content": json_body("Part")}},
    })
}

/// The lowered operation after a change to it.
fn lowered_operation(change: impl FnOnce(&mut Value)) -> Value {
    let mut operation = operation();
    change(&mut operation);
    let mut lowered = lower(&document(operation)).expect("it can be lowered").document;
    lowered["paths"]["/threads/{thread_id}"]["patch"].take()
}

#[test]
fn operations_are_called_by_their_short_name() {
    assert_eq!(lowered_operation(|_| {})["operationId"], "patch_thread");
}

#[test]
fn parameters_are_simple_and_reserved_headers_left_out() {
    let lowered = lowered_operation(|operation| {
        operation["parameters"] = json!([
            {"name": "thread_id", "in": "path", "schema": {"type": "string", "format": "uuid"}, "x-invalid": {}},
            {"name": "Accept", "in": "header", "schema": {"type": "string"}},
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
            {"name": "select", "in": "query", "schema": {"type": "array", "items": {"enum": ["a"]}}},
        ]);
    });
    let expected = json!([
        {"name": "thread_id", "in": "path", "schema": {"type": "string", "format": "uuid"}},
        {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "format": "int64"}},
        {"name": "select", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
    ]);
    assert_eq!(lowered["parameters"], expected);
}

/// The answers that are left of these.
fn answers(responses: Value) -> Value {
    lowered_operation(|operation| operation["responses"] = responses)["responses"].take()
}

#[test]
fn failures_are_left_out() {
    let part = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Part"}}});
    let lowered = answers(json!({
        "200": {"description": "D", "content": json_body("Part")},
        "201": {"description": "F", "content": json_body("Changes"), "x-failure": true},
        "404": {"description": "F"},
    }));
    assert_eq!(lowered, json!({"200": {"description": "D", "content": part}}));
}

#[test]
fn answers_of_more_than_one_shape_are_bytes() {
    let bytes =
        json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}});
    let two_types = answers(json!({"200": {"description": "D", "content": {
        "text/plain": {"schema": {"type": "string"}},
        "application/json": {"schema": {"$ref": "#/components/schemas/Part"}},
    }}}));
    assert_eq!(two_types["200"]["content"], bytes);
    let sometimes_empty = answers(json!({
        "200": {"description": "D", "content": json_body("Part")},
        "202": {"description": "E"},
    }));
    assert_eq!(sometimes_empty["200"]["content"], bytes);
    assert_eq!(sometimes_empty["202"]["content"], bytes);
}

#[test]
fn empty_answers_that_prefer_asks_for_are_left_out() {
    let lowered = lowered_operation(|operation| {
        operation["parameters"] =
            json!([{"name": "Prefer", "in": "header", "schema": {"type": "string"}}]);
        operation["responses"]["204"] = json!({"description": "E"});
    });
    assert_eq!(lowered["responses"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(lowered["parameters"], json!([]));
}

#[test]
fn inline_bodies_are_refused() {
    let mut operation = operation();
    operation["requestBody"]["content"]["application/json"]["schema"] = json!({"type": "object"});
    let error = lower(&document(operation)).expect_err("it cannot be lowered");
    assert_eq!(
        error.to_string(),
        "PATCH /threads/{thread_id}: bodies are components or arrays of them"
    );
}

#[test]
fn changes_and_answers_have_three_states() {
    let lowered = lower(&document(operation())).expect("it can be lowered");
    let field = |component: &str, property: &str, payload| Field {
        component: component.to_owned(),
        property: property.to_owned(),
        payload,
    };
    let expected = [
        field("Changes", "end", false),
        field("Part", "note", false),
        field("Part", "value", true),
    ];
    assert_eq!(lowered.three_state, BTreeSet::from(expected));
}
