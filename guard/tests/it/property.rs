//! Whatever is sent: no panic, and nothing let in but what was signed.

use proptest::prelude::*;
use serde_json::{Value, json};
use signet_guard::{AccessTokenClaims, KeySet, KeySource, Reason, Scope, Verifier, bearer_token};

use crate::algorithms::{signed_by, signed_by_rsa};
use crate::forge::{
    AUDIENCE, ISSUER, accepted, b64, builder, clock, ed25519_key, good, jwk, jwks, key, p256_key, sign,
    verify, verify_with, with_claims_text, with_header,
};

#[test]
fn every_changed_byte_is_noticed() {
    let token = good();
    accepted(&token);
    for index in 0..token.len() {
        for replacement in ["A", "~", ".", "\u{0}"] {
            let mut changed = token.clone();
            changed.replace_range(index..=index, replacement);
            assert!(changed == token || verify(&changed).is_err(), "accepted with byte {index} changed");
        }
    }
}

/// JSON of every kind, often such as a key may hold.
fn json_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<Option<bool>>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
        any::<Vec<u8>>().prop_map(|bytes| json!(b64(bytes))),
        any::<[u8; 32]>().prop_map(|bytes| json!(b64(bytes))),
        "(RSA|EC|OKP|oct|sig|enc|verify|sign|RS256|ES256|EdDSA|HS256|P-256|P-384|Ed25519)"
            .prop_map(|text| json!(text)),
        prop::collection::vec("(verify|sign|encrypt)", 0..4).prop_map(|texts| json!(texts)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_a_token(text in any::<String>()) {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn no_three_parts_are_a_token(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let token = format!("{}.{}.{}", b64(header), b64(claims), b64(signature));
        prop_assert!(verify(&token).is_err());
    }

    #[test]
    fn no_signed_rubbish_is_a_token(bytes in any::<Vec<u8>>()) {
        prop_assert!(verify(&with_header(&bytes)).is_err());
        prop_assert!(verify(&with_claims_text(&bytes)).is_err());
        prop_assert!(verify(&sign(key(), &bytes, &bytes)).is_err());
    }

    #[test]
    fn a_token_with_a_byte_changed_is_refused(index in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let token = good();
        let index = index.index(token.len());
        prop_assume!(token.as_bytes()[index] != byte);
        let mut changed = token.into_bytes();
        changed[index] = byte;
        prop_assert!(verify(std::str::from_utf8(&changed).unwrap()).is_err());
    }

    #[test]
    fn a_token_cut_short_or_lengthened_is_refused(index in any::<prop::sample::Index>(), tail in "[A-Za-z0-9_.-]{1,8}") {
        let token = good();
        let cut = index.index(token.len());
        prop_assert!(verify(&token[..cut]).is_err());
        let longer = format!("{token}{tail}");
        prop_assert!(verify(&longer).is_err());
    }

    /// Once it was proven, too: what is remembered belongs to one text.
    #[test]
    fn a_likeness_of_a_remembered_token_is_refused(index in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let verifier = builder().build().unwrap();
        let token = good();
        prop_assert!(verify_with(&verifier, &token).is_ok());
        let mut changed = token.into_bytes();
        let index = index.index(changed.len());
        changed[index] ^= 1 << bit;
        prop_assert!(verify_with(&verifier, std::str::from_utf8(&changed).unwrap()).is_err());
        prop_assert_eq!(verifier.remembered(), 1);
    }

    /// RFC 6750 §2.1: nothing is a token but what stands alone behind `Bearer` and spaces, and it is handed on as is.
    #[test]
    fn one_header_holds_one_token_or_none(
        scheme in "[Bb][Ee][Aa][Rr][Ee][Rr]", spaces in " {1,3}", token in "[A-Za-z0-9._~+/-]{1,40}={0,2}",
        before in "[ \\t]?", after in "[ \\t,;\"]?",
    ) {
        let value = format!("{before}{scheme}{spaces}{token}{after}");
        let found = bearer_token([value.as_bytes()]);
        if before.is_empty() && after.is_empty() {
            prop_assert_eq!(found.unwrap(), Some(token.as_str()));
        } else {
            prop_assert_eq!(found.unwrap_err().reason(), Reason::MalformedCredentials);
        }
        prop_assert_eq!(
            bearer_token([value.as_bytes(), value.as_bytes()]).unwrap_err().reason(),
            Reason::SeveralCredentials
        );
    }

    #[test]
    fn what_is_read_from_any_header_could_be_a_token(bytes in any::<Vec<u8>>(), text in "[Bb]earer.{0,60}") {
        for value in [bytes.as_slice(), text.as_bytes()] {
            if let Ok(Some(token)) = bearer_token([value]) {
                prop_assert!(!token.is_empty() && value.ends_with(token.as_bytes()));
                prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)));
            }
        }
    }

    /// Whatever a member of a good key is replaced by: the key keeps its meaning or is left out, alone.
    #[test]
    fn a_key_with_an_odd_member_means_the_same_or_nothing(
        which in 0_usize..3, member in "(kty|use|key_ops|alg|crv|n|e|x|y|d|k|oth)", value in json_value(),
    ) {
        let (mut odd, token) = match which {
            0 => (jwk(key(), "k"), signed_by_rsa("RS256", "k")),
            1 => (p256_key().jwk("k"), signed_by(p256_key(), "ES256", "k")),
            _ => (ed25519_key().jwk("k"), signed_by(ed25519_key(), "EdDSA", "k")),
        };
        let same = odd.get(&member) == Some(&value);
        let is_number = ["n", "e", "x", "y"].contains(&member.as_str()) && odd.get(&member).is_some();
        odd[&member] = value;
        let set = KeySet::from_json(&jwks(&[odd.clone(), jwk(key(), "other")])).unwrap();
        prop_assert!(set.contains("other") && set.len() + set.skipped().len() == 2);
        let usable = set.contains("k");
        prop_assert!(!usable || !["d", "k", "oth"].contains(&member.as_str()), "{}", odd);
        let verifier = Verifier::builder(ISSUER, AUDIENCE, KeySource::fixed(set)).clock(clock()).build().unwrap();
        prop_assert_eq!(verify_with(&verifier, &token).is_ok(), usable && (same || !is_number), "{}", odd);
    }

    #[test]
    fn no_bytes_break_the_readers(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        let _ = KeySet::from_json(&bytes);
        let _ = AccessTokenClaims::from_json(&bytes);
        let _ = bearer_token([bytes.as_slice()]);
        if let Ok(scope) = Scope::parse(&text) {
            prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
        }
    }
}
