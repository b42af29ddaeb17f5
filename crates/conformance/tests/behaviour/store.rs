//! Tag Store.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, done, refused, same},
};
use crate::{request::Request, session::Session};

behaviours! {
    put_item: an_item_is_replaced_whole;
    put_item: names_that_are_none_are_refused;
    get_item: a_missing_item_is_null;
    delete_item: deleting_twice_is_no_mistake;
    search_items: filters_and_whole_labels_decide;
    search_items: unknown_operators_are_refused;
    list_namespaces: namespaces_are_cut_and_matched;
}

/// A label that no other case uses.
async fn root(session: &Session) -> Result<String> {
    Ok(format!("store-{}", session.thread(json!({})).await?))
}

async fn put(session: &Session, namespace: Value, key: &str, value: Value) -> Result<()> {
    let body = json!({ "namespace": namespace, "key": key, "value": value });
    done(&session.send(&Request::to("put_item")?.body(body)).await?)
}

async fn get(session: &Session, namespace: &str, key: &str) -> Result<Value> {
    session.call(Request::to("get_item")?.query("namespace", namespace).query("key", key)).await
}

async fn an_item_is_replaced_whole(session: &Session) -> Result<()> {
    let root = root(session).await?;
    put(session, json!([root, "n"]), "k", json!({ "z": 1, "a": { "b": null } })).await?;
    let first = get(session, &format!("{root}.n"), "k").await?;
    ensure!(first["value"] == json!({ "z": 1, "a": { "b": null } }), "{first}");
    ensure!(first["namespace"] == json!([root, "n"]) && first["key"] == "k", "{first}");
    put(session, json!([root, "n"]), "k", json!({ "other": [] })).await?;
    let second = get(session, &format!("{root}.n"), "k").await?;
    ensure!(second["value"] == json!({ "other": [] }), "{second}");
    ensure!(second["created_at"] == first["created_at"], "{second} was made anew");
    Ok(())
}

async fn names_that_are_none_are_refused(session: &Session) -> Result<()> {
    for (namespace, status, detail) in [
        (json!([]), 400, "Namespace cannot be empty."),
        (json!(["a.b"]), 422, "Namespace label 'a.b' must be a non-empty string without periods"),
        (
            json!(["langgraph", "a"]),
            400,
            "Root label for namespace cannot be \"langgraph\". Got: ('langgraph', 'a')",
        ),
    ] {
        let body = json!({ "namespace": namespace, "key": "k", "value": {} });
        let answer = session.send(&Request::to("put_item")?.body(body)).await?;
        refused(&answer, status, detail)?;
    }
    Ok(())
}

async fn a_missing_item_is_null(session: &Session) -> Result<()> {
    let root = root(session).await?;
    same(&get(session, &root, "nobody").await?, &Value::Null)
}

async fn deleting_twice_is_no_mistake(session: &Session) -> Result<()> {
    let root = root(session).await?;
    put(session, json!([root]), "k", json!({})).await?;
    for _ in 0..2 {
        let body = json!({ "namespace": [root], "key": "k" });
        done(&session.send(&Request::to("delete_item")?.body(body)).await?)?;
        same(&get(session, &root, "k").await?, &Value::Null)?;
    }
    Ok(())
}

async fn filters_and_whole_labels_decide(session: &Session) -> Result<()> {
    let root = root(session).await?;
    for (label, key, n) in [("a", "1", 1), ("ab", "2", 2), ("a", "3", 3)] {
        put(session, json!([root, label]), key, json!({ "n": n })).await?;
    }
    for (prefix, filter, keys) in [
        (json!([root]), json!({}), json!(["3", "2", "1"])),
        (json!([root, "a"]), json!({}), json!(["3", "1"])),
        (json!([root]), json!({ "n": { "$gte": 2 } }), json!(["3", "2"])),
        (json!([root, "a"]), json!({ "n": 1.0 }), json!(["1"])),
    ] {
        let body = json!({ "namespace_prefix": prefix, "filter": filter });
        let found = session.post("search_items", body).await?;
        same(&Value::from(column(&found["items"], "key")), &keys)?;
        let scores = column(&found["items"], "score");
        ensure!(scores.iter().all(Value::is_null), "a score without a query: {found}");
    }
    Ok(())
}

async fn unknown_operators_are_refused(session: &Session) -> Result<()> {
    let body = json!({ "filter": { "n": { "$in": [1] } } });
    let answer = session.send(&Request::to("search_items")?.body(body)).await?;
    refused(&answer, 400, "Unsupported operator: $in")
}

async fn namespaces_are_cut_and_matched(session: &Session) -> Result<()> {
    let root = root(session).await?;
    for labels in [json!([root, "b", "x"]), json!([root, "a", "x"]), json!([root, "a", "y"])] {
        put(session, labels, "k", json!({})).await?;
    }
    for (body, expected) in [
        (json!({ "suffix": ["x"] }), json!([[root, "a", "x"], [root, "b", "x"]])),
        (json!({ "max_depth": 2 }), json!([[root, "a"], [root, "b"]])),
        (json!({ "limit": 1, "offset": 1 }), json!([[root, "a", "y"]])),
        (json!({ "limit": 0 }), json!([])),
    ] {
        let mut body = body;
        body["prefix"] = json!([root, "*"]);
        let found = session.post("list_namespaces", body).await?;
        ensure!(found == json!({ "namespaces": expected }), "{found}");
    }
    Ok(())
}
