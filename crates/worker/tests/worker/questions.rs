//! Questions about graphs and states.

use agent_server_domain::{
    Error,
    ports::{Answer, GraphHost, Question, Xray},
};
use agent_server_storage::{RawJson, ThreadId};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, Run, shared},
    records::state,
};

async fn ask(fixture: &Fixture, graph: &str, question: Question) -> Result<Answer, Error> {
    fixture.pool.ask(graph, question).await
}

fn config(configurable: Value) -> RawJson {
    RawJson::of(&json!({"configurable": configurable}))
}

async fn schemas(fixture: &Fixture, graph: &str) -> Value {
    let question = Question::Schemas { config: config(json!({"style": "s"})) };
    ask(fixture, graph, question).await.unwrap().json.parse().unwrap()
}

async fn update(
    fixture: &Fixture,
    graph: &str,
    thread_id: ThreadId,
    configurable: Value,
    values: Value,
    as_node: Option<&str>,
) -> Result<Answer, Error> {
    let question = Question::UpdateState {
        thread_id,
        config: config(configurable),
        values: RawJson::of(&values),
        as_node: as_node.map(str::to_owned),
    };
    let answer = ask(fixture, graph, question).await?;
    fixture.sink.save_ops(thread_id, answer.ops.clone());
    Ok(answer)
}

#[test]
fn schemas_describe_input_output_state_and_context() {
    shared(|fixture| async {
        let found = schemas(fixture, "context").await;
        let properties = json!({
            "model": {"default": "m", "title": "Model", "type": "string"},
            "temp": {"default": 0.1, "title": "Temp", "type": "number"},
        });
        let ctx = json!({"properties": properties, "title": "Ctx", "type": "object"});
        assert_eq!(found["context_schema"], ctx);
        assert_eq!(found["config_schema"], ctx);
        let text = json!({"text": {"title": "Text", "type": "string"}});
        assert_eq!(found["input_schema"]["properties"], text);
        assert_eq!(found["output_schema"]["properties"], text);

        let found = schemas(fixture, "simple").await;
        let expected = json!({
            "properties": {
                "foo": {"default": null, "title": "Foo", "type": "string"},
                "log": {"default": null, "items": {"type": "string"}, "title": "Log", "type": "array"},
            },
            "title": "simple_state", "type": "object",
        });
        assert_eq!(found["state_schema"], expected);
        assert_eq!((&found["config_schema"], &found["context_schema"]), (&json!({}), &Value::Null));
        // Kept by the worker, and the same.
        assert_eq!(schemas(fixture, "simple").await, found);
        assert!(schemas(fixture, "both").await["input_schema"]["properties"]["said"].is_object());
        assert!(schemas(fixture, "functional").await["input_schema"].is_object());
        assert!(
            schemas(fixture, "chat").await["state_schema"]["properties"]["messages"].is_object()
        );
    });
}

#[test]
fn a_drawing_expands_subgraphs_when_asked() {
    shared(|fixture| async {
        for (xray, expected) in [
            (Xray::All(false), vec!["__start__", "pre", "child", "post", "__end__"]),
            (Xray::All(true), vec!["__start__", "pre", "post", "__end__", "child:inner"]),
            (Xray::Depth(1), vec!["__start__", "pre", "post", "__end__", "child:inner"]),
        ] {
            let question = Question::Drawing { config: config(json!({})), xray };
            let drawn: Value =
                ask(fixture, "nested", question).await.unwrap().json.parse().unwrap();
            let mut names: Vec<&str> = drawn["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n["id"].as_str().unwrap())
                .collect();
            let mut expected = expected;
            names.sort_unstable();
            expected.sort_unstable();
            assert_eq!(names, expected, "{xray:?}");
            assert!(drawn["nodes"].as_array().unwrap().iter().all(|n| n["data"]["id"].is_null()));
            assert!(!drawn["edges"].as_array().unwrap().is_empty());
        }
    });
}

#[test]
fn a_question_to_a_bad_graph_says_what_is_wrong() {
    shared(|fixture| async {
        let question = || Question::Schemas { config: config(json!({})) };
        let error = ask(fixture, "wrong", question()).await.unwrap_err();
        let text = "Graph 'wrong' is not valid. Its factory returned int.";
        assert!(matches!(&error, Error::BadGraph(said) if said == text), "{error:?}");
        let error = ask(fixture, "raising", question()).await.unwrap_err();
        assert!(matches!(&error, Error::Refused(said) if said == "no factory today"), "{error:?}");
        let error = ask(fixture, "missing", question()).await.unwrap_err();
        assert!(matches!(&error, Error::NotFound(_)), "{error:?}");
    });
}

#[test]
fn a_thread_without_checkpoints_has_an_empty_state() {
    shared(|fixture| async {
        let run = Run::new("simple", json!({}));
        let empty = json!({"values": {}, "next": [], "tasks": [], "metadata": null,
            "created_at": null, "checkpoint": null, "parent_checkpoint": null, "interrupts": [],
            "checkpoint_id": null, "parent_checkpoint_id": null});
        assert_eq!(state(fixture, "simple", run.thread_id, "", None).await, empty);
    });
}

#[test]
fn states_of_subgraphs_are_nested_when_asked() {
    shared(|fixture| async {
        let run = Run::new("nested_ask", json!({"foo": "x"}));
        let ended = fixture.run(&run).await;
        let task = &ended.state()["tasks"][0];
        let ns = task["checkpoint"]["checkpoint_ns"].as_str().unwrap().to_owned();
        assert_eq!(ns, format!("child:{}", task["id"].as_str().unwrap()));
        assert_eq!(task["interrupts"][0]["value"], "inner?");

        let question = Question::State {
            thread_id: run.thread_id,
            config: config(json!({})),
            subgraphs: true,
        };
        let answer = ask(fixture, "nested_ask", question).await.unwrap();
        assert!(answer.live.is_none());
        let nested: Value = answer.json.parse().unwrap();
        let task = &nested["tasks"][0];
        assert_eq!(
            (&task["checkpoint"], &task["state"]["next"]),
            (&Value::Null, &json!(["inner_ask"]))
        );
        let map = &task["state"]["checkpoint"]["checkpoint_map"];
        assert_eq!(map[""], nested["checkpoint_id"]);
        assert_eq!(map[&ns], task["state"]["checkpoint_id"]);

        let child = state(fixture, "nested_ask", run.thread_id, &ns, None).await;
        assert_eq!(child["values"], json!({"foo": "x", "log": []}));
    });
}

#[test]
fn an_update_is_returned_and_not_saved() {
    shared(|fixture| async {
        let run = Run::new("simple", json!({"foo": "x"}));
        fixture.run(&run).await.succeeded();
        let before = fixture.sink.checkpoint(run.thread_id, "", None).unwrap();
        let values = json!({"foo": "U", "log": ["u"]});
        let question = Question::UpdateState {
            thread_id: run.thread_id,
            config: config(json!({})),
            values: RawJson::of(&values),
            as_node: Some("a".into()),
        };
        let answer = ask(fixture, "simple", question).await.unwrap();
        let still = fixture.sink.checkpoint(run.thread_id, "", None).unwrap();
        assert_eq!(still, before);

        let live = answer.live.unwrap();
        let shown: Value = live.state.parse().unwrap();
        assert_eq!(shown["values"], json!({"foo": "U", "log": ["a", "b", "u"]}));
        assert_eq!((live.pending, &shown["next"]), (true, &json!(["b"])));
        assert_eq!(shown["metadata"]["source"], "update");
        assert_eq!(shown["parent_checkpoint_id"], json!(before.id));
        let new: Value = answer.json.parse().unwrap();
        let expected = json!({"configurable": {"thread_id": run.thread_id, "checkpoint_ns": "",
            "checkpoint_id": live.checkpoint_id}});
        assert_eq!(new, expected);

        fixture.sink.save_ops(run.thread_id, answer.ops);
        assert_eq!(state(fixture, "simple", run.thread_id, "", None).await, shown);
        let on = fixture.run(&run.next(Value::Null)).await;
        assert_eq!(on.state()["values"], json!({"foo": "U", "log": ["a", "b", "u", "b"]}));
    });
}

#[test]
fn an_update_of_an_old_checkpoint_makes_a_branch() {
    shared(|fixture| async {
        let run = Run::new("simple", json!({"foo": "x"}));
        let ended = fixture.run(&run).await;
        let old = ended.state()["parent_checkpoint_id"].clone();
        let head = ended.state()["checkpoint_id"].as_str().unwrap().to_owned();
        let at = json!({"checkpoint_id": old, "checkpoint_ns": ""});
        let answer =
            update(fixture, "simple", run.thread_id, at, json!({"log": ["f"]}), Some("b")).await;
        let live: Value = answer.unwrap().live.unwrap().state.parse().unwrap();
        assert_eq!(live["values"]["log"], json!(["a", "f"]));
        assert_eq!(live["parent_checkpoint_id"], old);
        // The other branch is as it was.
        let kept = state(fixture, "simple", run.thread_id, "", Some(&head)).await;
        assert_eq!(kept["values"]["log"], json!(["a", "b"]));
    });
}

#[test]
fn updates_that_make_no_sense_are_refused() {
    shared(|fixture| async {
        let run = Run::new("simple", json!({"foo": "x"}));
        fixture.run(&run).await.succeeded();
        for (values, node, text) in [
            (json!({}), Some("nope"), "Node nope does not exist"),
            (json!([{"foo": 1}]), Some("a"), "Expected dict, got [{'foo': 1}]"),
        ] {
            let answer = update(fixture, "simple", run.thread_id, json!({}), values, node).await;
            let error = answer.unwrap_err();
            assert!(matches!(&error, Error::Refused(said) if said.starts_with(text)), "{error:?}");
        }
    });
}

#[test]
fn an_update_without_values_can_end_an_interrupt() {
    shared(|fixture| async {
        let run = Run::new("asking", json!({"foo": "x"}));
        fixture.run(&run).await.succeeded();
        let answer =
            update(fixture, "asking", run.thread_id, json!({}), Value::Null, Some("__end__")).await;
        let live = answer.unwrap().live.unwrap();
        assert!(!live.pending);
        assert_eq!(live.interrupts.get(), "{}");
        let shown: Value = live.state.parse().unwrap();
        assert_eq!(shown["values"], json!({"foo": "x", "log": ["sibling"]}));
    });
}

#[test]
fn a_fresh_thread_takes_an_update_as_input() {
    shared(|fixture| async {
        let run = Run::new("simple", Value::Null);
        let values = json!({"foo": "i"});
        let answer = update(fixture, "simple", run.thread_id, json!({}), values, None).await;
        let live: Value = answer.unwrap().live.unwrap().state.parse().unwrap();
        assert_eq!((&live["values"]["foo"], &live["next"]), (&json!("i"), &json!(["a"])));
    });
}
