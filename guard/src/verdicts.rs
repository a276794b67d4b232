//! What was proven a moment ago need not be proven again: the verdict cache.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::claims::AccessTokenClaims;
use crate::verifying_key::VerifyingKey;

/// How much of a token counts as one entry, in bytes. Most tokens are shorter.
const ENTRY: usize = 1024;

/// The SHA-256 of a whole token, signature included. The token itself is not kept.
pub(crate) type TokenHash = [u8; 32];

/// What a signature proved. It says nothing of the time, nor whether the key is still published.
#[derive(Clone)]
pub(crate) struct Verdict {
    pub(crate) claims: Arc<AccessTokenClaims>,
    pub(crate) key: Arc<VerifyingKey>,
    entries: u32,
}

/// The verdicts of one verifier, and of no other: each is worth something under its own rules only. Bounded; the
/// least used go first.
pub(crate) struct Verdicts(Option<Cache<TokenHash, Verdict, ByLength>>);

#[derive(Clone)]
struct ByLength;

impl Weighter<TokenHash, Verdict> for ByLength {
    fn weight(&self, _: &TokenHash, verdict: &Verdict) -> u64 {
        verdict.entries.into()
    }
}

impl Verdicts {
    /// Room for so many tokens of up to 1 KiB; a longer one takes the room of several. 0 keeps none.
    pub(crate) fn with_room_for(entries: usize) -> Self {
        let cache = || Cache::with_weighter(entries, entries as u64, ByLength);
        Self((entries > 0).then(cache))
    }

    /// What a token is found under; `None` when nothing is kept.
    pub(crate) fn hash(&self, token: &str) -> Option<TokenHash> {
        self.0.as_ref()?;
        digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
    }

    pub(crate) fn find(&self, token: &TokenHash) -> Option<Verdict> {
        self.0.as_ref()?.get(token)
    }

    /// Keeps what `key` proved.
    pub(crate) fn keep(&self, token: &str, claims: &Arc<AccessTokenClaims>, key: &Arc<VerifyingKey>) {
        if let (Some(cache), Some(hash)) = (&self.0, self.hash(token)) {
            let entries = u32::try_from(token.len().div_ceil(ENTRY)).unwrap_or(u32::MAX);
            cache.insert(hash, Verdict { claims: Arc::clone(claims), key: Arc::clone(key), entries });
        }
    }

    pub(crate) fn forget(&self, token: &TokenHash) {
        if let Some(cache) = &self.0 {
            cache.remove(token);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Cache::len)
    }
}
