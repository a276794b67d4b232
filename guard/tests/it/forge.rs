//! Makes tokens: good ones, and any other.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use signet_guard::{
    AccessTokenClaims, Clock, KeySet, KeySource, Reason, Refusal, Timestamp, Verifier, VerifierBuilder,
};

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const PUBLIC_TEXT: &str = "The access token is missing, invalid or not meant for this API.";

/// The issuer's key, called "k1". Made once: it takes a while.
pub(crate) fn key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// A key of somebody else.
pub(crate) fn foreign_key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// A key on a curve.
pub(crate) enum CurveKey {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(crate) fn p256_key() -> &'static CurveKey {
    static KEY: OnceLock<CurveKey> = OnceLock::new();
    KEY.get_or_init(|| CurveKey::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
}

pub(crate) fn ed25519_key() -> &'static CurveKey {
    static KEY: OnceLock<CurveKey> = OnceLock::new();
    KEY.get_or_init(|| CurveKey::Ed25519(Ed25519KeyPair::generate().unwrap()))
}

impl CurveKey {
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": b64(x), "y": b64(y) })
            }
            Self::Ed25519(pair) => {
                let x = b64(pair.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
            }
        }
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn jwk(key: &RsaKeyPair, kid: &str) -> Value {
    let public = key.public_key();
    let n = b64(public.modulus().big_endian_without_leading_zero());
    let e = b64(public.exponent().big_endian_without_leading_zero());
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
}

pub(crate) fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

pub(crate) fn key_set() -> KeySet {
    KeySet::from_json(&jwks(&[jwk(key(), "k1")])).unwrap()
}

pub(crate) fn clock() -> Clock {
    Clock::fixed(Timestamp::from_seconds(NOW))
}

pub(crate) fn builder() -> VerifierBuilder {
    Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(key_set())).clock(clock())
}

pub(crate) fn verifier() -> Verifier {
    builder().build().unwrap()
}

pub(crate) fn header() -> Value {
    json!({ "alg": "RS256", "typ": "at+jwt", "kid": "k1" })
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "user-1", "aud": AUDIENCE, "client_id": "app", "jti": "t-1",
        "iat": NOW - 10, "exp": NOW + 590, "scope": "read write", "roles": ["editor"],
    })
}

/// Signs whatever bytes it is given.
pub(crate) fn sign(key: &RsaKeyPair, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    format!("{signed}.{}", b64(signature(key, signed.as_bytes())))
}

pub(crate) fn signature(key: &RsaKeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

pub(crate) fn good() -> String {
    sign(key(), header().to_string(), claims().to_string())
}

/// A good token with another header text.
pub(crate) fn with_header(header: impl AsRef<[u8]>) -> String {
    sign(key(), header, claims().to_string())
}

/// A good token whose header has these members instead; null removes one.
pub(crate) fn with_header_members(members: Value) -> String {
    with_header(merged(header(), members).to_string())
}

/// A good token with another claims text.
pub(crate) fn with_claims_text(claims: impl AsRef<[u8]>) -> String {
    sign(key(), header().to_string(), claims)
}

/// A good token that has these claims instead.
pub(crate) fn with_claims(members: Value) -> String {
    with_claims_text(merged(claims(), members).to_string())
}

/// A good token that lacks this claim.
pub(crate) fn without_claim(name: &str) -> String {
    let mut claims = claims();
    assert!(claims.as_object_mut().unwrap().remove(name).is_some(), "{name} was not there");
    with_claims_text(claims.to_string())
}

/// A good token whose claim `name` is this JSON text, which need not be a value Rust can hold.
pub(crate) fn with_claim_text(name: &str, json: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    let rest = claims.to_string();
    with_claims_text(format!("{{\"{name}\":{json},{}", &rest[1..]))
}

fn merged(mut base: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

/// Runs a verification that waits for nothing; one that did wait would be a fault.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a verification with keys at hand waited for something"),
    }
}

pub(crate) fn verify_with(verifier: &Verifier, token: &str) -> Result<Arc<AccessTokenClaims>, Refusal> {
    now_or_never(verifier.verify(token))
}

pub(crate) fn verify(token: &str) -> Result<Arc<AccessTokenClaims>, Refusal> {
    verify_with(&verifier(), token)
}

#[track_caller]
pub(crate) fn accepted(token: &str) -> Arc<AccessTokenClaims> {
    verify(token).unwrap_or_else(|refusal| panic!("refused: {refusal:?}: {token}"))
}

/// The token is refused for this reason, and its sender is told what every sender is told.
#[track_caller]
pub(crate) fn refused(token: &str, reason: Reason) -> Refusal {
    let refusal = verify(token).expect_err(token);
    assert_eq!(refusal.reason(), reason, "{refusal:?}: {token}");
    assert_eq!(refusal.status(), 401);
    if reason != Reason::Expired {
        assert_eq!(refusal.to_string(), PUBLIC_TEXT);
    }
    refusal
}
