//! What is served: the project that a langgraph.json describes, or the built-in demo graph.

use std::path::PathBuf;

use agent_server_worker::AuthSettings;
use serde_json::{Map, Value};

/// A project, with every path made absolute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Project {
    /// The langgraph.json it was read from; `None` for the demo and where variables alone describe the project.
    pub(crate) file: Option<PathBuf>,
    /// The file's directory, else the current one. Relative paths of the project start here.
    pub(crate) directory: PathBuf,
    /// Graphs in the order of the file, which is the order in which they are registered.
    pub(crate) graphs: Vec<Graph>,
    /// The project's authentication.
    pub(crate) auth: Option<Auth>,
    /// The project's encryption of what is stored.
    pub(crate) encryption: Option<Source>,
    /// The project's own application.
    pub(crate) app: Option<App>,
    /// Local packages among `dependencies`.
    pub(crate) packages: Vec<PathBuf>,
    /// The other `dependencies`: requirements as pip understands them.
    pub(crate) requirements: Vec<String>,
    /// Variables of the project: for its graphs, and over the shell's for upstream's settings. Later ones win.
    pub(crate) env: Vec<(String, String)>,
    /// The dotenv file they come from, if it is one.
    pub(crate) env_file: Option<PathBuf>,
    /// The other sections, as they were written: `store`, `checkpointer`, `auth`, `http`, …
    pub(crate) sections: Map<String, Value>,
    /// What the user should hear about: unknown keys, bad lines.
    pub(crate) warnings: Vec<String>,
    /// Keys of the file that matter only where an image is built.
    pub(crate) build_only: Vec<String>,
}

impl Project {
    /// The project of a server that was started where there is none: the Rust demo graph, which needs no interpreter.
    pub(crate) fn demo(directory: PathBuf) -> Self {
        let graph = Graph {
            id: "demo".into(),
            description: Some("Built-in demo graph written in Rust".into()),
            source: Source::Rust { name: "demo".into() },
        };
        Self { directory, graphs: vec![graph], ..Self::default() }
    }

    /// Whether a Python interpreter is needed.
    pub(crate) fn needs_python(&self) -> bool {
        self.auth.is_some()
            || self.encryption.is_some()
            || self.app.is_some()
            || self.graphs.iter().any(|graph| graph.source.python_spec().is_some())
    }

    /// Directories whose modules the graphs may import: the project's own, its local packages, and their `src` folders.
    pub(crate) fn import_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = vec![self.directory.clone()];
        for package in &self.packages {
            let src = package.join("src");
            for dir in [Some(package.clone()), src.is_dir().then_some(src)].into_iter().flatten() {
                if !dirs.contains(&dir) {
                    dirs.push(dir);
                }
            }
        }
        dirs
    }
}

/// The section `auth`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Auth {
    /// Where the handlers are, in Python.
    pub(crate) source: Source,
    /// What is remembered of users, and how long handlers may take.
    pub(crate) settings: AuthSettings,
    /// Whether requests of Studio need credentials whatever else is set.
    pub(crate) refuses_studio: bool,
    /// What the served document says of it.
    pub(crate) openapi: Option<Map<String, Value>>,
}

/// The application of the section `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct App {
    /// Where it is, in Python.
    pub(crate) source: Source,
    /// Whether its routes are authenticated as the API is.
    pub(crate) authenticates: bool,
    /// Whether its middleware runs around the API after authentication, not before.
    pub(crate) auth_first: bool,
}

/// One entry of `graphs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Graph {
    /// Key of the entry.
    pub(crate) id: String,
    /// Description, for assistants and tools.
    pub(crate) description: Option<String>,
    /// Where the graph is.
    pub(crate) source: Source,
}

/// Where a graph is. An empty variable means the first graph that the module holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In a Python file.
    File {
        /// Absolute path.
        path: PathBuf,
        /// Name in the module.
        variable: String,
    },
    /// In a Python module that is found on the import path.
    Module {
        /// Dotted name.
        module: String,
        /// Name in the module.
        variable: String,
    },
    /// In a JavaScript or TypeScript file. Not supported yet.
    JavaScript {
        /// Absolute path.
        path: PathBuf,
    },
    /// Compiled into this program.
    Rust {
        /// Name it is registered under.
        name: String,
    },
}

impl Source {
    /// `path:variable` of a Python graph, as workers read it.
    pub(crate) fn python_spec(&self) -> Option<String> {
        match self {
            Self::File { path, variable } => Some(format!("{}:{variable}", path.display())),
            Self::Module { module, variable } => Some(format!("{module}:{variable}")),
            Self::JavaScript { .. } | Self::Rust { .. } => None,
        }
    }
}
