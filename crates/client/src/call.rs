//! Calls that the generated client cannot make: those whose answer is an event stream. Those of operations that are not
//! known before the program runs are put together in [`crate::request`] and made here, too.

use futures::Stream;
use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;

use crate::{Client, Error};

/// Header that says behind which event a stream goes on.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// One request for an event stream, as the generated methods put it together.
pub(crate) struct Call {
    pub(crate) method: Method,
    path: String,
    query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) last_event_id: Option<String>,
    /// Headers as parameters give them; what is no header value is an error of the request.
    given: Vec<(&'static str, String)>,
    body: Option<serde_json::Result<String>>,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: vec![],
            headers: HeaderMap::new(),
            last_event_id: None,
            given: vec![],
            body: None,
        }
    }

    /// Puts a value where the path has `{name}`.
    pub(crate) fn path(mut self, name: &str, value: impl ToString) -> Self {
        self.path = self
            .path
            .replace(&format!("{{{name}}}"), &progenitor_client::encode_path(&value.to_string()));
        self
    }

    /// Adds a query parameter that may be absent.
    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    /// Adds a query parameter that is a list. Of repeated names some servers read only the last, so several values become
    /// one: with commas for `stream_modes`, as JSON otherwise.
    pub(crate) fn query_list(self, name: &str, values: Option<Vec<String>>) -> Self {
        let text = values.map(|values| match values.as_slice() {
            [one] => one.clone(),
            _ if name == "stream_modes" => values.join(","),
            _ => serde_json::Value::from(values).to_string(),
        });
        self.query(name, text)
    }

    /// Asks for the events behind this one.
    pub(crate) fn last_event_id(mut self, id: Option<String>) -> Self {
        self.last_event_id = id;
        self
    }

    /// Adds a header that may be absent.
    pub(crate) fn header(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.given.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_string(body));
        self
    }

    /// Where it goes.
    pub(crate) fn url(&self, client: &Client) -> Result<Url, Error> {
        let mut url = client.url(&self.path)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    /// Sends a body that is JSON already.
    pub(crate) fn text(mut self, json: String) -> Self {
        self.body = Some(Ok(json));
        self
    }

    /// Sends it and returns the answer, which is known to be an event stream.
    pub(crate) async fn send(self, client: &Client) -> Result<Response, Error> {
        let last_event_id = self.last_event_id.clone();
        open(self.request(client)?, last_event_id.as_deref()).await
    }

    /// Sends it and returns whatever is answered, in one of these media types.
    pub(crate) async fn send_for(
        mut self,
        accept: &str,
        client: &Client,
    ) -> Result<Response, Error> {
        let accept = HeaderValue::from_str(accept)
            .map_err(|_| Error::Request(format!("{accept:?} is no list of media types")))?;
        self.headers.insert(ACCEPT, accept);
        let response = self.request(client)?.send().await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(Error::from_response(response).await),
        }
    }

    fn request(self, client: &Client) -> Result<RequestBuilder, Error> {
        let url = self.url(client)?;
        let mut request = client.http.request(self.method, url).headers(self.headers);
        for (name, value) in self.given {
            request = request.header(name, value);
        }
        let Some(body) = self.body else { return Ok(request) };
        let body = body.map_err(|error| Error::Request(error.to_string()))?;
        Ok(request.header(CONTENT_TYPE, "application/json").body(body))
    }
}

/// Sends a request for an event stream.
pub(crate) async fn open(
    request: RequestBuilder,
    last_event_id: Option<&str>,
) -> Result<Response, Error> {
    let mut request = request.header(ACCEPT, "text/event-stream").header(CACHE_CONTROL, "no-store");
    if let Some(id) = last_event_id {
        request = request.header(LAST_EVENT_ID, id);
    }
    let response = request.send().await?;
    if !response.status().is_success() {
        return Err(Error::from_response(response).await);
    }
    match content_type(response.headers()) {
        "text/event-stream" => Ok(response),
        other => Err(Error::decode(format!("expected an event stream, not {other:?}"), "")),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// An answer that is neither JSON of one shape nor an event stream alone: text, or one of several kinds.
pub struct RawResponse {
    headers: HeaderMap,
    status: reqwest::StatusCode,
    body: progenitor_client::ByteStream,
}

impl RawResponse {
    pub(crate) fn new(
        response: progenitor_client::ResponseValue<progenitor_client::ByteStream>,
    ) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { headers, status, body: response.into_inner() }
    }

    pub(crate) fn from_response(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = progenitor_client::ByteStream::new(Box::pin(response.bytes_stream()));
        Self { headers, status, body }
    }

    /// Status of the answer, which is a success.
    pub fn status(&self) -> reqwest::StatusCode {
        self.status
    }

    /// Headers of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Media type without parameters; empty when there is none.
    pub fn content_type(&self) -> &str {
        content_type(&self.headers)
    }

    /// The body as it arrives.
    pub fn into_stream(self) -> impl Stream<Item = reqwest::Result<bytes::Bytes>> + Send + 'static {
        self.body.into_inner()
    }

    /// The body as server-sent events.
    pub fn into_events(self) -> crate::EventStream {
        crate::EventStream::new(self.body.into_inner())
    }

    /// The whole body.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn bytes(self) -> Result<bytes::Bytes, Error> {
        let chunks: Vec<bytes::Bytes> =
            futures::TryStreamExt::try_collect(self.body.into_inner()).await?;
        Ok(chunks.concat().into())
    }

    /// The whole body as text; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).into_owned())
    }

    /// The whole body as JSON; `None` when there is no body.
    ///
    /// # Errors
    /// The connection breaks, or the body is something else.
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<Option<T>, Error> {
        let body = self.bytes().await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        serde_json::from_slice(&body).map(Some).map_err(|error| Error::decode(error, body))
    }
}
