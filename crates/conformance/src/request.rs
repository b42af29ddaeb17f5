//! One request, built from the operation table and sent with a time limit.

use std::{collections::BTreeMap, time::Duration};

use agent_server_api::Operation;
use anyhow::{Context, Result, anyhow};
use futures::{Stream, StreamExt, stream};
use reqwest::{Url, header::CONTENT_LENGTH};
use serde_json::Value;

use crate::answer::{Answer, shortened};

/// How long an answer may take, its body included. Nothing that the suite asks for takes longer than some seconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Streams that go on until the client has enough, and the silence after which the suite has.
const ENDLESS: [&str; 2] = ["join_thread_stream", "stream_thread_events"];
const SILENCE: Duration = Duration::from_secs(1);

/// What stands in the body.
#[derive(Clone, Debug, Default)]
pub(crate) enum Payload {
    #[default]
    None,
    Json(Value),
    Bytes(Vec<u8>),
    /// A body of this length that never comes: the announcement alone must be refused.
    Announced(u64),
    /// A body of this length whose length is not announced.
    Chunked(u64),
}

/// A request to an operation.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: &'static Operation,
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Payload,
}

impl Request {
    /// A request without parameters or body.
    pub(crate) fn to(operation: &str) -> Result<Self> {
        let operation = Operation::find(operation)
            .with_context(|| format!("the document has no operation {operation}"))?;
        Ok(Self {
            operation,
            path: BTreeMap::new(),
            query: Vec::new(),
            headers: Vec::new(),
            payload: Payload::None,
        })
    }

    /// With a path parameter.
    pub(crate) fn path(mut self, name: &str, value: impl ToString) -> Self {
        self.path.insert(name.to_owned(), value.to_string());
        self
    }

    /// With a query parameter.
    pub(crate) fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a JSON body.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.payload = Payload::Json(body);
        self
    }

    /// With members added to the JSON body.
    pub(crate) fn with(mut self, members: Value) -> Self {
        let mut body = match self.payload {
            Payload::Json(Value::Object(body)) => body,
            _ => serde_json::Map::new(),
        };
        body.extend(members.as_object().cloned().unwrap_or_default());
        self.payload = Payload::Json(Value::Object(body));
        self
    }

    /// The JSON body.
    pub(crate) fn json(&self) -> Option<&Value> {
        match &self.payload {
            Payload::Json(body) => Some(body),
            _ => None,
        }
    }

    /// Sends it and reads the answer to its end.
    ///
    /// # Errors
    /// The connection breaks, or the answer is not complete in time.
    pub(crate) async fn send(&self, client: &reqwest::Client, base: &Url) -> Result<Answer> {
        let mut request = client.request(self.operation.http_method(), self.url(base)?);
        request = request.query(&self.query);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request = match &self.payload {
            Payload::None => request,
            Payload::Json(body) => request.json(body),
            Payload::Bytes(bytes) => {
                request.header("content-type", "application/json").body(bytes.clone())
            }
            Payload::Announced(length) => {
                let never = stream::pending::<Result<Vec<u8>, std::io::Error>>();
                request.header(CONTENT_LENGTH, *length).body(reqwest::Body::wrap_stream(never))
            }
            Payload::Chunked(length) => request.body(reqwest::Body::wrap_stream(spaces(*length))),
        };
        let silence = ENDLESS.contains(&self.operation.name).then_some(SILENCE);
        in_time(read(request, silence)).await
    }

    fn url(&self, base: &Url) -> Result<Url> {
        let mut url = base.clone();
        {
            let mut segments =
                url.path_segments_mut().map_err(|()| anyhow!("{base} cannot have a path"))?;
            segments.pop_if_empty();
            for segment in self.operation.path.trim_start_matches('/').split('/') {
                match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) => {
                        segments.push(self.path.get(name).map_or("", String::as_str));
                    }
                    None => {
                        segments.push(segment);
                    }
                }
            }
        }
        Ok(url)
    }

    /// The request in one line, for people.
    pub(crate) fn describe(&self, base: &Url) -> String {
        let mut text = self.operation.method.to_owned();
        match self.url(base) {
            Ok(url) => text += &format!(" {}", url.path()),
            Err(_) => text += &format!(" {}", self.operation.path),
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            text += &format!("{}{name}={value}", if index == 0 { '?' } else { '&' });
        }
        for (name, value) in &self.headers {
            text += &format!(" [{name}: {value}]");
        }
        match &self.payload {
            Payload::None => {}
            Payload::Json(body) => text += &format!(" {}", shortened(&body.to_string())),
            Payload::Bytes(bytes) => {
                text +=
                    &format!(" {}", shortened(&format!("{:?}", String::from_utf8_lossy(bytes))));
            }
            Payload::Announced(length) => {
                text += &format!(" (a body announced with {length} bytes)")
            }
            Payload::Chunked(length) => text += &format!(" (a body of {length} bytes in chunks)"),
        }
        text
    }
}

/// So many spaces, in chunks.
fn spaces(length: u64) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    const CHUNK: u64 = 1 << 16;
    let chunks = length.div_ceil(CHUNK);
    let chunk = move |index| CHUNK.min(length - index * CHUNK);
    stream::iter((0..chunks).map(move |index| Ok(vec![b' '; chunk(index) as usize])))
}

/// Sends a request and reads the answer to its end, in time.
pub(crate) async fn complete(request: reqwest::RequestBuilder) -> Result<Answer> {
    in_time(read(request, None)).await
}

async fn in_time(answer: impl Future<Output = Result<Answer>>) -> Result<Answer> {
    let answer = tokio::time::timeout(TIME_LIMIT, answer).await;
    answer.map_err(|_| anyhow!("no complete answer within {} s", TIME_LIMIT.as_secs()))?
}

/// Reads an answer to its end, or to the first silence.
async fn read(request: reqwest::RequestBuilder, silence: Option<Duration>) -> Result<Answer> {
    let response = request.send().await.map_err(|error| anyhow!("no answer: {}", chain(&error)))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    loop {
        let next = match silence {
            Some(silence) => tokio::time::timeout(silence, chunks.next()).await.unwrap_or(None),
            None => chunks.next().await,
        };
        let Some(chunk) = next else { break };
        let chunk = chunk
            .map_err(|error| anyhow!("status {status}, then a broken body: {}", chain(&error)))?;
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// An error with its causes; those of the HTTP library say nothing without.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
