//! Odd values, synchronous code in graphs, and unusual ways to call subgraphs.

use serde_json::json;

use crate::{
    fixture::{Run, shared},
    records::check,
    runs::golden,
};

#[test]
fn every_value_becomes_json() {
    golden(&Run::new("odd_values", json!({})).modes(&["custom"]), "odd_values").succeeded();
}

#[test]
fn synchronous_code_may_call_graphs_and_the_store() {
    let run = Run::new("sync", json!({}));
    let ended = shared(|fixture| fixture.run(&run));
    ended.succeeded();
    assert_eq!(ended.state()["values"], json!({"log": ["sync child"], "text": "{'n': 1}"}));
    let child = ended.ops.iter().filter_map(|op| match op {
        agent_server_storage::checkpoints::SaverOp::Put(put) => Some(put.ns.as_str()),
        _ => None,
    });
    assert!(child.into_iter().any(|ns| ns.starts_with("sync_node:")), "its state is saved too");
}

#[test]
fn a_subgraph_called_twice_has_two_namespaces() {
    shared(|fixture| async {
        let run = Run::new("calls_twice", json!({})).with("subgraphs", json!(true));
        let ended = check(fixture, &[run], 9).await;
        let log = json!(["1", "sync child", "2", "sync child"]);
        assert_eq!(ended[0].state()["values"]["log"], log);
    });
}

#[test]
fn a_subgraph_that_keeps_its_state_finds_it_in_the_next_run() {
    shared(|fixture| async {
        let run = Run::new("keeps_subgraph", json!({}));
        let ended = check(fixture, &[run.clone(), run.next(json!({}))], 6).await;
        let texts: Vec<_> =
            ended.iter().map(|ended| ended.state()["values"]["text"].clone()).collect();
        assert_eq!(texts, ["1", "2"]);
    });
}

#[test]
fn a_graph_can_list_its_own_checkpoints() {
    shared(|fixture| async {
        let run = Run::new("history", json!({}));
        let first = fixture.run(&run).await;
        let second = fixture.run(&run.next(json!({}))).await;
        let texts = [&first, &second].map(|ended| ended.state()["values"]["text"].clone());
        assert_eq!(texts, ["2", "5"]);
    });
}

#[test]
fn the_user_is_an_object_and_never_leaves() {
    let user = json!({"identity": "me", "role": "admin", "permissions": ["a"], "token": "secret"});
    let run = Run::new("user", json!({}))
        .modes(&["values", "debug", "events"])
        .configurable("langgraph_auth_user", user);
    let ended = shared(|fixture| fixture.run(&run));
    ended.succeeded();
    assert_eq!(ended.state()["values"]["text"], "me admin ['a']");
    let told = format!("{}{:?}", ended.transcript(), ended.ops);
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn delta_channels_are_rebuilt_from_writes() {
    shared(|fixture| async {
        let run = Run::new("delta", json!({"items": [10]}));
        let ended = check(fixture, &[run.clone(), run.next(json!({"items": [20]}))], 12).await;
        let items = json!([10, 1, 2, 3, 4, 20, 6, 7, 8, 9]);
        assert_eq!(ended[1].state()["values"]["items"], items);
    });
}
