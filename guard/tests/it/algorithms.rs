//! ES256 and EdDSA beside RS256: RFC 7518 §3.4, RFC 8037 §3.1. A key has one algorithm.

use serde_json::{Value, json};
use signet_guard::{Algorithm, KeySet, KeySource, Reason, SkipReason, Verifier, VerifierBuilder};

use crate::forge::{
    AUDIENCE, CurveKey, ISSUER, b64, claims, clock, ed25519_key, jwk, jwks, key, p256_key, signature,
    verify_with,
};

/// The order n of the group of P-256.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn builder(keys: &[Value]) -> VerifierBuilder {
    let set = KeySet::from_json(&jwks(keys)).unwrap();
    assert!(set.skipped().is_empty(), "{:?}", set.skipped());
    Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(set)).clock(clock())
}

/// One key of each kind.
fn all_keys() -> [Value; 3] {
    [jwk(key(), "rsa"), p256_key().jwk("ec"), ed25519_key().jwk("ed")]
}

fn verifier() -> Verifier {
    builder(&all_keys()).build().unwrap()
}

/// The part of a good token that is signed.
fn signed(alg: &str, kid: &str) -> String {
    let header = json!({ "alg": alg, "typ": "at+jwt", "kid": kid }).to_string();
    format!("{}.{}", b64(header), b64(claims().to_string()))
}

pub(crate) fn signed_by(curve: &CurveKey, alg: &str, kid: &str) -> String {
    let signed = signed(alg, kid);
    format!("{signed}.{}", b64(curve.signature(signed.as_bytes())))
}

pub(crate) fn signed_by_rsa(alg: &str, kid: &str) -> String {
    let signed = signed(alg, kid);
    format!("{signed}.{}", b64(signature(key(), signed.as_bytes())))
}

#[track_caller]
fn assert_refused(verifier: &Verifier, token: &str, reason: Reason) {
    assert_eq!(verify_with(verifier, token).unwrap_err().reason(), reason, "{token}");
}

#[test]
fn each_key_checks_its_own_algorithm() {
    for token in [
        signed_by_rsa("RS256", "rsa"),
        signed_by(p256_key(), "ES256", "ec"),
        signed_by(ed25519_key(), "EdDSA", "ed"),
        signed_by(ed25519_key(), "Ed25519", "ed"),
    ] {
        assert_eq!(verify_with(&verifier(), &token).unwrap().sub, "user-1");
    }
}

#[test]
fn a089_no_key_is_used_with_an_algorithm_of_another() {
    let verifier = verifier();
    let algorithms = [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed"), ("Ed25519", "ed")];
    for (alg, of) in algorithms {
        for kid in ["rsa", "ec", "ed"].iter().filter(|kid| **kid != of) {
            for token in
                [signed_by_rsa(alg, kid), signed_by(p256_key(), alg, kid), signed_by(ed25519_key(), alg, kid)]
            {
                assert_refused(&verifier, &token, Reason::WrongAlgorithm);
            }
        }
        // The right name for the key, and a signature of another.
        for (other, token) in [
            ("rsa", signed_by_rsa(alg, of)),
            ("ec", signed_by(p256_key(), alg, of)),
            ("ed", signed_by(ed25519_key(), alg, of)),
        ] {
            if other != of {
                assert_refused(&verifier, &token, Reason::BadSignature);
            }
        }
    }
    for alg in ["ES384", "ES512", "ES256K", "ESP256", "Ed448", "eddsa", "ED25519", "HS256", "none"] {
        for token in [signed_by(p256_key(), alg, "ec"), signed_by(ed25519_key(), alg, "ed")] {
            assert_refused(&verifier, &token, Reason::WrongAlgorithm);
        }
    }
}

#[test]
fn a089_a_public_key_is_no_secret() {
    for (kid, published) in [("ec", p256_key().jwk("ec")), ("ed", ed25519_key().jwk("ed"))] {
        let text = published.to_string();
        for secret in [text.as_str(), published["x"].as_str().unwrap()] {
            let signed = signed("HS256", kid);
            let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
            let mac = aws_lc_rs::hmac::sign(&mac_key, signed.as_bytes());
            assert_refused(&verifier(), &format!("{signed}.{}", b64(mac)), Reason::WrongAlgorithm);
        }
    }
}

#[test]
fn a089_only_accepted_algorithms_are_checked() {
    let tokens = [
        (Algorithm::Rs256, signed_by_rsa("RS256", "rsa")),
        (Algorithm::Es256, signed_by(p256_key(), "ES256", "ec")),
        (Algorithm::EdDsa, signed_by(ed25519_key(), "EdDSA", "ed")),
    ];
    for accepted in Algorithm::ALL {
        let verifier = builder(&all_keys()).algorithms([*accepted]).build().unwrap();
        for (algorithm, token) in &tokens {
            if algorithm == accepted {
                assert!(verify_with(&verifier, token).is_ok(), "{algorithm}");
            } else {
                assert_refused(&verifier, token, Reason::WrongAlgorithm);
            }
        }
    }
}

#[test]
fn a088_a_signature_on_a_curve_is_right_in_every_bit_or_wrong() {
    for (curve, alg, kid) in [(p256_key(), "ES256", "ec"), (ed25519_key(), "EdDSA", "ed")] {
        let verifier = verifier();
        let signed = signed(alg, kid);
        let right = curve.signature(signed.as_bytes());
        let token = |signature: &[u8]| format!("{signed}.{}", b64(signature));
        assert_eq!(right.len(), 64);
        assert!(verify_with(&verifier, &token(&right)).is_ok());
        for bit in 0..right.len() * 8 {
            let mut flipped = right.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_refused(&verifier, &token(&flipped), Reason::BadSignature);
        }
        let swapped = [&right[32..], &right[..32]].concat();
        let (longer, shifted) = ([&right[..], &[0]].concat(), [&[0], &right[..]].concat());
        // ASN.1, as other protocols write a signature of ECDSA.
        let der = [&[0x30, 0x44, 0x02, 0x20], &right[..32], &[0x02, 0x20], &right[32..]].concat();
        for wrong in [
            vec![0; 64],
            vec![0xff; 64],
            vec![0],
            right[..63].to_vec(),
            right[..32].to_vec(),
            swapped,
            longer,
            shifted,
            der,
            [&right[..32], &[0; 32]].concat(),
            [&[0; 32], &right[32..]].concat(),
            [&P256_ORDER[..], &right[32..]].concat(),
            [&right[..32], &P256_ORDER[..]].concat(),
        ] {
            assert_refused(&verifier, &token(&wrong), Reason::BadSignature);
        }
    }
}

/// ECDSA has two signatures for one message and key, s and n − s. RFC 7518 §3.4 prefers neither, so both are good; a
/// token is no name for itself: `jti` is.
#[test]
fn a088_both_forms_of_an_ecdsa_signature_are_good() {
    let signed = signed("ES256", "ec");
    let mut signature = p256_key().signature(signed.as_bytes());
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = 256 + i32::from(P256_ORDER[at]) - i32::from(signature[32 + at]) - borrow;
        borrow = i32::from(difference < 256);
        signature[32 + at] = u8::try_from(difference % 256).unwrap();
    }
    assert!(verify_with(&verifier(), &format!("{signed}.{}", b64(signature))).is_ok());
}

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
