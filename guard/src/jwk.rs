//! One published key: RFC 7517 §4, RFC 7518 §6.2 and §6.3, RFC 8037 §2.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::verifying_key::VerifyingKey;

/// The longest key id that is looked at, in bytes. A thumbprint has 43.
pub(crate) const MAX_KEY_ID: usize = 256;

/// Members that only a private or a symmetric key has.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a key of a set is not used. The others of the set still are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// Not an object, a member that is absent or of the wrong type, a number that is not base64url, or a
    /// `key_ops` that names an operation twice.
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
    /// `kty` is not `RSA`, `EC` or `OKP`.
    #[error("kty is not RSA, EC or OKP")]
    KeyType,
    /// `crv` is not `P-256` for `EC`, not `Ed25519` for `OKP`.
    #[error("not a curve this crate knows")]
    Curve,
    /// `use` or `key_ops` says that the key is not for checking signatures.
    #[error("not for checking signatures")]
    Use,
    /// `alg` is not the one algorithm that this crate checks with such a key.
    #[error("alg is not RS256 for RSA, ES256 for P-256 or EdDSA for Ed25519")]
    Algorithm,
    /// The key holds private members: it was published by mistake and must be thought of as stolen.
    #[error("holds a private key")]
    Private,
    /// Fewer than 2048 or more than 8192 bits, or an even modulus.
    #[error("modulus is even, shorter than 2048 bits or longer than 8192")]
    Modulus,
    /// The public exponent is even, below 2^16 (FIPS 186-5 §5.1) or needs more than 32 bits.
    #[error("exponent is even, below 2^16 or longer than 32 bits")]
    Exponent,
    /// `x` or `y` has not 32 bytes, or they are no point of the curve, or one with which anybody can sign.
    #[error("not a point of its curve, 32 bytes a coordinate, or one of small order")]
    Point,
}

impl VerifyingKey {
    /// Reads the members of one key whose `kid` is `id`.
    pub(crate) fn from_jwk(id: &str, members: &Map<String, Value>) -> Result<Self, SkipReason> {
        let jwk = Jwk(members);
        let key_type = jwk.text("kty")?.ok_or(SkipReason::Malformed)?;
        if !["RSA", "EC", "OKP"].contains(&key_type) {
            return Err(SkipReason::KeyType);
        }
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err(SkipReason::Private);
        }
        jwk.is_for_verifying()?;
        match key_type {
            "EC" => jwk.p256(id),
            "OKP" => jwk.ed25519(id),
            _ => jwk.rsa(id),
        }
    }
}

struct Jwk<'a>(&'a Map<String, Value>);

impl<'a> Jwk<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, SkipReason> {
        self.0.get(name).map(|value| value.as_str().ok_or(SkipReason::Malformed)).transpose()
    }

    /// `Base64urlUInt` and its like: RFC 7518 §2.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, SkipReason> {
        let text = self.text(name)?.ok_or(SkipReason::Malformed)?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| SkipReason::Malformed)
    }

    /// A number without its leading zero octets. RFC 7518 §2 allows none, yet some libraries write one.
    fn unsigned(&self, name: &str) -> Result<Vec<u8>, SkipReason> {
        Ok(self.bytes(name)?.into_iter().skip_while(|byte| *byte == 0).collect())
    }

    /// Always the full size of the field: RFC 7518 §6.2.1.2.
    fn coordinate(&self, name: &str) -> Result<[u8; 32], SkipReason> {
        self.bytes(name)?.try_into().map_err(|_| SkipReason::Point)
    }

    /// `use` and `key_ops`, RFC 7517 §4.2 and §4.3; absent ones allow everything.
    fn is_for_verifying(&self) -> Result<(), SkipReason> {
        if self.text("use")?.is_some_and(|used_for| used_for != "sig") {
            return Err(SkipReason::Use);
        }
        let Some(operations) = self.0.get("key_ops") else { return Ok(()) };
        let operations = operations.as_array().ok_or(SkipReason::Malformed)?;
        let mut seen = HashSet::new();
        if !operations.iter().all(|operation| operation.as_str().is_some_and(|name| seen.insert(name))) {
            return Err(SkipReason::Malformed);
        }
        if seen.contains("verify") { Ok(()) } else { Err(SkipReason::Use) }
    }

    /// A key belongs to one algorithm (RFC 8725 §3.1): its label, when it has one, says no other.
    fn is_labelled(&self, algorithm: Algorithm) -> Result<(), SkipReason> {
        match self.text("alg")? {
            None => Ok(()),
            Some(name) if Algorithm::from_name(name) == Some(algorithm) => Ok(()),
            Some(_) => Err(SkipReason::Algorithm),
        }
    }

    fn is_on(&self, curve: &str) -> Result<(), SkipReason> {
        if self.text("crv")?.ok_or(SkipReason::Malformed)? == curve { Ok(()) } else { Err(SkipReason::Curve) }
    }

    fn rsa(&self, id: &str) -> Result<VerifyingKey, SkipReason> {
        self.is_labelled(Algorithm::Rs256)?;
        let (n, e) = (self.unsigned("n")?, self.unsigned("e")?);
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !(2048..=8192).contains(&bits(&n)) || !odd(&n) {
            return Err(SkipReason::Modulus);
        }
        if !(17..=32).contains(&bits(&e)) || !odd(&e) {
            return Err(SkipReason::Exponent);
        }
        VerifyingKey::rs256(id, &n, &e).ok_or(SkipReason::Malformed)
    }

    fn p256(&self, id: &str) -> Result<VerifyingKey, SkipReason> {
        self.is_on("P-256")?;
        self.is_labelled(Algorithm::Es256)?;
        VerifyingKey::es256(id, &self.coordinate("x")?, &self.coordinate("y")?).ok_or(SkipReason::Point)
    }

    fn ed25519(&self, id: &str) -> Result<VerifyingKey, SkipReason> {
        self.is_on("Ed25519")?;
        self.is_labelled(Algorithm::EdDsa)?;
        let x = self.coordinate("x")?;
        if is_of_small_order(&x) {
            return Err(SkipReason::Point);
        }
        VerifyingKey::ed25519(id, &x).ok_or(SkipReason::Point)
    }
}

/// Whether a point of Ed25519 is one of the eight whose multiples are but eight, in any spelling. No secret is needed to
/// sign under such a key, and one of them is what an empty field looks like; the signature check of the library takes
/// them, as RFC 8032 §5.1.7 allows.
fn is_of_small_order(point: &[u8; 32]) -> bool {
    // Two of order 8, by `y` alone: the highest bit is the sign of `x`.
    const OF_ORDER_EIGHT: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *point;
    y[31] &= 0x7f;
    // The others have a `y` of -1, 0 or 1, which p - 1, p and p + 1 spell too; p = 2^255 - 19 is ed ff .. ff 7f.
    let (lowest, rest) = (y[0], &y[1..]);
    let is_small = lowest <= 1 && rest.iter().all(|byte| *byte == 0);
    let is_near_p =
        (0xec..=0xee).contains(&lowest) && rest[30] == 0x7f && rest[..30].iter().all(|byte| *byte == 0xff);
    is_small || is_near_p || OF_ORDER_EIGHT.contains(&y)
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
