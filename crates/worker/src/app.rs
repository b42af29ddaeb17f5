//! A project's own application: an ASGI app in a Python process that does nothing else.
//!
//! A process of its own, because its routes are to answer while graphs block their workers, and the other way round. Calls do
//! not pass through the pool's frames: whoever calls gets a connection of its own ([`CustomApp::connect`]).

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use agent_server_domain::ports::GraphHost as _;
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::{Options, Pool, aside::Nobody};

/// How long calls of a process that is replaced get to end.
const DRAIN: Duration = Duration::from_secs(5);

/// What a process that has loaded the application says of it.
#[derive(Clone, Debug, Deserialize)]
pub struct AppInfo {
    /// Where the process takes calls.
    pub(crate) socket: PathBuf,
    /// Its routes in order; `None` if they cannot be known.
    pub routes: Option<Vec<AppRoute>>,
    /// Whether it has middleware.
    pub has_middleware: bool,
}

/// A route of the application.
#[derive(Clone, Debug, Deserialize)]
pub struct AppRoute {
    /// Regular expression for paths.
    pub pattern: String,
    /// Methods in upper case; `None`: all.
    pub methods: Option<Vec<String>>,
    /// Whether it takes requests.
    pub http: bool,
    /// Whether it takes WebSockets.
    pub websocket: bool,
}

/// What became of the application.
#[derive(Clone, Default)]
pub(crate) enum AppState {
    /// Nothing yet.
    #[default]
    Going,
    /// It takes calls.
    There(Arc<AppInfo>),
    /// It did, and its process has ended. Another is being started.
    Gone(Arc<AppInfo>),
    /// It could not be loaded, ever.
    Failed(String),
}

impl AppState {
    /// After its process could not be started again.
    pub(crate) fn failed(&mut self, reason: &str) {
        if let Self::Going | Self::Failed(_) = self {
            *self = Self::Failed(reason.to_owned());
        }
    }

    /// After its process ended.
    pub(crate) fn left(&mut self) {
        if let Self::There(info) = self {
            *self = Self::Gone(Arc::clone(info));
        }
    }
}

/// The application that a project names.
pub struct CustomApp {
    pool: Pool,
}

impl CustomApp {
    /// Starts the process. `options` are those of the workers, with [`Options::app`] set. Returns at once.
    ///
    /// # Errors
    /// The directory for sockets cannot be made.
    pub fn start(options: Options) -> io::Result<Self> {
        let options = Options {
            graphs: vec![],
            auth: None,
            encryption: None,
            workers: 1,
            drain: DRAIN,
            fork: false,
            max_runs: None,
            max_memory_bytes: None,
            ..options
        };
        Ok(Self { pool: Pool::start(options, Arc::new(Nobody))? })
    }

    /// What the application is, once it is loaded.
    ///
    /// # Errors
    /// Why it cannot be. It is tried again all the same.
    pub async fn info(&self) -> Result<Arc<AppInfo>, String> {
        let mut app = self.pool.0.app.subscribe();
        let state = app.wait_for(|state| !matches!(state, AppState::Going)).await;
        match state.map(|state| state.clone()) {
            Ok(AppState::There(info) | AppState::Gone(info)) => Ok(info),
            Ok(AppState::Failed(reason)) => Err(reason),
            Ok(AppState::Going) | Err(_) => Err("the server is stopping".into()),
        }
    }

    /// A connection for one call.
    ///
    /// # Errors
    /// There is no process that takes calls now.
    pub async fn connect(&self) -> io::Result<UnixStream> {
        let state = self.pool.0.app.borrow().clone();
        match state {
            AppState::There(info) => UnixStream::connect(&info.socket).await,
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ends the process.
    pub async fn shutdown(&self) {
        self.pool.shutdown().await;
    }
}
