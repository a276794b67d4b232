//! Keys on curves in a JWK Set: RFC 7518 §6.2, RFC 8037 §2.

use serde_json::{Value, json};
use signet_guard::{KeySet, SkipReason};

use crate::algorithms::{builder, signed_by};
use crate::forge::{b64, ed25519_key, jwk, jwks, key, p256_key, verify_with};

#[test]
fn a098_odd_keys_on_curves_are_skipped() {
    let (ec, ed) = (p256_key().jwk("odd"), ed25519_key().jwk("odd"));
    let with = |base: &Value, members: Value| {
        let mut odd = base.clone();
        odd.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        odd
    };
    let without = |base: &Value, name: &str| {
        let mut odd = base.clone();
        odd.as_object_mut().unwrap().remove(name).unwrap();
        odd
    };
    let coordinate = |bytes: usize| b64(vec![1; bytes]);
    let mut cases = Vec::new();
    for base in [&ec, &ed] {
        cases.extend([
            (with(base, json!({ "crv": "P-384" })), SkipReason::Curve),
            (with(base, json!({ "crv": "p-256" })), SkipReason::Curve),
            (with(base, json!({ "crv": "secp256k1" })), SkipReason::Curve),
            (with(base, json!({ "crv": "X25519" })), SkipReason::Curve),
            (with(base, json!({ "crv": "Ed448" })), SkipReason::Curve),
            (with(base, json!({ "crv": 256 })), SkipReason::Malformed),
            (without(base, "crv"), SkipReason::Malformed),
            (without(base, "x"), SkipReason::Malformed),
            (with(base, json!({ "x": coordinate(31) })), SkipReason::Point),
            (with(base, json!({ "x": coordinate(33) })), SkipReason::Point),
            (with(base, json!({ "x": "" })), SkipReason::Point),
            (with(base, json!({ "x": "+/+/" })), SkipReason::Malformed),
            (with(base, json!({ "x": [1] })), SkipReason::Malformed),
            (with(base, json!({ "use": "enc" })), SkipReason::Use),
            (with(base, json!({ "use": ["sig"] })), SkipReason::Malformed),
            (with(base, json!({ "key_ops": ["sign"] })), SkipReason::Use),
            (with(base, json!({ "key_ops": ["deriveKey"] })), SkipReason::Use),
            (with(base, json!({ "key_ops": ["verify", "verify"] })), SkipReason::Malformed),
            (with(base, json!({ "key_ops": ["verify", 1] })), SkipReason::Malformed),
            (with(base, json!({ "key_ops": "verify" })), SkipReason::Malformed),
            (with(base, json!({ "alg": "RS256" })), SkipReason::Algorithm),
            (with(base, json!({ "alg": "ES384" })), SkipReason::Algorithm),
            (with(base, json!({ "alg": "ECDH-ES" })), SkipReason::Algorithm),
            (with(base, json!({ "alg": null })), SkipReason::Malformed),
            (with(base, json!({ "d": coordinate(32) })), SkipReason::Private),
            (with(base, json!({ "k": "c2VjcmV0" })), SkipReason::Private),
            (with(base, json!({ "kty": "RSA" })), SkipReason::Algorithm),
        ]);
    }
    cases.extend([
        (with(&ec, json!({ "kty": "OKP" })), SkipReason::Curve),
        (with(&ed, json!({ "kty": "EC" })), SkipReason::Curve),
        (with(&ec, json!({ "alg": "EdDSA" })), SkipReason::Algorithm),
        (with(&ed, json!({ "alg": "ES256" })), SkipReason::Algorithm),
        (without(&ec, "y"), SkipReason::Malformed),
        (with(&ec, json!({ "y": coordinate(31) })), SkipReason::Point),
        (with(&ec, json!({ "y": coordinate(32) })), SkipReason::Point),
        (with(&ec, json!({ "y": ec["x"] })), SkipReason::Point),
        (with(&ec, json!({ "x": b64([0; 32]), "y": b64([0; 32]) })), SkipReason::Point),
        (with(&ec, json!({ "x": b64([0xff; 32]) })), SkipReason::Point),
    ]);
    for (odd, reason) in cases {
        let set = KeySet::from_json(&jwks(&[odd.clone(), jwk(key(), "k1")])).unwrap();
        assert_eq!(set.key_ids().collect::<Vec<_>>(), ["k1"], "{odd}");
        assert_eq!(set.skipped()[0].reason, reason, "{odd}");
    }
}

#[test]
fn a098_what_a_key_on_a_curve_may_leave_out_or_call_itself() {
    for mut key in [p256_key().jwk("k"), ed25519_key().jwk("k")] {
        for name in ["use", "alg"] {
            key.as_object_mut().unwrap().remove(name).unwrap();
        }
        assert_eq!(KeySet::from_json(&jwks(&[key])).unwrap().len(), 1);
    }
    let mut key = ed25519_key().jwk("ed");
    key["alg"] = json!("Ed25519");
    let verifier = builder(&[key]).build().unwrap();
    for alg in ["EdDSA", "Ed25519"] {
        assert!(verify_with(&verifier, &signed_by(ed25519_key(), alg, "ed")).is_ok(), "{alg}");
    }
}

/// With a public key of small order no secret is needed: a signature of nothing but zeros and the neutral point, say,
/// is right for one message in as many as the order. RFC 8032 §5.1.7 leaves such keys to whoever reads them.
#[test]
fn a098_keys_that_anybody_can_sign_with_are_skipped() {
    let points: [[u8; 32]; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(|hex| std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()));
    let other_sign = points.map(|mut point| {
        point[31] ^= 0x80;
        point
    });
    for x in points.into_iter().chain(other_sign) {
        let odd = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "odd", "x": b64(x) });
        let set = KeySet::from_json(&jwks(&[odd])).unwrap();
        assert_eq!(set.skipped().first().map(|skipped| skipped.reason), Some(SkipReason::Point), "{x:?}");
    }
}
