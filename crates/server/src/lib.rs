//! The HTTP server: thin axum handlers over the domain.
//!
//! [`router`] puts the generated router, which validates and dispatches, under the layers that every request passes.
//! Handlers are in [`api`], a file per tag of the document; [`error`] alone knows status codes, `sse` alone frames events.

mod access_log;
pub mod api;
pub mod app;
mod auth;
mod convert;
mod cors;
mod disabled;
mod disconnect;
mod docs;
mod encryption;
pub mod error;
mod header_rules;
mod headers;
mod limits;
mod logged_headers;
mod loopback;
pub mod metrics;
mod mount;
pub mod not_implemented;
mod serve;
mod sse;
mod stall;
mod unread;
mod wait;
pub mod webhooks;

use std::sync::Arc;

use agent_server_domain::{Domain, ports::EncryptionContexts};
use axum::{
    Router,
    extract::Request,
    http::HeaderValue,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{Method, header};
use tower::{ServiceBuilder, util::option_layer};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

pub use access_log::AccessLog;
pub use auth::Auth;
pub use cors::{Cors, Origins};
pub use disabled::Disabled;
pub use header_rules::HeaderRules;
pub use limits::{Rate, RateLimits, Rules, limited_names};
pub use loopback::Loopback;
pub use mount::{MountPrefix, mounted};
pub use serve::{Addresses, serve};

/// What the server is told at start-up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest request body, bytes (upstream's `HTTP_MAX_REQUEST_BODY_BYTES`).
    pub max_body_bytes: usize,
    /// Version of the installed graph library, for `/info`; unknown until a worker has said hello.
    pub langgraph_version: fn() -> Option<String>,
    /// Which pages of other origins may call.
    pub cors: Cors,
    /// Who decides about requests.
    pub auth: Auth,
    /// How often callers may ask.
    pub limits: RateLimits,
    /// The project's own application (upstream's `http.app`).
    pub app: Option<app::Mounted>,
    /// Which headers reach runs (upstream's `http.configurable_headers`).
    pub headers: HeaderRules,
    /// Whether runs tell receivers of their ends; the served document says so.
    pub webhooks: bool,
    /// Who knows in which context what a request writes is encrypted; `None` where nothing needs one.
    pub encryption: Option<Contexts>,
    /// What is told of each request.
    pub access_log: AccessLog,
    /// What the names of our metrics begin with (upstream's `METRIC_PREFIX`).
    pub metric_prefix: String,
    /// Which parts of the API are not served.
    pub disabled: Disabled,
    /// Where clients reach the server (`servers` of the document): an address, or a path on its host.
    pub api_url: Option<String>,
    /// What is special about agents of the Agent2Agent protocol.
    pub a2a: A2aOptions,
}

/// Who knows the contexts of encryption.
#[derive(Clone)]
pub struct Contexts(pub Arc<dyn EncryptionContexts>);

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contexts(..)")
    }
}

/// Settings of the Agent2Agent protocol.
#[derive(Clone, Debug, Default)]
pub struct A2aOptions {
    /// Whose card stands at the root (upstream's `DEFAULT_A2A_ASSISTANT_ID`).
    pub default_assistant: Option<String>,
    /// Tools whose results are shown; `None` is all of them (upstream's `A2A_ALLOWED_TOOL_CALL_RESULTS`).
    pub shown_tools: Option<Vec<String>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_body_bytes: 314_572_800,
            langgraph_version: || None,
            cors: Cors::default(),
            auth: Auth::default(),
            limits: RateLimits::default(),
            app: None,
            headers: HeaderRules::default(),
            webhooks: true,
            encryption: None,
            access_log: AccessLog::default(),
            metric_prefix: metrics::PREFIX.into(),
            disabled: Disabled::default(),
            api_url: None,
            a2a: A2aOptions::default(),
        }
    }
}

/// The version of the API that this server is compatible with, as upstream counts it.
pub const API_VERSION: &str = "0.16.7";

/// The whole server as a router.
pub fn router(domain: Domain, options: Options) -> Router {
    let disabled = options.disabled;
    let generated = agent_server_api::Options {
        body_limit: options.max_body_bytes,
        without: disabled.operations(),
    };
    let cors = Arc::new(options.cors.clone());
    let (auth, limits) = (options.auth.clone(), options.limits.clone());
    let access_log = options.access_log.clone();
    let headers = Arc::new(options.headers.clone());
    let mounted = options.app.clone();
    let contexts = options.encryption.clone();
    let api = api::Api::new(domain, options);
    let mut routes = agent_server_api::router(api.clone(), generated);
    if !disabled.meta {
        routes = routes.merge(docs::parts());
    }
    if disabled.streams_events() {
        routes = routes.merge(api::websocket(api));
    }
    let mount = mounted.map(|mounted| app::Mount { mounted, auth: auth.clone() });
    let surround = |auth_first| {
        let mount = mount.clone().filter(|mount| mount.mounted.auth_first == auth_first);
        option_layer(mount.map(|mount| middleware::from_fn_with_state(mount, app::surround)))
    };
    let guard =
        auth.authenticator.is_some().then(|| auth::Guard { auth, meta_is_open: !disabled.meta });
    let limiter = limits.is_on().then(|| limits::Limiter::new(limits));
    // From the outside in, and as one: every layer that a router is given alone is boxed, and copied for every request with
    // all that is in it.
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(metrics::count))
        // Around everything, refusals and preflights too.
        .layer(surround(false))
        .layer(middleware::from_fn_with_state(Arc::clone(&cors), cors::refuse))
        .layer(cors.layer())
        .layer(CatchPanicLayer::custom(|_| {
            error::detail_response(http::StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }))
        // In front of authentication, because its routes may be open.
        .option_layer(mount.clone().map(|mount| middleware::from_fn_with_state(mount, app::route)))
        // Before routing, so that a stranger cannot tell what there is; behind CORS, whose preflights carry no credentials.
        .option_layer(guard.map(|guard| middleware::from_fn_with_state(guard, auth::authenticate)))
        .layer(surround(true))
        // Behind authentication, which says whose request it is.
        .option_layer(limiter.map(|limiter| middleware::from_fn_with_state(limiter, limits::limit)))
        .layer(middleware::from_fn_with_state(headers, headers::note))
        .layer(middleware::from_fn(to_the_end))
        .option_layer(contexts.map(|Contexts(contexts)| {
            middleware::from_fn_with_state(contexts, encryption::in_context)
        }));
    known(routes.layer(layers), access_log)
}

/// Puts a router under the layers that every answer of this server has passed.
fn known(router: Router, access_log: AccessLog) -> Router {
    let layers = ServiceBuilder::new()
        .layer(middleware::map_response(name_server))
        .layer(middleware::from_fn_with_state(Arc::new(access_log), access_log::log))
        .layer(middleware::from_fn(unread::read));
    router.layer(layers)
}

/// Lets a handler come to its end although its client has left: what it has committed must be followed by what it tells
/// hosts and streams. A run that was claimed with its creation would be started by nobody else. Only what starts, stops or
/// deletes runs has something to tell; everything else is spared a task of its own.
async fn to_the_end(request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let speaks = path.starts_with("/a2a/") || path.starts_with("/mcp");
    let tells =
        *method == Method::DELETE || ["/prune", "/commands"].iter().any(|end| path.ends_with(end));
    let tells = tells || path.contains("/runs") || speaks;
    if method.is_safe() || !tells {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being torn down, and nobody reads this any more.
            Err(_) => http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// Our own version stands in a header that every answer carries.
async fn name_server(mut response: Response) -> Response {
    const NAME: HeaderValue =
        HeaderValue::from_static(concat!("agent-server/", env!("CARGO_PKG_VERSION")));
    response.headers_mut().insert(header::SERVER, NAME);
    response
}
