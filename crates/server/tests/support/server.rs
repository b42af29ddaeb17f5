//! Requests in, whole answers out.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use agent_server_domain::{
    Domain, Options,
    ports::{Clock, Ids, RunOrder},
    storage::{Timestamp, runs::Lease},
};
use agent_server_storage_sqlite::Sqlite;
use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::ScriptedHost;

struct StepClock(AtomicU64);

impl Clock for StepClock {
    /// Each look is a millisecond later, so that orders by time are orders of events.
    fn now(&self) -> Timestamp {
        let millis = self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_timestamp_millis(millis.cast_signed()).expect("in range")
    }
}

struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn ordered(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }

    fn random(&self) -> Uuid {
        self.ordered()
    }
}

/// A server whose host the test plays.
pub(crate) struct TestServer {
    pub(crate) host: Arc<ScriptedHost>,
    pub(crate) domain: Domain,
    router: Router,
    starts: Mutex<mpsc::UnboundedReceiver<RunOrder>>,
    cancels: Mutex<mpsc::UnboundedReceiver<Lease>>,
    clock: Arc<StepClock>,
    ids: Arc<CountedIds>,
    folder: Arc<tempfile::TempDir>,
}

impl TestServer {
    /// A server with room for `slots` runs.
    pub(crate) async fn start(slots: usize) -> Self {
        Self::start_with(slots, Options::default()).await
    }

    /// The same with other options.
    pub(crate) async fn start_with(slots: usize, options: Options) -> Self {
        let clock = Arc::new(StepClock(AtomicU64::new(1_700_000_000_000)));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ids = Arc::new(CountedIds(AtomicU64::new(1)));
        Self::start_on(Arc::new(folder), clock, ids, slots, options).await
    }

    /// Another server on the data of this one, which has been shut down.
    pub(crate) async fn next(&self, slots: usize) -> Self {
        self.next_with(slots, Options::default()).await
    }

    /// The same with other options.
    pub(crate) async fn next_with(&self, slots: usize, options: Options) -> Self {
        let (folder, clock) = (Arc::clone(&self.folder), Arc::clone(&self.clock));
        Self::start_on(folder, clock, Arc::clone(&self.ids), slots, options).await
    }

    async fn start_on(
        folder: Arc<tempfile::TempDir>,
        clock: Arc<StepClock>,
        ids: Arc<CountedIds>,
        slots: usize,
        options: Options,
    ) -> Self {
        let storage =
            Sqlite::open(folder.path(), Default::default()).expect("an empty folder opens");
        let domain = Domain::new(storage, clock.clone(), ids.clone(), options);
        let (host, starts, cancels) = ScriptedHost::new(slots);
        host.connect(domain.sink());
        domain.start(host.clone()).await.expect("starts");
        let router = agent_server_server::router(domain.clone(), Default::default());
        let (starts, cancels) = (Mutex::new(starts), Mutex::new(cancels));
        Self { host, domain, router, starts, cancels, clock, ids, folder }
    }

    /// Sets the clock forward.
    pub(crate) fn pass(&self, millis: u64) {
        self.clock.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// Sets the clock back.
    pub(crate) fn pass_back(&self, millis: u64) {
        self.clock.0.fetch_sub(millis, Ordering::Relaxed);
    }

    /// The next attempt that the host was told to start.
    #[expect(clippy::await_holding_lock, reason = "one test task takes attempts")]
    pub(crate) async fn started(&self) -> RunOrder {
        self.starts.lock().recv().await.expect("the host is alive")
    }

    /// The next attempt that the host was told to cancel.
    #[expect(clippy::await_holding_lock, reason = "one test task takes cancels")]
    pub(crate) async fn cancelled(&self) -> Lease {
        self.cancels.lock().recv().await.expect("the host is alive")
    }

    /// Whether the host was told to start something that nobody has taken yet.
    pub(crate) fn nothing_started(&self) -> bool {
        self.starts.lock().try_recv().is_err()
    }

    /// Sends a request; the answer's body may still be on its way.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Response<Body> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).body(body).expect("a request");
        self.router.clone().oneshot(request).await.expect("the router never fails")
    }

    /// Sends a request and reads the answer: status and JSON (null for no body).
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send(method, path, body).await;
        let status = response.status().as_u16();
        (status, json_of(response).await)
    }
}

/// The whole body as text.
pub(crate) async fn text_of(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

async fn json_of(response: Response<Body>) -> Value {
    let text = text_of(response).await;
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
}
