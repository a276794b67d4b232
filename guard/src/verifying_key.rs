//! A public key, parsed once, that belongs to exactly one algorithm.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};

use crate::algorithm::Algorithm;

#[derive(Debug)]
pub(crate) struct VerifyingKey {
    id: String,
    algorithm: Algorithm,
    public: ParsedPublicKey,
}

impl VerifyingKey {
    /// `None` when the numbers are no key.
    pub(crate) fn rs256(id: &str, n: &[u8], e: &[u8]) -> Option<Self> {
        let public =
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some(Self { id: id.to_owned(), algorithm: Algorithm::Rs256, public })
    }

    /// `None` when the point is not on the curve.
    pub(crate) fn es256(id: &str, x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        // SEC 1 §2.3.3, uncompressed.
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self { id: id.to_owned(), algorithm: Algorithm::Es256, public })
    }

    /// `None` when the library will not have it. Bytes that are no point are found out at the first signature,
    /// which they cannot have made.
    pub(crate) fn ed25519(id: &str, x: &[u8; 32]) -> Option<Self> {
        let public = ParsedPublicKey::new(&ED25519, x).ok()?;
        Some(Self { id: id.to_owned(), algorithm: Algorithm::EdDsa, public })
    }

    /// Its `kid`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this key signed `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    /// Whether both are the same key under the same name, however often it was read.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.id == other.id
            && self.algorithm == other.algorithm
            && self.public.as_ref() == other.public.as_ref()
    }
}
