//! A program whose `jsonwebtoken` has the backend `rust_crypto`, and whose `rustls` was given no provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "the guard's tests use more of it")]
#[path = "../../../guard/tests/it/forge.rs"]
mod forge;
#[path = "../scenario.rs"]
mod scenario;
#[allow(dead_code, reason = "the guard's tests use more of it")]
#[path = "../../../guard/tests/it/site.rs"]
mod site;

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};

#[test]
fn a103_the_guard_works_without_a_provider_and_leaves_jsonwebtoken_its_backend() {
    let token =
        encode(&Header::default(), &json!({ "exp": 4_000_000_000_u64 }), &EncodingKey::from_secret(b"s"));
    let token = token.unwrap();
    scenario::the_guard_works();
    assert!(
        rustls::crypto::CryptoProvider::get_default().is_none(),
        "the guard installed a provider for all"
    );
    assert!(decode::<Value>(&token, &DecodingKey::from_secret(b"s"), &Validation::default()).is_ok());
}
