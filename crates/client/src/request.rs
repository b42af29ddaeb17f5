//! Requests to operations that are known by method and path alone: for programs that learn from the document what can be
//! asked, such as a command line. Who knows the operation when the program is written calls the method of that name.

use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};

use crate::{
    Client, Error, RawResponse, RunStream,
    call::{Call, LAST_EVENT_ID},
};

/// A request that is being put together; see [`Client::request`].
#[must_use]
pub struct Request {
    client: Client,
    call: Call,
}

impl Client {
    /// Begins a request to the operation with this method and path template.
    ///
    /// # Errors
    /// [`Error::Request`] if there can be no such method.
    pub fn request(&self, method: &str, path: &str) -> Result<Request, Error> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|error| Error::Request(format!("method {method:?}: {error}")))?;
        Ok(Request { client: self.clone(), call: Call::new(method, path) })
    }
}

impl Request {
    /// Puts a value where the path has `{name}`.
    pub fn path(mut self, name: &str, value: &str) -> Self {
        self.call = self.call.path(name, value);
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.call = self.call.query(name, Some(value));
        self
    }

    /// Adds a query parameter that is a list.
    pub fn query_list(mut self, name: &str, values: Vec<String>) -> Self {
        self.call = self.call.query_list(name, Some(values));
        self
    }

    /// Adds a header. `last-event-id` is remembered by streams, which go on behind it.
    ///
    /// # Errors
    /// [`Error::Request`] if it cannot be sent.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let key = HeaderName::try_from(name)
            .map_err(|error| Error::Request(format!("header {name}: {error}")))?;
        let text = HeaderValue::from_str(value)
            .map_err(|_| Error::Request(format!("header {name} cannot be sent")))?;
        if key == LAST_EVENT_ID {
            self.call = self.call.last_event_id(Some(value.to_owned()));
        } else {
            self.call.headers.insert(key, text);
        }
        Ok(self)
    }

    /// Sends this JSON text as the body.
    pub fn body(mut self, json: String) -> Self {
        self.call = self.call.text(json);
        self
    }

    /// Sends it and returns the answer, which should have one of these media types (`Accept`).
    ///
    /// # Errors
    /// The server refuses or cannot be reached.
    pub async fn send(self, accept: &str) -> Result<RawResponse, Error> {
        Ok(RawResponse::from_response(self.call.send_for(accept, &self.client).await?))
    }

    /// Sends it and returns the events that it is answered with, as the methods for streams do.
    ///
    /// # Errors
    /// The server refuses, cannot be reached, or does not answer with events.
    pub async fn stream(self) -> Result<RunStream, Error> {
        RunStream::open(&self.client, self.call).await
    }
}
