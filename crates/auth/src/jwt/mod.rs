//! JSON Web Tokens of one issuer, as identity providers give them to people and programs.
//!
//! A request's way: `token` takes the token apart, `keys` finds the public key that it names, the library checks the
//! signature (once for each key, `verified`), `claims` judges what was signed. Public keys come from a file or from the issuer (`remote`).
//!
//! Only public-key algorithms exist here. So there is nothing that could be confused: no `none`, and no HMAC whose secret
//! would be a published key.

mod claims;
mod fetch;
mod key_set;
mod remote;
mod token;
mod verified;

use std::{path::PathBuf, sync::Arc};

use agent_server_domain::{auth::User, ports::Clock};
use jsonwebtoken::{Algorithm, crypto};

pub use claims::Claims;
pub use remote::Timing;

use crate::{Error, watched::Watched};
use fetch::Fetch;
use key_set::{KeySet, VerifyingKey};
use remote::Remote;
use token::Token;
use verified::Verified;

/// What may sign tokens, by the names of RFC 7518.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of a name.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// Whose tokens are accepted, and what they mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where the issuer's public keys are.
    pub keys: Source,
    /// What may sign, names of [`ALGORITHMS`].
    pub algorithms: Vec<String>,
    /// What must be claimed, and what becomes of it.
    pub claims: Claims,
    /// When keys are fetched.
    pub timing: Timing,
    /// Whether keys may be fetched without encryption from another machine.
    pub allow_http: bool,
}

/// Where public keys (a JWK set) come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A file; a changed one counts at once.
    File(PathBuf),
    /// An address.
    Url(String),
    /// The address that the issuer names in its OpenID Connect configuration.
    Issuer,
}

/// Where keys are held.
enum Held {
    File(Watched<KeySet>),
    Remote(Remote),
}

/// The method: who presents a token of the issuer.
pub(crate) struct Jwt {
    keys: Held,
    algorithms: Vec<Algorithm>,
    claims: Claims,
    clock: Arc<dyn Clock>,
    verified: Verified,
}

impl Jwt {
    /// Errors: an option cannot be, or the file of the keys cannot be used.
    pub(crate) fn start(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        options.claims.check().map_err(Error::Invalid)?;
        let known = |name: &String| {
            algorithm(name).ok_or_else(|| {
                let names = ALGORITHMS.map(|(name, _)| name).join(", ");
                Error::Invalid(format!("'{name}' is not one of the algorithms {names}"))
            })
        };
        let algorithms = options.algorithms.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        if algorithms.is_empty() {
            return Err(Error::Invalid("no algorithm may sign tokens".into()));
        }
        let keys = match &options.keys {
            Source::File(path) => {
                let file = Watched::new(path.clone(), KeySet::parse);
                if file.look().map_err(Error::Invalid)?.is_none() {
                    return Err(Error::Invalid(format!("{} is not there", path.display())));
                }
                Held::File(file)
            }
            Source::Url(url) => {
                let url = fetch::address(url, options.allow_http).map_err(Error::Invalid)?;
                remote(options, fetch::From::Keys(url))?
            }
            Source::Issuer => {
                let issuer = &options.claims.issuer;
                let url = fetch::configuration_of(issuer, options.allow_http);
                remote(options, fetch::From::Configuration(url.map_err(Error::Invalid)?))?
            }
        };
        let (claims, verified) = (options.claims.clone(), Verified::default());
        Ok(Self { keys, algorithms, claims, clock, verified })
    }

    /// The user whom a token names, or why it does not count.
    pub(crate) async fn authenticate(&self, text: &str) -> Result<User, String> {
        let token = Token::read(text)?;
        let algorithm = algorithm(&token.header.alg)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| format!("algorithm {:?} is not allowed", brief(&token.header.alg)))?;
        let key = self.key(token.header.kid.as_deref(), algorithm).await?;
        let check = || {
            let signed = token.signed.as_bytes();
            crypto::verify(token.signature, signed, &key.key, algorithm).is_ok_and(|right| right)
        };
        if !self.verified.or_check(text, &key, check) {
            return Err("the signature is wrong".into());
        }
        self.claims.judge(&token.claims()?, self.clock.now())
    }

    async fn key(&self, kid: Option<&str>, alg: Algorithm) -> Result<Arc<VerifyingKey>, String> {
        match &self.keys {
            Held::Remote(remote) => remote.key(kid, alg).await,
            Held::File(file) => {
                let keys = file.look()?.ok_or("the file of public keys is gone")?;
                keys.find(kid, alg)?.ok_or_else(|| key_set::unknown(kid))
            }
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("tokens of {}", self.claims.issuer)
    }
}

fn remote(options: &Options, from: fetch::From) -> Result<Held, Error> {
    let issuer = options.claims.issuer.clone();
    let fetch = Fetch::new(from, issuer, options.allow_http).map_err(Error::Invalid)?;
    Ok(Held::Remote(Remote::start(fetch, options.timing.clone())))
}

/// The start of a text that a caller chose, for the log.
fn brief(text: &str) -> String {
    text.chars().take(64).collect()
}
