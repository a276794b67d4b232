//! Whatever is sent: no panic, and nothing let in but what was signed.

use proptest::prelude::*;
use signet_guard::{AccessTokenClaims, KeySet, Scope, bearer_token};

use crate::forge::{accepted, b64, good, key, sign, verify, with_claims_text, with_header};

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
