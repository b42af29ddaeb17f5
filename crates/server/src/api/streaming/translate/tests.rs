use agent_server_domain::stream::Sender;
use serde_json::json;
use uuid::Uuid;

use super::*;

const RUN: RunId = RunId(Uuid::nil());

fn run(speaks_protocol: bool) -> Run {
    let status = RunStatus::Running;
    Run::new(RUN, Some(Sender { graph_id: "g".into(), speaks_protocol, status }))
}

/// Sends events to a run, one per millisecond from 1 on, and returns what becomes of them.
fn sent(run: &mut Run, events: &[(&str, Value)]) -> Vec<ProtocolEvent> {
    let mut result = vec![];
    for (index, (name, data)) in events.iter().enumerate() {
        let entry = EventId { millis: run.last_millis().max(index as u64) + 1, seq: 0 };
        let event = Event { name: (*name).to_owned(), data: state::bytes(data) };
        result.extend(run.next(entry, &event));
    }
    result
}

/// Id without the run, method, namespace and data of events.
fn shown(events: &[ProtocolEvent]) -> Vec<(String, &str, String, Value)> {
    events
        .iter()
        .map(|event| {
            let id = event.id.replace(&format!("synth:{RUN}:"), "~");
            let data = serde_json::from_slice(&event.data).expect("data is JSON");
            (id, event.method, event.namespace.join("/"), data)
        })
        .collect()
}

fn row(
    id: &str,
    method: &'static str,
    namespace: &str,
    data: Value,
) -> (String, &'static str, String, Value) {
    (id.to_owned(), method, namespace.to_owned(), data)
}

fn lifecycle(id: &str, event: &str) -> (String, &'static str, String, Value) {
    row(id, "lifecycle", "", json!({"event": event, "graph_name": "g"}))
}

#[test]
fn a_run_is_announced_once_and_ends_once() {
    let mut run = run(true);
    let attempts = [("metadata", json!({"attempt": 1})), ("metadata", json!({"attempt": 2}))];
    let mut events = sent(&mut run, &attempts);
    events.extend(run.end(Some(RunStatus::Running), 5));
    events.extend(run.end(Some(RunStatus::Success), 6));
    events.extend(run.end(Some(RunStatus::Success), 7));
    events.extend(sent(&mut run, &[("values", json!({}))]));
    assert_eq!(
        shown(&events),
        [lifecycle("~lc||running", "running"), lifecycle("~lc||completed", "completed")]
    );
    assert_eq!(events[1].timestamp, 6);
}

#[test]
fn each_status_has_an_end() {
    let ended = |status: Option<RunStatus>| {
        let mut run = run(true);
        sent(&mut run, &[("error", json!({"error": "ValueError", "message": "kaboom"}))]);
        let events = run.end(status, 9);
        shown(&events).pop().expect("an end").3
    };
    assert_eq!(ended(Some(RunStatus::Error))["error"], "kaboom");
    assert_eq!(ended(Some(RunStatus::Timeout))["error"], TIMEOUT);
    assert_eq!(ended(Some(RunStatus::Interrupted))["event"], "interrupted");
    assert_eq!(ended(None)["event"], "interrupted", "it was deleted");
    let mut silent = run(true);
    assert!(silent.end(Some(RunStatus::Success), 1).is_empty(), "it never began");
}

#[test]
fn a_question_is_asked_once_and_says_that_the_run_waits() {
    let mut run = run(true);
    let asks = json!({"a": 1, "__interrupt__": [{"value": "ok?", "id": "i"}]});
    let mut events = sent(
        &mut run,
        &[
            ("updates|c:1", json!({"__interrupt__": [{"value": "ok?", "id": "i"}]})),
            ("values", asks.clone()),
        ],
    );
    events.extend(run.end(Some(RunStatus::Success), 5));
    let data = json!({"interrupt_id": "i", "payload": "ok?", "value": "ok?"});
    assert_eq!(
        shown(&events),
        [
            lifecycle("~lc||running", "running"),
            row("~input|c:1|i", "input.requested", "c:1", data),
            lifecycle("~lc||interrupted", "interrupted"),
            row("2-0", "values", "", json!({"a": 1})),
        ]
    );
}

#[test]
fn subgraphs_that_are_open_end_with_their_run_deepest_first() {
    let mut run = run(true);
    let started = json!({"event": "started", "graph_name": "c"});
    let mut events = sent(
        &mut run,
        &[
            ("lifecycle|c:1", started.clone()),
            ("lifecycle|c:1|d:2", started.clone()),
            // Another attempt comes by again.
            ("lifecycle|c:1", started.clone()),
            ("lifecycle|e:3", started.clone()),
            ("lifecycle|e:3", json!({"event": "failed", "graph_name": "c", "error": "no"})),
            ("lifecycle|e:3", json!({"event": "completed", "graph_name": "c"})),
        ],
    );
    events.extend(run.end(Some(RunStatus::Error), 9));
    let completed = json!({"event": "completed", "graph_name": "c"});
    let failed = json!({"event": "failed", "graph_name": "c", "error": "no"});
    let expected = [
        row("1-0", "lifecycle", "c:1", started.clone()),
        row("2-0", "lifecycle", "c:1/d:2", started.clone()),
        row("4-0", "lifecycle", "e:3", started),
        row("~lc|e:3|failed", "lifecycle", "e:3", failed),
        row("~lc|c:1\0d:2|completed", "lifecycle", "c:1/d:2", completed.clone()),
        row("~lc|c:1|completed", "lifecycle", "c:1", completed),
    ];
    assert_eq!(shown(&events)[1..7], expected);
}

#[test]
fn runs_of_other_endpoints_name_the_node_of_an_update() {
    let mut run = run(false);
    let events = sent(
        &mut run,
        &[
            ("values", json!({})),
            ("updates", json!({"node": {"a": 1}})),
            ("updates", json!({"one": 1, "two": 2})),
            ("messages", json!([{"content": "x", "type": "ai"}, {}])),
            ("messages/partial", json!([])),
            ("custom", json!("p")),
        ],
    );
    assert_eq!(
        shown(&events)[1..],
        [
            row("2-0", "updates", "", json!({"a": 1})),
            row("3-0", "updates", "", json!({"one": 1, "two": 2})),
            row("6-0", "custom", "", json!({"payload": "p"})),
        ]
    );
    assert_eq!((events[1].node.as_deref(), events[2].node.as_deref()), (Some("node"), None));
}

#[test]
fn a_checkpoint_is_shown_in_one_form() {
    let record = json!({
        "config": {"configurable": {"checkpoint_id": "2"}}, "parent_config": {"configurable": {"checkpoint_id": "1"}},
        "metadata": {"step": 0, "source": "loop"}, "values": {},
    });
    let shown_form = json!({"id": "2", "parent_id": "1", "step": 0, "source": "loop"});
    for given in [record, shown_form.clone()] {
        let mut run = run(true);
        // The second attempt begins with it.
        let events = sent(&mut run, &[("checkpoints", given.clone()), ("checkpoints", given)]);
        assert_eq!(
            shown(&events)[1..],
            [row("~checkpoint||2", "checkpoints", "", shown_form.clone())]
        );
    }
}

#[test]
fn the_result_of_a_tool_is_a_message_too() {
    let mut run = run(true);
    let output = json!({"content": [1], "id": null});
    let finished = json!({"event": "tool-finished", "tool_call_id": "c", "output": output});
    let events = sent(&mut run, &[("tools|n:1", finished)]);
    let ids: Vec<_> =
        events[1..].iter().map(|event| (&*event.id, event.namespace.join("/"))).collect();
    let below = |id| (id, "n:1/tools:c".to_owned());
    let mut expected = vec![("1-0", "n:1".to_owned())];
    expected.extend(["1-0.1", "1-0.2", "1-0.3", "1-0.4", "1-0.5"].map(below));
    assert_eq!(ids, expected);
    assert_eq!(shown(&events)[4].3["delta"], json!({"type": "text-delta", "text": "[1]"}));
}

#[test]
fn what_has_no_other_form_passes_untouched() {
    let mut run = run(true);
    let event = Event { name: "values".into(), data: Bytes::from_static(b"{\"n\":1.50}") };
    let events = run.next(EventId { millis: 1, seq: 0 }, &event);
    assert_eq!(events[1].data, "{\"n\":1.50}");
}
