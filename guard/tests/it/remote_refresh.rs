//! When remote keys are fetched again: RFC 9111 §4.2, RFC 9110 §13.1.2, and unknown keys.

use std::time::{Duration, Instant};

use serde_json::json;
use signet_guard::{Clock, Reason, RemoteKeys, Timestamp};

use crate::forge::{b64, claims, header, jwk, key, now_or_never};
use crate::issuer::until;
use crate::remote::{published, token, verifier_with};
use crate::site::{JWKS, METADATA, Page, Site};

fn keys(site: &Site) -> (RemoteKeys, Clock) {
    let clock = Clock::fixed(Timestamp::from_seconds(1_700_000_000));
    (RemoteKeys::new(site.url()).unwrap().clock(clock.clone()), clock)
}

fn page() -> Page {
    Page::ok(json!({ "keys": published() }).to_string())
}

#[actix_web::test]
async fn a_set_is_fetched_anew_before_its_life_ends_and_not_long_before_though_nobody_asks() {
    let mut cases = Vec::new();
    for (cache_control, most, too_early, due) in [
        ("public, max-age=100", None, 60, 22),
        ("max-age=1", None, 15, 11),
        ("no-store", None, 15, 11),
        ("no-cache, max-age=100", None, 15, 11),
        ("max-age=86400", None, 190, 55),
        ("public", None, 190, 55),
        // What the API's developer sets counts whatever the issuer says, but for the least.
        ("max-age=86400", Some(100), 60, 22),
        ("max-age=100", Some(86_400), 60, 22),
        ("max-age=86400", Some(86_400), 50_000, 20_000),
        ("max-age=86400", Some(1), 15, 11),
    ] {
        let site = Site::with_keys(&published());
        site.put(JWKS, page().with("cache-control", cache_control));
        let (mut keys, clock) = keys(&site);
        if let Some(most) = most {
            keys = keys.max_age(Duration::from_secs(most));
        }
        keys.start();
        until("the first set", || keys.load().is_some()).await;
        clock.advance(Duration::from_secs(too_early));
        cases.push((site, keys, clock, (cache_control, most), due));
    }
    // Longer than a keeper takes to look at its clock.
    let began = Instant::now();
    until("a look", || began.elapsed() > Duration::from_millis(1500)).await;
    for (site, keys, clock, case, due) in cases {
        assert_eq!((keys.report().fetches, site.count(JWKS)), (1, 1), "{case:?}");
        clock.advance(Duration::from_secs(due));
        until("a refresh", || keys.report().fetches == 2).await;
        until("its end", || keys.report().age.unwrap() < Duration::from_secs(10)).await;
    }
}

#[actix_web::test]
async fn a_set_that_has_not_changed_is_not_sent_again() {
    let site = Site::with_keys(&published());
    site.put(JWKS, page().with("etag", "\"v1\""));
    let (keys, clock) = keys(&site);
    let verifier = verifier_with(keys.clone());
    assert!(verifier.verify(&token(site.url(), "k1")).await.is_ok());
    for times in 1..=3 {
        clock.advance(Duration::from_secs(250));
        until("a 304", || keys.report().not_modified == times).await;
        let report = keys.report();
        assert!(report.age.unwrap() < Duration::from_secs(60), "it counts as confirmed: {report:?}");
        assert_eq!((report.fetches, report.failures, report.keys), (times + 1, 0, 1));
        assert!(now_or_never(verifier.verify(&token(site.url(), "k1"))).is_ok());
    }
    assert_eq!(site.not_modified(), 3);
    // What has changed is sent, and used.
    let changed = Page::ok(json!({ "keys": [jwk(key(), "k9")] }).to_string());
    site.put(JWKS, changed.with("etag", "\"v2\""));
    clock.advance(Duration::from_secs(250));
    until("the new set", || keys.load().unwrap().contains("k9")).await;
    assert_eq!((keys.report().not_modified, site.not_modified()), (3, 3));
    let refusal = verifier.verify(&token(site.url(), "k1")).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::UnknownKey);
}

/// A token that names a key nobody has. Its signature is never looked at.
fn with_kid(kid: &str) -> String {
    let mut header = header();
    header["kid"] = json!(kid);
    format!("{}.{}.{}", b64(header.to_string()), b64(claims().to_string()), b64([7; 256]))
}

#[actix_web::test]
async fn a099_ten_thousand_random_keys_cause_one_fetch_per_cool_down_also_while_fetches_fail() {
    let site = Site::with_keys(&published());
    let (keys, clock) = keys(&site);
    let verifier = verifier_with(keys.clone());
    let good = token(site.url(), "k1");
    assert!(verifier.verify(&good).await.is_ok());
    let began = Instant::now();
    let mut cool_downs = 0;
    for round in 0..10 {
        if round == 5 {
            site.put(JWKS, Page::status(503));
        }
        clock.advance(Duration::from_secs(12));
        cool_downs += 1;
        for index in 0..1000 {
            let refusal = verifier.verify(&with_kid(&format!("random-{round}-{index}"))).await.unwrap_err();
            assert_eq!(refusal.reason(), Reason::UnknownKey);
            assert!(index % 100 > 0 || now_or_never(verifier.verify(&good)).is_ok(), "a good token waited");
        }
        let allowed = 1 + cool_downs + began.elapsed().as_secs() / 10;
        assert!(site.count(JWKS) as u64 <= allowed, "{} fetches, {allowed} allowed", site.count(JWKS));
        assert!(site.count(JWKS) as u64 > cool_downs, "each cool-down ends");
    }
    assert_eq!(keys.report().failures >= 5, keys.report().last_error == Some("status"));
    let refused: Vec<_> = verifier.refusals().filter(|(_, count)| *count > 0).collect();
    assert_eq!(refused, [(Reason::UnknownKey, 10_000)]);
}

#[actix_web::test]
async fn a099_random_keys_before_the_first_set_cause_no_fetch_at_all() {
    let site = Site::start();
    let (keys, _) = keys(&site);
    let verifier = verifier_with(keys.clone());
    let first = verifier.verify(&with_kid("random")).await.unwrap_err();
    assert_eq!(first.reason(), Reason::KeysUnavailable);
    let began = Instant::now();
    for index in 0..10_000 {
        let refusal = now_or_never(verifier.verify(&with_kid(&format!("random-{index}")))).unwrap_err();
        assert_eq!(refusal.reason(), Reason::KeysUnavailable);
    }
    let allowed = 2 + began.elapsed().as_millis() as u64 / 500;
    assert!(keys.report().fetches <= allowed, "{} fetches, {allowed} allowed", keys.report().fetches);
}

#[actix_web::test]
async fn a_set_that_has_moved_is_another_though_its_tag_is_the_same() {
    let site = Site::with_keys(&published());
    site.put(JWKS, page().with("etag", "\"v1\""));
    let (keys, clock) = keys(&site);
    keys.start();
    until("the first set", || keys.load().is_some()).await;
    let elsewhere = Page::ok(json!({ "keys": [jwk(key(), "k9")] }).to_string());
    site.put("/elsewhere", elsewhere.with("etag", "\"v1\""));
    site.put(METADATA, site.metadata(site.url(), &format!("{}/elsewhere", site.url())));
    clock.advance(Duration::from_secs(250));
    until("the new set", || keys.load().unwrap().contains("k9")).await;
    assert_eq!((keys.report().not_modified, keys.report().failures), (0, 0));
}

#[actix_web::test]
async fn a100_a_set_that_was_let_go_is_not_asked_whether_it_has_changed() {
    let site = Site::with_keys(&published());
    site.put(JWKS, page().with("etag", "\"v1\""));
    let (keys, clock) = keys(&site);
    keys.start();
    until("the first set", || keys.load().is_some()).await;
    site.go_down();
    clock.advance(Duration::from_secs(25 * 3600));
    until("its end", || keys.load().is_none()).await;
    site.come_up();
    until("the issuer", || keys.load().is_some()).await;
    assert_eq!(site.not_modified(), 0);
}
