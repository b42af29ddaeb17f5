//! The built-in cipher: AES-256-GCM-SIV with a key of the folder's own, made from the user's and a random salt.
//!
//! Every item has a nonce of its own, drawn at random. SIV, because a busy server draws billions of them: plain GCM falls apart
//! when one comes twice.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, rand,
};

/// What the folder's key is made for, so that it fits nothing else that is made from the same secret.
const PURPOSE: &[u8] = b"agent-server storage 1";
/// Bytes of a folder's salt.
pub(crate) const SALT_LEN: usize = 32;
/// Bytes that an item becomes longer: nonce and tag.
pub(crate) const OVERHEAD: usize = NONCE_LEN + 16;

/// The key that the user gave: 16, 24 or 32 bytes. Never shown.
#[derive(Clone)]
pub struct AesKey(Box<[u8]>);

impl AesKey {
    /// Takes a key; `None` if it has another length.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 16 | 24 | 32).then(|| Self(bytes.into()))
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(..)")
    }
}

/// The cipher of one folder.
pub(crate) struct Aes(LessSafeKey);

impl Aes {
    /// The cipher of the folder with this salt.
    pub(crate) fn new(key: &AesKey, salt: &[u8]) -> Self {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&key.0);
        let derived = secret.expand(&[PURPOSE], &AES_256_GCM_SIV).expect("32 bytes can be derived");
        Self(LessSafeKey::new(UnboundKey::from(derived)))
    }

    /// Encrypts `plain` behind `head`; only who names the same `kind` can read it.
    pub(crate) fn seal(&self, kind: &str, head: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut text = plain.to_vec();
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(kind.as_bytes()),
                &mut text,
            )
            .expect("what is stored is shorter than the cipher's bound of 64 GB");
        [head, &nonce, &text, tag.as_ref()].concat()
    }

    /// Reverses [`Aes::seal`]; `None` for what this key did not write, or wrote as another kind.
    pub(crate) fn open(&self, kind: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = self.0.open_in_place(nonce, Aad::from(kind.as_bytes()), &mut text).ok()?.len();
        text.truncate(len);
        Some(text)
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Aes, AesKey};

    fn aes(key: &[u8], salt: &[u8]) -> Aes {
        Aes::new(&AesKey::new(key).unwrap(), salt)
    }

    #[test]
    fn only_key_salt_and_kind_together_read_it() {
        for len in [16, 24, 32] {
            let key = vec![7; len];
            let sealed = aes(&key, b"salt").seal("run", &[], b"plain");
            assert_eq!(aes(&key, b"salt").open("run", &sealed).unwrap(), b"plain");
            assert!(aes(&key, b"salt").open("task", &sealed).is_none());
            assert!(aes(&key, b"other").open("run", &sealed).is_none());
            assert!(aes(&vec![8; len], b"salt").open("run", &sealed).is_none());
            assert!(aes(&key, b"salt").open("run", &sealed[..sealed.len() - 1]).is_none());
            assert!(aes(&key, b"salt").open("run", &sealed[..5]).is_none());
        }
    }

    #[test]
    fn the_same_is_never_written_twice() {
        let aes = aes(&[7; 32], b"salt");
        assert_ne!(aes.seal("run", &[], b"plain"), aes.seal("run", &[], b"plain"));
    }

    #[test]
    fn keys_have_three_lengths_and_are_not_shown() {
        assert!(AesKey::new(&[7; 31]).is_none());
        assert_eq!(format!("{:?}", AesKey::new(b"0123456789abcdef").unwrap()), "AesKey(..)");
    }
}
