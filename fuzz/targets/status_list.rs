//! Claims of a status list: what is read is what stands there, every status has its width, and none comes from beyond.
//! An input is bytes of a list behind a byte that says how wide a status is, which the target wraps; or, if it begins with
//! a brace, the whole of the claims.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use signet_guard::{StatusList, StatusListError};

/// What a list may have when inflated.
const LARGEST: u64 = 128 * 1024;

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((b'{', _)) => whole(data),
        Some((width, stream)) => stream_of(1 << (width % 4), stream),
        None => whole(data),
    }
});

fn whole(claims: &[u8]) {
    let Ok(list) = StatusList::from_json(claims) else { return };
    let document: Value = serde_json::from_slice(claims).expect("accepted, though no JSON");
    assert_eq!(document["iss"], list.issuer());
    assert_eq!(document["sub"], list.subject());
    assert_eq!(document["iat"], list.issued_at().as_seconds());
    assert_eq!(document["exp"], list.expires_at().as_seconds());
    statuses(document["status_list"]["bits"].as_u64().expect("bits"), &list);
}

fn stream_of(bits: u64, stream: &[u8]) {
    let lst = URL_SAFE_NO_PAD.encode(stream);
    let claims =
        json!({ "iss": "i", "sub": "s", "iat": 1, "exp": 2, "status_list": { "bits": bits, "lst": lst } });
    match StatusList::from_json(claims.to_string().as_bytes()) {
        Ok(list) => statuses(bits, &list),
        Err(error) => {
            assert!(matches!(error, StatusListError::NotCompressed | StatusListError::TooLarge), "{error}");
        }
    }
}

fn statuses(bits: u64, list: &StatusList) {
    assert!(matches!(bits, 1 | 2 | 4 | 8), "{bits}");
    assert!(list.len() * bits / 8 <= LARGEST, "{} statuses", list.len());
    for index in [0, 1, list.len() / 2, list.len().wrapping_sub(1), list.len(), u64::MAX] {
        let status = list.get(index);
        assert_eq!(status.is_some(), index < list.len(), "{index}");
        assert!(status.is_none_or(|status| u64::from(status) < 1 << bits), "{status:?}");
    }
}
