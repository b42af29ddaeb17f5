//! Authentication and authorisation of requests.
//!
//! A layer in front of the router asks who sends a request ([`authenticate`]), before anything of it is looked at. Handlers
//! then ask about each event of their operation ([`Access`]) and give the domain a caller who may touch what was allowed.
//!
//! Source: reference/auth-webhooks-encryption.md, parts 1 and 2.

mod access;
mod drain;
mod open;
mod refusal;

use std::{fmt, sync::Arc};

use agent_server_domain::{
    auth::{Authenticator, Authorizer, Credentials, Refusal, User},
    storage::Map,
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{MountPrefix, webhooks::InProcess};

pub(crate) use access::{Access, allowed, readable};
pub(crate) use open::is_open;
pub(crate) use refusal::Refused;

/// Who decides about requests. Without an authenticator everybody may do everything.
#[derive(Clone, Default)]
pub struct Auth {
    /// Decides who asks.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// Decides what users may do; without one, users may do everything.
    pub authorizer: Option<Arc<dyn Authorizer>>,
    /// Whether requests that say they come from Studio pass without credentials. For a workplace only: whoever can reach
    /// the port can say so.
    pub trusts_studio: bool,
    /// `securitySchemes` and `security` of the served document. Shared: every request gets a copy of the rest.
    pub openapi: Option<Arc<Map>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("authenticates", &self.authenticator.is_some())
            .field("authorizes", &self.authorizer.is_some())
            .field("trusts_studio", &self.trusts_studio)
            .finish_non_exhaustive()
    }
}

/// Who sends a request: left in its extensions for [`Access`].
#[derive(Clone)]
struct Identity {
    /// `None` on paths that are open to everybody: what handlers of those do is nobody's.
    user: Option<Arc<User>>,
    authorizer: Option<Arc<dyn Authorizer>>,
}

/// Who sends a request, if that is known.
pub(crate) fn user_of(request: &Request) -> Option<Arc<User>> {
    request.extensions().get::<Identity>()?.user.clone()
}

/// What the layer in front of the router knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) auth: Auth,
    /// Whether everybody may see what tells of the server itself.
    pub(crate) meta_is_open: bool,
}

/// Authenticates requests to protected paths.
pub(crate) async fn authenticate(
    State(Guard { auth, meta_is_open }): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.extensions().get::<InProcess>().is_some() {
        // The project's own code, or a webhook to a route of our own: the run that asked for it was allowed, and nobody
        // outside can say so.
        return next.run(request).await;
    }
    let user = match open::is_open(request.method(), request.uri().path(), meta_is_open) {
        true => None,
        false => match identified(&auth, request).await {
            Ok((identified, user)) => {
                request = identified;
                user
            }
            Err(refusal) => return refusal,
        },
    };
    let authorizer = auth.authorizer;
    request.extensions_mut().insert(Identity { user, authorizer });
    next.run(request).await
}

/// Finds out who sends a request; `None` if it is one of our own. Errors: the answer to a stranger.
pub(crate) async fn identified(
    auth: &Auth,
    request: Request,
) -> Result<(Request, Option<Arc<User>>), Response> {
    if request.extensions().get::<InProcess>().is_some() {
        return Ok((request, None));
    }
    let credentials = credentials(&request);
    match auth.user_of(&credentials).await {
        Ok(user) => Ok((request, Some(Arc::new(user)))),
        Err(refusal) => {
            let answer = Refused(for_protocol(&credentials, refusal)).into_response();
            Err(refuse_unread(answer, request).await)
        }
    }
}

/// The answer to a request whose body nobody has read.
pub(crate) async fn refuse_unread(mut answer: Response, request: Request) -> Response {
    if !drain::drain(request.into_body()).await {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

impl Auth {
    async fn user_of(&self, credentials: &Credentials) -> Result<User, Refusal> {
        let is_studio = credentials.header("x-auth-scheme") == Some("langsmith");
        if self.trusts_studio && is_studio {
            return Ok(studio_user());
        }
        match &self.authenticator {
            Some(authenticator) => authenticator.authenticate(credentials).await,
            None => Err(Refusal::internal("there is no authenticator to ask")),
        }
    }
}

/// Whom handlers of a project know as `Auth.types.StudioUser`.
fn studio_user() -> User {
    let mut user = User::named("langgraph-studio-user", vec![]);
    user.fields.insert("kind".into(), json!("StudioUser"));
    user
}

/// A WebSocket can only be refused with one status.
fn for_protocol(credentials: &Credentials, refusal: Refusal) -> Refusal {
    let upgrade = credentials.header("upgrade");
    let is_websocket = upgrade.is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let status = if is_websocket { StatusCode::FORBIDDEN.as_u16() } else { refusal.status };
    Refusal { status, ..refusal }
}

fn credentials(request: &Request) -> Credentials {
    let headers = request.headers().iter();
    // Handlers see what the client asked for.
    let prefix = request.extensions().get().map_or("", MountPrefix::as_str);
    Credentials {
        method: request.method().as_str().to_owned(),
        path: format!("{prefix}{}", request.uri().path()),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
    }
}

/// Adds what the project says of its authentication to the served document.
pub(crate) fn describe(document: &mut Value, openapi: &Map) {
    if let Some(Value::Object(schemes)) = openapi.get("securitySchemes") {
        for (name, scheme) in schemes {
            document["components"]["securitySchemes"][name] = scheme.clone();
        }
    }
    if let Some(security) = openapi.get("security") {
        document["security"] = security.clone();
    }
}
