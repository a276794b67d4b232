//! `Authorization` headers: whatever comes out is one `b64token` that stood behind `Bearer` (RFC 6750 §2.1).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A line each: two headers are two lines.
    let values: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let Ok(Some(token)) = signet_guard::bearer_token(values.iter().copied()) else { return };
    assert_eq!(values.len(), 1, "two headers were taken for one");
    let text = std::str::from_utf8(values[0]).expect("a token came out of bytes that are no text");
    let before = text.strip_suffix(token).expect("the token is not the end of the header");
    assert!(
        before.trim_end_matches(' ').eq_ignore_ascii_case("bearer") && before.ends_with(' '),
        "{before:?}"
    );
    let body = token.trim_end_matches('=');
    assert!(!body.is_empty());
    assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)), "{token:?}");
});
