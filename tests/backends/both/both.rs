//! A program in which both backends of `jsonwebtoken` are on, and `ring` is the provider of `rustls`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "the guard's tests use more of it")]
#[path = "../../../guard/tests/it/forge.rs"]
mod forge;
#[path = "../scenario.rs"]
mod scenario;
#[allow(dead_code, reason = "the guard's tests use more of it")]
#[path = "../../../guard/tests/it/site.rs"]
mod site;

use jsonwebtoken::{EncodingKey, Header, encode};

#[test]
fn a103_the_guard_works_where_jsonwebtoken_cannot_choose() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let sign = || encode(&Header::default(), &serde_json::json!({}), &EncodingKey::from_secret(b"secret"));
    assert!(
        std::panic::catch_unwind(sign).is_err(),
        "the trap is not set: jsonwebtoken has one backend only"
    );
    scenario::the_guard_works();
}
