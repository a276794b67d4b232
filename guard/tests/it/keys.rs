//! JWK Sets with odd keys in them: RFC 7517, RFC 7518 §6.3.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};
use signet_guard::{KeySet, KeySetError, KeySource, Reason, SkipReason, Verifier};

use crate::forge::{
    AUDIENCE, ISSUER, b64, claims, clock, foreign_key, good, header, jwk, jwks, key, sign, verify_with,
};

fn with(members: Value) -> Value {
    let mut odd = jwk(key(), "odd");
    for (name, value) in members.as_object().unwrap() {
        odd[name] = value.clone();
    }
    odd
}

fn modulus(bits: usize) -> String {
    let mut bytes = vec![0xA5; bits / 8];
    *bytes.last_mut().unwrap() |= 1;
    b64(bytes)
}

fn read(keys: &[Value]) -> KeySet {
    KeySet::from_json(&jwks(keys)).unwrap()
}

#[test]
fn a098_odd_keys_are_skipped_one_by_one() {
    let even_modulus = {
        let mut bytes = vec![0xA5; 256];
        bytes[255] = 0xA4;
        b64(bytes)
    };
    let odd_keys = [
        (with(json!({ "n": modulus(1024) })), SkipReason::Modulus),
        (with(json!({ "n": modulus(2040) })), SkipReason::Modulus),
        (with(json!({ "n": modulus(8200) })), SkipReason::Modulus),
        (with(json!({ "n": modulus(65_536) })), SkipReason::Modulus),
        (with(json!({ "n": even_modulus })), SkipReason::Modulus),
        (with(json!({ "n": "" })), SkipReason::Modulus),
        (with(json!({ "n": "AAAA" })), SkipReason::Modulus),
        (with(json!({ "n": "not base64!" })), SkipReason::Malformed),
        (with(json!({ "n": 5 })), SkipReason::Malformed),
        (with(json!({ "e": "AQAA" })), SkipReason::Exponent),
        (with(json!({ "e": "AQ" })), SkipReason::Exponent),
        (with(json!({ "e": "" })), SkipReason::Exponent),
        (with(json!({ "e": "Aw" })), SkipReason::Exponent),
        (with(json!({ "e": b64([0xff, 0xff]) })), SkipReason::Exponent),
        (with(json!({ "e": b64([1, 0, 0, 0, 1]) })), SkipReason::Exponent),
        (with(json!({ "kty": "oct", "k": "c2VjcmV0" })), SkipReason::KeyType),
        (json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "odd", "alg": "HS256" }), SkipReason::KeyType),
        (json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AA", "kid": "odd" }), SkipReason::KeyType),
        (with(json!({ "kty": "rsa" })), SkipReason::KeyType),
        (with(json!({ "kty": 1 })), SkipReason::Malformed),
        (with(json!({ "use": "enc" })), SkipReason::Use),
        (with(json!({ "use": "SIG" })), SkipReason::Use),
        (with(json!({ "key_ops": ["encrypt"] })), SkipReason::Use),
        (with(json!({ "key_ops": [] })), SkipReason::Use),
        (with(json!({ "alg": "RS512" })), SkipReason::Algorithm),
        (with(json!({ "alg": "PS256" })), SkipReason::Algorithm),
        (with(json!({ "alg": "HS256" })), SkipReason::Algorithm),
        (with(json!({ "alg": "none" })), SkipReason::Algorithm),
        (with(json!({ "d": "AQAB" })), SkipReason::Private),
        (with(json!({ "p": "AQAB", "q": "AQAB" })), SkipReason::Private),
        (with(json!({ "kid": "" })), SkipReason::NoKeyId),
        (with(json!({ "kid": 7 })), SkipReason::Malformed),
        (with(json!({ "kid": "k".repeat(257) })), SkipReason::NoKeyId),
        (json!(null), SkipReason::Malformed),
        (json!(17), SkipReason::Malformed),
        (json!("key"), SkipReason::Malformed),
        (json!(["key"]), SkipReason::Malformed),
        (json!({}), SkipReason::Malformed),
    ];
    for (odd, reason) in odd_keys {
        let set = read(&[odd.clone(), jwk(key(), "k1")]);
        assert_eq!(set.key_ids().collect::<Vec<_>>(), ["k1"], "{odd}");
        assert_eq!(set.skipped().iter().map(|skipped| skipped.reason).collect::<Vec<_>>(), [reason], "{odd}");
        let verifier =
            Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(set)).clock(clock()).build().unwrap();
        assert!(verify_with(&verifier, &good()).is_ok(), "{odd}");
    }
}

#[test]
fn a098_a_repeated_member_spoils_its_key_only() {
    let good_key = jwk(key(), "k1").to_string();
    let repeating = jwk(foreign_key(), "odd").to_string().replacen('{', "{\"kid\":\"x\",", 1);
    let set = KeySet::from_json(format!("{{\"keys\":[{repeating},{good_key}]}}").as_bytes()).unwrap();
    assert_eq!(set.key_ids().collect::<Vec<_>>(), ["k1"]);
    assert_eq!(set.skipped()[0].reason, SkipReason::DuplicateMember);
}

#[test]
fn a098_a_key_id_that_comes_twice_names_no_key() {
    let set = read(&[jwk(key(), "k1"), jwk(foreign_key(), "k1"), jwk(key(), "k2")]);
    assert_eq!(set.key_ids().collect::<Vec<_>>(), ["k2"]);
    assert_eq!(
        set.skipped().iter().map(|key| key.reason).collect::<Vec<_>>(),
        [SkipReason::DuplicateKeyId; 2]
    );
    // Also when one of the two would be skipped anyway: which one a token means is still unclear.
    let set = read(&[jwk(key(), "k1"), json!({ "kty": "EC", "kid": "k1" })]);
    assert!(set.is_empty());
}

#[test]
fn a098_harmless_differences_are_no_fault() {
    let mut padded = vec![0];
    padded.extend_from_slice(key().public_key().modulus().big_endian_without_leading_zero());
    for members in [
        json!({ "key_ops": ["verify"] }),
        json!({ "key_ops": ["sign", "verify"] }),
        json!({ "x5c": ["AA=="], "x5t": "AA", "unknown": { "a": [] } }),
        json!({ "n": b64(padded) }),
        json!({ "kid": "k".repeat(256) }),
    ] {
        assert_eq!(read(&[with(members.clone())]).len(), 1, "{members}");
    }
    for absent in ["use", "alg"] {
        let mut sparse = jwk(key(), "k1");
        sparse.as_object_mut().unwrap().remove(absent);
        assert_eq!(read(&[sparse]).len(), 1, "{absent}");
    }
}

#[test]
fn a098_larger_keys_work() {
    let large = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
    let set = read(&[jwk(&large, "k1")]);
    let verifier = Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(set)).clock(clock()).build().unwrap();
    assert!(verify_with(&verifier, &sign(&large, header().to_string(), claims().to_string())).is_ok());
    assert!(verify_with(&verifier, &good()).is_err());
}

#[test]
fn a098_an_empty_set_knows_no_key() {
    let verifier =
        Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(read(&[]))).clock(clock()).build().unwrap();
    assert_eq!(verify_with(&verifier, &good()).unwrap_err().reason(), Reason::UnknownKey);
    for kid in ["", "null", "undefined"] {
        let mut header = header();
        header["kid"] = json!(kid);
        let token = sign(key(), header.to_string(), claims().to_string());
        assert!(verify_with(&verifier, &token).is_err(), "{kid}");
    }
}

#[test]
fn a098_what_is_no_set_is_refused_whole() {
    let thousand: Vec<Value> =
        (0..1000).map(|index| json!({ "kty": "RSA", "kid": index.to_string() })).collect();
    assert_eq!(KeySet::from_json(&jwks(&thousand)).unwrap_err(), KeySetError::TooManyKeys);
    assert_eq!(KeySet::from_json(&jwks(&thousand[..100])).unwrap().skipped().len(), 100);
    assert_eq!(KeySet::from_json(&vec![b' '; 256 * 1024 + 1]).unwrap_err(), KeySetError::TooLarge);
    for text in [
        "",
        "[]",
        "{}",
        "null",
        "{\"keys\":{}}",
        "{\"keys\":null}",
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[]",
    ] {
        assert_eq!(KeySet::from_json(text.as_bytes()).unwrap_err(), KeySetError::Malformed, "{text}");
    }
}
