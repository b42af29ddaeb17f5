//! What a request presents: an API key in `x-api-key`, an API key or a token after `Authorization: Bearer`.

use agent_server_domain::auth::{Credentials, Refusal};

use crate::{keys, refusal};

/// Most bytes of one credential. Tokens of large organisations have some thousand; reading more serves nobody.
const MAX_BYTES: usize = 16 << 10;

/// The credentials of a request. No `Debug`: they are secrets.
pub(crate) struct Presented<'a> {
    api_key: Option<&'a str>,
    bearer: Option<&'a str>,
    /// A header of ours was there, of whatever form.
    any: bool,
}

impl<'a> Presented<'a> {
    /// Takes the headers apart.
    ///
    /// Errors: a header that is there twice (two readers might pick different ones), is too long, or is no text.
    pub(crate) fn read(credentials: &'a Credentials) -> Result<Self, Refusal> {
        let api_key = single(credentials, "x-api-key")?;
        let authorization = single(credentials, "authorization")?;
        let bearer = match authorization.and_then(|value| value.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                let token = token.trim();
                if !is_token(token) {
                    return Err(refusal::invalid("what follows Bearer is not one token"));
                }
                Some(token)
            }
            // Another scheme is somebody else's business, say a proxy's; what stands in x-api-key may still count.
            _ => None,
        };
        Ok(Self { api_key, bearer, any: api_key.or(authorization).is_some() })
    }

    /// An API key of ours, known by its prefix: SDKs send other services' keys in `x-api-key` unasked.
    pub(crate) fn key(&self) -> Option<&'a str> {
        [self.api_key, self.bearer].into_iter().flatten().find(|text| keys::is_ours(text))
    }

    /// A token in three parts.
    pub(crate) fn token(&self) -> Option<&'a str> {
        self.bearer.filter(|token| token.split('.').count() == 3)
    }

    /// Whether nothing was presented at all.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any
    }
}

/// The value of a header that may be there once. An empty one counts as absent.
fn single<'a>(credentials: &'a Credentials, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = credentials.headers.iter().filter(|(key, _)| key == name);
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refusal::invalid(format!("header {name} was sent more than once")));
    }
    if value.len() > MAX_BYTES {
        let bytes = value.len();
        return Err(refusal::invalid(format!("header {name} has {bytes} bytes, too many")));
    }
    match std::str::from_utf8(value) {
        Ok(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Err(_) => Err(refusal::invalid(format!("header {name} is not text"))),
    }
}

/// Whether a text has the form of a bearer token (`token68` of RFC 9110): no blanks, no commas of joined headers.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
