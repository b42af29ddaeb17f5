//! Runs of small graphs: what is told, what is reached, how it goes on.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use agent_server_graph::{
    Channel, Command, Context, END, Event, Failure, Finished, Graph, GraphBuilder, Input,
    Invocation, Names, NodeError, Observer, Progress, START, Stop, Target, Update, demo, run,
    update_state,
};
use serde_json::{Value, json};

/// Writes down what it is told, one line per event.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn on(&self, event: Event<'_>) {
        let line = match event {
            Event::Checkpoint { progress, fresh } => {
                let point = &progress.checkpoint;
                let next: Vec<_> = point.tasks.iter().map(|task| task.node.as_str()).collect();
                let new = if fresh { "new" } else { "old" };
                format!("{new} {} {} {next:?}", point.source.as_str(), point.step)
            }
            Event::Commanded { .. } => "command".into(),
            Event::Started { checkpoint, task, .. } => {
                format!("{} start {}", checkpoint.step + 1, task.node)
            }
            Event::Ended { task, record, .. } => {
                format!("end {} {}", task.node, json!(record))
            }
            Event::Breakpoint => "breakpoint".into(),
            Event::Custom(value) => format!("custom {value}"),
            Event::Message { message, .. } => format!("{} {}", message["type"], message["content"]),
        };
        self.0.lock().unwrap().push(line);
    }
}

fn log_channel() -> GraphBuilder {
    GraphBuilder::new("test")
        .channel("log", Channel::append(json!({})))
        .channel("x", Channel::last_value(json!({})))
}

async fn note(name: &'static str) -> Result<Update, NodeError> {
    Ok(Update::none().set("log", name))
}

async fn go(graph: &Arc<Graph>, saved: Option<Progress>, input: Input) -> (Finished, Vec<String>) {
    with(graph, saved, Invocation { input, ..Default::default() }).await
}

async fn with(
    graph: &Arc<Graph>,
    saved: Option<Progress>,
    invocation: Invocation,
) -> (Finished, Vec<String>) {
    let log = Arc::new(Log::default());
    let finished = run(Arc::clone(graph), saved, invocation, log.clone()).await;
    let lines = std::mem::take(&mut *log.0.lock().unwrap());
    (finished, lines)
}

fn values(finished: &Finished, graph: &Graph) -> Value {
    json!(*finished.progress.as_ref().unwrap().live(graph).values)
}

fn input(value: Value) -> Input {
    Input::Values(value)
}

fn answer(value: Value) -> Input {
    Input::Command(Command { resume: Some(value), ..Default::default() })
}

fn sequence() -> Arc<Graph> {
    let graph = log_channel()
        .node("a", |_| note("a"))
        .node("b", |_| note("b"))
        .edge(START, "a")
        .edge("a", "b")
        .edge("b", END);
    Arc::new(graph.build().unwrap())
}

/// `ask` waits while `c` finishes; `last` follows both.
fn parallel() -> Arc<Graph> {
    let ask = |mut cx: Context| async move {
        let answer = cx.interrupt("A?")?;
        Ok(Update::none().set("log", answer))
    };
    let graph = log_channel()
        .node("ask", ask)
        .node("c", |_| note("c"))
        .node("last", |_| note("last"))
        .edge(START, "ask")
        .edge(START, "c")
        .edge("ask", "last")
        .edge("c", "last");
    Arc::new(graph.build().unwrap())
}

#[tokio::test]
async fn a_sequence_makes_a_checkpoint_per_superstep() {
    let graph = sequence();
    let (finished, lines) = go(&graph, None, input(json!({"x": 1, "unknown": 2}))).await;
    assert_eq!(finished.result, Ok(Stop::End));
    assert_eq!(values(&finished, &graph), json!({"log": ["a", "b"], "x": 1}));
    assert_eq!(
        lines,
        [
            r#"new input -1 ["__start__"]"#,
            "command",
            r#"new loop 0 ["a"]"#,
            "1 start a",
            r#"end a {"update":{"values":{"log":"a"}}}"#,
            r#"new loop 1 ["b"]"#,
            "2 start b",
            r#"end b {"update":{"values":{"log":"b"}}}"#,
            "new loop 2 []",
        ]
    );
    let (second, lines) = go(&graph, finished.progress, input(json!({"x": 2}))).await;
    assert_eq!(lines[0], r#"new input 3 ["__start__"]"#);
    assert_eq!(values(&second, &graph), json!({"log": ["a", "b", "a", "b"], "x": 2}));
    let (third, lines) = go(&graph, second.progress, Input::Continue).await;
    assert_eq!((third.result, &lines[..]), (Ok(Stop::End), &["old loop 6 []".to_owned()][..]));
}

#[tokio::test]
async fn an_interrupt_waits_and_finished_neighbours_are_kept() {
    let graph = parallel();
    let (waiting, _) = go(&graph, None, input(json!({}))).await;
    assert_eq!(waiting.result, Ok(Stop::Interrupted));
    let progress = waiting.progress.unwrap();
    let live = progress.live(&graph);
    assert_eq!(json!(*live.values), json!({"log": ["c"]}));
    assert_eq!(live.tasks[0].node, "ask");
    assert_eq!(json!(*progress.record(&graph).values), json!({"log": []}));

    let (done, lines) = go(&graph, Some(progress.clone()), answer(json!("yes"))).await;
    assert!(!lines.iter().any(|line| line.contains("start c")), "{lines:?}");
    assert_eq!(values(&done, &graph), json!({"log": ["yes", "c", "last"]}));

    let id = &progress.records[&live.tasks[0].id].interrupts[0].id;
    let (done, _) = go(&graph, Some(progress.clone()), answer(json!({id: 0}))).await;
    assert_eq!(values(&done, &graph)["log"][0], 0);
    let unknown = json!({"0".repeat(32): 0});
    let (still, _) = go(&graph, Some(progress), answer(unknown)).await;
    assert_eq!(still.result, Ok(Stop::Interrupted));
}

#[tokio::test]
async fn saved_progress_goes_on_after_a_crash_without_applying_the_input_twice() {
    let graph = sequence();
    let (stopped, _) = with(
        &graph,
        None,
        Invocation {
            input: input(json!({"x": 1})),
            interrupt_after: Names::Some(vec!["a".into()]),
            ..Default::default()
        },
    )
    .await;
    let checkpoint = serde_json::to_string(&stopped.progress.unwrap().checkpoint).unwrap();
    let saved = Progress {
        checkpoint: serde_json::from_str(&checkpoint).unwrap(),
        records: Default::default(),
    };
    let again = Invocation { input: input(json!({"x": 9})), retry: true, ..Default::default() };
    let (finished, _) = with(&graph, Some(saved), again).await;
    assert_eq!(values(&finished, &graph), json!({"log": ["a", "b"], "x": 1}));
}

#[tokio::test]
async fn breakpoints_stop_before_and_after() {
    let graph = sequence();
    let before = |input| Invocation { input, interrupt_before: Names::All, ..Default::default() };
    let (stopped, lines) = with(&graph, None, before(input(json!({})))).await;
    assert_eq!(stopped.result, Ok(Stop::Interrupted));
    assert_eq!(lines.last().unwrap(), "breakpoint");
    assert_eq!(values(&stopped, &graph), json!({"log": []}));
    let (stopped, _) = with(&graph, stopped.progress, before(Input::Continue)).await;
    assert_eq!(values(&stopped, &graph), json!({"log": ["a"]}));
    let (finished, _) = with(&graph, stopped.progress, before(Input::Continue)).await;
    assert_eq!(finished.result, Ok(Stop::End));
}

#[tokio::test]
async fn commands_write_and_jump_once() {
    let graph = parallel();
    let (waiting, _) = go(&graph, None, input(json!({}))).await;
    let update = json!({"log": ["u"], "x": 1}).as_object().cloned().unwrap();
    let command =
        Input::Command(Command { resume: None, update, goto: vec![Target::from("last")] });
    let (again, _) = go(&graph, waiting.progress, command.clone()).await;
    assert_eq!(again.result, Ok(Stop::Interrupted));
    let (twice, _) = go(&graph, again.progress, command).await;
    assert_eq!(values(&twice, &graph), json!({"log": ["u", "c", "last"], "x": 1}));
}

#[tokio::test]
async fn going_on_from_an_old_checkpoint_forks() {
    let graph = sequence();
    let after_a = Names::Some(vec!["a".into()]);
    let first =
        Invocation { input: input(json!({})), interrupt_after: after_a, ..Default::default() };
    let (old, _) = with(&graph, None, first).await;
    let fork = Invocation { fork: true, ..Default::default() };
    let (finished, lines) = with(&graph, old.progress, fork).await;
    assert_eq!(lines[0], r#"new fork 2 ["b"]"#);
    assert_eq!(finished.progress.unwrap().checkpoint.step, 3);
}

#[tokio::test]
async fn failures_are_data() {
    let check = async |graph: &Arc<Graph>, invocation, class: &str| {
        let (finished, _) = with(graph, None, invocation).await;
        assert_eq!(finished.result.unwrap_err().error, class);
    };
    let start = || Invocation { input: input(json!({})), ..Default::default() };
    let failing = |error: fn() -> NodeError| {
        let graph = log_channel().node("a", move |_| async move { Err(error()) });
        Arc::new(graph.edge(START, "a").build().unwrap())
    };
    check(&sequence(), Invocation::default(), "EmptyInputError").await;
    let text = Invocation { input: input(json!("text")), ..Default::default() };
    check(&sequence(), text, "InvalidUpdateError").await;
    check(&sequence(), Invocation { recursion_limit: 1, ..start() }, "GraphRecursionError").await;
    check(&failing(|| Failure::new("Boom", "").into()), start(), "Boom").await;
    check(&failing(|| "x".parse::<u8>().unwrap_err().into()), start(), "ParseIntError").await;
    check(&failing(|| panic!("a node must not take the process with it")), start(), "Panic").await;
    let both = log_channel()
        .node("a", |_| async { Ok(Update::none().set("x", 1)) })
        .node("b", |_| async { Ok(Update::none().set("x", 2)) })
        .edge(START, "a")
        .edge(START, "b");
    check(&Arc::new(both.build().unwrap()), start(), "InvalidUpdateError").await;
}

#[tokio::test]
async fn branches_and_sends_fan_out() {
    let worker = |cx: Context| async move {
        Ok(Update::none().set("log", cx.input().cloned().unwrap_or_default()))
    };
    let graph = log_channel()
        .node("plan", |_| async { Ok(Update::none()) })
        .node("worker", worker)
        .edge(START, "plan")
        .branch("plan", &["worker"], |_| {
            let send = |n: i32| Target::Send { node: "worker".into(), input: json!(n) };
            (1..=3).map(send).collect()
        });
    let graph = Arc::new(graph.build().unwrap());
    let (finished, _) = go(&graph, None, input(json!({}))).await;
    assert_eq!(values(&finished, &graph), json!({"log": [1, 2, 3]}));
    let edges = &graph.drawing()["edges"];
    assert_eq!(edges[1], json!({"source": "plan", "target": "worker", "conditional": true}));
}

#[tokio::test]
async fn updates_from_outside_follow_the_edges_of_their_node() {
    let graph = sequence();
    let next = |progress: &Progress| -> Vec<String> {
        progress.checkpoint.tasks.iter().map(|task| task.node.clone()).collect()
    };
    let first = update_state(&graph, None, json!({"x": 1}), None).unwrap();
    assert_eq!((next(&first), first.checkpoint.step), (vec!["a".to_owned()], 0));
    let second = update_state(&graph, Some(first), Value::Null, Some("a")).unwrap();
    assert_eq!(next(&second), ["b"]);
    assert_eq!(json!(*second.checkpoint.values), json!({"log": [], "x": 1}));
    let end = update_state(&graph, Some(second.clone()), Value::Null, Some(END)).unwrap();
    assert_eq!(next(&end), [""; 0]);
    let error = update_state(&graph, Some(second), Value::Null, Some("zzz")).unwrap_err();
    assert_eq!(error.message, "Node zzz does not exist");
}

#[tokio::test]
async fn the_demo_streams_its_reply_and_asks() {
    let graph = Arc::new(demo::graph());
    let hello = json!({"messages": [{"role": "user", "content": "hello"}]});
    let (finished, lines) = go(&graph, None, input(hello)).await;
    let tokens: Vec<_> = lines.iter().filter(|line| line.contains("AIMessageChunk")).collect();
    assert_eq!(tokens.len(), 4, "{lines:?}");
    assert_eq!(values(&finished, &graph)["messages"][1]["content"], "You said: hello");

    let ask = json!({"messages": [{"role": "user", "content": "ask Sure?"}]});
    let (waiting, _) = go(&graph, finished.progress, input(ask)).await;
    assert_eq!(waiting.result, Ok(Stop::Interrupted));
    let (finished, _) = go(&graph, waiting.progress, answer(json!("yes"))).await;
    assert_eq!(values(&finished, &graph)["messages"][3]["content"], "You answered: yes");
}
