//! Requests whose answer may never come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use reqwest::{Method, Response, header};
use serde_json::Value;

use crate::{
    ledger::{Kind, Ledger, is_terminal},
    random::Random,
};

/// Far more than any answer takes that does not wait for a run.
const ANSWER: Duration = Duration::from_secs(30);

/// How to reach the server, and what is known about it.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    url: String,
    pub(crate) ledger: Arc<Ledger>,
    /// How often the server was killed.
    pub(crate) kills: Arc<AtomicU64>,
}

/// An answer, its body complete.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// The last part of `Content-Location`, which says which run an answer is about.
pub(crate) fn run_of(response: &Response) -> Option<String> {
    let place = response.headers().get(header::CONTENT_LOCATION)?.to_str().ok()?;
    place.rsplit('/').next().map(str::to_owned)
}

impl Api {
    pub(crate) fn new(url: String, ledger: Arc<Ledger>) -> Result<Self> {
        let client = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).build()?;
        Ok(Self { client, url, ledger, kills: Arc::default() })
    }

    pub(crate) fn kills(&self) -> u64 {
        self.kills.load(Ordering::SeqCst)
    }

    /// Sends a request; `None` if the headers of an answer never came. Errors of the server that nobody should see are noted.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        last_event_id: Option<&str>,
    ) -> Option<Response> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        match tokio::time::timeout(ANSWER, request.send()).await {
            Ok(response) => {
                let response = response.ok()?;
                if response.status().as_u16() == 500 {
                    self.ledger.violate(Kind::Server, format!("{method} {path} was answered 500"));
                }
                Some(response)
            }
            Err(_) => {
                let text =
                    format!("{method} {path} was not answered within {} s", ANSWER.as_secs());
                self.ledger.violate(Kind::Stuck, text);
                None
            }
        }
    }

    /// Sends a request and reads the answer, however long that takes; `None` if it was never complete.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let response = self.open(method, path, body, None).await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.ok()?;
        let body = match bytes.trim_ascii() {
            b"" => Value::Null,
            text => serde_json::from_slice(text).ok()?,
        };
        Some(Answer { status, body })
    }

    /// Repeats a request until it is answered. Only for what can be asked twice.
    pub(crate) async fn insist(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        loop {
            match self.call(method.clone(), path, body).await {
                Some(answer) if answer.status < 500 => return answer,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// `GET`, until it is answered.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.insist(Method::GET, path, None).await
    }

    /// Status of an accepted run; `None` (and a violation, if that must not be) when it is not there.
    pub(crate) async fn status(&self, path: &str, run: &str) -> Option<String> {
        let answer = self.get(path).await;
        match answer.body["status"].as_str() {
            Some(status) if answer.status == 200 => {
                self.ledger.observe(run, status);
                Some(status.to_owned())
            }
            _ => None,
        }
    }

    /// Looks at an accepted run until it is over.
    pub(crate) async fn follow(&self, thread: &str, run: &str, random: &mut Random) -> String {
        let path = format!("/threads/{thread}/runs/{run}");
        loop {
            match self.status(&path, run).await {
                Some(status) if is_terminal(&status) => return status,
                Some(_) => {}
                None => {
                    self.ledger.violate(Kind::Lost, format!("accepted, but not there: {path}"));
                    return "lost".into();
                }
            }
            tokio::time::sleep(random.millis(20, 300)).await;
        }
    }
}
