//! What a pool is built from.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

/// A graph of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphSpec {
    /// Key in the configuration.
    pub graph_id: String,
    /// `path:variable`; with a `/` before the colon the path of a file, else the name of a module. Relative paths start
    /// at the project's root.
    pub path: String,
    /// Description in the configuration.
    pub description: Option<String>,
}

/// What workers need of the settings of the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoreSpec {
    /// Lifetime of items that a graph writes without one, minutes.
    pub default_ttl: Option<f64>,
    /// Whether a read starts the lifetime again where the graph does not say; `None`: the library's default.
    pub refresh_on_read: Option<bool>,
    /// What embeds: `path:variable` as for graphs, or `provider:model`. `None`: nothing is embedded.
    pub embed: Option<String>,
}

/// Settings of a [`Pool`](crate::Pool) of Python workers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The interpreter: a path, or a name to be looked up.
    pub python: PathBuf,
    /// The project's directory; workers run in it.
    pub root: PathBuf,
    /// The graphs, in the order of the configuration.
    pub graphs: Vec<GraphSpec>,
    /// The project's authentication, `path:variable`. A pool with one serves no graphs.
    pub auth: Option<String>,
    /// The project's encryption, likewise.
    pub encryption: Option<String>,
    /// Directories to import from, first one first; the root and local dependencies.
    pub import_dirs: Vec<PathBuf>,
    /// Variables for the workers, over those of this process.
    pub env: Vec<(String, String)>,
    /// The value of `PYTHONPATH` that graphs and the processes they start see.
    pub python_path: Option<String>,
    /// Metadata that every run's config gets, such as `langgraph_api_version`.
    pub facts: Vec<(String, String)>,
    /// See [`StoreSpec`].
    pub store: StoreSpec,
    /// Worker processes.
    pub workers: usize,
    /// Runs that one worker executes at a time.
    pub jobs_per_worker: usize,
    /// Directory for sockets and the runner's files; must be short, a socket's path has at most 107 bytes. `None`: a
    /// private one among the temporary files.
    pub socket_dir: Option<PathBuf>,
    /// Whether workers are forked from one process that has loaded the graphs, where that is possible: saves memory and
    /// time.
    pub fork: bool,
    /// How long a cancelled run's synchronous node may take to return before its worker is given up.
    pub grace: Duration,
    /// How long the other runs of a worker that is given up may take to end, or to come to the end of their superstep.
    pub drain: Duration,
    /// Runs after which a worker is replaced; `None`: never.
    pub max_runs: Option<u64>,
    /// Memory at which a worker is replaced, bytes, looked at when a run ends; `None`: never. Only Linux tells.
    pub max_memory_bytes: Option<u64>,
    /// How long a question may take.
    pub ask_timeout: Duration,
    /// How long embedding what one request needs may take.
    pub embed_timeout: Duration,
}

impl Options {
    /// Usual settings for a project.
    pub fn new(
        python: impl Into<PathBuf>,
        root: impl Into<PathBuf>,
        graphs: Vec<GraphSpec>,
    ) -> Self {
        let root = root.into();
        Self {
            python: python.into(),
            import_dirs: vec![root.clone()],
            root,
            graphs,
            auth: None,
            encryption: None,
            env: vec![],
            python_path: None,
            facts: vec![],
            store: StoreSpec::default(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            jobs_per_worker: 10,
            socket_dir: None,
            fork: cfg!(target_os = "linux"),
            grace: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            max_runs: None,
            max_memory_bytes: None,
            ask_timeout: Duration::from_secs(60),
            embed_timeout: Duration::from_secs(30),
        }
    }
}
