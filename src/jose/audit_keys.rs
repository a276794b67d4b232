//! The keys of the audit log: one to seal it, one to digest what it must not show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Mac, MacKeys, RootKeyError, RootKeyId, RootKeys, TAG_BYTES};

/// What the keys are derived for. Other words here would break every seal there is.
const SEALS: &str = "audit-seal";
const DIGESTS: &str = "audit-digest";

/// Keys derived from the root keys. What was sealed under an older one is checked as long as that one stays in the file.
#[derive(Debug)]
pub struct AuditKeys {
    active: RootKeyId,
    seals: MacKeys,
    digests: MacKeys,
    known: Vec<RootKeyId>,
}

/// Whether a seal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealCheck {
    /// It is ours, over just this.
    Holds,
    /// It is not.
    Broken,
    /// The root key that it names is not at hand.
    UnknownKey,
}

impl AuditKeys {
    /// Derives them.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn derive(roots: &RootKeys) -> Result<Self, RootKeyError> {
        Ok(Self {
            active: roots.active().id(),
            seals: MacKeys::derive(roots, SEALS)?,
            digests: MacKeys::derive(roots, DIGESTS)?,
            known: roots.all().map(super::RootKey::id).collect(),
        })
    }

    /// The root key that new seals are made under.
    pub fn active(&self) -> RootKeyId {
        self.active
    }

    /// A seal over these parts, under the active root key.
    pub fn seal(&self, parts: &[Vec<u8>]) -> Option<[u8; TAG_BYTES]> {
        self.seals.authenticate(&slices(parts)).map(|mac| mac.tag)
    }

    /// Whether a seal holds that says it was made under this root key. Compared in constant time.
    pub fn check(&self, parts: &[Vec<u8>], root_key_id: &str, tag: &[u8]) -> SealCheck {
        let Some(root) = root_key_id.parse().ok().filter(|id: &RootKeyId| self.known.contains(id)) else {
            return SealCheck::UnknownKey;
        };
        let holds = tag
            .try_into()
            .is_ok_and(|tag| self.seals.verify(&slices(parts), &Mac { root: root.fingerprint(), tag }));
        if holds { SealCheck::Holds } else { SealCheck::Broken }
    }

    /// A digest that says whether two values are equal and nothing else to whoever lacks the root key. A plain hash of an
    /// e-mail address is found by trying addresses.
    pub fn digest(&self, value: &str) -> Option<String> {
        self.digests.authenticate(&[value.as_bytes()]).map(|mac| URL_SAFE_NO_PAD.encode(mac.tag))
    }
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}
