//! The JWK Set as it is served: bytes made once, RFC 7517 §5.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use signet_guard::KeySet;

use super::PublicJwk;

/// A set that our own guard would not take whole must not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the public keys do not make a JWK Set that every verifier can use")]
pub struct PublishError;

/// The public keys of every signing key that is not retired.
#[derive(Debug)]
pub struct PublishedKeys {
    /// The JWK Set, serialised.
    pub bytes: Arc<[u8]>,
    /// A strong entity tag of it, with its quotes (RFC 9110 §8.8.3).
    pub etag: String,
    /// The same in gzip (RFC 1952).
    pub gzip: Arc<[u8]>,
    /// The entity tag of that: other bytes are another representation.
    pub gzip_etag: String,
    /// How long it may be kept: a `Cache-Control`.
    pub cache_control: String,
}

impl PublishedKeys {
    /// Serialises the set: the key that signs RS256 first, for verifiers that look no further, the others by `kid`, so that
    /// equal sets have equal bytes on every replica.
    ///
    /// # Errors
    /// When the guard would leave one of the keys out.
    pub fn new(first_kid: Option<&str>, mut keys: Vec<PublicJwk>) -> Result<Self, PublishError> {
        keys.sort_by(|a, b| {
            let rank = |key: &PublicJwk| (Some(key.kid()) != first_kid, key.kid().to_owned());
            rank(a).cmp(&rank(b))
        });
        let members: Vec<String> = keys.iter().map(PublicJwk::to_json).collect();
        let bytes = format!(r#"{{"keys":[{}]}}"#, members.join(",")).into_bytes();
        let tag = URL_SAFE_NO_PAD.encode(digest(&SHA256, &bytes));
        let published = Self {
            etag: format!("\"{tag}\""),
            gzip: gzip(&bytes).into(),
            gzip_etag: format!("\"{tag}-gzip\""),
            bytes: bytes.into(),
            cache_control: "no-cache".to_owned(),
        };
        if published.key_set()?.len() == keys.len() { Ok(published) } else { Err(PublishError) }
    }

    /// The set, to be kept for so long.
    #[must_use]
    pub fn kept_for(self, max_age: Duration) -> Self {
        Self { cache_control: format!("public, max-age={}", max_age.as_secs()), ..self }
    }

    /// The set parsed, as a guard in this process needs it.
    pub(super) fn key_set(&self) -> Result<KeySet, PublishError> {
        KeySet::from_json(&self.bytes).map_err(|_| PublishError)
    }
}

/// One member of RFC 1952 §2.3, without a name and without a time: equal sets have equal bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Magic, deflate, no flags, no time, the slowest compression, an unknown system.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    gzip.extend(compress_to_vec(bytes, 10));
    gzip.extend(crc32(bytes).to_le_bytes());
    // Modulo 2^32, as the section says.
    gzip.extend((bytes.len() as u32).to_le_bytes());
    gzip
}

/// The checksum of RFC 1952 §8, bit by bit: a set is made once.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::jose::test_keys;

    fn kids(published: &PublishedKeys) -> Vec<String> {
        let set: serde_json::Value = serde_json::from_slice(&published.bytes).unwrap();
        let keys = set["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_active_key_is_first_and_the_order_given_does_not_matter() {
        let mut jwks = [test_keys::key(0).public_jwk(), test_keys::key(1).public_jwk()];
        jwks.sort_by(|a, b| a.kid().cmp(b.kid()));
        let [low, high] = jwks;
        for active in [&low, &high] {
            let one = PublishedKeys::new(Some(active.kid()), vec![low.clone(), high.clone()]).unwrap();
            let two = PublishedKeys::new(Some(active.kid()), vec![high.clone(), low.clone()]).unwrap();
            assert_eq!((&one.bytes, &one.etag), (&two.bytes, &two.etag));
            assert_eq!(kids(&one)[0], active.kid());
        }
        let none = PublishedKeys::new(None, vec![high.clone(), low.clone()]).unwrap();
        assert_eq!(kids(&none), [low.kid(), high.kid()]);
    }

    #[test]
    fn the_entity_tag_is_strong_quoted_and_follows_the_bytes() {
        let empty = PublishedKeys::new(None, Vec::new()).unwrap();
        assert_eq!(&*empty.bytes, br#"{"keys":[]}"#);
        let one = PublishedKeys::new(None, vec![test_keys::key(0).public_jwk()]).unwrap();
        assert_ne!(one.etag, empty.etag);
        for etag in [&one.etag, &empty.etag] {
            assert!(etag.len() == 45 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        }
    }

    #[test]
    fn the_compressed_set_is_the_set() {
        // The check value of this checksum everywhere.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let set =
            PublishedKeys::new(None, vec![test_keys::key(0).public_jwk(), test_keys::key(1).public_jwk()]);
        let set = set.unwrap();
        let (head, rest) = set.gzip.split_at(10);
        assert_eq!(head[..4], [0x1f, 0x8b, 8, 0]);
        let (deflated, _) = rest.split_at(rest.len() - 8);
        assert_eq!(miniz_oxide::inflate::decompress_to_vec(deflated).unwrap(), &*set.bytes);
        assert!(set.gzip.len() < set.bytes.len() && set.gzip_etag != set.etag);
    }

    #[test]
    fn a_key_that_comes_twice_is_not_published() {
        let key = test_keys::key(0).public_jwk();
        assert_eq!(PublishedKeys::new(None, vec![key.clone(), key]).unwrap_err(), PublishError);
    }

    #[test]
    fn a132_only_public_members_are_published() {
        let set = PublishedKeys::new(None, vec![test_keys::key(0).public_jwk()]).unwrap();
        let set: serde_json::Value = serde_json::from_slice(&set.bytes).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(set["keys"][0].get(member).is_none(), "{member}");
        }
    }
}
