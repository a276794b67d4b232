//! Claims and checks of the API's own, and how a verifier is set up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use signet_guard::{Algorithm, ConfigError, KeySet, KeySource, Reason, Verifier};

use crate::api::{answer, assert_invalid_token, bearer, get};
use crate::forge::{AUDIENCE, ISSUER, NOW, builder, good, key_set, verifier, verify_with, with_claims};

#[actix_web::test]
async fn own_claims_have_the_type_the_handler_asks_for() {
    let token = with_claims(json!({ "tenant": "t1", "more": [1, 2] }));
    let right = answer(&verifier(), bearer("/own", &token)).await;
    assert_eq!((right.status, right.body), (200, json!({ "tenant": "t1" })));
    for tenant in [Value::Null, json!(1), json!(["t1"])] {
        let token = with_claims(json!({ "tenant": tenant }));
        assert_invalid_token(&answer(&verifier(), bearer("/own", &token)).await);
    }
    assert_invalid_token(&answer(&verifier(), bearer("/own", &good())).await);
}

#[test]
fn own_checks_run_on_every_request_and_only_on_good_tokens() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let verifier = builder()
        .check("counted", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            true
        })
        .check("tenant", |claims| claims.own.get("tenant") == Some(&json!("t1")))
        .build()
        .unwrap();
    let token = with_claims(json!({ "tenant": "t1" }));
    for expected in 1..=3 {
        assert!(verify_with(&verifier, &token).is_ok());
        assert_eq!(runs.load(Ordering::Relaxed), expected);
    }
    let refusal = verify_with(&verifier, &good()).unwrap_err();
    assert_eq!((refusal.reason(), refusal.subject()), (Reason::OwnCheck, Some("tenant")));
    assert_eq!(runs.load(Ordering::Relaxed), 4);
    let expired = with_claims(json!({ "tenant": "t1", "iat": NOW - 100, "exp": NOW - 50 }));
    assert_eq!(verify_with(&verifier, &expired).unwrap_err().reason(), Reason::Expired);
    assert_eq!(runs.load(Ordering::Relaxed), 4);
}

#[actix_web::test]
async fn the_realm_is_the_verifiers() {
    let verifier = builder().realm("the \"shop\"").build().unwrap();
    let forbidden = with_claims(json!({ "scope": "write" }));
    for request in [get("/me"), bearer("/me", "x"), bearer("/me", ""), bearer("/read", &forbidden)] {
        let challenge = answer(&verifier, request).await.challenge.unwrap();
        assert!(challenge.starts_with("Bearer realm=\"the \\\"shop\\\"\""), "{challenge}");
    }
}

#[test]
fn a_required_claim_is_there_or_the_token_is_refused() {
    let demand = |name: &str| builder().require_claim(name).build().unwrap();
    for (name, value) in [("tenant", json!("t1")), ("tenant", json!(false)), ("auth_time", json!(NOW - 60))] {
        assert!(verify_with(&demand(name), &with_claims(json!({ name: value }))).is_ok(), "{name}");
        let refusal = verify_with(&demand(name), &good()).unwrap_err();
        assert_eq!((refusal.reason(), refusal.subject()), (Reason::MissingClaim, Some(name)));
    }
    for name in ["iss", "jti", "scope", "roles"] {
        assert!(verify_with(&demand(name), &good()).is_ok(), "{name}");
    }
    for (name, nothing) in [("tenant", Value::Null), ("scope", json!("")), ("roles", json!([]))] {
        let token = with_claims(json!({ name: nothing }));
        assert_eq!(verify_with(&demand(name), &token).unwrap_err().reason(), Reason::MissingClaim, "{name}");
    }
    // Only who holds a token that is right in all else is told that it expired.
    let expired = with_claims(json!({ "iat": NOW - 100, "exp": NOW - 50 }));
    assert_eq!(verify_with(&demand("tenant"), &expired).unwrap_err().reason(), Reason::MissingClaim);
}

#[test]
fn scopes_and_roles_are_checked_on_bare_claims_too() {
    let claims = verify_with(&verifier(), &good()).unwrap();
    assert!(claims.require_scope("read").is_ok());
    assert!(claims.require_role("editor").is_ok());
    let refusal = claims.require_scope("rea").unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (403, Reason::MissingScope));
    let refusal = claims.require_role("admin").unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (403, Reason::MissingRole));
    assert_eq!(claims.require_scope("").unwrap_err().status(), 403);
    assert_eq!(claims.require_scope("read write").unwrap_err().status(), 403);
}

#[test]
fn a_wrong_set_up_is_found_when_the_verifier_is_built() {
    let build = |issuer: &str, audience: &str| {
        Verifier::builder(issuer, audience, KeySource::fixed(KeySet::default())).build().unwrap_err()
    };
    assert_eq!(build("", AUDIENCE), ConfigError::EmptyIssuer);
    assert_eq!(build(ISSUER, ""), ConfigError::EmptyAudience);
    assert_eq!(builder().audience("").build().unwrap_err(), ConfigError::EmptyAudience);
    assert_eq!(builder().require_claim("").build().unwrap_err(), ConfigError::EmptyClaim);
    assert_eq!(builder().algorithms([]).build().unwrap_err(), ConfigError::NoAlgorithm);
    assert!(builder().algorithms([Algorithm::Rs256]).build().is_ok());
    let remote = KeySource::remote("https://other.example.com").unwrap();
    assert!(matches!(
        Verifier::builder(ISSUER, AUDIENCE, remote).build().unwrap_err(),
        ConfigError::KeysOfAnotherIssuer { .. }
    ));
}

#[test]
fn a102_an_issuer_that_keys_must_not_be_fetched_from_is_refused_at_once() {
    for issuer in [
        "http://id.example.com",
        "http://10.0.0.1",
        "ftp://x",
        "",
        "id.example.com",
        "https://x//",
        "https://x?y",
    ] {
        assert!(
            matches!(Verifier::for_issuer(issuer).unwrap_err(), ConfigError::IssuerUrl { .. }),
            "{issuer}"
        );
    }
    assert!(Verifier::for_issuer("https://id.example.com").is_ok());
    assert!(Verifier::for_issuer("http://127.0.0.1:8080").is_ok());
}

#[test]
fn clones_and_debug_output_are_harmless() {
    let verifier = verifier();
    let text = format!("{:?} {:?}", verifier.clone(), KeySource::fixed(key_set()));
    assert!(text.contains(ISSUER));
}
