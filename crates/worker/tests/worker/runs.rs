//! Runs to their end: events, saved state, live state.

use agent_server_domain::ports::Ending;
use serde_json::{Value, json};

use crate::{
    fixture::{Ended, Run, shared},
    records::check,
};

/// Executes a run and prints or compares its events.
#[track_caller]
fn transcript(run: &Run, expected: &str) -> Ended {
    let ended = shared(|fixture| fixture.run(run));
    let text = ended.transcript();
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expected, "\n{text}");
    ended
}

fn messages(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text, "id": "h-1"}]})
}

#[test]
fn values_are_streamed_from_the_input_on() {
    let run = Run::new("simple", json!({"foo": "x"}));
    let ended = transcript(&run, r#"
        values {"foo":"x","log":[]}
        values {"foo":"A","log":["a"]}
        values {"foo":"A","log":["a","b"]}
    "#);
    ended.succeeded();
    assert!(!ended.order.contains(&"flush"), "{:?}", ended.order);
}

#[test]
fn every_mode_has_its_events() {
    let run = Run::new("simple", json!({"foo": "x"})).modes(&["updates", "tasks", "checkpoints", "debug"]);
    transcript(&run, "").succeeded();
}

#[test]
fn records_equal_the_librarys() {
    shared(|fixture| async {
        let simple = Run::new("simple", json!({"foo": "x"}));
        check(fixture, &[simple.clone(), simple.next(json!({"foo": "y"}))], 8).await;
        check(fixture, &[Run::new("parallel", json!({}))], 4).await;
        check(fixture, &[Run::new("fan", json!({"items": [1, 2, 3]}))], 4).await;
        check(fixture, &[Run::new("failing", json!({"foo": "x"}))], 3).await;
        check(fixture, &[Run::new("functional", json!(2))], 2).await;
        check(fixture, &[Run::new("chat", messages("hi"))], 4).await;
        let exit = Run::new("simple", json!({"foo": "x"})).with("durability", json!("exit"));
        check(fixture, &[exit], 1).await;
        let asking = Run::new("asking", json!({"foo": "x"}));
        let resumed = asking.next(Value::Null).with("command", json!({"resume": "yes"}));
        check(fixture, &[asking, resumed], 4).await;
        let nested = Run::new("nested", json!({"foo": "x"})).with("subgraphs", json!(true));
        check(fixture, &[nested], 8).await;
        let nested = Run::new("nested_ask", json!({"foo": "x"})).with("subgraphs", json!(true));
        let resumed = nested.next(Value::Null).with("command", json!({"resume": "yes"}));
        check(fixture, &[nested, resumed], 8).await;
        let stopping = Run::new("simple", json!({"foo": "x"})).with("interrupt_before", json!(["b"]));
        let on = stopping.next(Value::Null).with("interrupt_before", Value::Null);
        check(fixture, &[stopping, on], 4).await;
    });
}

#[test]
fn an_error_ends_the_run_with_its_text() {
    let run = Run::new("failing", json!({"foo": "x"}));
    let ended = shared(|fixture| fixture.run(&run));
    let ending = Ending::Error { error: "ValueError".into(), message: "boom!".into() };
    assert_eq!(ended.outcome.ending, ending);
    assert_eq!(ended.state()["tasks"][0]["error"], "ValueError('boom!')");
    assert!(ended.outcome.live.unwrap().pending);
}

#[test]
fn the_text_of_an_unknown_exception_is_hidden() {
    let run = Run::new("masked", json!({"foo": "x"}));
    let ended = shared(|fixture| fixture.run(&run));
    let message = "An internal error occurred".into();
    assert_eq!(ended.outcome.ending, Ending::Error { error: "Secret".into(), message });
}
