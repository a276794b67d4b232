//! A token that was proven a moment ago: nothing that can change may be missed because of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use signet_guard::{Clock, KeySet, KeySource, Reason, SharedKeys, Timestamp, Verifier, VerifierBuilder};

use crate::api::{answer, assert_invalid_token, bearer};
use crate::forge::{
    AUDIENCE, ISSUER, NOW, builder, claims, clock, ed25519_key, foreign_key, good, header, jwk, jwks, key,
    key_set, p256_key, sign, verify_with, with_claims,
};

fn set(keys: &[serde_json::Value]) -> KeySet {
    KeySet::from_json(&jwks(keys)).unwrap()
}

fn shared() -> (SharedKeys, VerifierBuilder) {
    let keys = SharedKeys::new(key_set());
    let builder = Verifier::builder(ISSUER, AUDIENCE, KeySource::shared(keys.clone())).clock(clock());
    (keys, builder)
}

/// The token is good, and the second answer is the very value of the first: it was remembered.
#[track_caller]
fn remembered(verifier: &Verifier, token: &str) {
    let first = verify_with(verifier, token).unwrap();
    assert!(Arc::ptr_eq(&first, &verify_with(verifier, token).unwrap()), "proven anew");
}

#[track_caller]
fn reason(verifier: &Verifier, token: &str) -> Reason {
    verify_with(verifier, token).unwrap_err().reason()
}

#[test]
fn a_token_that_comes_again_is_remembered_and_can_be_told_not_to() {
    remembered(&builder().build().unwrap(), &good());
    let verifier = builder().verdict_cache(0).build().unwrap();
    let first = verify_with(&verifier, &good()).unwrap();
    let second = verify_with(&verifier, &good()).unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && first == second);
}

#[test]
fn a101_a_verdict_is_worth_something_under_its_own_rules_only() {
    let ours = builder().build().unwrap();
    let elsewhere = Verifier::builder(ISSUER, "urn:elsewhere", KeySource::fixed(key_set()))
        .clock(clock())
        .build()
        .unwrap();
    let other_issuer =
        Verifier::builder("https://b.example", AUDIENCE, KeySource::fixed(key_set())).clock(clock());
    let other_issuer = other_issuer.build().unwrap();
    let strict = builder().longest_life(Duration::from_secs(599)).build().unwrap();
    let demanding = builder().require_claim("tenant").build().unwrap();
    for _ in 0..3 {
        remembered(&ours, &good());
        remembered(&ours.clone(), &good());
        assert_eq!(reason(&elsewhere, &good()), Reason::WrongAudience);
        assert_eq!(reason(&other_issuer, &good()), Reason::WrongIssuer);
        assert_eq!(reason(&strict, &good()), Reason::LivesTooLong);
        assert_eq!(reason(&demanding, &good()), Reason::MissingClaim);
    }
}

#[test]
fn a101_a_withdrawn_key_takes_its_verdicts_with_it_at_once() {
    let (keys, builder) = shared();
    let verifier = builder.build().unwrap();
    remembered(&verifier, &good());
    keys.replace(KeySet::default());
    assert_eq!(reason(&verifier, &good()), Reason::UnknownKey);
    keys.replace(set(&[jwk(foreign_key(), "k2")]));
    assert_eq!(reason(&verifier, &good()), Reason::UnknownKey);
    // The same key under another name is not what the token names either.
    keys.replace(set(&[jwk(key(), "k2")]));
    assert_eq!(reason(&verifier, &good()), Reason::UnknownKey);
    keys.replace(key_set());
    remembered(&verifier, &good());
}

#[test]
fn a101_another_key_under_the_same_name_proves_nothing() {
    let (keys, builder) = shared();
    let verifier = builder.build().unwrap();
    for (other, expected) in [
        (jwk(foreign_key(), "k1"), Reason::BadSignature),
        (p256_key().jwk("k1"), Reason::WrongAlgorithm),
        (ed25519_key().jwk("k1"), Reason::WrongAlgorithm),
    ] {
        remembered(&verifier, &good());
        keys.replace(set(&[other]));
        assert_eq!(reason(&verifier, &good()), expected);
        keys.replace(key_set());
    }
    remembered(&verifier, &good());
}

#[test]
fn a_set_that_was_fetched_again_keeps_the_verdicts_of_its_keys() {
    let (keys, builder) = shared();
    let verifier = builder.build().unwrap();
    let first = verify_with(&verifier, &good()).unwrap();
    keys.replace(set(&[jwk(foreign_key(), "k2"), jwk(key(), "k1")]));
    assert!(Arc::ptr_eq(&first, &verify_with(&verifier, &good()).unwrap()));
}

#[test]
fn a094_a_remembered_token_dies_and_is_unborn_like_any_other() {
    let clock = clock();
    let verifier = builder().clock(clock.clone()).build().unwrap();
    let token = with_claims(json!({ "nbf": NOW + 5 }));
    remembered(&verifier, &token);
    clock.advance(Duration::from_secs(619));
    remembered(&verifier, &token);
    clock.advance(Duration::from_secs(1));
    let refusal = verify_with(&verifier, &token).unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.to_string()),
        (Reason::Expired, "The access token has expired.".into())
    );
}

#[test]
fn a104_a_clock_stepped_back_is_noticed_on_every_request() {
    for (now, expected) in [
        (NOW - 41, Reason::IssuedInFuture),
        (-1, Reason::IssuedInFuture),
        (i64::MIN, Reason::IssuedInFuture),
        (NOW + 620, Reason::Expired),
        (i64::MAX, Reason::Expired),
    ] {
        let clock = clock();
        let verifier = builder().clock(clock.clone()).build().unwrap();
        remembered(&verifier, &good());
        clock.set(Timestamp::from_seconds(now));
        assert_eq!(reason(&verifier, &good()), expected, "at {now}");
        clock.set(Timestamp::from_seconds(NOW));
        remembered(&verifier, &good());
    }
}

#[test]
fn own_checks_can_change_their_mind_about_a_remembered_token() {
    let open = Arc::new(AtomicBool::new(true));
    let door = Arc::clone(&open);
    let verifier = builder().check("open", move |_| door.load(Ordering::Relaxed)).build().unwrap();
    remembered(&verifier, &good());
    open.store(false, Ordering::Relaxed);
    assert_eq!(reason(&verifier, &good()), Reason::OwnCheck);
    open.store(true, Ordering::Relaxed);
    remembered(&verifier, &good());
}

#[test]
fn a_refusal_is_not_remembered() {
    // A token that is early, expired or unproven today may be good tomorrow, when the clock or the keys are right.
    let clock = Clock::fixed(Timestamp::from_seconds(NOW - 100));
    let (keys, builder) = shared();
    let verifier = builder.clock(clock.clone()).build().unwrap();
    assert_eq!(reason(&verifier, &good()), Reason::IssuedInFuture);
    clock.advance(Duration::from_secs(100));
    keys.replace(set(&[jwk(foreign_key(), "k1")]));
    assert_eq!(reason(&verifier, &good()), Reason::BadSignature);
    keys.replace(key_set());
    remembered(&verifier, &good());
}

#[actix_web::test]
async fn a105_a_remembered_token_does_not_lend_its_proof_to_a_likeness() {
    let verifier = builder().build().unwrap();
    let token = good();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let admin = with_claims(json!({ "sub": "admin" }));
    let (other, _) = admin.rsplit_once('.').unwrap();
    let forged = sign(foreign_key(), header().to_string(), claims().to_string());
    for _ in 0..2 {
        assert_eq!(answer(&verifier, bearer("/me", &token)).await.status, 200);
        for likeness in [
            forged.clone(),
            format!("{other}.{signature}"),
            format!("{signed}."),
            format!("{token}A"),
            token[1..].to_owned(),
        ] {
            assert_invalid_token(&answer(&verifier, bearer("/me", &likeness)).await);
        }
    }
}

#[test]
fn garbage_takes_no_room_and_what_is_good_takes_no_more_than_it_may() {
    let verifier = builder().verdict_cache(64).build().unwrap();
    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        "e".repeat(9000),
        sign(foreign_key(), header().to_string(), claims().to_string()),
        with_claims(json!({ "aud": "urn:elsewhere" })),
        with_claims(json!({ "iat": NOW - 100, "exp": NOW - 50 })),
        with_claims(json!({ "nbf": NOW + 100 })),
        with_claims(json!({ "cnf": {} })),
    ] {
        assert!(verify_with(&verifier, &token).is_err());
        assert_eq!(verifier.remembered(), 0, "{token}");
    }
    let tokens: Vec<String> =
        (0..200).map(|number| with_claims(json!({ "jti": number.to_string() }))).collect();
    for _ in 0..2 {
        for (number, token) in tokens.iter().enumerate() {
            assert_eq!(verify_with(&verifier, token).unwrap().jti, number.to_string());
            assert!((1..=64).contains(&verifier.remembered()), "{}", verifier.remembered());
        }
    }
    assert!(verifier.remembered() > 32);
}
