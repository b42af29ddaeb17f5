//! Pages of other origins: which may call, and what they may send and read. Browsers ask and obey; nobody else does, so this
//! protects users of browsers and replaces no authentication.
//!
//! Source: reference/configuration.md, section 2.7.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use regex::Regex;
use tower_http::cors::{
    AllowCredentials, AllowHeaders, AllowOrigin, AllowPrivateNetwork, Any, CorsLayer,
};

/// Headers that any page may send (the safe list of the Fetch standard).
const SAFE_HEADERS: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_LANGUAGE, header::CONTENT_TYPE];

/// Which pages of other origins may call, and how.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Whose pages.
    pub origins: Origins,
    /// What they may do.
    pub methods: Vec<Method>,
    /// What they may send beyond what every page may; `None` for anything.
    pub headers: Option<Vec<HeaderName>>,
    /// What they may read beyond what every page may.
    pub exposed: Vec<HeaderName>,
    /// How long a browser may remember the answer, seconds.
    pub max_age_seconds: u64,
}

/// Whose pages may call.
#[derive(Clone, Debug)]
pub enum Origins {
    /// Everybody's. Never with cookies and the like: any page could then call in the name of whoever looks at it.
    Any,
    /// Some.
    Some {
        /// Their origins, such as `https://app.example.com`.
        listed: Vec<String>,
        /// What others may look like, from the first character to the last.
        pattern: Option<Regex>,
        /// Whether browsers may send cookies and the like with a call.
        credentials: bool,
    },
}

impl Origins {
    /// Whether pages of an origin may call.
    fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Some { listed, pattern, .. } => {
                let Ok(origin) = origin.to_str() else { return false };
                let whole = |pattern: &Regex| {
                    pattern.find(origin).is_some_and(|found| found.as_str() == origin)
                };
                listed.iter().any(|listed| listed == origin) || pattern.as_ref().is_some_and(whole)
            }
        }
    }

    fn credentials(&self) -> bool {
        matches!(self, Self::Some { credentials: true, .. })
    }
}

impl Cors {
    /// Every method that an operation or an extension may have.
    pub const METHODS: [Method; 7] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::HEAD,
    ];

    /// The layer that answers browsers.
    pub(crate) fn layer(&self) -> CorsLayer {
        let layer = CorsLayer::new()
            .allow_methods(self.methods.clone())
            .allow_headers(match &self.headers {
                None => AllowHeaders::mirror_request(),
                Some(listed) => AllowHeaders::list([&SAFE_HEADERS, &listed[..]].concat()),
            })
            .expose_headers(self.exposed.clone())
            .allow_private_network(AllowPrivateNetwork::default())
            .max_age(Duration::from_secs(self.max_age_seconds));
        if matches!(self.origins, Origins::Any) {
            return layer.allow_origin(Any);
        }
        let (origins, with_credentials) = (self.origins.clone(), self.origins.clone());
        layer
            .allow_origin(AllowOrigin::predicate(move |origin, _| origins.allow(origin)))
            .allow_credentials(AllowCredentials::predicate(move |origin, _| {
                with_credentials.credentials() && with_credentials.allow(origin)
            }))
    }

    /// What of a preflight request is not allowed.
    fn disallowed(&self, headers: &HeaderMap) -> Vec<&'static str> {
        let mut parts = Vec::new();
        let allowed = headers.get(header::ORIGIN).is_none_or(|origin| self.origins.allow(origin));
        if !allowed {
            parts.push("origin");
        }
        let method = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let known = |method: &HeaderValue| {
            self.methods.iter().any(|known| known.as_str().as_bytes() == method.as_bytes())
        };
        if !method.is_none_or(known) {
            parts.push("method");
        }
        if let Some(listed) = &self.headers {
            let asked = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
            let asked = asked.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
            let may = |name: &[u8]| {
                HeaderName::from_bytes(name.trim_ascii())
                    .is_ok_and(|name| SAFE_HEADERS.contains(&name) || listed.contains(&name))
            };
            if !asked.filter(|name| !name.trim_ascii().is_empty()).all(may) {
                parts.push("headers");
            }
        }
        parts
    }
}

impl Default for Cors {
    /// Any origin may call, and read the headers that clients need to page and to reconnect.
    fn default() -> Self {
        let exposed = [
            "x-pagination-total",
            "x-pagination-next",
            "content-location",
            "location",
            "retry-after",
        ];
        Self {
            origins: Origins::Any,
            methods: Self::METHODS.into(),
            headers: None,
            exposed: exposed.map(HeaderName::from_static).into(),
            max_age_seconds: 600,
        }
    }
}

/// Says no to a preflight request in words, where the layer alone would leave a header out.
pub(crate) async fn refuse(
    State(cors): State<Arc<Cors>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let preflight = *request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let parts = if preflight { cors.disallowed(headers) } else { Vec::new() };
    if parts.is_empty() {
        return next.run(request).await;
    }
    let text = format!("Disallowed CORS {}", parts.join(", "));
    (StatusCode::BAD_REQUEST, [(header::VARY, "origin")], text).into_response()
}
