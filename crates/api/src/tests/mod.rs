//! Requests through the whole generated layer, from the router to a service that echoes what arrives.

mod bodies;
mod parameters;
mod routing;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use serde_json::Value;
use tower::ServiceExt;

use crate::generated::echo::Echo;
use crate::{Options, router};

const THREAD: &str = "22222222-2222-4222-8222-222222222222";

/// What a request was answered with.
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    /// The `detail` of the answer, which for the echoing service names the operation and its arguments.
    #[track_caller]
    fn detail(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).expect(&self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        body["detail"].as_str().expect(&self.text).to_owned()
    }
}

async fn send_to(router: Router, request: &str, body: impl Into<Body>) -> Answer {
    let (method, uri) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(uri).body(body.into()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn send(request: &str, body: impl Into<Body>) -> Answer {
    send_to(router(Echo, Options::default()), request, body).await
}

/// Sends a request and compares status and start of `detail`; `{t}` in both stands for [`THREAD`].
async fn check(request: &str, body: &str, status: u16, detail: &str) {
    let answer = send(&request.replace("{t}", THREAD), body.to_owned()).await;
    let expected = detail.replace("{t}", THREAD);
    assert_eq!(answer.status, status, "{request} {body}: {}", answer.text);
    assert!(answer.detail().starts_with(&expected), "{request} {body}: {}", answer.text);
}
