//! The signature algorithms this crate can check.

use std::fmt;

/// A signature algorithm this crate can check; a symmetric one is never among them.
///
/// # Source
/// RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
    /// ECDSA on the curve P-256 with SHA-256.
    Es256,
    /// EdDSA on the curve Ed25519, and on no other.
    EdDsa,
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name in a JOSE header, compared byte for byte.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Reads the name in a header or a key. `Ed25519` is the newer name of what `EdDSA` means on that curve.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
