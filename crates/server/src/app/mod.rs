//! The project's own application, beside and in front of the API.
//!
//! A layer behind CORS and in front of authentication asks the table of the application's routes whether a request is one
//! of them; only then anything is said to the process that serves it. Source: reference/auth-webhooks-encryption.md, 6.

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

use crate::{Auth, auth, docs, error::detail_response};

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
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted")
            .field("authenticates", &self.authenticates)
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
    if FIXED.contains(&path) || docs::PARTS.contains(&path) {
        return next.run(request).await;
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let wanted = Wanted {
        method: request.method().as_str(),
        path: &decoded,
        websocket: is_websocket(&request),
    };
    match mount.mounted.app.table().await {
        Ok(table) if table.takes(wanted, || is_ours(path)) => {}
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
