//! ES256 and EdDSA beside RS256: RFC 7518 §3.4, RFC 8037 §3.1. A key has one algorithm.

use serde_json::{Value, json};
use signet_guard::{Algorithm, KeySet, KeySource, Reason, Verifier, VerifierBuilder};

use crate::forge::{
    AUDIENCE, CurveKey, ISSUER, b64, claims, clock, ed25519_key, jwk, jwks, key, p256_key, signature,
    verify_with,
};

/// The order n of the group of P-256.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

pub(crate) fn builder(keys: &[Value]) -> VerifierBuilder {
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
