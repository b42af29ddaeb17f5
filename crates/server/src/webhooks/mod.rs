//! Telling receivers of the ends of runs: the HTTP half of the domain's webhooks.
//!
//! hyper's client itself, because it follows no redirects, uses no proxy and lets us resolve names: what the policy refuses
//! is never connected to, whatever a name stands for by then.

mod resolver;
mod signature;

use std::{
    error::Error as StdError,
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_server_api::without_nul;
use agent_server_domain::{
    ports::{WebhookCall, WebhookFailure, Webhooks},
    trace::TraceContext,
    webhooks::UrlPolicy,
};
use async_trait::async_trait;
use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::ServiceExt as _;

use resolver::{Refused, Resolver};
pub use signature::Secret;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for a whole try: the name, the connection, and 30 s until the receiver answers.
const WHOLE: Duration = Duration::from_secs(40);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Marks a request that the server makes of itself. It cannot come from outside, and nobody is asked who sends it.
#[derive(Clone, Copy, Debug)]
pub struct InProcess;

/// What is sent along.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which addresses may be called.
    pub policy: UrlPolicy,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Signs every request.
    pub secret: Option<Secret>,
}

type Https = HttpsConnector<HttpConnector<Resolver>>;

/// Sends webhooks.
pub struct Sender {
    options: Options,
    resolver: Resolver,
    /// Made for the first try, because it reads the certificates of the system.
    client: OnceLock<Client<Https, Full<Bytes>>>,
    /// The server's own routes.
    own: OnceLock<Router>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and secret stay here.
        f.debug_struct("Sender").field("policy", &self.options.policy).finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender that has made no connection yet.
    pub fn new(options: Options) -> Arc<Self> {
        let resolver = Resolver::new(Arc::new(options.policy.clone()));
        Arc::new(Self { options, resolver, client: OnceLock::new(), own: OnceLock::new() })
    }

    /// Answers paths with the routes of this server.
    pub fn serve_own(&self, router: Router) {
        // Only the first one counts, and there is only one.
        let _ = self.own.set(router);
    }

    fn client(&self) -> &Client<Https, Full<Bytes>> {
        self.client.get_or_init(|| {
            let mut http = HttpConnector::new_with_resolver(self.resolver.clone());
            http.enforce_http(false);
            http.set_connect_timeout(Some(CONNECT));
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let builder = HttpsConnectorBuilder::new();
            let secured = match builder.with_provider_and_native_roots(provider.clone()) {
                Ok(secured) => secured,
                Err(error) => {
                    tracing::warn!(
                        "this system has no certificates of authorities, so webhooks to https addresses fail: {error}"
                    );
                    HttpsConnectorBuilder::new().with_tls_config(trusting_nobody(provider))
                }
            };
            let https = secured.https_or_http().enable_http1().wrap_connector(http);
            // Every try looks the name up and connects anew.
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https)
        })
    }

    /// The request of a try.
    fn request(&self, call: WebhookCall) -> Result<Request<Bytes>, WebhookFailure> {
        let body = without_nul(call.body);
        let timestamp = call.sent_at.timestamp();
        let mut request = Request::post(&call.url)
            .body(body)
            .map_err(|error| WebhookFailure::Blocked(error.to_string()))?;
        let text = |text: String| {
            HeaderValue::from_str(&text).expect("ids, numbers and base64 are visible ASCII")
        };
        let signature = self
            .options
            .secret
            .as_ref()
            .map(|secret| text(secret.sign(&call.event_id, timestamp, request.body())));
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("agent-server/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(self.options.headers.iter().cloned());
        if let Some(TraceContext { traceparent, tracestate }) = call.trace {
            let state = tracestate.map(|state| (TRACESTATE, state));
            for (name, value) in [Some((TRACEPARENT, traceparent)), state].into_iter().flatten() {
                // Read from headers, so it can stand in one.
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.insert(name, value);
                }
            }
        }
        headers.insert(ID, text(call.event_id));
        headers.insert(TIMESTAMP, text(timestamp.to_string()));
        if let Some(signature) = signature {
            headers.insert(SIGNATURE, signature);
        }
        Ok(request)
    }

    /// Calls a route of this server.
    async fn send_own(&self, request: Request<Bytes>) -> Result<StatusCode, WebhookFailure> {
        let Some(router) = self.own.get().cloned() else {
            return Err(WebhookFailure::Unreachable("the server is starting".into()));
        };
        let mut request = request.map(Body::from);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("api"));
        request.extensions_mut().insert(InProcess);
        match router.oneshot(request).await {
            Ok(response) => Ok(response.status()),
            Err(never) => match never {},
        }
    }

    async fn send_out(&self, request: Request<Bytes>) -> Result<StatusCode, WebhookFailure> {
        let answered = self.client().request(request.map(Full::new)).await;
        answered.map(|response| response.status()).map_err(|error| failure(&error))
    }
}

/// Encryption that fails with every receiver.
fn trusting_nobody(provider: rustls::crypto::CryptoProvider) -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// What was in the way: a refusal of the resolver, else the chain of causes in one line.
fn failure(error: &(dyn StdError + 'static)) -> WebhookFailure {
    let mut texts = vec![];
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Refused(text)) = error.downcast_ref() {
            return WebhookFailure::Blocked(text.clone());
        }
        texts.push(error.to_string());
        next = error.source();
    }
    WebhookFailure::Unreachable(texts.join(": "))
}

#[async_trait]
impl Webhooks for Sender {
    async fn resolve(&self, name: &str) -> Vec<IpAddr> {
        self.resolver.lookup(name).await.unwrap_or_default()
    }

    async fn send(&self, call: WebhookCall) -> Result<u16, WebhookFailure> {
        let own = call.url.starts_with('/');
        let request = self.request(call)?;
        let answer =
            async { if own { self.send_own(request).await } else { self.send_out(request).await } };
        match tokio::time::timeout(WHOLE, answer).await {
            Ok(status) => status.map(|status| status.as_u16()),
            Err(_) => {
                let seconds = WHOLE.as_secs();
                Err(WebhookFailure::Unreachable(format!("no answer within {seconds} s")))
            }
        }
    }
}
