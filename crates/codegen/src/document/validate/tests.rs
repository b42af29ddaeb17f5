use serde_json::{Value, json};

use crate::Document;

fn contract() -> Document {
    Document::parse(include_str!("../../../../../openapi.json")).expect("the document is JSON")
}

/// Problems of the document after a change to it.
fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = contract().value().clone();
    change(&mut value);
    let document = Document::parse(&value.to_string()).expect("JSON");
    document.validate().iter().map(ToString::to_string).collect()
}

const GET_RUN: &str = "/threads/{thread_id}/runs/{run_id}";

#[test]
fn our_document_is_sound_and_formatted() {
    assert_eq!(problems(|_| {}), Vec::<String>::new());
    assert!(contract().format() == include_str!("../../../../../openapi.json"));
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let found = problems(|document| {
        let operation = &mut document["paths"][GET_RUN]["get"];
        operation["operationId"] = json!("delete_run_threads__thread_id__runs__run_id__delete");
        operation["summary"] = json!("");
        operation["parameters"][1]["name"] = json!("run");
        document["components"]["schemas"]["Run"]["properties"]["status"]["$ref"] =
            json!("#/nowhere");
    });
    let expected = [
        "#/components/schemas/Run/properties/status: #/nowhere is not a component of this document",
        "DELETE /threads/{thread_id}/runs/{run_id}: operationId \
         delete_run_threads__thread_id__runs__run_id__delete is the one of GET /threads/{thread_id}/runs/{run_id}",
        "GET /threads/{thread_id}/runs/{run_id}: no summary",
        "GET /threads/{thread_id}/runs/{run_id}: path parameter run is not both in the path and declared",
        "GET /threads/{thread_id}/runs/{run_id}: path parameter run_id is not both in the path and declared",
    ];
    for expected in expected {
        assert!(
            found.iter().any(|problem| problem == expected),
            "{expected} is missing in {found:#?}"
        );
    }
}

#[test]
fn responses_may_be_shared_and_are_looked_at_like_others() {
    let shared = "#/components/responses/Unauthenticated";
    assert_eq!(contract().value()["paths"][GET_RUN]["get"]["responses"]["401"]["$ref"], shared);
    let found = problems(|document| {
        document["components"]["responses"]["Unauthenticated"]["description"] = json!("");
        document["paths"][GET_RUN]["get"]["responses"]["403"]["$ref"] =
            json!("#/components/responses/Nobody");
    });
    assert_eq!(
        found,
        [
            "#/paths/~1threads~1{thread_id}~1runs~1{run_id}/get/responses/403: \
             #/components/responses/Nobody is not a component of this document",
            "components.responses.Unauthenticated: no description",
        ]
    );
}

#[test]
fn keywords_without_a_rule_are_problems() {
    let found = problems(|document| {
        document["components"]["schemas"]["Run"]["properties"]["status"]["if"] = json!({});
    });
    assert_eq!(found, ["components.schemas.Run.status: no rule lowers the schema keyword if"]);
    let found = problems(|document| {
        document["paths"][GET_RUN]["get"]["parameters"][0]["schema"]["contentEncoding"] =
            json!("x");
    });
    assert_eq!(
        found,
        [
            "GET /threads/{thread_id}/runs/{run_id}: parameter thread_id: no rule lowers the schema keyword contentEncoding"
        ]
    );
}

#[cfg(feature = "conformance")]
#[test]
fn examples_follow_their_schemas() {
    let found = problems(|document| {
        let success = &mut document["paths"][GET_RUN]["get"]["responses"]["200"];
        success["content"]["application/json"]["example"] = json!({});
    });
    assert!(
        found[0].starts_with("GET /threads/{thread_id}/runs/{run_id}: 200: example"),
        "{found:?}"
    );
}
