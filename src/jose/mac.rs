//! Message authentication codes under keys derived from the root keys, for what Signet hands out and wants to recognise.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use zeroize::Zeroizing;

use super::{RootKeyError, RootKeys};

/// Bytes of a tag (HMAC-SHA256, RFC 2104, not truncated).
pub const TAG_BYTES: usize = 32;

/// The keys for one purpose, one for each root key. What was made under an older root key is recognised as long as that
/// key stays in the file.
pub struct MacKeys(Vec<MacKey>);

struct MacKey {
    root: [u8; 4],
    key: Key,
}

/// A tag, and which root key it was made under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mac {
    /// The fingerprint of the root key: a name, no secret.
    pub root: [u8; 4],
    /// The tag itself.
    pub tag: [u8; TAG_BYTES],
}

impl MacKeys {
    /// Derives the keys for a purpose (HKDF, RFC 5869 §3.2: the purpose is the `info`).
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn derive(roots: &RootKeys, purpose: &'static str) -> Result<Self, RootKeyError> {
        let derive = |root: &super::RootKey| {
            let mut secret = Zeroizing::new([0; TAG_BYTES]);
            root.derive(purpose.as_bytes(), &mut *secret)?;
            Ok(MacKey { root: root.id().fingerprint(), key: Key::new(HMAC_SHA256, &*secret) })
        };
        roots.all().map(derive).collect::<Result<_, _>>().map(Self)
    }

    /// A tag over all parts in their order, under the active root key.
    pub fn authenticate(&self, parts: &[&[u8]]) -> Option<Mac> {
        let MacKey { root, key } = self.0.first()?;
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(hmac::sign(key, &message(parts)).as_ref());
        Some(Mac { root: *root, tag })
    }

    /// A tag over all parts in their order, under the root key of that fingerprint. `None`: there is none such.
    pub fn authenticate_under(&self, root: [u8; 4], parts: &[&[u8]]) -> Option<[u8; TAG_BYTES]> {
        let MacKey { key, .. } = self.0.iter().find(|key| key.root == root)?;
        hmac::sign(key, &message(parts)).as_ref().try_into().ok()
    }

    /// Whether a tag is ours and over just these parts. Compared in constant time.
    pub fn verify(&self, parts: &[&[u8]], mac: &Mac) -> bool {
        let message = message(parts);
        let under = |key: &&MacKey| key.root == mac.root;
        self.0.iter().filter(under).any(|MacKey { key, .. }| hmac::verify(key, &message, &mac.tag).is_ok())
    }
}

impl std::fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKeys(***)")
    }
}

/// Each part behind its length, so that no two lists of parts read alike. A part may be a secret: the bytes are wiped.
fn message(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
    let mut message = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::{RootKeySource, RootKeyValue};

    const ONE: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const OTHER: &str = "1:IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn roots(line: &str) -> RootKeys {
        RootKeys::load(&RootKeySource::Value(RootKeyValue::new(line.to_owned()))).unwrap().unwrap()
    }

    fn keys(line: &str, purpose: &'static str) -> MacKeys {
        MacKeys::derive(&roots(line), purpose).unwrap()
    }

    #[test]
    fn a_tag_holds_for_its_parts_its_purpose_and_its_root_key_only() {
        let ours = keys(ONE, "a");
        let mac = ours.authenticate(&[b"ab", b"c"]).unwrap();
        assert!(ours.verify(&[b"ab", b"c"], &mac));
        for parts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"c", b"ab"], &[]] {
            assert!(!ours.verify(parts, &mac), "{parts:?}");
        }
        assert!(!keys(ONE, "b").verify(&[b"ab", b"c"], &mac));
        let other = keys(OTHER, "a");
        assert!(!other.verify(&[b"ab", b"c"], &mac));
        let renamed = Mac { root: other.authenticate(&[]).unwrap().root, ..mac };
        assert!(!other.verify(&[b"ab", b"c"], &renamed) && !ours.verify(&[b"ab", b"c"], &renamed));
        for bit in 0..TAG_BYTES * 8 {
            let mut flipped = mac;
            flipped.tag[bit / 8] ^= 1 << (bit % 8);
            assert!(!ours.verify(&[b"ab", b"c"], &flipped), "bit {bit}");
        }
    }

    #[test]
    fn an_older_root_key_of_the_file_is_still_recognised() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |number: u32, line: &str| format!("{number} {}\n", line.split_once(':').unwrap().1);
        let mac = keys(ONE, "a").authenticate(&[b"x"]).unwrap();
        std::fs::write(file.path(), line(2, OTHER) + &line(1, ONE)).unwrap();
        let both = RootKeys::load(&RootKeySource::File(file.path().to_owned())).unwrap().unwrap();
        let both = MacKeys::derive(&both, "a").unwrap();
        assert!(both.verify(&[b"x"], &mac));
        assert!(both.authenticate(&[b"x"]).unwrap() == keys(OTHER, "a").authenticate(&[b"x"]).unwrap());
        assert!(!keys(OTHER, "a").verify(&[b"x"], &mac));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", keys(ONE, "a")), "MacKeys(***)");
    }
}
