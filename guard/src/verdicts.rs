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

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Cache::len)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn keep(verdicts: &Verdicts, token: &str) {
        let claims = br#"{"iss":"i","sub":"s","aud":"a","exp":2,"iat":1,"jti":"j","client_id":"c"}"#;
        let claims = Arc::new(AccessTokenClaims::from_json(claims).unwrap());
        let key = Arc::new(VerifyingKey::ed25519("k", &[7; 32]).unwrap());
        verdicts.keep(token, &claims, &key);
    }

    #[test]
    fn there_is_room_for_so_many_and_longer_tokens_take_more() {
        for (length, at_most) in [(10, 1000), (1024, 1000), (1025, 500), (8192, 125)] {
            let verdicts = Verdicts::with_room_for(1000);
            for number in 0..3000 {
                keep(&verdicts, &format!("{number:0length$}"));
            }
            assert!(verdicts.len() <= at_most, "{} of {length} bytes", verdicts.len());
            assert!(verdicts.len() > at_most / 2, "{} of {length} bytes", verdicts.len());
        }
    }

    #[test]
    fn no_room_keeps_nothing() {
        let verdicts = Verdicts::with_room_for(0);
        keep(&verdicts, "token");
        assert!(verdicts.hash("token").is_none() && verdicts.len() == 0);
    }

    #[test]
    fn what_is_kept_is_found_under_its_whole_text_and_can_be_forgotten() {
        let verdicts = Verdicts::with_room_for(10);
        let find = |token: &str| verdicts.find(&verdicts.hash(token).unwrap());
        keep(&verdicts, "a.b.c");
        assert_eq!(find("a.b.c").unwrap().claims.sub, "s");
        assert!(find("a.b.d").is_none() && find("a.b").is_none() && find("").is_none());
        verdicts.forget(&verdicts.hash("a.b.c").unwrap());
        assert!(find("a.b.c").is_none());
    }
}
