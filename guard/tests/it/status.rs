//! The status of tokens, followed at their issuer: draft-ietf-oauth-status-list.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use signet_guard::{
    AccessTokenClaims, ConfigError, KeySource, Reason, Refusal, SharedKeys, StalePolicy, StatusSource,
    Verifier,
};

use crate::api::{answer, assert_invalid_token, bearer};
use crate::forge::{AUDIENCE, ISSUER, clock, foreign_key, jwk, jwks, key, key_set, sign};
use crate::issuer::{
    Issuer, Published, builder, list_claims, list_header, list_token, reason, source, token, token_with,
    until, until_refused, verifier,
};

type Verdict = tokio::task::JoinHandle<Result<Arc<AccessTokenClaims>, Refusal>>;

fn start(verifier: &Verifier, token: &str) -> Verdict {
    let (verifier, token) = (verifier.clone(), token.to_owned());
    tokio::spawn(async move { verifier.verify(&token).await })
}

#[actix_web::test]
async fn a139_a_revoked_token_is_refused_without_code_in_the_handler() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    let (revoked, other) = (token(&issuer, 0, 9), token(&issuer, 0, 8));
    assert_eq!((verifier.status(), issuer.polls()), (None, 0), "nothing is asked before it is needed");
    for _ in 0..3 {
        for token in [&revoked, &other] {
            assert_eq!(answer(&verifier, bearer("/me", token)).await.status, 200);
        }
    }
    until("a poll that waits", || issuer.waiting() == 1).await;
    let version = issuer.version();
    assert_eq!(
        issuer.requests().last().unwrap(),
        &(format!("/status?since={version}"), Some("wait=25".to_owned())),
        "one poll waits for the next change"
    );
    issuer.publish(0, &[0, 0b10, 0, 0, 0, 0, 0, 0]);
    until_refused(&verifier, &revoked, Reason::Revoked).await;
    assert_invalid_token(&answer(&verifier, bearer("/me", &revoked)).await);
    assert_eq!(answer(&verifier, bearer("/me", &other)).await.status, 200);
    let report = verifier.status().unwrap();
    assert_eq!((report.version, report.lists, report.outdated), (version + 1, 1, 0));
    assert!(report.refused >= 2 && !report.is_stale, "{report:?}");
    // And what is taken back is good again.
    issuer.publish(0, &[0; 8]);
    until("the second change", || verifier.status().unwrap().version == version + 2).await;
    until("the list", || verifier.status().unwrap().outdated == 0).await;
    assert_eq!(reason(&verifier, &revoked).await, None);
}

#[actix_web::test]
async fn the_issuers_url_is_all_it_takes_for_status_too() {
    let issuer = Issuer::start();
    assert!(Verifier::for_issuer(issuer.url()).unwrap().status().is_none());
    let follows = builder(&issuer).status(source(&issuer)).build().unwrap();
    let ignores = builder(&issuer).build().unwrap();
    issuer.publish(0, &[1]);
    let token = token(&issuer, 0, 0);
    until_refused(&follows, &token, Reason::Revoked).await;
    assert_eq!(reason(&ignores, &token).await, None);
    assert!(ignores.status().is_none());
}

#[actix_web::test]
async fn a139_one_poll_and_one_list_serve_all_verifiers_of_a_source() {
    let issuer = Issuer::start();
    let source = source(&issuer);
    let token = token(&issuer, 0, 1);
    let verifiers: Vec<_> =
        (0..4).map(|_| builder(&issuer).status(source.clone()).build().unwrap()).collect();
    issuer.hold_lists(true);
    let waiting: Vec<_> =
        verifiers.iter().flat_map(|verifier| (0..10).map(|_| start(&verifier.clone(), &token))).collect();
    until("the fetch", || issuer.fetches(0) == 1).await;
    // Who started the fetch may hang up; the others still get their answer from it.
    waiting[0].abort();
    issuer.hold_lists(false);
    let mut accepted = 0;
    for verdict in waiting {
        accepted += usize::from(verdict.await.is_ok_and(|verdict| verdict.is_ok()));
    }
    assert_eq!(accepted, 39);
    until("a poll that waits", || issuer.waiting() == 1).await;
    // Once at first sight, and once because that may have been before the version that is counted from.
    assert!(issuer.fetches(0) <= 2 && issuer.polls() == 2, "{:?}", issuer.requests());
    issuer.publish(0, &[2]);
    for verifier in &verifiers {
        until_refused(verifier, &token, Reason::Revoked).await;
    }
    assert!(issuer.fetches(0) <= 3, "{:?}", issuer.requests());
}

#[actix_web::test]
async fn a_change_of_a_list_that_no_token_named_is_not_fetched() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    assert_eq!(reason(&verifier, &token(&issuer, 0, 0)).await, None);
    until("a poll that waits", || issuer.waiting() == 1).await;
    issuer.publish(1, &[0xff]);
    until("the change", || verifier.status().unwrap().version == issuer.version()).await;
    assert_eq!(issuer.fetches(1), 0);
    until_refused(&verifier, &token(&issuer, 1, 7), Reason::Revoked).await;
    assert_eq!(issuer.fetches(1), 1);
}

#[actix_web::test]
async fn a_token_without_status_is_accepted_unless_one_is_demanded() {
    let issuer = Issuer::start();
    let without = [token_with(&issuer, Value::Null), token_with(&issuer, json!({ "other": {} }))];
    let lenient = verifier(&issuer);
    let strict = builder(&issuer).status(source(&issuer)).require_claim("status").build().unwrap();
    for token in &without {
        assert_eq!(reason(&lenient, token).await, None);
        assert_eq!(reason(&strict, token).await, Some(Reason::MissingClaim));
    }
    assert_eq!(issuer.requests().len(), 0);
    assert_eq!(reason(&strict, &token(&issuer, 0, 0)).await, None);
}

#[actix_web::test]
async fn a_status_of_several_bits_is_good_only_when_it_is_zero() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    for (list, bits, bytes, bad, good) in
        [(2, 2, [0b0010_0000], 2, 3), (3, 4, [0b0011_0000], 1, 0), (4, 8, [0x80], 0, u64::MAX)]
    {
        let mut claims = list_claims(&issuer, list, &bytes);
        claims["status_list"]["bits"] = json!(bits);
        let published = Published { token: list_token(&claims).into(), version: None };
        issuer.serve_list(list, published, false);
        until_refused(&verifier, &token(&issuer, list, bad), Reason::Revoked).await;
        if good != u64::MAX {
            assert_eq!(reason(&verifier, &token(&issuer, list, good)).await, None, "{bits}");
        }
    }
}

#[actix_web::test]
async fn a101_two_issuers_in_one_process_are_kept_apart() {
    let (ours, theirs) = (Issuer::start(), Issuer::start());
    let (our_verifier, their_verifier) = (verifier(&ours), verifier(&theirs));
    theirs.publish(0, &[0xff]);
    for _ in 0..2 {
        assert_eq!(reason(&our_verifier, &token(&ours, 0, 0)).await, None);
        until_refused(&their_verifier, &token(&theirs, 0, 0), Reason::Revoked).await;
        assert_eq!(reason(&our_verifier, &token(&theirs, 0, 0)).await, Some(Reason::WrongIssuer));
    }
    assert_eq!(their_verifier.status().unwrap().refused, 2);
    assert_eq!(our_verifier.status().unwrap().refused, 0);
}

#[actix_web::test]
async fn a102_a_list_of_another_issuer_is_refused_and_never_asked_for() {
    let (issuer, other) = (Issuer::start(), Issuer::start());
    let verifier = verifier(&issuer);
    let elsewhere = |uri: String| token_with(&issuer, json!({ "status_list": { "idx": 0, "uri": uri } }));
    for uri in [
        other.uri(0),
        issuer.uri(0).replace("127.0.0.1", "localhost"),
        issuer.uri(0).replace("http:", "https:"),
        format!("{}/status/../status/0", issuer.url()),
        format!("{}?x", issuer.uri(0)),
        "http://169.254.169.254/latest".to_owned(),
        "/status/0".to_owned(),
        "x".to_owned(),
    ] {
        let token = elsewhere(uri.clone());
        for _ in 0..2 {
            assert_eq!(reason(&verifier, &token).await, Some(Reason::StatusOfAnotherIssuer), "{uri}");
        }
        assert_invalid_token(&answer(&verifier, bearer("/me", &token)).await);
    }
    assert_eq!((issuer.requests().len(), other.requests().len()), (0, 0));
    assert_eq!(verifier.remembered(), 0);
}

#[actix_web::test]
async fn lists_are_checked_with_the_keys_of_the_moment() {
    let issuer = Issuer::start();
    let keys = SharedKeys::new(key_set());
    let verifier = Verifier::builder(issuer.url(), AUDIENCE, KeySource::shared(keys.clone()))
        .clock(clock())
        .status(source(&issuer))
        .build()
        .unwrap();
    let old = token(&issuer, 0, 0);
    assert_eq!(reason(&verifier, &old).await, None);
    until("a poll that waits", || issuer.waiting() == 1).await;
    let both = jwks(&[jwk(key(), "k1"), jwk(foreign_key(), "k2")]);
    keys.replace(signet_guard::KeySet::from_json(&both).unwrap());
    let mut header = list_header();
    header["kid"] = json!("k2");
    let list = sign(foreign_key(), header.to_string(), list_claims(&issuer, 0, &[1]).to_string());
    issuer.serve_list(0, Published { token: list.into(), version: Some(9) }, true);
    until_refused(&verifier, &old, Reason::Revoked).await;
}

#[test]
fn a139_a_runtime_that_shuts_down_does_not_wait_for_the_issuer() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert!(verifier.verify(&token(&issuer, 0, 0)).await.is_ok());
        until("a poll that waits", || issuer.waiting() == 1).await;
    });
    drop(runtime);
    assert_eq!((issuer.waiting(), issuer.polls()), (1, 2), "the runtime waited for the poll to end");
    // Another runtime goes on where this one ended, and so does one that cannot tell the time.
    let plain = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(plain.block_on(verifier.verify(&token(&issuer, 0, 1))).is_ok());
    issuer.publish(1, &[1]);
    assert!(plain.block_on(verifier.verify(&token(&issuer, 1, 0))).is_err());
}

#[test]
fn a_wrong_set_up_of_status_is_found_when_the_verifier_is_built() {
    let issuer = "https://other.example.com";
    let keys = || KeySource::fixed(key_set());
    let source = || StatusSource::remote(issuer).unwrap();
    let mixed = Verifier::builder(ISSUER, AUDIENCE, keys()).status(source()).build().unwrap_err();
    assert!(matches!(mixed, ConfigError::StatusOfAnotherIssuer { .. }), "{mixed}");
    let hasty = source().when_stale(StalePolicy::FailClosed, Duration::from_millis(1999));
    let hasty = Verifier::builder(issuer, AUDIENCE, keys()).status(hasty).build().unwrap_err();
    assert_eq!(hasty, ConfigError::BoundTooShort(Duration::from_millis(1999)));
    assert!(Verifier::builder(issuer, AUDIENCE, keys()).status(source()).build().is_ok());
    assert!(matches!(StatusSource::remote("http://id.example.com"), Err(ConfigError::IssuerUrl { .. })));
    let text = format!("{:?}", source());
    assert!(text.contains(issuer) && text.contains("FailOpen"), "{text}");
}
