//! Fetches public keys from an issuer. The only connections that this crate makes, and only to what was configured.

use std::time::Duration;

use reqwest::{Client, redirect};
use serde::Deserialize;
use url::{Host, Url};

use super::key_set::KeySet;

/// Longest time that one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer; sets of keys have some thousand.
const MAX_BYTES: usize = 1 << 20;
/// Where issuers describe themselves (OpenID Connect Discovery 1.0, section 4).
const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// Where to begin.
#[derive(Debug)]
pub(super) enum From {
    /// The keys themselves.
    Keys(Url),
    /// The issuer's configuration, which names the address of the keys.
    Configuration(Url),
}

/// Fetches the keys of one issuer.
pub(super) struct Fetch {
    http: Client,
    from: From,
    issuer: String,
    allow_http: bool,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl Fetch {
    pub(super) fn new(from: From, issuer: String, allow_http: bool) -> Result<Self, String> {
        let http = Client::builder()
            .timeout(TIMEOUT)
            // What was configured is fetched, and nothing that it points to: a redirect might leave encryption.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("agent-server/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                format!(
                    "no connections can be made (are CA certificates installed?): {}",
                    chain(&error)
                )
            })?;
        Ok(Self { http, from, issuer, allow_http })
    }

    /// The keys that the issuer publishes now.
    ///
    /// Errors: what went wrong, with the address.
    pub(super) async fn keys(&self) -> Result<KeySet, String> {
        let url = match &self.from {
            From::Keys(url) => url.clone(),
            From::Configuration(url) => self.discover(url).await?,
        };
        KeySet::parse(&self.get(&url).await?).map_err(|cause| format!("{url}: {cause}"))
    }

    async fn discover(&self, url: &Url) -> Result<Url, String> {
        let configuration: Configuration = serde_json::from_slice(&self.get(url).await?)
            .map_err(|error| format!("{url}: not an OpenID Connect configuration: {error}"))?;
        // Section 4.3: otherwise anybody's configuration would do for anybody.
        if configuration.issuer != self.issuer {
            return Err(format!(
                "{url}: describes the issuer '{}', not '{}'; the two must be equal to the letter",
                configuration.issuer, self.issuer
            ));
        }
        address(&configuration.jwks_uri, self.allow_http).map_err(|cause| format!("{url}: {cause}"))
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", chain(&error.without_url()));
        let mut answer = self.http.get(url.clone()).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(format!("{url}: answered {}", answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BYTES {
                return Err(format!("{url}: answered more than {MAX_BYTES} bytes"));
            }
        }
        Ok(bytes)
    }
}

/// An address from which keys may be fetched.
///
/// Errors: it is none, holds a password, or would let whoever sits in between choose the keys.
pub(super) fn address(text: &str, allow_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("'{text}' is not an address: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address of the keys holds a user name or password".into());
    }
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local || allow_http => Ok(url),
        "http" => Err(format!(
            "{url} is not encrypted: whoever sits in between could choose the keys. Use https, or set allow_http \
             where the network is trusted"
        )),
        scheme => Err(format!("'{scheme}' in {url} is not https")),
    }
}

/// The address of an issuer's configuration.
pub(super) fn configuration_of(issuer: &str, allow_http: bool) -> Result<Url, String> {
    address(&format!("{}{CONFIGURATION}", issuer.trim_end_matches('/')), allow_http)
}

/// An error and its causes: a connection that was refused stands two levels down.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_encrypted_or_from_this_machine() {
        for right in
            ["https://i/keys", "http://localhost:1/k", "http://127.0.0.1/k", "http://[::1]/k"]
        {
            assert!(address(right, false).is_ok(), "{right}");
        }
        assert!(address("http://issuer.internal/k", false).unwrap_err().contains("allow_http"));
        assert!(address("http://issuer.internal/k", true).is_ok());
        assert!(address("file:///etc/keys", true).is_err());
        assert!(address("keys.json", true).is_err());
        let error = address("https://ann:hunter2@i/k", false).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_issuer_may_end_in_a_slash() {
        let at = |issuer| configuration_of(issuer, false).unwrap().to_string();
        assert_eq!(at("https://i/x/"), "https://i/x/.well-known/openid-configuration");
        assert_eq!(at("https://i"), "https://i/.well-known/openid-configuration");
    }
}
