//! Runs to their end: events, saved state, live state.

use agent_server_domain::ports::Ending;
use agent_server_storage::checkpoints::SaverOp;
use serde_json::{Value, json};

use crate::{
    fixture::{Ended, Run, graphs_dir, shared},
    records::check,
};

/// Executes a run and compares its events with `tests/transcripts/<name>.txt`.
#[track_caller]
pub(crate) fn golden(run: &Run, name: &str) -> Ended {
    let ended = shared(|fixture| fixture.run(run));
    expect(name, &ended.transcript());
    ended
}

/// Compares with a file; writes it instead when `AGENT_SERVER_UPDATE_TRANSCRIPTS` is set.
#[track_caller]
fn expect(name: &str, text: &str) {
    let file = graphs_dir().with_file_name("transcripts").join(format!("{name}.txt"));
    if std::env::var_os("AGENT_SERVER_UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let lines = || text.lines().zip(expected.lines()).enumerate();
    if let Some((line, (got, wanted))) = lines().find(|(_, (got, wanted))| got != wanted) {
        panic!("{name}, line {}:\n got {got}\nwant {wanted}", line + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{name}:\n{text}");
}

/// Ids of the root checkpoints that were put.
fn puts(ended: &Ended) -> Vec<String> {
    let put = |op: &SaverOp| match op {
        SaverOp::Put(put) if put.ns.is_empty() => Some(put.id.clone()),
        _ => None,
    };
    ended.ops.iter().filter_map(put).collect()
}

fn messages(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text, "id": "h-1"}]})
}

#[test]
fn values_are_streamed_from_the_input_on() {
    let ended = golden(&Run::new("simple", json!({"foo": "x"})), "values");
    ended.succeeded();
    assert!(!ended.order.contains(&"flush"), "{:?}", ended.order);
}

#[test]
fn updates_and_tasks_are_told_as_they_happen() {
    let run = Run::new("simple", json!({"foo": "x"})).modes(&["updates", "tasks"]);
    golden(&run, "updates_and_tasks");
}

#[test]
fn checkpoints_are_told_without_secrets() {
    let user = json!({"identity": "me", "token": "secret"});
    let run = Run::new("simple", json!({"foo": "x"}))
        .modes(&["checkpoints"])
        .configurable("langgraph_auth_user", user);
    let ended = golden(&run, "checkpoints");
    assert!(!ended.transcript().contains("secret"));
}

#[test]
fn debug_wraps_checkpoints_and_tasks() {
    golden(&Run::new("nested", json!({"foo": "x"})).modes(&["debug"]), "debug");
}

#[test]
fn subgraphs_have_their_namespace_in_the_name() {
    let run = || Run::new("nested", json!({"foo": "x"})).modes(&["values", "updates"]);
    golden(&run(), "nested_root_only");
    golden(&run().with("subgraphs", json!(true)), "nested");
}

#[test]
fn parallel_tasks_are_told_one_by_one() {
    golden(&Run::new("parallel", json!({})).modes(&["updates", "values"]), "parallel");
    let run = Run::new("fan", json!({"items": [1, 2]})).modes(&["updates"]);
    golden(&run, "fan");
}

#[test]
fn messages_are_accumulated() {
    golden(&Run::new("chat", messages("hi")).modes(&["messages"]), "messages");
}

#[test]
fn message_tuples_are_deltas_and_win_over_messages() {
    let run = Run::new("chat", messages("hi")).modes(&["messages", "messages-tuple"]);
    golden(&run, "messages_tuple");
}

#[test]
fn custom_events_are_any_json() {
    golden(&Run::new("custom", json!({})).modes(&["custom"]), "custom");
}

#[test]
fn events_are_those_of_the_library_beside_other_modes() {
    let run = Run::new("chat", messages("hi")).modes(&["events", "values", "messages-tuple"]);
    let ended = shared(|fixture| fixture.run(&run));
    let names: Vec<String> = ended
        .events
        .iter()
        .map(|(name, data)| match data["event"].as_str() {
            Some(event) => format!("{event} {}", data["name"].as_str().unwrap()),
            None => name.clone(),
        })
        .collect();
    expect("events", &(names.join("\n") + "\n"));
    assert_eq!(ended.events[0].1["run_id"], json!(run.run_id));
    ended.succeeded();
}

#[test]
fn the_functional_api_has_bare_values() {
    let run = Run::new("functional", json!(2)).modes(&["values", "updates"]);
    let ended = golden(&run, "functional");
    assert_eq!(ended.state()["values"], json!({"n": 4, "previous": null}));
    let again = golden(&run.next(json!(3)), "functional_again");
    assert_eq!(again.state()["values"]["previous"]["n"], 4);
}

#[test]
fn an_interrupt_waits_for_its_answer() {
    let modes = ["values", "updates", "tasks"];
    let run = Run::new("asking", json!({"foo": "x"})).modes(&modes);
    let ended = golden(&run, "interrupt");
    ended.succeeded();
    let live = ended.outcome.live.as_ref().unwrap();
    assert!(live.pending);
    let state = ended.state();
    assert_eq!(state["next"], json!(["ask"]));
    assert_eq!(state["values"], json!({"foo": "x", "log": ["sibling"]}));
    let interrupts = ended.interrupts();
    let task = state["tasks"][0]["id"].as_str().unwrap();
    assert_eq!(interrupts[task][0]["value"], json!({"q": "ok?"}));
    assert_eq!(interrupts[task], state["interrupts"]);
    assert_eq!(interrupts.as_object().unwrap().len(), 1);

    let answer = run.next(Value::Null).with("command", json!({"resume": "yes"}));
    let resumed = golden(&answer, "interrupt_resumed");
    resumed.succeeded();
    let state = resumed.state();
    assert_eq!(state["values"], json!({"foo": "got yes", "log": ["sibling", "after"]}));
    assert_eq!((&state["next"], resumed.interrupts()), (&json!([]), json!({})));
}

#[test]
fn a_command_may_update_and_jump() {
    let run = Run::new("simple", json!({"foo": "x"}));
    shared(|fixture| async {
        fixture.run(&run).await.succeeded();
        let command = json!({"update": [["foo", "U"]], "goto": "b"});
        let jump = run.next(Value::Null).with("command", command);
        let ended = fixture.run(&jump).await;
        ended.succeeded();
        let values = json!({"foo": "U", "log": ["a", "b", "b"]});
        assert_eq!(ended.state()["values"], values);
    });
}

#[test]
fn an_empty_command_is_an_empty_input() {
    let run = Run::new("simple", Value::Null).with("command", json!({"resume": null}));
    let ended = shared(|fixture| fixture.run(&run));
    let message = "Received empty Command input".into();
    assert_eq!(ended.outcome.ending, Ending::Error { error: "EmptyInputError".into(), message });
}

#[test]
fn a_run_goes_on_from_an_old_checkpoint() {
    let run = Run::new("simple", json!({"foo": "x"}));
    shared(|fixture| async {
        let first = fixture.run(&run).await;
        let old = puts(&first)[2].clone();
        let replay = run.next(Value::Null).configurable("checkpoint_id", json!(old));
        let loads = fixture.sink.loads_of(run.thread_id);
        let ended = fixture.run(&replay).await;
        ended.succeeded();
        assert_eq!(ended.state()["values"], json!({"foo": "A", "log": ["a", "b"]}));
        let SaverOp::Put(fork) = &ended.ops[0] else { panic!("{:?}", ended.ops[0]) };
        assert_eq!((fork.source.as_str(), fork.parent_id.as_ref()), ("fork", Some(&old)));
        assert_eq!(fixture.sink.loads_of(run.thread_id), loads, "nothing had to be asked");
    });
}

#[test]
fn a_second_attempt_does_not_apply_the_input_twice() {
    let run = Run::new("asking", json!({"foo": "x"}));
    shared(|fixture| async {
        let first = fixture.run(&run).await;
        assert!(first.events.iter().any(|(_, data)| data["log"] == json!(["sibling"])));
        let again = Run { attempt: 2, ..run.clone() };
        let second = fixture.run(&again).await;
        second.succeeded();
        assert_eq!(second.state()["values"], json!({"foo": "x", "log": ["sibling"]}));
        assert!(puts(&second).is_empty(), "{:?}", second.ops);
    });
}

#[test]
fn a_temporary_run_saves_nothing() {
    let run = Run { temporary: true, ..Run::new("simple", json!({"foo": "x"})) };
    let ended = shared(|fixture| fixture.run(&run));
    ended.succeeded();
    assert_eq!(ended.events.len(), 3);
    assert!(ended.ops.is_empty() && ended.outcome.live.is_none());
}

#[test]
fn sync_durability_waits_for_every_checkpoint() {
    let run = Run::new("simple", json!({"foo": "x"})).with("durability", json!("sync"));
    let ended = shared(|fixture| fixture.run(&run));
    ended.succeeded();
    let flushes = ended.order.iter().filter(|kind| **kind == "flush").count();
    assert_eq!(flushes, puts(&ended).len());
}

#[test]
fn exit_durability_saves_once() {
    let run = Run::new("simple", json!({"foo": "x"})).with("durability", json!("exit"));
    let ended = shared(|fixture| fixture.run(&run));
    ended.succeeded();
    assert_eq!(puts(&ended).len(), 1);
    assert_eq!(ended.state()["values"], json!({"foo": "A", "log": ["a", "b"]}));
}

#[test]
fn new_subgraph_calls_ask_nothing() {
    let run = Run::new("nested", json!({"foo": "x"}));
    shared(|fixture| async {
        for run in [run.clone(), run.next(json!({"foo": "y"}))] {
            fixture.run(&run).await.succeeded();
            let loads = fixture.sink.loads_of(run.thread_id);
            assert!(!loads.iter().any(|ns| ns.starts_with("child:")), "{loads:?}");
        }
    });
}

#[test]
fn context_is_filtered_and_has_defaults() {
    let run = Run::new("context", json!({}));
    let given = run.next(json!({})).with("context", json!({"model": "big", "unknown": 1}));
    shared(|fixture| async {
        assert_eq!(fixture.run(&run).await.state()["values"], json!({"text": "m 0.1"}));
        assert_eq!(fixture.run(&given).await.state()["values"], json!({"text": "big 0.1"}));
    });
}

#[test]
fn the_store_keeps_items() {
    let run = Run::new("remembering", json!({"text": "hello"}));
    let ended = shared(|fixture| fixture.run(&run));
    ended.succeeded();
    let text = "None {'text': 'hello', 'n': 1} ['k'] [('notes', 'own')]";
    assert_eq!(ended.state()["values"]["text"], text);
}

#[test]
fn every_form_of_factory_makes_a_graph() {
    let cases = [
        ("nothing", "nothing"),
        ("config", "config bold"),
        ("runtime", "runtime threads.create_run"),
        ("both", "both bold threads.create_run"),
        ("opened", "opened"),
        ("sync_opened", "sync opened"),
    ];
    shared(|fixture| async {
        for (graph, said) in cases {
            let run = Run::new(graph, json!({})).configurable("style", json!("bold"));
            let ended = fixture.run(&run).await;
            assert_eq!(ended.state()["values"], json!({"said": said}), "{graph}");
        }
    });
}

#[test]
fn a_bad_factory_fails_its_run() {
    shared(|fixture| async {
        let ended = fixture.run(&Run::new("wrong", json!({}))).await;
        let message = "424: Graph 'wrong' is not valid. Its factory returned int.".into();
        assert_eq!(ended.outcome.ending, Ending::Error { error: "HTTPException".into(), message });
        let ended = fixture.run(&Run::new("raising", json!({}))).await;
        let message = "no factory today".into();
        assert_eq!(ended.outcome.ending, Ending::Error { error: "ValueError".into(), message });
    });
}

#[test]
fn the_recursion_limit_is_the_callers() {
    let mut run = Run::new("counter", json!({"until": 100}));
    run.kwargs["config"]["recursion_limit"] = json!(5);
    let ended = shared(|fixture| fixture.run(&run));
    let Ending::Error { error, message } = &ended.outcome.ending else { panic!() };
    assert_eq!(error, "GraphRecursionError");
    assert!(message.starts_with("Recursion limit of 5 reached"), "{message}");
    assert_eq!(ended.state()["values"]["n"], 5);
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
        check(fixture, &[nested, resumed], 6).await;
        let stopping =
            Run::new("simple", json!({"foo": "x"})).with("interrupt_before", json!(["b"]));
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
