//! A token in its three parts. Nothing here is trusted yet.

use agent_server_domain::storage::Map;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

/// A token whose signature is still to be checked. No `Debug`: it is a secret.
pub(super) struct Token<'a> {
    pub(super) header: Header,
    /// What is signed: header and claims, as sent.
    pub(super) signed: &'a str,
    pub(super) signature: &'a str,
    payload: &'a str,
}

/// The members of a header that decide something.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// Errors: it is none, or demands something that is not known here.
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        let parts = text.rsplit_once('.');
        let inner = parts.and_then(|(signed, _)| signed.split_once('.'));
        let (Some((signed, signature)), Some((header, payload))) = (parts, inner) else {
            return Err("not a token in three parts".into());
        };
        let header: Header =
            decode(header).ok_or("the token's header is not JSON with an \"alg\"")?;
        // RFC 7515, 4.1.11: what is critical and not understood makes the token invalid. Nothing of that kind is.
        if header.crit.is_some() {
            return Err("the token's header has critical members".into());
        }
        Ok(Self { header, signed, signature, payload })
    }

    /// The claims. Call it once the signature is known to be right.
    pub(super) fn claims(&self) -> Result<Map, String> {
        decode(self.payload).ok_or_else(|| "the token's claims are not a JSON object".into())
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
