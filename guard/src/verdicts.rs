//! What was proven a moment ago need not be proven again: the verdict cache.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;

use crate::claims::AccessTokenClaims;
use crate::verifying_key::VerifyingKey;

/// How much memory counts as one entry, in bytes. The claims of an ordinary token take about half of it.
const ENTRY: usize = 2048;

/// Where a proven token's status is looked up, if the verifier follows it and the token has one.
#[cfg(feature = "status")]
pub(crate) type Entry = Option<crate::status::Entry>;
/// Nothing is looked up.
#[cfg(not(feature = "status"))]
#[derive(Clone, Default)]
pub(crate) struct Entry;

/// The SHA-256 of a whole token, signature included. The token itself is not kept.
pub(crate) type TokenHash = [u8; 32];

/// What a signature proved. It says nothing of the time, nor whether the key is still published.
#[derive(Clone)]
pub(crate) struct Verdict {
    pub(crate) claims: Arc<AccessTokenClaims>,
    pub(crate) key: Arc<VerifyingKey>,
    #[cfg_attr(not(feature = "status"), expect(dead_code, reason = "there is nothing to look up"))]
    pub(crate) status: Entry,
    entries: u32,
}

impl Verdict {
    pub(crate) fn new(claims: Arc<AccessTokenClaims>, key: Arc<VerifyingKey>, status: Entry) -> Self {
        let entries = u32::try_from(size(&claims).div_ceil(ENTRY)).unwrap_or(u32::MAX);
        Self { claims, key, status, entries }
    }
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
    /// Room for so many tokens with claims of an ordinary size; larger ones take the room of several. 0 keeps none.
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

    /// Keeps what was proven of this token.
    pub(crate) fn keep(&self, token: &str, verdict: &Verdict) {
        if let (Some(cache), Some(hash)) = (&self.0, self.hash(token)) {
            cache.insert(hash, verdict.clone());
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

/// About how many bytes of memory these claims take, rather too many than too few: a few characters of JSON can
/// become a thousand bytes, and the bound must hold for them too.
fn size(claims: &AccessTokenClaims) -> usize {
    const FIXED: usize = 768;
    let names = [&claims.iss, &claims.sub, &claims.jti, &claims.client_id];
    FIXED
        + names.iter().map(|text| text.len()).sum::<usize>()
        + claims.aud.iter().chain(claims.roles.iter().map(String::as_str)).map(size_of_text).sum::<usize>()
        + claims.scope.iter().map(|word| size_of_text(word.as_str())).sum::<usize>()
        + claims.sid.as_ref().map_or(0, String::len)
        + claims.status.as_ref().map_or(0, |status| size_of_text(&status.uri))
        + claims.own.iter().map(|(name, value)| size_of_member(name, value)).sum::<usize>()
}

/// Text on the heap, and the value or `String` that points to it.
const fn size_of_text(text: &str) -> usize {
    text.len() + 48
}

fn size_of_member(name: &str, value: &Value) -> usize {
    // A node of a map is as large as eleven members, and may hold half as many.
    2 * size_of_text(name) + size_of_value(value)
}

fn size_of_value(value: &Value) -> usize {
    const VALUE: usize = size_of::<Value>();
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => VALUE,
        Value::String(text) => size_of_text(text),
        // Room for four at least, and for up to twice as many as there are.
        Value::Array(items) => {
            5 * VALUE + items.iter().map(|item| VALUE + size_of_value(item)).sum::<usize>()
        }
        Value::Object(members) => {
            let first_node = if members.is_empty() { VALUE } else { 22 * VALUE };
            first_node + members.iter().map(|(name, value)| size_of_member(name, value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn keep(verdicts: &Verdicts, token: &str, own: &str) {
        let claims = format!(
            r#"{{"iss":"i","sub":"s","aud":"a","exp":2,"iat":1,"jti":"j","client_id":"c","own":{own}}}"#
        );
        let claims = Arc::new(AccessTokenClaims::from_json(claims.as_bytes()).unwrap());
        let key = Arc::new(VerifyingKey::ed25519("k", &[7; 32]).unwrap());
        verdicts.keep(token, &Verdict::new(claims, key, Entry::default()));
    }

    #[test]
    fn there_is_room_for_so_many_and_larger_claims_take_more() {
        let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(100), close.repeat(100));
        for (own, at_most) in [
            ("1".to_owned(), 1000),
            (format!("\"{}\"", "x".repeat(1000)), 1000),
            (format!("\"{}\"", "x".repeat(4000)), 400),
            (format!("[{}1]", "[],".repeat(1000)), 15),
            (nested("[", "]"), 120),
            (nested("{\"\":", "}"), 30),
        ] {
            let verdicts = Verdicts::with_room_for(1000);
            for number in 0..1200 {
                keep(&verdicts, &number.to_string(), &own);
            }
            assert!((1..=at_most).contains(&verdicts.len()), "{} of {own:.40}", verdicts.len());
        }
    }

    #[test]
    fn no_room_keeps_nothing() {
        let verdicts = Verdicts::with_room_for(0);
        keep(&verdicts, "token", "1");
        assert!(verdicts.hash("token").is_none() && verdicts.len() == 0);
    }

    #[test]
    fn what_is_kept_is_found_under_its_whole_text_and_can_be_forgotten() {
        let verdicts = Verdicts::with_room_for(10);
        let find = |token: &str| verdicts.find(&verdicts.hash(token).unwrap());
        keep(&verdicts, "a.b.c", "1");
        assert_eq!(find("a.b.c").unwrap().claims.sub, "s");
        assert!(find("a.b.d").is_none() && find("a.b").is_none() && find("").is_none());
        verdicts.forget(&verdicts.hash("a.b.c").unwrap());
        assert!(find("a.b.c").is_none());
    }
}
