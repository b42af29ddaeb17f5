//! Signatures by which a receiver knows the sender, as <https://www.standardwebhooks.com> has them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What sender and receiver know, and nobody else.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads `whsec_` and base64, or base64 alone.
    ///
    /// # Errors
    /// What is wrong, without the secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("whsec_").unwrap_or(text);
        match STANDARD.decode(digits) {
            Ok(key) if key.len() >= 24 => Ok(Self(key)),
            Ok(key) => Err(format!("a secret of {} bytes is too short, 24 are the least", key.len())),
            Err(_) => Err("not whsec_ and base64; make one with: echo whsec_$(head -c 32 /dev/urandom | base64)".into()),
        }
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_standard() {
        // The example of the specification.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_showing_it() {
        let refusal = |text| Secret::parse(text).unwrap_err();
        assert!(refusal("whsec_c2hvcnQ=").contains("5 bytes"));
        assert!(!refusal("passw0rd!").contains("passw0rd"));
        assert_eq!(format!("{:?}", Secret::parse(&"A".repeat(40)).unwrap()), "Secret");
    }
}
