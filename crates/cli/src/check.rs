//! `agent-server check`: is a project ready to be served? What a server would say at its start, without serving.
//!
//! The file and its settings are read as a server reads them; graphs are loaded by a real worker and asked for their
//! schemas, which is where most of what is wrong with a graph shows. The project's authentication is loaded, too.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use agent_server_domain::{
    Domain,
    ports::{GraphStatus, Question},
};
use agent_server_storage::RawJson;
use agent_server_storage_sqlite::Sqlite;
use anyhow::bail;

use crate::{
    Mode,
    app::LateApp,
    args::{CheckArgs, ServerArgs},
    auth::LateAuth,
    banner::say,
    config::{Settings, keys, langgraph_json, project::Project, unsupported},
    encryption,
    env::Env,
    graphs::GraphHosts,
    ports::{FreshIds, SystemClock},
    refusal::Result,
    workers::{self, Workers},
};

/// What was found.
#[derive(Default)]
struct Findings {
    problems: usize,
    warnings: usize,
}

impl Findings {
    fn good(&self, what: &str, text: impl std::fmt::Display) {
        say(format!("  ok       {what}: {text}\n"));
    }

    fn warning(&mut self, text: impl std::fmt::Display) {
        self.warnings += 1;
        say(format!("  warning  {text}\n"));
    }

    fn problem(&mut self, text: impl std::fmt::Display) {
        self.problems += 1;
        say(format!("  problem  {text}\n"));
    }
}

/// Checks a project and lists what it found.
///
/// Errors: something would keep it from being served, or a graph from working.
pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let mut found = Findings::default();
    let shown = args.config.display();
    say(format!("{shown}\n"));
    if let Err(error) = check(args, &mut found) {
        found.problem(format!("{error:#}"));
    }
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        number => format!("{number} {word}s"),
    };
    let warnings = count(found.warnings, "warning");
    match found.problems {
        0 if found.warnings == 0 => say(format!("{shown}: ready\n")),
        0 => say(format!("{shown}: ready, {warnings}\n")),
        number => bail!("{shown}: {}, {warnings}", count(number, "problem")),
    }
    Ok(())
}

fn check(args: &CheckArgs, found: &mut Findings) -> Result<()> {
    let env = Env::of_process();
    let project = langgraph_json::load(&args.config, &env)?;
    let number = project.graphs.len();
    found.good("file", format!("{number} {}", if number == 1 { "graph" } else { "graphs" }));
    for warning in &project.warnings {
        found.warning(warning);
    }
    if !project.build_only.is_empty() {
        let keys = project.build_only.join(", ");
        found.warning(format!("{keys}: only for building images, without effect here"));
    }
    variables(&project, found);
    paths(&project, found);
    let server = ServerArgs {
        config: Some(args.config.clone()),
        python: args.python.clone(),
        data_dir: args.data_dir.clone(),
        workers: Some(1),
        ..ServerArgs::default()
    };
    let settings = Settings::resolve(Mode::Serve, &server, &env, &project)?;
    // What `serve` would refuse is a problem, although `dev` might go on.
    match unsupported::check(Mode::Serve, true, &project, &env.with(&project.env)) {
        Ok(ignored) => ignored.iter().for_each(|warning| found.warning(warning)),
        Err(refusal) => found.problem(refusal),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let checked = runtime.block_on(graphs(env, project, settings, found));
    runtime.shutdown_background();
    checked
}

/// Where the project's variables come from. A dotenv file that is not there is a warning of the reader.
fn variables(project: &Project, found: &mut Findings) {
    let number = project.env.len();
    let variables = if number == 1 { "variable" } else { "variables" };
    match &project.env_file {
        Some(file) if file.is_file() => {
            found.good("env", format!("{number} {variables} of {}", file.display()));
        }
        None if number > 0 => found.good("env", format!("{number} {variables}")),
        _ => {}
    }
}

/// Objects that sections name and nobody loads: whether their files are there.
fn paths(project: &Project, found: &mut Findings) {
    for (section, key) in keys::OBJECTS {
        let value = project.sections.get(section).and_then(|section| section.get(key));
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let place = format!("{section}.{key}");
        let Some((path, name)) = value.as_str().and_then(|text| text.rsplit_once(':')) else {
            found.problem(format!("{place}: {value} is not like \"./file.py:name\""));
            continue;
        };
        let file = project.directory.join(path);
        let is_file = path.contains('/') || Path::new(path).extension().is_some_and(|e| e == "py");
        if name.is_empty() || path.is_empty() {
            found.problem(format!("{place}: {value} is not like \"./file.py:name\""));
        } else if !is_file || file.is_file() {
            found.good(&place, format!("{path}:{name}"));
        } else {
            found.problem(format!("{place}: there is no file {}", file.display()));
        }
    }
}

/// Loads authentication, and the graphs with a worker and asks each for its schemas.
async fn graphs(
    env: Env,
    project: Project,
    settings: Settings,
    found: &mut Findings,
) -> Result<()> {
    // Storage of its own: nothing of what a server of this project keeps is touched.
    let folder = tempfile::tempdir()?;
    let storage = Sqlite::open(folder.path(), agent_server_storage_sqlite::Options::default())?;
    match encryption::start(&project, &settings, &env, false).await {
        Ok(Some(encryption)) => {
            found.good("encryption", "loads");
            encryption.shutdown().await;
        }
        Ok(None) => {}
        Err(cause) => found.problem(format!("encryption: {cause}")),
    }
    let ids = Arc::new(FreshIds);
    let domain = Domain::new(storage, Arc::new(SystemClock), ids, settings.runs.clone());
    let hosts = GraphHosts::new(&project, &settings.workers, &domain.sink());
    let all = Arc::clone(&hosts.all);
    domain.start(Arc::clone(&all)).await?;
    let auth = project.auth.is_some().then(|| Arc::new(LateAuth::new()));
    let app = project.app.is_some().then(|| Arc::new(LateApp::new()));
    let workers = Workers {
        mode: Mode::Serve,
        install: false,
        reload: false,
        args: ServerArgs::default(),
        env,
        python: OnceLock::new(),
        project,
        settings,
        address: ([127, 0, 0, 1], 0).into(),
        sink: domain.sink(),
        hosts,
        app: app.clone(),
        // Nobody is there to be called.
        loopback: None,
        auth: auth.clone(),
    };
    match workers.start().await {
        Ok(()) => {
            if auth.is_some() {
                found.good("auth", "loads");
            }
            if app.is_some() {
                found.good("http.app", "starts");
            }
        }
        // The cause of an application names it.
        Err(cause) if cause.starts_with("http.app") => found.problem(cause),
        Err(cause) => found.problem(format!("auth: {cause}")),
    }
    for graph in workers.loaded().await {
        let id = &graph.graph_id;
        match &graph.status {
            GraphStatus::Failed(cause) => found.problem(format!("graph {id}: {cause}")),
            GraphStatus::Ready | GraphStatus::Loading => {
                let config = RawJson::trusted("{}");
                match all.ask(id, Question::Schemas { config }).await {
                    Ok(_) => found.good("graph", format!("{id} loads and has schemas")),
                    Err(error) => found.problem(format!("graph {id}: schemas: {error}")),
                }
            }
        }
    }
    if let Some(version) = workers::langgraph_version() {
        found.good("langgraph", version);
    }
    if let Some(auth) = auth {
        auth.shutdown().await;
    }
    if let Some(app) = app {
        app.shutdown().await;
    }
    all.shutdown().await;
    domain.shutdown().await;
    Ok(())
}
