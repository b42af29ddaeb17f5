use super::*;
use crate::config::project::Source;

/// A project folder with a langgraph.json of the given text.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(NAME), text).unwrap();
    folder
}

fn read(text: &str) -> (tempfile::TempDir, Result<Project>) {
    let folder = folder(text);
    let project = load(&folder.path().join(NAME), &Env::default());
    (folder, project)
}

/// A file is refused with this text behind its path, and with exit code 2.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let (folder, project) = read(text);
    let error = project.unwrap_err();
    assert_eq!(crate::refusal::exit_code(&error), 2);
    let shown = error.to_string();
    let file = folder.path().join(NAME).display().to_string();
    assert_eq!(shown.replace(&file, "F"), expected, "{text}");
}

#[track_caller]
fn warned(text: &str, expected: &[&str]) {
    let (folder, project) = read(text);
    let file = folder.path().join(NAME).display().to_string();
    let warnings: Vec<_> =
        project.unwrap().warnings.iter().map(|warning| warning.replace(&file, "F")).collect();
    assert_eq!(warnings, expected, "{text}");
}

#[test]
fn graphs_keep_their_order_and_paths_start_at_the_file() {
    let (folder, project) = read(
        r#"{"dependencies": ["."], "graphs": {
            "z": "./src/z.py:graph",
            "a": {"path": "my_pkg.agent:make", "description": "An agent"},
            "w": "dir/with:colon.py:",
            "js": "./agent.ts:graph",
            "r": "rust:demo"
        }}"#,
    );
    let project = project.unwrap();
    let directory = folder.path();
    assert_eq!(project.directory, directory);
    let sources: Vec<_> =
        project.graphs.iter().map(|graph| (graph.id.as_str(), graph.source.clone())).collect();
    let file = |path: &str, variable: &str| Source::File {
        path: directory.join(path),
        variable: variable.into(),
    };
    assert_eq!(
        sources,
        [
            ("z", file("src/z.py", "graph")),
            ("a", Source::Module { module: "my_pkg.agent".into(), variable: "make".into() }),
            ("w", file("dir/with:colon.py", "")),
            ("js", Source::JavaScript { path: directory.join("agent.ts") }),
            ("r", Source::Rust { name: "demo".into() }),
        ]
    );
    assert_eq!(project.graphs[1].description.as_deref(), Some("An agent"));
    assert!(project.needs_python());
}

#[test]
fn dependencies_are_directories_or_requirements() {
    let folder = folder(
        r#"{"dependencies": [".", "./lib", "langchain>=1,<2"], "graphs": {"a": "./a.py:g"}}"#,
    );
    std::fs::create_dir_all(folder.path().join("lib/src")).unwrap();
    let project = load(&folder.path().join(NAME), &Env::default()).unwrap();
    assert_eq!(project.packages, [folder.path().to_owned(), folder.path().join("lib")]);
    assert_eq!(project.requirements, ["langchain>=1,<2"]);
    assert_eq!(
        project.import_dirs(),
        [folder.path().to_owned(), folder.path().join("lib"), folder.path().join("lib/src")]
    );
}

#[test]
fn refusals_name_file_entry_and_cause() {
    refused("{", "F: not valid JSON: EOF while parsing an object at line 1 column 1");
    refused("[]", "F: not a JSON object");
    refused("{}", r#"F: graphs: no graphs; write for example {"agent": "./agent.py:graph"}"#);
    refused(r#"{"graphs": []}"#, "F: graphs: not an object");
    refused(
        r#"{"graphs": {"a": "./a.py:g"}}"#,
        r#"F: dependencies: no dependencies; write ["."] where the graphs' own directory is all they need"#,
    );
    let graphs = |value: &str| format!(r#"{{"dependencies": ["."], "graphs": {{"a": {value}}}}}"#);
    refused(
        &graphs(r#""./a.py""#),
        "F: graphs.a: './a.py' names no variable; write './a.py:graph'",
    );
    refused(&graphs(r#"":g""#), "F: graphs.a: ':g' names no file");
    refused(&graphs("5"), "F: graphs.a: neither a string nor an object with 'path'");
    refused(
        &graphs(r#"{"file": "./a.py:g"}"#),
        "F: graphs.a: the key 'path' is missing or not a string",
    );
    refused(
        &graphs(r#"{"path": "./a.py:g", "description": 5}"#),
        "F: graphs.a: 'description' is not a string",
    );
    let with = |key: &str, value: &str| {
        format!(r#"{{"dependencies": ["."], "graphs": {{"a": "./a.py:g"}}, "{key}": {value}}}"#)
    };
    refused(
        &with("python_version", r#""3.10""#),
        "F: python_version: Python 3.10 is not supported, 3.11 is the oldest that is",
    );
    refused(&with("python_version", "3.12"), r#"F: python_version: 3.12 is not like "3.12""#);
    refused(&with("http", "true"), "F: http: not an object");
    refused(&with("env", "5"), "F: env: neither a file's path nor an object");
    refused(&with("env", r#"{"A": []}"#), "F: env.A: not a string");
    refused(
        r#"{"dependencies": [".", "./gone"], "graphs": {"a": "./a.py:g"}}"#,
        "F: dependencies.1: there is no directory './gone'",
    );
    refused(
        r#"{"dependencies": ["git+https://me:secret@host/x"], "graphs": {"a": "./a.py:g"}}"#,
        "F: dependencies.0: an address with a password in it is not accepted",
    );
    let missing = load(Path::new("/nowhere/langgraph.json"), &Env::default()).unwrap_err();
    assert_eq!(missing.to_string(), "/nowhere/langgraph.json: there is no such file");
}

#[test]
fn a_file_that_would_be_read_as_a_module_is_refused() {
    let folder = folder(r#"{"dependencies": ["."], "graphs": {"a": "a.py:g"}}"#);
    std::fs::write(folder.path().join("a.py"), "").unwrap();
    let error = load(&folder.path().join(NAME), &Env::default()).unwrap_err().to_string();
    assert!(
        error.ends_with("graphs.a: 'a.py' is read as the name of a module; write './a.py:g'"),
        "{error}"
    );
}

#[test]
fn unknown_keys_are_warned_of_with_the_nearest_known_one() {
    warned(
        r#"{"dependencies": ["."], "graphs": {"a": {"path": "./a.py:g", "descripton": "x"}},
            "grphs": {}, "zzzzzzzz": 1, "http": {"mount_prefx": "/x"}}"#,
        &[
            "F: unknown key 'grphs', did you mean 'graphs'?",
            "F: unknown key 'zzzzzzzz' has no effect",
            "F: http: unknown key 'mount_prefx', did you mean 'mount_prefix'?",
            "F: graphs.a: unknown key 'descripton', did you mean 'description'?",
        ],
    );
}

#[test]
fn every_key_of_the_reference_is_known() {
    let (_folder, project) = read(
        r#"{"$schema": "x", "dependencies": ["."], "graphs": {"a": "./a.py:g"}, "python_version": "3.12",
            "node_version": "20", "image_distro": "wolfi", "base_image": "b", "api_version": "0.16",
            "pip_config_file": "./pip.conf", "pip_installer": "uv", "keep_pkg_tools": true, "dockerfile_lines": [],
            "store": {"index": {}, "ttl": {}}, "checkpointer": {"ttl": {}}, "auth": {"path": "./auth.py:auth"},
            "http": {"app": "./app.py:app", "cors": {}}, "webhooks": {}, "encryption": {"path": "./e.py:e"},
            "ui": {"agent": "./ui.tsx"}, "ui_config": {"shared": []}}"#,
    );
    let project = project.unwrap();
    assert_eq!(project.warnings, [""; 0]);
    assert_eq!(project.build_only.len(), 8);
    assert_eq!(project.sections["auth"]["path"], "./auth.py:auth");
}

#[test]
fn env_is_an_object_or_a_dotenv_file() {
    let graphs = r#""dependencies": ["."], "graphs": {"a": "./a.py:g"}"#;
    let (_folder, project) =
        read(&format!(r#"{{{graphs}, "env": {{"A": "x", "B": 5, "C": true}}}}"#));
    let expected = [("A", "x"), ("B", "5"), ("C", "true")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(project.unwrap().env, expected);

    let folder = folder(&format!(r#"{{{graphs}, "env": "./.env"}}"#));
    std::fs::write(folder.path().join(".env"), "A='x'\nnot good\nB=${SHELL_VAR}\n").unwrap();
    let shell = Env::from_pairs([("SHELL_VAR".into(), "from shell".into())]);
    let project = load(&folder.path().join(NAME), &shell).unwrap();
    assert_eq!(project.env, [("A", "x"), ("B", "from shell")].map(|(a, b)| (a.into(), b.into())));
    let place = folder.path().join(".env").display().to_string();
    assert_eq!(
        project.warnings,
        [format!("{place}: line 2 is not like NAME=value and is skipped")]
    );

    let (folder, project) = read(&format!(r#"{{{graphs}, "env": "gone.env"}}"#));
    let place = folder.path().display();
    let expected = format!("{place}/langgraph.json: env: there is no file '{place}/gone.env'");
    assert_eq!(project.unwrap().warnings, [expected]);
}

#[test]
fn an_application_is_a_variable_of_a_python_file() {
    let with = |http: &str| {
        read(&format!(
            r#"{{"dependencies": ["."], "graphs": {{"a": "./a.py:g"}}, "http": {http}}}"#
        ))
    };
    let (_folder, project) = with(r#"{"app": "pkg.web:app", "enable_custom_route_auth": true}"#);
    let app = project.unwrap().app.unwrap();
    assert_eq!(app.source.python_spec().as_deref(), Some("pkg.web:app"));
    assert!(app.authenticates);
    let (_folder, project) = with(r#"{"app": null}"#);
    assert_eq!(project.unwrap().app, None);
    for (http, cause) in [
        (r#"{"app": 7}"#, "http.app: not a string"),
        (r#"{"app": "./app.ts:app"}"#, "applications in JavaScript are not supported yet"),
        (r#"{"app": "./app.py:a", "enable_custom_route_auth": 1}"#, "neither true nor false"),
    ] {
        let (_folder, project) = with(http);
        let error = project.unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn variables_of_images_replace_sections_as_a_whole() {
    let folder = folder(
        r#"{"dependencies": ["."], "graphs": {"a": "./a.py:g"}, "http": {"mount_prefix": "/x"}}"#,
    );
    let env = Env::from_pairs([
        ("LANGSERVE_GRAPHS".into(), r#"{"b": "/deps/b.py:g"}"#.into()),
        ("LANGGRAPH_HTTP".into(), "{}".into()),
    ]);
    let project = load_with_variables(Some(&folder.path().join(NAME)), &env).unwrap();
    assert_eq!(project.graphs.len(), 1);
    assert_eq!(project.graphs[0].id, "b");
    assert_eq!(project.sections["http"]["mount_prefix"], "/x");

    let project = load_with_variables(None, &env).unwrap();
    assert_eq!((project.file, project.graphs.len()), (None, 1));

    let check = |text: &str, expected: &str| {
        let env = Env::from_pairs([("LANGSERVE_GRAPHS".into(), text.into())]);
        let error = load_with_variables(None, &env).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    check("nope", "variable LANGSERVE_GRAPHS: not valid JSON: expected ident at line 1 column 2");
    check(r#"{"b": 5}"#, "variable LANGSERVE_GRAPHS.b: neither a string nor an object with 'path'");
}

#[test]
fn uv_source_takes_the_place_of_dependencies() {
    let text = r#"{"source": {"kind": "uv"}, "graphs": {"a": "./a.py:g"}}"#;
    let folder = folder(text);
    std::fs::write(folder.path().join("pyproject.toml"), "[project]\nname = 'x'\n").unwrap();
    let project = load(&folder.path().join(NAME), &Env::default()).unwrap();
    assert_eq!(project.packages, [folder.path()]);
    refused(
        r#"{"source": {"kind": "poetry"}, "graphs": {"a": "./a.py:g"}}"#,
        r#"F: source.kind: only "uv" is known"#,
    );
}

#[test]
fn authentication_is_read_and_its_mistakes_are_named() {
    let read = |auth: &str| {
        let (_folder, project) = read(&format!(
            r#"{{"dependencies": ["."], "graphs": {{"a": "m:g"}}, "auth": {auth}}}"#
        ));
        project.map(|project| project.auth)
    };
    let auth = read(
        r#"{"path": "who:auth", "cache": {"ttl_seconds": 1.5, "max_size": 7, "cache_keys": ["X-Key"]}}"#,
    );
    let auth = auth.unwrap().unwrap();
    assert_eq!(auth.source.python_spec().unwrap(), "who:auth");
    assert_eq!(auth.settings.remember, std::time::Duration::from_millis(1500));
    assert_eq!(auth.settings.most_remembered, 7);
    assert_eq!(auth.settings.credentials, Some(vec!["x-key".to_owned()]));
    assert_eq!(read(r#"{"disable_studio_auth": true}"#).unwrap(), None);
    for (section, cause) in [
        (r#"{"path": "who"}"#, "auth.path: 'who' names no variable"),
        (r#"{"path": "who:"}"#, "auth.path: 'who:' names no variable"),
        (r#"{"path": "./who.ts:auth"}"#, "JavaScript is not supported"),
        (r#"{"path": 7}"#, "auth.path: not a string"),
        (r#"{"path": "who:auth", "cache": {"ttl_seconds": -1}}"#, "auth.cache.ttl_seconds: -1"),
        (r#"{"path": "who:auth", "cache": {"cache_keys": "x"}}"#, "auth.cache.cache_keys"),
        (r#"{"path": "who:auth", "openapi": []}"#, "auth.openapi: not an object"),
    ] {
        let refused = read(section).unwrap_err().to_string();
        assert!(refused.contains(cause), "{section}: {refused}");
    }
}
