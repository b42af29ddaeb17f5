//! Tokens whose signature was right, so that it is not checked again with every request that presents the same one.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use parking_lot::Mutex;

use super::key_set::VerifyingKey;

/// Most tokens that are remembered, some hundred kilobytes. When there are more, all are forgotten: those in use come back.
const MOST: usize = 4096;

/// A hash of a whole token, its signature included. The tokens themselves, which are secrets, are not kept.
type Hash = [u8; SHA256_OUTPUT_LEN];

/// By token, the key that its signature was right for. A key that was fetched or read anew is another one: what was signed
/// by one that is withdrawn does not count because it once did. Nothing else of a token is remembered; whether it has
/// expired, say, is asked every time.
#[derive(Default)]
pub(super) struct Verified(Mutex<HashMap<Hash, Arc<VerifyingKey>>>);

impl Verified {
    /// Whether a token's signature is right for a key: remembered, or found out with `check`.
    pub(super) fn or_check(
        &self,
        token: &str,
        key: &Arc<VerifyingKey>,
        check: impl FnOnce() -> bool,
    ) -> bool {
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if self.0.lock().get(&hash).is_some_and(|known| Arc::ptr_eq(known, key)) {
            return true;
        }
        if !check() {
            return false;
        }
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(hash, Arc::clone(key));
        true
    }
}
