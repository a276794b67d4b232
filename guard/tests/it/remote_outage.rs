//! An issuer that is away: for a while, for too long, or from the beginning.

use std::time::Duration;

use serde_json::json;
use signet_guard::{Clock, Reason, RemoteKeys, Timestamp, Verifier};

use crate::api::{answer, bearer};
use crate::forge::{jwk, key, now_or_never};
use crate::issuer::until;
use crate::remote::{published, start, token, verifier_with};
use crate::site::{JWKS, METADATA, Page, Site};

const MINUTE: Duration = Duration::from_secs(60);

fn keys(issuer: &str) -> (RemoteKeys, Clock) {
    let clock = Clock::fixed(Timestamp::from_seconds(1_700_000_000));
    (RemoteKeys::new(issuer).unwrap().clock(clock.clone()), clock)
}

fn reason(verifier: &Verifier, token: &str) -> Option<Reason> {
    now_or_never(verifier.verify(token)).err().map(|refusal| refusal.reason())
}

#[actix_web::test]
async fn a100_an_issuer_that_is_down_for_ten_minutes_costs_no_request_whose_key_is_known() {
    let site = Site::with_keys(&published());
    let (keys, clock) = keys(site.url());
    let verifier = verifier_with(keys.clone());
    let token = token(site.url(), "k1");
    assert_eq!(answer(&verifier, bearer("/me", &token)).await.status, 200);
    site.go_down();
    for minute in 1..=10 {
        clock.advance(MINUTE);
        assert_eq!(answer(&verifier, bearer("/me", &token)).await.status, 200, "after {minute} min");
        // Also for a token that was never seen before.
        assert_eq!(reason(&verifier_with(keys.clone()), &token), None, "after {minute} min");
    }
    until("an attempt", || keys.report().failures > 0).await;
    let report = keys.report();
    assert!(report.age.unwrap() > 9 * MINUTE && report.keys == 1, "{report:?}");
    assert!(matches!(report.last_error, Some("unreachable" | "protocol")), "{report:?}");
    site.come_up();
    // What was under way may still fail, and then there is a cool-down.
    until("the issuer", || {
        clock.advance(Duration::from_secs(1));
        keys.report().last_error.is_none()
    })
    .await;
    assert_eq!(reason(&verifier, &token), None);
}

#[actix_web::test]
async fn a100_after_the_stated_time_no_old_key_is_good_and_soon_after_the_issuer_is_back_all_is_well() {
    let site = Site::with_keys(&published());
    let (keys, clock) = keys(site.url());
    let keys = keys.max_stale(10 * MINUTE);
    let verifier = verifier_with(keys.clone());
    let token = token(site.url(), "k1");
    assert_eq!(answer(&verifier, bearer("/me", &token)).await.status, 200);
    for page in
        [Page::status(500), Page::redirect("/x"), Page::ok(vec![b' '; 10 << 20]), Page::ok("{\"keys\":[]}")]
    {
        site.put(JWKS, page);
        let failures = keys.report().failures;
        clock.advance(5 * MINUTE);
        // A set is as old as its fetch, from the beginning: none may be under way when the clock moves.
        until("a refresh", || keys.report().failures > failures).await;
        assert_eq!(reason(&verifier, &token), None);
        clock.advance(5 * MINUTE + MINUTE / 30);
        assert_eq!(reason(&verifier, &token), Some(Reason::KeysUnavailable), "at the first request");
        assert!(keys.load().is_none());
        let refused = answer(&verifier, bearer("/me", &token)).await;
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
        let report = verifier.keys().unwrap();
        assert_eq!((report.age, report.keys, report.is_confirmed), (None, 0, false), "{report:?}");
        // A clock that is set back brings nothing back.
        let before = clock.now();
        clock.set(Timestamp::from_seconds(0));
        assert_eq!(reason(&verifier, &token), Some(Reason::KeysUnavailable));
        clock.set(before);
        site.put_keys(&published());
        until("the issuer", || keys.load().is_some()).await;
        assert_eq!(reason(&verifier, &token), None);
    }
    let refused: Vec<_> = verifier.refusals().filter(|(_, count)| *count > 0).collect();
    assert_eq!(refused, [(Reason::KeysUnavailable, 12)]);
}

#[actix_web::test]
async fn a100_an_api_that_starts_before_its_issuer_answers_503_and_recovers() {
    let site = Site::with_keys(&published());
    site.go_down();
    let (keys, _) = keys(site.url());
    keys.start();
    let verifier = verifier_with(keys.clone());
    let (good, unknown) = (token(site.url(), "k1"), token(site.url(), "other"));
    until("the first attempt", || keys.report().failures > 0).await;
    for token in [&good, &unknown] {
        assert_eq!(reason(&verifier, token), Some(Reason::KeysUnavailable), "nobody waits");
    }
    site.come_up();
    until("the issuer", || keys.load().is_some()).await;
    assert_eq!(reason(&verifier, &good), None);
}

#[actix_web::test]
async fn a100_an_issuer_that_hangs_keeps_the_first_requests_for_a_moment_and_no_others() {
    let site = Site::with_keys(&published());
    site.shut();
    let (keys, _) = keys(site.url());
    let verifier = verifier_with(keys.clone());
    let token = token(site.url(), "k1");
    let first = start(&verifier, token.clone());
    assert_eq!(first.await.unwrap().unwrap_err().reason(), Reason::KeysUnavailable);
    assert_eq!(keys.report().failures, 0, "the fetch still goes on");
    for _ in 0..100 {
        assert_eq!(reason(&verifier, &token), Some(Reason::KeysUnavailable));
    }
    assert_eq!(site.total(), 1);
    site.open();
    until("the answer", || keys.load().is_some()).await;
    assert_eq!(reason(&verifier, &token), None);
}

#[actix_web::test]
async fn a098_a_set_that_has_nothing_usable_any_more_does_not_replace_a_good_one() {
    let site = Site::with_keys(&published());
    let (keys, clock) = keys(site.url());
    let verifier = verifier_with(keys.clone());
    let token = token(site.url(), "k1");
    assert_eq!(answer(&verifier, bearer("/me", &token)).await.status, 200);
    let thousand: Vec<_> = (0..1000).map(|index| json!({ "kty": "RSA", "kid": index.to_string() })).collect();
    let twice = [jwk(key(), "k1"), jwk(key(), "k1")];
    let mut weak = jwk(key(), "k1");
    weak["n"] = "AQAB".into();
    let mut encrypting = jwk(key(), "k1");
    encrypting["use"] = "enc".into();
    let mut nameless = jwk(key(), "k1");
    nameless.as_object_mut().unwrap().remove("kid");
    for (published, error) in [
        (&thousand[..], "key-set"),
        (&twice, "no-key"),
        (&[weak], "no-key"),
        (&[encrypting], "no-key"),
        (&[nameless], "no-key"),
        (&[], "no-key"),
    ] {
        site.put_keys(published);
        let failures = keys.report().failures;
        clock.advance(5 * MINUTE);
        until("a refresh", || keys.report().failures > failures).await;
        assert_eq!(keys.report().last_error, Some(error));
        assert_eq!(reason(&verifier, &token), None);
        assert_eq!(reason(&verifier_with(keys.clone()), &token), None);
    }
    assert!(site.count(METADATA) > 6);
}
