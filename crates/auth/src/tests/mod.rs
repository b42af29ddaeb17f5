//! The methods as a server uses them: real keys and signatures, real files, a real issuer on a port of this machine.

mod issuer;
mod remote;
mod requests;
mod secrets;
mod tokens;

use std::sync::Arc;

use agent_server_domain::{
    auth::{Authenticator, Credentials, Refusal, User},
    ports::Clock,
    storage::Timestamp,
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{Builtin, Options, jwt};

/// When tests take place, seconds.
pub(crate) const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.test";

/// A clock that stands until it is set.
pub(crate) struct Hand(Mutex<Timestamp>);

impl Hand {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_timestamp(NOW, 0).unwrap())))
    }

    pub(crate) fn forward(&self, seconds: i64) {
        *self.0.lock() += chrono::Duration::seconds(seconds);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// Starts the methods with a clock that stands.
fn start(options: &Options) -> Builtin {
    let clock: Arc<dyn Clock> = Hand::new();
    Builtin::start(options, &clock).unwrap()
}

/// Options for tokens of the issuer, for us.
fn tokens_with(keys: jwt::Source) -> Options {
    let claims = jwt::Claims {
        issuer: ISSUER.into(),
        audience: vec!["us".into()],
        ..jwt::Claims::default()
    };
    let jwt = jwt::Options {
        keys,
        algorithms: jwt::ALGORITHMS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        claims,
        timing: jwt::Timing::default(),
        allow_http: false,
    };
    Options { keys: None, jwt: Some(jwt) }
}

async fn ask(builtin: &Builtin, headers: &[(&str, &str)]) -> Result<User, Refusal> {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into()));
    let credentials = Credentials { headers: headers.collect(), ..Credentials::default() };
    builtin.authenticate(&credentials).await
}

async fn bearer(builtin: &Builtin, token: &str) -> Result<User, Refusal> {
    ask(builtin, &[("authorization", &format!("Bearer {token}"))]).await
}

/// Asserts the one answer that every caller gets whose credentials do not count, and returns the cause.
fn cause(outcome: Result<User, Refusal>) -> String {
    let refusal = outcome.unwrap_err();
    assert_eq!((refusal.status, &*refusal.detail), (401, "Invalid or missing credentials"));
    let (name, challenge) = &refusal.headers[0];
    assert_eq!(name, "www-authenticate");
    let cause = refusal.cause.unwrap();
    let expected = match cause.as_str() {
        "no credentials" => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    };
    assert_eq!(challenge, expected);
    cause
}

/// Claims that are right.
fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "us", "sub": "ann", "exp": NOW + 300, "scope": "read write"})
}

/// The user whom those claims name.
fn ann() -> User {
    User::named("ann", vec!["read".into(), "write".into()])
}

/// A private key of an issuer.
enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap())
    }

    fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// The public half.
    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "n": n, "e": e})
            }
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (encode(x), encode(y));
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": x, "y": y})
            }
            Self::Ed(pair) => {
                let x = encode(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
            }
        }
    }

    fn sign(&self, signed: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, signed, &mut bytes).unwrap();
                bytes
            }
            Self::P256(pair) => pair.sign(&random, signed).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(signed).as_ref().to_vec(),
        }
    }

    /// A token with these claims, which names this key.
    fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": self.algorithm(), "kid": kid});
        self.token_with(&header, claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = encode(&self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// The first two parts of a token.
fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
