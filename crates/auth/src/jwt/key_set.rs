//! Public keys of an issuer: a JWK set (RFC 7517), of which only the keys that can check signatures are kept.

use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Public keys.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Arc<VerifyingKey>>);

/// A key that checks signatures of certain algorithms and of no other.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set. Keys for other purposes and of unknown kinds are passed over, as the standard asks for.
    ///
    /// Errors: it is none, or no key is left.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| format!("not a JWK set (an object with \"keys\"): {error}"))?;
        let keys: Vec<_> =
            document.keys.into_iter().filter_map(VerifyingKey::read).map(Arc::new).collect();
        if keys.is_empty() {
            return Err(
                "no key in this JWK set can check signatures of the known algorithms".into()
            );
        }
        Ok(Self(keys))
    }

    /// The key for a token. A token that names none is only accepted where a single key fits.
    ///
    /// Errors: the token cannot be checked, whatever other keys there may be.
    pub(super) fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<VerifyingKey>>, String> {
        let named = self.0.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named.clone().filter(|key| key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(Some(Arc::clone(key))),
            (Some(_), Some(_)) => Err("several keys fit, and the token does not say which".into()),
            (None, _) if kid.is_some() && named.count() > 0 => {
                Err(format!("the key that the token names is not for {algorithm:?}"))
            }
            (None, _) => Ok(None),
        }
    }
}

impl VerifyingKey {
    fn read(value: Value) -> Option<Self> {
        let only = value.get("alg").map(|name| super::algorithm(name.as_str().unwrap_or_default()));
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let other_use = |purpose: &PublicKeyUse| *purpose != PublicKeyUse::Signature;
        if common.public_key_use.as_ref().is_some_and(other_use)
            || common
                .key_operations
                .as_ref()
                .is_some_and(|operations| !operations.contains(&KeyOperations::Verify))
        {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) => match key.curve {
                EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
                _ => return None,
            },
            // A secret in a set of public keys is a mistake of its owner, and none of ours.
            _ => return None,
        };
        if let Some(only) = only {
            algorithms.retain(|algorithm| Some(*algorithm) == only);
        }
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { kid: jwk.common.key_id, algorithms, key })
    }
}

/// Why a token cannot be checked whose key is not there.
pub(super) fn unknown(kid: Option<&str>) -> String {
    match kid {
        Some(kid) => format!("the issuer has no key {:?}", super::brief(kid)),
        None => "the issuer has no key that fits".into(),
    }
}
