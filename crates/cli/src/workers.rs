//! The Python workers: started behind a server that already answers, and kept up to date with the project.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_server_domain::{
    ports::{GraphInfo, GraphStatus, RunSink},
    store::minutes,
};
use agent_server_worker::{
    AuthSettings, CustomApp, CustomAuth, GraphSpec, Options, Pool, StoreSpec,
};

use crate::{
    Mode,
    app::LateApp,
    args::ServerArgs,
    auth::LateAuth,
    banner::{self, say},
    config::{self, Settings, project::Project},
    encryption,
    env::{self, Env},
    graphs::GraphHosts,
    python,
    refusal::{Refusal, Result},
    reload::{Changes, Watch},
};

/// How often graphs that are loading are looked at, to tell people. Nothing else waits for it.
const LOOK: Duration = Duration::from_millis(50);

/// Version of the graph library, once the interpreter is chosen.
static LANGGRAPH: OnceLock<String> = OnceLock::new();

/// Version of the graph library that the workers use, once known.
pub(crate) fn langgraph_version() -> Option<String> {
    LANGGRAPH.get().cloned()
}

/// Starts the workers of a project and follows its changes.
pub(crate) struct Workers {
    /// How the server is run.
    pub(crate) mode: Mode,
    /// Whether anything may be installed.
    pub(crate) install: bool,
    /// Whether changes are followed.
    pub(crate) reload: bool,
    /// Flags, for those who read the project anew.
    pub(crate) args: ServerArgs,
    /// Variables of the process.
    pub(crate) env: Env,
    /// The interpreter, once it is chosen.
    pub(crate) python: OnceLock<PathBuf>,
    /// What is served.
    pub(crate) project: Project,
    /// How.
    pub(crate) settings: Settings,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// Where workers report.
    pub(crate) sink: Arc<dyn RunSink>,
    /// Where they are used.
    pub(crate) hosts: GraphHosts,
    /// Where the project's own application is used, if it has one.
    pub(crate) app: Option<Arc<LateApp>>,
    /// Socket of the server for the project's own code.
    pub(crate) loopback: Option<PathBuf>,
    /// Where the project's authentication is used, if it has one.
    pub(crate) auth: Option<Arc<LateAuth>>,
}

impl Workers {
    /// Starts the workers; returns when the project has changed, so that the server has to start anew.
    ///
    /// Errors: in production, a refusal (exit code 3) if not a single graph could be loaded, so that a deployment that
    /// cannot work does not pass for one that does.
    pub(crate) async fn run(self) -> Result<()> {
        // Before anything is loaded: what is saved while it loads is a change, too. Built-in graphs do not change.
        let follows = self.reload && self.project.file.is_some();
        let watch = follows.then(|| Watch::start(&self.project, &self.settings.data_dir));
        let started = async {
            match (self.mode, self.start().await) {
                (Mode::Serve, Err(cause)) => Err(Refusal::graphs(cause)),
                _ => Ok(()),
            }
        };
        let ((), graphs) = tokio::try_join!(started, async { Ok(self.announce().await) })?;
        let failed = |graph: &GraphInfo| matches!(graph.status, GraphStatus::Failed(_));
        if self.mode == Mode::Serve && graphs.iter().all(failed) {
            return Err(Refusal::graphs("no graph could be loaded").into());
        }
        match watch {
            Some(Ok(watch)) => {
                self.until_changed(watch).await;
                return Ok(());
            }
            Some(Err(error)) => {
                tracing::warn!("changes of the project are not followed: {error}");
            }
            None => {}
        }
        std::future::pending().await
    }

    /// Starts the Python processes, if the project needs any. Errors: the project's authentication cannot be loaded.
    pub(crate) async fn start(&self) -> Result<(), String> {
        if !self.project.needs_python() {
            return Ok(());
        }
        let started = match self.options().await {
            Ok(options) => self.start_auth(&options).and_then(|auth| {
                let app = self.start_app(&options)?;
                // Without graphs in Python there is nothing for workers to do.
                if options.graphs.is_empty() {
                    return Ok((auth, app, None));
                }
                let pool = Pool::start(options, Arc::clone(&self.sink));
                Ok((auth, app, Some(pool.map_err(|error| error.to_string())?)))
            }),
            Err(cause) => Err(cause),
        };
        match started {
            Ok((auth, app, pool)) => {
                if let Some(pool) = pool {
                    self.hosts.python.arrived(Arc::new(pool));
                }
                if let Some(auth) = auth {
                    auth.loaded().await?;
                }
                if let Some(app) = app {
                    app.info().await?;
                }
                Ok(())
            }
            Err(cause) => {
                tracing::error!("{cause}");
                self.hosts.python.failed(&cause);
                if self.auth.is_none() && self.app.is_none() {
                    return Ok(());
                }
                if let Some(auth) = &self.auth {
                    auth.failed();
                }
                if let Some(app) = &self.app {
                    app.failed(&cause);
                }
                Err(cause)
            }
        }
    }

    /// Starts the process of the project's authentication, if it has one.
    fn start_auth(&self, options: &Options) -> Result<Option<Arc<CustomAuth>>, String> {
        let (Some(auth), Some(late)) = (&self.project.auth, &self.auth) else { return Ok(None) };
        let options = Options { auth: auth.source.python_spec(), ..options.clone() };
        let limit = Duration::from_secs(self.settings.workers.auth_timeout_seconds);
        let settings = AuthSettings { limit, ..auth.settings.clone() };
        let started = CustomAuth::start(options, settings);
        let auth = Arc::new(started.map_err(|error| error.to_string())?);
        late.arrived(Arc::clone(&auth));
        Ok(Some(auth))
    }

    /// Starts the process of the project's own application, if it has one.
    fn start_app(&self, options: &Options) -> Result<Option<Arc<CustomApp>>, String> {
        let (Some(app), Some(late)) = (&self.project.app, &self.app) else { return Ok(None) };
        let options = Options { app: app.source.python_spec(), ..options.clone() };
        let app = Arc::new(CustomApp::start(options).map_err(|error| error.to_string())?);
        late.arrived(Arc::clone(&app));
        Ok(Some(app))
    }

    async fn options(&self) -> Result<Options, String> {
        let wish = python::Wish {
            asked: self.settings.workers.python.as_deref(),
            project: &self.project,
            data_dir: &self.settings.data_dir,
            install: self.install,
            env: &self.env,
        };
        let python = python::prepare(&wish).await?;
        tracing::debug!("Python graphs run with {}", python.path.display());
        self.python.get_or_init(|| python.path.clone());
        if let Some(version) = python.langgraph {
            LANGGRAPH.get_or_init(|| version);
        }
        let specs = self.project.graphs.iter().filter_map(|graph| {
            Some(GraphSpec {
                graph_id: graph.id.clone(),
                path: graph.source.python_spec()?,
                description: graph.description.clone(),
            })
        });
        Ok(Options {
            loopback: self.loopback.clone(),
            import_dirs: self.project.import_dirs(),
            env: self.project.env.clone(),
            python_path: self.env.get(env::PYTHONPATH).map(str::to_owned),
            facts: self.facts(),
            log_level: self.settings.log.level.name().to_owned(),
            store: self.store(),
            embed_timeout: self.settings.store.embed_timeout,
            workers: self.settings.workers.processes as usize,
            jobs_per_worker: self.settings.workers.jobs_per_worker as usize,
            max_runs: self.settings.workers.max_runs,
            max_memory_bytes: self.settings.workers.max_memory_mb.map(|mb| mb << 20),
            ..Options::new(python.path, &self.project.directory, specs.collect())
        })
    }

    /// What the config of every run says about this server.
    fn facts(&self) -> Vec<(String, String)> {
        let http = &self.settings.http;
        let url = http.api_url.clone().unwrap_or_else(|| http.url(self.address));
        let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            fact("langgraph_api_version", agent_server_server::API_VERSION),
            fact("langgraph_plan", "self-hosted"),
            fact("langgraph_host", "self-hosted"),
            fact("langgraph_api_url", &url),
        ]
    }

    /// What workers need of the settings of the store.
    fn store(&self) -> StoreSpec {
        let options = &self.settings.runs.store;
        StoreSpec {
            default_ttl: options.default_ttl.map(minutes),
            refresh_on_read: Some(options.refresh_on_read),
            embed: self.settings.store.embed.clone(),
        }
    }

    /// Tells people what becomes of the graphs, until none is loading. Returns what became of them.
    async fn announce(&self) -> Vec<GraphInfo> {
        self.follow(|known, now| say(banner::changes(known, now))).await
    }

    /// What became of the graphs, once none is loading.
    pub(crate) async fn loaded(&self) -> Vec<GraphInfo> {
        self.follow(|_, _| ()).await
    }

    async fn follow(&self, tell: impl Fn(&[GraphInfo], &[GraphInfo])) -> Vec<GraphInfo> {
        let mut known = Vec::new();
        loop {
            let now = self.hosts.all.graphs();
            tell(&known, &now);
            if now.iter().all(|graph| graph.status != GraphStatus::Loading) {
                return now.to_vec();
            }
            known = now.to_vec();
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for a change after which the server can start. What is saved half-written would end the runs of its graphs,
    /// so it changes nothing: nor does anything else until it is whole.
    async fn until_changed(&self, mut watch: Watch) {
        let mut changes = Changes::default();
        loop {
            let new = watch.next().await;
            changes.project |= new.project;
            changes.code.extend(new.code);
            match self.refusal(&changes).await {
                None => return,
                Some(error) => tracing::error!("{error}; going on with what was there before"),
            }
        }
    }

    /// Why a server that starts anew with the changes would not come up.
    async fn refusal(&self, changes: &Changes) -> Option<String> {
        let read = match config::read(self.mode, &self.args, &self.env) {
            Err(error) if changes.project => return Some(format!("{error:#}")),
            read => read.ok(),
        };
        if let Some(python) = self.python.get()
            && let Some(error) = python::syntax_error(python, &changes.code).await
        {
            return Some(error);
        }
        let (project, settings, _) = read?;
        // Graphs that cannot be loaded are told by a server that runs; without its encryption there is none.
        match encryption::start(&project, &settings, &self.env, self.install).await {
            Ok(encryption) => {
                encryption?.shutdown().await;
                None
            }
            Err(error) => Some(format!("{error:#}")),
        }
    }
}
