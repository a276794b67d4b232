//! What a program does with the guard, from the making of a verifier to the fetching of keys.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use signet_guard::{KeySet, KeySource, Reason, Verifier};

use crate::forge::{
    AUDIENCE, ISSUER, b64, claims, clock, ed25519_key, foreign_key, jwk, jwks, key, p256_key, sign,
    signature, verify_with,
};
use crate::site::Site;

/// Also of other threads, whose panics would otherwise look like a failed fetch.
static PANICS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn the_guard_works() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    keys_at_hand();
    keys_of_the_issuer();
    tls();
    drop(std::panic::take_hook());
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

fn token(alg: &str, issuer: &str, audience: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut claims = claims();
    claims["iss"] = json!(issuer);
    claims["aud"] = json!(audience);
    let header = json!({ "alg": alg, "typ": "at+jwt", "kid": alg }).to_string();
    let signed = format!("{}.{}", b64(header), b64(claims.to_string()));
    format!("{signed}.{}", b64(sign(signed.as_bytes())))
}

fn published() -> [Value; 3] {
    [jwk(key(), "RS256"), p256_key().jwk("ES256"), ed25519_key().jwk("EdDSA")]
}

fn tokens(issuer: &str, audience: &str) -> [String; 3] {
    [
        token("RS256", issuer, audience, |message| signature(key(), message)),
        token("ES256", issuer, audience, |message| p256_key().signature(message)),
        token("EdDSA", issuer, audience, |message| ed25519_key().signature(message)),
    ]
}

fn keys_at_hand() {
    let keys = KeySource::fixed(KeySet::from_json(&jwks(&published())).unwrap());
    let verifier = Verifier::builder(ISSUER, AUDIENCE, keys).clock(clock()).build().unwrap();
    for token in tokens(ISSUER, AUDIENCE) {
        assert!(verify_with(&verifier, &token).is_ok());
        assert!(verify_with(&verifier, &token).is_ok());
    }
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "RS256" }).to_string();
    let forged = sign(foreign_key(), header, claims().to_string());
    assert_eq!(verify_with(&verifier, &forged).unwrap_err().reason(), Reason::BadSignature);
}

fn keys_of_the_issuer() {
    let site = Site::with_keys(&published());
    let keys = KeySource::remote(site.url()).unwrap();
    let verifier = Verifier::builder(site.url(), site.url(), keys).clock(clock()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for token in tokens(site.url(), site.url()) {
        assert!(runtime.block_on(verifier.verify(&token)).is_ok());
    }
    assert_eq!(site.total(), 2);
}

/// The other side does not speak TLS; but whoever lacks a provider fails before a byte is sent.
fn tls() {
    let site = Site::start();
    let issuer = site.url().replace("http://", "https://");
    let verifier = Verifier::for_issuer(&issuer).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refusal = runtime.block_on(verifier.verify(&tokens(&issuer, &issuer)[0])).unwrap_err();
    assert_eq!(refusal.reason(), Reason::KeysUnavailable);
}
