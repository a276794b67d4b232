//! Tokens that nobody may take.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPublicKey;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};
use signet::jose::PrivateKey;

use crate::helpers::app::{TestApp, claims_of, header_of, key_pem};
use crate::helpers::mint;

fn with_payload(token: &str, name: &str, value: &str) -> String {
    let mut claims = claims_of(token);
    claims[name] = json!(value);
    let parts: Vec<_> = token.split('.').collect();
    [parts[0], &URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]].join(".")
}

fn with_signature_changed(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", &signature[1..])
}

fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

/// Signed with a public key as if it were a secret that two share.
fn hs256(token: &str, secret: &[u8]) -> String {
    let mut header = header_of(token);
    header["alg"] = json!("HS256");
    let message = unsigned(&header, &claims_of(token));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// What nobody may take, each but one step from `good`.
pub(super) fn bad_tokens(app: &TestApp, good: &str) -> Vec<(&'static str, String)> {
    let (header, claims) = (header_of(good), claims_of(good));
    let changed = |part: &Value, name: &str, value: Value| {
        let mut part = part.clone();
        part[name] = value;
        part
    };
    let claiming = |name: &str, value: Value| mint::sign(&header, &changed(&claims, name, value));
    let headed = |name: &str, value: Value| mint::sign(&changed(&header, name, value), &claims);
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        mint::sign(&header, &claims)
    };
    let none = |alg: &str| format!("{}.", unsigned(&changed(&header, "alg", json!(alg)), &claims));
    let jwk = PrivateKey::from_pkcs8_pem(key_pem()).unwrap().public_jwk();
    let jwk: Value = serde_json::from_str(&jwk.to_json()).unwrap();
    let number = |name: &str| {
        rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap())
    };
    let public = RsaPublicKey::new(number("n"), number("e")).unwrap();
    let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
    let published = app.app.keyring.published().bytes.clone();
    vec![
        ("a changed payload", with_payload(good, "sub", "somebody-else")),
        ("a changed signature", with_signature_changed(good)),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
        ("another audience", claiming("aud", json!("https://another-api.example"))),
        ("another issuer", claiming("iss", json!("https://another-issuer.example"))),
        ("no end", without("exp")),
        ("no subject", without("sub")),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("HS256 with the PEM", hs256(good, pem.as_bytes())),
        ("HS256 with the DER", hs256(good, public.to_public_key_der().unwrap().as_bytes())),
        ("HS256 with the modulus", hs256(good, jwk["n"].as_str().unwrap().as_bytes())),
        ("HS256 with the JWK Set", hs256(good, &published)),
        ("an ID token", headed("typ", json!("JWT"))),
        ("a status list", headed("typ", json!("statuslist+jwt"))),
        ("a stranger's kid", headed("kid", json!("a-stranger"))),
    ]
}
