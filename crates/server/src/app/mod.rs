//! The project's own application, beside and in front of the API.
//!
//! A layer behind CORS and in front of authentication asks the table of the application's routes whether a request is one
//! of them; only then anything is said to the process that serves it. Source: reference/auth-webhooks-encryption.md, 6.

mod around;
mod call;
mod frames;
mod table;
mod websocket;

use std::{fmt, io, sync::Arc};

use agent_server_domain::auth::User;
use async_trait::async_trait;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{StatusCode, header};
use percent_encoding::percent_decode_str;
use tokio::net::UnixStream;

use crate::{Auth, auth, docs, error::detail_response, webhooks::InProcess};

pub use around::Around;
pub use table::{Route, Table};
use table::{Wanted, is_ours};

/// Paths that no application takes over.
const FIXED: [&str; 4] = ["/ok", "/metrics", "/docs", "/openapi.json"];

/// The process that serves the application.
#[async_trait]
pub trait CustomApp: Send + Sync + 'static {
    /// The routes, waited for while the application is being loaded.
    ///
    /// Errors: why it cannot be loaded.
    async fn table(&self) -> Result<Arc<Table>, String>;

    /// A connection for one call, which speaks the frames of this module.
    ///
    /// Errors: nobody serves the application now.
    async fn connect(&self) -> io::Result<UnixStream>;
}

/// An application and how it is mounted.
#[derive(Clone)]
pub struct Mounted {
    /// Who serves it.
    pub app: Arc<dyn CustomApp>,
    /// Whether its routes are authenticated as the API is (upstream's `http.enable_custom_route_auth`).
    pub authenticates: bool,
    /// Where its middleware gives requests of the API back.
    pub around: Arc<Around>,
    /// Whether strangers are refused before that (upstream's `http.middleware_order`).
    pub auth_first: bool,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted")
            .field("authenticates", &self.authenticates)
            .field("auth_first", &self.auth_first)
            .finish_non_exhaustive()
    }
}

/// What the layer needs.
#[derive(Clone)]
pub(crate) struct Mount {
    pub(crate) mounted: Mounted,
    pub(crate) auth: Auth,
}

/// Gives requests to the application that are its own.
pub(crate) async fn route(State(mount): State<Mount>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if is_fixed(path) {
        return next.run(request).await;
    }
    match mount.mounted.app.table().await {
        Ok(table) if takes(&table, &request) => {}
        Ok(_) => return next.run(request).await,
        Err(_) if is_ours(path) => return next.run(request).await,
        Err(cause) => {
            tracing::debug!(%cause, path, "a route that may be the application's");
            return unavailable("The custom app could not be loaded; the server's log says why");
        }
    }
    let (request, user) = match mount.authenticated(request).await {
        Ok(authenticated) => authenticated,
        Err(refusal) => return refusal,
    };
    let stream = match mount.mounted.app.connect().await {
        Ok(stream) => stream,
        Err(_) => {
            return unavailable("The custom app is not running; it is being started again");
        }
    };
    match is_websocket(&request) {
        true => websocket::serve(stream, request, user.as_deref()).await,
        false => call::serve(stream, request, user.as_deref()).await,
    }
}

/// Sends requests of the API through the application's middleware, where it has some.
pub(crate) async fn surround(State(mount): State<Mount>, request: Request, next: Next) -> Response {
    // The project's own code is asked nothing, and messages of WebSockets pass no middleware.
    let is_own = request.extensions().get::<InProcess>().is_some();
    if is_own || is_fixed(request.uri().path()) || is_websocket(&request) {
        return next.run(request).await;
    }
    match mount.mounted.app.table().await {
        // Its own routes have it around them already.
        Ok(table) if table.has_middleware && !takes(&table, &request) => {}
        _ => return next.run(request).await,
    }
    let user = auth::user_of(&request);
    match mount.mounted.app.connect().await {
        Ok(stream) => mount.mounted.around.call(stream, request, user.as_deref(), next).await,
        // Middleware keeps people out, so nobody gets past it.
        Err(_) => unavailable("The custom app is not running; it is being started again"),
    }
}

/// Whether nothing of the application is asked about a path.
fn is_fixed(path: &str) -> bool {
    FIXED.contains(&path) || docs::PARTS.contains(&path)
}

/// Whether the request is for a route of the application.
fn takes(table: &Table, request: &Request) -> bool {
    let path = request.uri().path();
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let wanted = Wanted {
        method: request.method().as_str(),
        path: &decoded,
        websocket: is_websocket(request),
    };
    table.takes(wanted, || is_ours(path))
}

impl Mount {
    async fn authenticated(
        &self,
        request: Request,
    ) -> Result<(Request, Option<Arc<User>>), Response> {
        if !self.mounted.authenticates || self.auth.authenticator.is_none() {
            return Ok((request, None));
        }
        auth::identified(&self.auth, request).await
    }
}

fn is_websocket(request: &Request) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn unavailable(detail: &str) -> Response {
    detail_response(StatusCode::SERVICE_UNAVAILABLE, detail)
}

/// The process ended, or closed the connection, before it answered.
fn no_answer() -> Response {
    unavailable("The custom app ended before it answered; it is being started again")
}
