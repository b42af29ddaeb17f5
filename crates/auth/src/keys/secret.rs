//! The secret of an API key: how it is made, known again and compared.
//!
//! Form: `as_<id>_<secret>`, eight characters that name the key and 43 random ones (256 bits). Only a SHA-256 of the whole
//! is kept. A slow password hash would add nothing: it is for secrets that can be guessed, and would cost every request
//! what nobody can guess anyway.

use aws_lc_rs::{constant_time, digest, rand};

use crate::Error;

/// What all keys begin with, so that people and scanners for leaked secrets recognise them.
pub(crate) const PREFIX: &str = "as_";
const ID_CHARS: usize = 8;
/// 43 of 62 characters are 256 bits.
const SECRET_CHARS: usize = 43;
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Ids are typed by people: no capitals.
const ID_DIGITS: usize = 36;

/// A key in clear. Shown once, kept nowhere.
pub struct Secret {
    text: String,
}

impl Secret {
    /// A fresh one.
    ///
    /// Errors: the system has no random numbers.
    pub(crate) fn generate() -> Result<Self, Error> {
        let (id, secret) = (random(ID_CHARS, ID_DIGITS)?, random(SECRET_CHARS, DIGITS.len())?);
        Ok(Self { text: format!("{PREFIX}{id}_{secret}") })
    }

    /// The part that names the key and may be seen.
    pub fn id(&self) -> &str {
        &self.text[PREFIX.len()..PREFIX.len() + ID_CHARS]
    }

    /// The whole key. Whoever calls this shows it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({}…)", self.id())
    }
}

/// The id in a presented key, if it has the form of one.
pub(super) fn id(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let right = id.len() == ID_CHARS
        && id.bytes().all(|byte| DIGITS[..ID_DIGITS].contains(&byte))
        && secret.len() == SECRET_CHARS
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    right.then_some(id)
}

/// What is kept of a key. There is no `==` on purpose: `is_of` is the only comparison, and takes the same time
/// wherever two digests differ.
#[derive(Clone)]
pub struct Digest([u8; digest::SHA256_OUTPUT_LEN]);

impl Digest {
    /// Of a key in clear.
    pub(super) fn of(text: &str) -> Self {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Self(bytes)
    }

    /// A digest of no key.
    pub(super) fn nobodys() -> Self {
        Self([0; digest::SHA256_OUTPUT_LEN])
    }

    /// Whether a presented key is the one that this was made of.
    pub(super) fn is_of(&self, text: &str) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &Self::of(text).0).is_ok()
    }

    /// As it stands in the file.
    pub(super) fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Digest::hex`] wrote.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * digest::SHA256_OUTPUT_LEN || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Random characters, each of the first `base` digits with the same probability.
fn random(count: usize, base: usize) -> Result<String, Error> {
    // Bytes from here on would make the first digits likelier than the others.
    let fair = 256 / base * base;
    let mut text = String::with_capacity(count);
    let mut bytes = [0; 64];
    while text.len() < count {
        rand::fill(&mut bytes)
            .map_err(|_| Error::Invalid("the system gives no random numbers".into()))?;
        let drawn = bytes.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < fair);
        text.extend(drawn.map(|byte| char::from(DIGITS[byte % base])).take(count - text.len()));
    }
    Ok(text)
}
