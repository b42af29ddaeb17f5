//! Loading graphs, and saying why one cannot be loaded.

use agent_server_domain::ports::{GraphHost, GraphStatus};
use serde_json::json;

use crate::fixture::{Fixture, Run, graphs_dir, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_entry_says_why_and_does_not_stop_the_others() {
    let graphs = [
        ("broken", "./broken.py:graph"),
        ("simple", "./basic.py:simple"),
        ("absent", "./nowhere.py:graph"),
        ("unnamed", "./basic.py:nope"),
        ("number", "./factories.py:not_a_graph"),
        ("module", "no_such_module:graph"),
        ("shapeless", "basic.py"),
        ("first", "./chat.py:"),
    ];
    let fixture = Fixture::start(options(&graphs)).await;
    let failed = |id: &str| match fixture.status(id) {
        GraphStatus::Failed(cause) => cause,
        other => panic!("{id}: {other:?}"),
    };
    let line = graphs_dir().join("broken.py").display().to_string();
    assert_eq!(
        failed("broken"),
        format!(
            "./broken.py:graph: ModuleNotFoundError: No module named 'a_module_that_is_not_there' ({line}, line 3)"
        )
    );
    assert_eq!(failed("absent"), "./nowhere.py:graph: there is no file './nowhere.py'");
    let unnamed = failed("unnamed");
    assert!(unnamed.contains("has no variable 'nope'. Graphs in it: asking, "), "{unnamed}");
    let text =
        "Variable 'not_a_graph' in module '__factories' is not a Graph or Graph factory function";
    assert_eq!(failed("number"), format!("./factories.py:not_a_graph: {text}"));
    let module = failed("module");
    assert!(module.contains("No module named 'no_such_module'"), "{module}");
    assert_eq!(failed("shapeless"), "basic.py: Invalid path 'basic.py' for graph 'shapeless'.");
    assert!(fixture.pool.reserve("broken").is_none());

    let graphs = fixture.pool.graphs();
    assert_eq!(graphs[1].name.as_deref(), Some("simple"));
    assert_eq!(graphs[7].status, GraphStatus::Ready);
    fixture.run(&Run::new("simple", json!({}))).await.succeeded();
    fixture.pool.shutdown().await;
}

#[tokio::test]
async fn a_missing_interpreter_is_named() {
    let mut options = options(&[("simple", "./basic.py:simple")]);
    options.python = "/no/such/python".into();
    let fixture = Fixture::start(options).await;
    let text = "the Python interpreter '/no/such/python' cannot be started: No such file or directory (os error 2)";
    assert_eq!(fixture.status("simple"), GraphStatus::Failed(text.into()));
    fixture.pool.shutdown().await;
}

#[tokio::test]
async fn an_interpreter_without_the_library_is_named() {
    let mut options = options(&[("simple", "./basic.py:simple")]);
    // The same interpreter without its site-packages.
    let venv = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(&options.python)
        .args(["-m", "venv", "--without-pip"])
        .arg(venv.path())
        .status();
    assert!(made.unwrap().success());
    options.python = venv.path().join("bin/python");
    let fixture = Fixture::start(options).await;
    let GraphStatus::Failed(cause) = fixture.status("simple") else { panic!() };
    assert!(cause.starts_with("langgraph cannot be imported by "), "{cause}");
    fixture.pool.shutdown().await;
}

#[tokio::test]
async fn a_module_that_ends_the_process_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("g.py"),
        "import os\nprint('bye', flush=True)\nos._exit(7)\n",
    )
    .unwrap();
    let mut options = options(&[("g", "./g.py:graph")]);
    options.root = directory.path().into();
    let fixture = Fixture::start(options).await;
    let text = "it ended while it loaded the graphs (exit status: 7): bye";
    assert_eq!(fixture.status("g"), GraphStatus::Failed(text.into()));
    fixture.pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_loads_is_replaced_until_that_is_no_accident() {
    for (kills, workers) in [("xx", 1), ("xx", 2), ("xxxxxxxxxxxxxxxxxxxx", 1)] {
        let marks = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(marks.path(), kills).unwrap();
        let mut options = options(&[("mortal", "./mortal.py:graph")]);
        options.workers = workers;
        options.env.push(("MORTAL".into(), marks.path().display().to_string()));
        let fixture = Fixture::start(options).await;
        match fixture.status("mortal") {
            GraphStatus::Ready => assert_eq!(kills, "xx"),
            GraphStatus::Failed(cause) => {
                assert!(cause.contains("SIGKILL") && kills.len() > 5, "{cause}");
            }
            GraphStatus::Loading => unreachable!("waited for"),
        }
        fixture.pool.shutdown().await;
    }
}
