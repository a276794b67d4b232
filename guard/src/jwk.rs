//! One published key: RFC 7517 §4, RFC 7518 §6.3.

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse, RSAKeyParameters,
};
use serde_json::{Map, Value};

/// The longest key id that is looked at, in bytes. A thumbprint has 43.
pub(crate) const MAX_KEY_ID: usize = 256;

/// A signature algorithm this crate can check: RFC 7518 §3.1. Room is left for more; a symmetric one is never
/// among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
}

impl Algorithm {
    /// The name in a JOSE header, compared byte for byte.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Rs256].into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a key of a set is not used. The others of the set still are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// Not an object, a member of the wrong type, or `n`/`e` not base64url.
    #[error("malformed")]
    Malformed,
    /// A member name comes twice.
    #[error("a member name comes twice")]
    DuplicateMember,
    /// No `kid`, an empty one, or one of more than 256 bytes: no token could name this key.
    #[error("no usable kid")]
    NoKeyId,
    /// Another key of the set has the same `kid`; neither is used.
    #[error("another key has the same kid")]
    DuplicateKeyId,
    /// `kty` is not `RSA`.
    #[error("kty is not RSA")]
    KeyType,
    /// `use` or `key_ops` says that the key is not for checking signatures.
    #[error("not for checking signatures")]
    Use,
    /// `alg` is not `RS256`.
    #[error("alg is not RS256")]
    Algorithm,
    /// The key holds private members: it was published by mistake and must be thought of as stolen.
    #[error("holds a private key")]
    Private,
    /// Fewer than 2048 or more than 8192 bits, or an even modulus.
    #[error("modulus is even, shorter than 2048 bits or longer than 8192")]
    Modulus,
    /// The public exponent is even, 1, or needs more than 32 bits.
    #[error("exponent is even, 1 or longer than 32 bits")]
    Exponent,
}

/// A public key, parsed once, that belongs to exactly one algorithm.
#[derive(Debug)]
pub(crate) enum VerifyingKey {
    Rs256(ParsedPublicKey),
}

impl VerifyingKey {
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// Whether this key signed `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    pub(crate) fn from_jwk(members: &Map<String, Value>) -> Result<Self, SkipReason> {
        if members.get("kty").and_then(Value::as_str).ok_or(SkipReason::Malformed)? != "RSA" {
            return Err(SkipReason::KeyType);
        }
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| members.contains_key(*name)) {
            return Err(SkipReason::Private);
        }
        let jwk: Jwk =
            serde_json::from_value(Value::Object(members.clone())).map_err(|_| SkipReason::Malformed)?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err(SkipReason::Use);
        }
        if jwk.common.key_operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return Err(SkipReason::Use);
        }
        match (jwk.algorithm, jwk.common.key_algorithm) {
            (AlgorithmParameters::RSA(rsa), None | Some(KeyAlgorithm::RS256)) => rs256(&rsa),
            (AlgorithmParameters::RSA(_), Some(_)) => Err(SkipReason::Algorithm),
            // `kty` said RSA, so `n` or `e` is missing or no string.
            _ => Err(SkipReason::Malformed),
        }
    }
}

fn rs256(rsa: &RSAKeyParameters) -> Result<VerifyingKey, SkipReason> {
    let n = unsigned(&rsa.n)?;
    let e = unsigned(&rsa.e)?;
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !(2048..=8192).contains(&bits(&n)) || !odd(&n) {
        return Err(SkipReason::Modulus);
    }
    if !(2..=32).contains(&bits(&e)) || !odd(&e) {
        return Err(SkipReason::Exponent);
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map(VerifyingKey::Rs256)
        .map_err(|_| SkipReason::Malformed)
}

/// `Base64urlUInt`, RFC 7518 §2. Leading zero octets are not allowed there, yet some libraries write one.
fn unsigned(text: &str) -> Result<Vec<u8>, SkipReason> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SkipReason::Malformed)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
