//! The client itself: where the server is, how to reach it, how patient to be.

use std::{fmt, time::Duration};

use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::{
    Url,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
};

use crate::{Error, generated};

/// How long a connection may take to be established, in seconds. Long enough for a server far away, short enough to
/// notice that there is none.
const CONNECT_TIMEOUT_SECONDS: u64 = 15;

/// A client of one server. Cloning is cheap, and clones share connections.
///
/// Every operation of the API is a method that returns the body of the answer. Optional parameters are set through the
/// method of the same name with `_with`. Methods that answer with events return a [`RunStream`](crate::RunStream).
///
/// Only establishing a connection has a time limit: a run may take as long as it likes.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) raw: generated::Client,
    pub(crate) base_url: Url,
    pub(crate) reconnect: Reconnect,
}

impl Client {
    /// A client of the server at this address, without a key.
    ///
    /// # Errors
    /// [`Error::Request`] if the address is none.
    pub fn new(base_url: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder(base_url).build()
    }

    /// A client with more to say.
    pub fn builder(base_url: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.as_ref().to_owned(),
            headers: vec![],
            connect_timeout: Duration::from_secs(CONNECT_TIMEOUT_SECONDS),
            read_timeout: None,
            reconnect: Reconnect::default(),
            http: None,
        }
    }

    /// Address of the server.
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// The generated client, whose methods return status and headers too, such as those that lead through long lists.
    pub fn raw(&self) -> &generated::Client {
        &self.raw
    }

    /// The address of a path of the API. The base may have a path of its own, which stays in front.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        let text = format!("{}{path}", self.base_url.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| Error::Request(format!("{text}: {error}")))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: they hold the key.
        f.debug_struct("Client").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

/// Answers of more than one media type are asked for by name; the generated client would accept anything, which some
/// operations refuse.
impl ClientHooks<()> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        info: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        let accept =
            generated::ACCEPT.iter().find(|(operation, _)| *operation == info.operation_id);
        if let Some((_, accept)) = accept {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        }
        Ok(())
    }
}

/// How a broken event stream is taken up again. The default is what the Python SDK does.
#[derive(Clone, Copy, Debug)]
pub struct Reconnect {
    /// How often to try since the last event; 0 for never.
    pub attempts: u32,
    /// Pause before the first attempt; it doubles with each.
    pub first_delay: Duration,
    /// Longest pause. A random part of up to a quarter is added, so that clients do not come back all at once.
    pub max_delay: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { attempts: 5, first_delay: Duration::from_secs(1), max_delay: Duration::from_secs(5) }
    }
}

/// Settings of a [`Client`].
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
    reconnect: Reconnect,
    http: Option<reqwest::Client>,
}

impl ClientBuilder {
    /// Sends this key as `x-api-key`.
    pub fn api_key(self, key: impl Into<String>) -> Self {
        self.header("x-api-key", key)
    }

    /// Sends this header with every request, for instance `authorization`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long a connection may take to be established; 15 seconds if not set.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long the server may be silent; for ever if not set. Streams and waiting calls carry a sign of life every five
    /// seconds, other calls are silent until they have an answer.
    pub fn read_timeout(mut self, limit: Duration) -> Self {
        self.read_timeout = Some(limit);
        self
    }

    /// How to take up broken event streams.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Uses this HTTP client (proxy, certificates, …). It must not have a total time limit, which would cut streams; the
    /// headers and limits set here do not reach it.
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Request`] if the address or a header is none.
    pub fn build(self) -> Result<Client, Error> {
        let base_url =
            Url::parse(&self.base_url).ok().filter(|url| url.has_host()).ok_or_else(|| {
                Error::Request(format!("{:?} is not the address of a server", self.base_url))
            })?;
        let http = match self.http {
            Some(http) => http,
            None => {
                let mut builder = reqwest::Client::builder()
                    .connect_timeout(self.connect_timeout)
                    .default_headers(headers(&self.headers)?);
                if let Some(limit) = self.read_timeout {
                    builder = builder.read_timeout(limit);
                }
                builder.build()?
            }
        };
        let raw = generated::Client::new_with_client(
            base_url.as_str().trim_end_matches('/'),
            http.clone(),
        );
        Ok(Client { http, raw, base_url, reconnect: self.reconnect })
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let refused = |_| Error::Request(format!("header {name} cannot be sent"));
        let key = HeaderName::try_from(name)
            .map_err(|error| Error::Request(format!("header {name}: {error}")))?;
        let mut value = HeaderValue::from_str(value).map_err(refused)?;
        // Keys do not belong into logs.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_appended_to_the_base() {
        for (base, expected) in [
            ("http://host:2024", "http://host:2024/ok"),
            ("http://host:2024/", "http://host:2024/ok"),
            ("http://host/mount/", "http://host/mount/ok"),
        ] {
            assert_eq!(
                Client::new(base).expect("a client").url("/ok").expect("an address").as_str(),
                expected
            );
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_at_once() {
        for builder in [
            Client::builder("nowhere"),
            Client::builder("mailto:somebody@example.org"),
            Client::builder("http://host").api_key("line\nbreak"),
            Client::builder("http://host").header("not a name", "x"),
        ] {
            assert!(matches!(builder.build(), Err(Error::Request(_))));
        }
    }
}
