//! Signatures, and which key they belong to: RFC 7515 §5.2.

use serde_json::json;
use signet_guard::{KeySet, KeySource, Reason, SharedKeys, Verifier};

use crate::forge::{
    AUDIENCE, ISSUER, accepted, b64, claims, clock, foreign_key, good, header, jwk, jwks, key, refused, sign,
    signature, verify_with, with_claims, with_header_members,
};

fn signed_by(signature: &[u8]) -> String {
    let token = good();
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", b64(signature))
}

#[test]
fn a088_a_signature_is_right_in_every_byte_or_wrong() {
    let token = good();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let right = signature(key(), signed.as_bytes());
    accepted(&signed_by(&right));
    for index in 0..right.len() {
        let mut flipped = right.clone();
        flipped[index] ^= 1 << (index % 8);
        refused(&signed_by(&flipped), Reason::BadSignature);
    }
    for wrong in
        [vec![0; 256], vec![0xff; 256], vec![0], right[..255].to_vec(), right[1..].to_vec(), vec![1; 255]]
    {
        refused(&signed_by(&wrong), Reason::BadSignature);
    }
    let longer: Vec<u8> = right.iter().copied().chain([0]).collect();
    let shifted: Vec<u8> = [0].into_iter().chain(right.iter().copied()).collect();
    for wrong in [longer, shifted, [right.clone(), right].concat()] {
        refused(&signed_by(&wrong), Reason::BadSignature);
    }
}

#[test]
fn a088_a_signature_belongs_to_its_header_and_claims() {
    let token = good();
    let (_, right) = token.rsplit_once('.').unwrap();
    let other_claims = with_claims(json!({ "sub": "admin" }));
    let (signed, _) = other_claims.rsplit_once('.').unwrap();
    refused(&format!("{signed}.{right}"), Reason::BadSignature);
    let other_header = with_header_members(json!({ "x": 1 }));
    let (signed, _) = other_header.rsplit_once('.').unwrap();
    refused(&format!("{signed}.{right}"), Reason::BadSignature);
}

#[test]
fn a088_the_right_key_under_another_name_and_the_other_way_round() {
    let set = KeySet::from_json(&jwks(&[jwk(key(), "k1"), jwk(foreign_key(), "k2")])).unwrap();
    let verifier = Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(set)).clock(clock()).build().unwrap();
    let token = |key, kid: &str| {
        let mut header = header();
        header["kid"] = json!(kid);
        sign(key, header.to_string(), claims().to_string())
    };
    assert!(verify_with(&verifier, &token(key(), "k1")).is_ok());
    assert!(verify_with(&verifier, &token(foreign_key(), "k2")).is_ok());
    for crossed in [token(key(), "k2"), token(foreign_key(), "k1")] {
        assert_eq!(verify_with(&verifier, &crossed).unwrap_err().reason(), Reason::BadSignature);
    }
    refused(&token(foreign_key(), "k1"), Reason::BadSignature);
}

#[test]
fn a101_two_issuers_with_the_same_key_id_do_not_mix() {
    let other = "https://other.example.com";
    let set = |key| KeySet::from_json(&jwks(&[jwk(key, "k1")])).unwrap();
    let build = |issuer: &str, audience: &str, key| {
        Verifier::builder(issuer, audience, KeySource::fixed(set(key))).clock(clock()).build().unwrap()
    };
    let ours = build(ISSUER, AUDIENCE, key());
    let theirs = build(other, AUDIENCE, foreign_key());
    let token = |key, issuer: &str| {
        let mut claims = claims();
        claims["iss"] = json!(issuer);
        sign(key, header().to_string(), claims.to_string())
    };
    for (verifier, right, wrong) in [
        (
            &ours,
            token(key(), ISSUER),
            [token(foreign_key(), ISSUER), token(foreign_key(), other), token(key(), other)],
        ),
        (
            &theirs,
            token(foreign_key(), other),
            [token(key(), other), token(key(), ISSUER), token(foreign_key(), ISSUER)],
        ),
    ] {
        assert!(verify_with(verifier, &right).is_ok());
        for crossed in wrong {
            assert!(verify_with(verifier, &crossed).is_err());
        }
        assert!(verify_with(verifier, &right).is_ok());
    }
    let elsewhere = build(ISSUER, "urn:elsewhere", key());
    assert!(verify_with(&ours, &good()).is_ok());
    assert_eq!(verify_with(&elsewhere, &good()).unwrap_err().reason(), Reason::WrongAudience);
}

#[test]
fn a_replaced_key_set_rules_at_once() {
    let set = |key, kid| KeySet::from_json(&jwks(&[jwk(key, kid)])).unwrap();
    let shared = SharedKeys::new(KeySet::default());
    let keys = KeySource::shared(shared.clone());
    let verifier = Verifier::builder(ISSUER, AUDIENCE, keys).clock(clock()).build().unwrap();
    assert_eq!(verify_with(&verifier, &good()).unwrap_err().reason(), Reason::UnknownKey);
    shared.replace(set(key(), "k1"));
    assert!(verify_with(&verifier, &good()).is_ok());
    shared.replace(set(foreign_key(), "k1"));
    assert_eq!(verify_with(&verifier, &good()).unwrap_err().reason(), Reason::BadSignature);
}
