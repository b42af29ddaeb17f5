//! The project's own application, behind a server that answers before it is loaded.

use std::{io, sync::Arc};

use agent_server_server::app::{CustomApp as Served, Route, Table};
use agent_server_worker::{AppInfo, CustomApp};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{net::UnixStream, sync::watch};

/// What has become of the process that serves it.
#[derive(Clone)]
enum State {
    /// The interpreter is being prepared.
    Preparing,
    /// It is there.
    There(Arc<CustomApp>),
    /// It cannot be had.
    Failed(String),
}

/// Stands for the application until that is there, and in front of it afterwards.
pub(crate) struct LateApp {
    state: watch::Sender<State>,
    /// The routes of the process that was looked at last.
    table: Mutex<Option<(Arc<AppInfo>, Arc<Table>)>>,
}

impl LateApp {
    /// One that is being prepared.
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(State::Preparing), table: Mutex::default() }
    }

    /// From now on, `app` is called.
    pub(crate) fn arrived(&self, app: Arc<CustomApp>) {
        self.state.send_replace(State::There(app));
    }

    /// There is nobody to call.
    pub(crate) fn failed(&self, cause: &str) {
        self.state.send_replace(State::Failed(cause.to_owned()));
    }

    /// Ends the process.
    pub(crate) async fn shutdown(&self) {
        let state = self.state.send_replace(State::Failed("the server is stopping".into()));
        if let State::There(app) = state {
            app.shutdown().await;
        }
    }

    async fn app(&self) -> Result<Arc<CustomApp>, String> {
        let mut state = self.state.subscribe();
        let decided = state.wait_for(|state| !matches!(state, State::Preparing)).await;
        // A clone, because what `wait_for` returns is a lock.
        match decided.map(|state| state.clone()) {
            Ok(State::There(app)) => Ok(app),
            Ok(State::Failed(cause)) => Err(cause),
            Ok(State::Preparing) | Err(_) => Err("the server is stopping".into()),
        }
    }
}

#[async_trait]
impl Served for LateApp {
    async fn table(&self) -> Result<Arc<Table>, String> {
        let info = self.app().await?.info().await?;
        let mut known = self.table.lock();
        if let Some((of, table)) = &*known
            && Arc::ptr_eq(of, &info)
        {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(table(&info));
        *known = Some((info, Arc::clone(&table)));
        Ok(table)
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        self.app().await.map_err(io::Error::other)?.connect().await
    }
}

/// The routes as the server looks at them.
fn table(info: &AppInfo) -> Table {
    let has_middleware = info.has_middleware;
    if has_middleware {
        tracing::info!(
            "the middleware of http.app runs around the API, too: every request passes through the process of the application"
        );
    }
    let Some(routes) = &info.routes else {
        tracing::info!("http.app does not tell its routes: it gets what the server does not have");
        return Table { routes: None, has_middleware };
    };
    let routes = routes.iter().map(|route| {
        let methods = route.methods.clone();
        Route::new(&route.pattern, methods, route.http, route.websocket).map_err(|error| {
            tracing::warn!(
                "a route of http.app is of a form that the server does not understand, so that the app gets what the \
                 server does not have: {error}"
            );
        })
    });
    Table { routes: routes.collect::<Result<_, _>>().ok(), has_middleware }
}
