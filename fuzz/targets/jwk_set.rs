//! JWK Sets: each usable key stands in the document once, public, for signatures, and strong enough.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signet_guard::KeySet;

/// Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fuzz_target!(|data: &[u8]| {
    let Ok(set) = KeySet::from_json(data) else { return };
    let document: Value = serde_json::from_slice(data).unwrap_or_default();
    let keys = document["keys"].as_array().map_or(&[][..], Vec::as_slice);
    if !keys.is_empty() {
        assert!(set.len() + set.skipped().len() <= keys.len(), "more keys than the document has");
    }
    for kid in set.key_ids() {
        let bearers: Vec<_> = keys.iter().filter(|key| key["kid"] == kid).collect();
        // A document that nests deeper than `Value` goes has other members beside `keys`; then there is nothing to say.
        if document.is_null() {
            continue;
        }
        assert_eq!(bearers.len(), 1, "{kid:?} is ambiguous");
        let key = bearers[0];
        assert!(PRIVATE.iter().all(|member| key.get(*member).is_none()), "{key} is not a public key");
        assert!(key.get("use").is_none_or(|usage| usage == "sig"), "{key} is not for signatures");
        assert!(matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP")), "{key}");
        if key["kty"] == "RSA" {
            assert!(key["n"].as_str().is_some_and(|n| n.len() >= 2048 / 8 * 4 / 3), "{key} is weak");
        }
    }
});
