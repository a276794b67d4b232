//! Lists that are not what they should be, and answers that are none.

use std::time::{Duration, Instant};

use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};
use signet_guard::{Reason, StalePolicy, Verifier};

use crate::forge::{NOW, b64, clock, foreign_key, key, sign};
use crate::issuer::{
    Beyond, Issuer, Published, builder, list_claims, list_header, list_token, reason, source, token, until,
    until_refused, verifier,
};

const MINUTE: Duration = Duration::from_secs(60);

fn strict(issuer: &Issuer) -> Verifier {
    builder(issuer).status(source(issuer).when_stale(StalePolicy::FailClosed, MINUTE)).build().unwrap()
}

fn with_claim(issuer: &Issuer, name: &str, value: Value) -> String {
    let mut claims = list_claims(issuer, 0, &[0; 8]);
    claims[name] = value;
    list_token(&claims)
}

fn with_header_member(issuer: &Issuer, name: &str, value: Value) -> String {
    let mut header = list_header();
    header[name] = value;
    sign(key(), header.to_string(), list_claims(issuer, 0, &[0; 8]).to_string())
}

/// Each is wrong in one thing; the list itself says that nothing is revoked.
fn bad_lists(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let good = list_token(&list_claims(issuer, 0, &[0; 8]));
    let bomb = list_claims(issuer, 0, &vec![0; 1024 * 1024]);
    let claims = list_claims(issuer, 0, &[0; 8]).to_string();
    let lst = |lst: &str| with_claim(issuer, "status_list", json!({ "bits": 1, "lst": lst }));
    let bits = |bits: Value| {
        let lst = b64(compress_to_vec_zlib(&[0; 8], 9));
        with_claim(issuer, "status_list", json!({ "bits": bits, "lst": lst }))
    };
    vec![
        ("signature of another", sign(foreign_key(), list_header().to_string(), &claims)),
        ("no signature", good.rsplit_once('.').unwrap().0.to_owned() + "."),
        ("changed", good.replacen("eyJ", "eyK", 1)),
        ("typ of an access token", with_header_member(issuer, "typ", json!("at+jwt"))),
        ("no typ", with_header_member(issuer, "typ", Value::Null)),
        ("alg none", with_header_member(issuer, "alg", json!("none"))),
        ("alg of another kind", with_header_member(issuer, "alg", json!("ES256"))),
        ("unknown kid", with_header_member(issuer, "kid", json!("k2"))),
        ("crit", with_header_member(issuer, "crit", json!(["exp"]))),
        ("zip", with_header_member(issuer, "zip", json!("DEF"))),
        ("iss", with_claim(issuer, "iss", json!("https://evil.example"))),
        ("no iss", with_claim(issuer, "iss", Value::Null)),
        ("sub", with_claim(issuer, "sub", json!(issuer.uri(1)))),
        ("sub in other letters", with_claim(issuer, "sub", json!(issuer.uri(0).replace("http", "HTTP")))),
        ("exp past", with_claim(issuer, "exp", json!(NOW - 30))),
        ("no exp", with_claim(issuer, "exp", Value::Null)),
        ("iat ahead", with_claim(issuer, "iat", json!(NOW + 31))),
        ("no iat", with_claim(issuer, "iat", Value::Null)),
        ("repeated name", {
            sign(key(), list_header().to_string(), format!("{{\"sub\":\"x\",{}", &claims[1..]))
        }),
        ("3 bits", bits(json!(3))),
        ("no bits", bits(Value::Null)),
        ("lst not base64url", lst("eNr+")),
        ("lst not zlib", lst("AAAA")),
        ("lst cut short", lst("eNrbuRgAAhcB")),
        ("bomb", list_token(&bomb)),
        ("oversized", with_claim(issuer, "ballast", json!("x".repeat(600 * 1024)))),
        ("not a token", "<html>".to_owned()),
        ("nothing", String::new()),
    ]
}

#[actix_web::test]
async fn a100_a_list_that_is_not_the_issuers_counts_for_nothing() {
    let issuer = Issuer::start();
    assert_eq!(reason(&strict(&issuer), &token(&issuer, 0, 0)).await, None);
    for (what, list) in bad_lists(&issuer) {
        issuer.serve_list(0, Published { token: list.into(), version: Some(99) }, false);
        let refused = reason(&strict(&issuer), &token(&issuer, 0, 0)).await;
        assert_eq!(refused, Some(Reason::StatusUnavailable), "{what}");
        assert_eq!(reason(&verifier(&issuer), &token(&issuer, 0, 0)).await, None, "{what}");
    }
}

#[actix_web::test]
async fn a098_the_last_good_list_stays_whatever_comes_after_it() {
    let issuer = Issuer::start();
    issuer.publish(0, &[1]);
    let verifier = verifier(&issuer);
    let revoked = token(&issuer, 0, 0);
    until_refused(&verifier, &revoked, Reason::Revoked).await;
    until("a poll that waits", || issuer.waiting() == 1).await;
    for (what, list) in bad_lists(&issuer) {
        if !["signature of another", "sub", "exp past", "bomb", "oversized"].contains(&what) {
            continue;
        }
        let fetches = issuer.fetches(0);
        issuer.serve_list(0, Published { token: list.into(), version: Some(99) }, true);
        until(what, || issuer.fetches(0) > fetches && verifier.status().unwrap().outdated == 1).await;
        assert_eq!(reason(&verifier, &revoked).await, Some(Reason::Revoked), "{what}");
    }
    issuer.publish(0, &[0]);
    until("a good one", || verifier.status().unwrap().outdated == 0).await;
    assert_eq!(reason(&verifier, &revoked).await, None);
}

#[actix_web::test]
async fn a139_a_replica_that_lags_takes_nothing_back() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    let revoked = token(&issuer, 0, 0);
    assert_eq!(reason(&verifier, &revoked).await, None);
    until("a poll that waits", || issuer.waiting() == 1).await;
    // The change is announced, and the list is still that from before it.
    let old = Published {
        token: list_token(&list_claims(&issuer, 0, &[0; 8])).into(),
        version: Some(issuer.version()),
    };
    let fetches = issuer.fetches(0);
    issuer.serve_list(0, old.clone(), true);
    until("the outdated list, and another try", || issuer.fetches(0) >= fetches + 2).await;
    assert_eq!(verifier.status().unwrap().outdated, 1);
    let new = list_token(&list_claims(&issuer, 0, &[1]));
    issuer.serve_list(0, Published { token: new.into(), version: Some(issuer.version()) }, false);
    until("the list it announced", || verifier.status().unwrap().outdated == 0).await;
    until_refused(&verifier, &revoked, Reason::Revoked).await;
    // Another change, and again the lagging one answers.
    issuer.serve_list(0, old, true);
    until("the outdated list", || verifier.status().unwrap().outdated == 1).await;
    assert_eq!(reason(&verifier, &revoked).await, Some(Reason::Revoked));
}

#[actix_web::test]
async fn a139_a_list_is_asked_for_as_of_the_version_that_was_told() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    assert_eq!(reason(&verifier, &token(&issuer, 0, 0)).await, None);
    until("a poll that waits", || issuer.waiting() == 1).await;
    let told =
        |version: u64| verifier.status().is_some_and(|now| now.version == version && now.outdated == 0);
    let asked_of = |list: u64| {
        let path = format!("/status/{list}");
        let last = issuer.requests().into_iter().rfind(|(asked, _)| *asked == path);
        last.and_then(|(_, version)| version)
    };
    // A change of what is held, and then a list that is seen for the first time.
    issuer.publish(0, &[1]);
    until("the change", || told(issuer.version())).await;
    assert_eq!(asked_of(0), Some(issuer.version().to_string()));
    issuer.publish(1, &[0]);
    until("the other change", || told(issuer.version())).await;
    assert_eq!(reason(&verifier, &token(&issuer, 1, 0)).await, None);
    assert_eq!(asked_of(1), Some(issuer.version().to_string()));
}

#[actix_web::test]
async fn a130_after_a_restart_of_its_count_every_list_is_fetched_anew() {
    for beyond in [Beyond::Restart, Beyond::Silent, Beyond::Refused] {
        let issuer = Issuer::start();
        issuer.say_beyond(beyond);
        issuer.publish(0, &[1]);
        issuer.set_version(50);
        let verifier = verifier(&issuer);
        let token = token(&issuer, 0, 0);
        until_refused(&verifier, &token, Reason::Revoked).await;
        until("a poll that waits", || issuer.waiting() == 1 && issuer.polls() == 2).await;
        let fetches = issuer.fetches(0);
        let mut older = list_claims(&issuer, 0, &[0]);
        older["iat"] = json!(NOW - 100);
        issuer.serve_list(0, Published { token: list_token(&older).into(), version: Some(1) }, false);
        issuer.set_version(3);
        let what = format!("{beyond:?}");
        until(&what, || verifier.status().unwrap().version == 3).await;
        until(&what, || issuer.fetches(0) > fetches && verifier.status().unwrap().outdated == 0).await;
        assert_eq!(reason(&verifier, &token).await, None, "{what}");
    }
}

#[actix_web::test]
async fn a130_an_issuer_that_once_told_a_version_it_refuses_is_followed_again() {
    let issuer = Issuer::start();
    issuer.say_beyond(Beyond::Refused);
    let verifier = verifier(&issuer);
    let token = token(&issuer, 0, 0);
    assert_eq!(reason(&verifier, &token).await, None);
    until("a poll that waits", || issuer.waiting() == 1 && issuer.polls() == 2).await;
    let (began, polls) = (Instant::now(), issuer.polls());
    issuer.can(1, 200, &json!({ "version": u64::MAX, "lists": [issuer.uri(0)] }).to_string());
    issuer.nudge();
    until("the huge version", || verifier.status().unwrap().version == u64::MAX).await;
    issuer.publish(0, &[1]);
    until("the version", || verifier.status().unwrap().version == issuer.version()).await;
    until("the list", || verifier.status().unwrap().outdated == 0).await;
    assert_eq!(reason(&verifier, &token).await, Some(Reason::Revoked));
    until("a poll that waits", || issuer.waiting() == 1).await;
    let allowed = 2 + began.elapsed().as_millis() / 200;
    assert!((issuer.polls() - polls) as u128 <= allowed, "{:?}", issuer.requests());
}

#[actix_web::test]
async fn a139_a_replica_that_lags_is_not_taken_for_a_restart() {
    for (status, body) in [
        (200, r#"{"version":1,"restart":true,"lists":[]}"#),
        (200, r#"{"version":1,"lists":[]}"#),
        (400, "{}"),
    ] {
        let issuer = Issuer::start();
        issuer.publish(0, &[1]);
        let verifier = verifier(&issuer);
        let revoked = token(&issuer, 0, 0);
        until_refused(&verifier, &revoked, Reason::Revoked).await;
        until("a poll that waits", || issuer.waiting() == 1 && issuer.polls() == 2).await;
        let (fetches, polls) = (issuer.fetches(0), issuer.polls());
        let older = list_token(&list_claims(&issuer, 0, &[0]));
        issuer.serve_list(0, Published { token: older.into(), version: Some(1) }, false);
        issuer.can(1, status, body);
        issuer.nudge();
        until("the next polls", || issuer.polls() >= polls + 2).await;
        until("the version", || verifier.status().unwrap().version == issuer.version()).await;
        // Without a version it is not told which lists have changed, so that the older one is looked at.
        let looked = issuer.fetches(0) - fetches;
        assert!(looked == 0 || status == 400, "{looked} fetches: {body}");
        assert_eq!(reason(&verifier, &revoked).await, Some(Reason::Revoked), "{status} {body}");
    }
}

#[actix_web::test]
async fn an_index_beyond_the_list_is_refused() {
    let issuer = Issuer::start();
    let verifier = verifier(&issuer);
    assert_eq!(reason(&verifier, &token(&issuer, 0, 63)).await, None);
    for idx in [64, 65_536, u64::MAX] {
        let refusal = verifier.verify(&token(&issuer, 0, idx)).await.unwrap_err();
        assert_eq!((refusal.reason(), refusal.subject()), (Reason::InvalidClaim, Some("status")), "{idx}");
    }
}

#[actix_web::test]
async fn a_list_is_fetched_again_before_it_expires() {
    let issuer = Issuer::start();
    let clock = clock();
    let policy = source(&issuer).when_stale(StalePolicy::FailClosed, MINUTE);
    let verifier = builder(&issuer).clock(clock.clone()).status(policy).build().unwrap();
    let token = token(&issuer, 0, 0);
    assert_eq!(reason(&verifier, &token).await, None);
    until("a poll that waits", || issuer.waiting() == 1).await;
    let fetches = issuer.fetches(0);
    clock.advance(Duration::from_secs(240));
    issuer.nudge();
    until("the renewal", || issuer.fetches(0) > fetches).await;
    // The issuer had nothing newer: in the end the list has expired, and is not relied upon.
    clock.advance(Duration::from_secs(90));
    assert_eq!(reason(&verifier, &token).await, Some(Reason::StatusUnavailable));
}

#[actix_web::test]
async fn a139_no_answer_makes_it_ask_more_than_five_times_a_second() {
    for (status, body) in [
        (200, r#"{"version":2,"lists":[]}"#.to_owned()),
        (200, r#"{"version":1,"lists":[]}"#.to_owned()),
        (200, r#"{"version":2,"lists":["LIST","LIST"]}"#.to_owned()),
        (200, r#"{"version":1,"restart":true,"lists":["LIST"]}"#.to_owned()),
        (200, r#"{"version":18446744073709551615,"lists":["x"]}"#.to_owned()),
        (200, "{}".to_owned()),
        (200, "not json".to_owned()),
        (200, " ".repeat(300 * 1024)),
        (302, String::new()),
        (400, "{}".to_owned()),
        (404, "{}".to_owned()),
        (500, String::new()),
    ] {
        let issuer = Issuer::start();
        issuer.can(usize::MAX, status, &body.replace("LIST", &issuer.uri(0)));
        let verifier = verifier(&issuer);
        let began = Instant::now();
        assert_eq!(reason(&verifier, &token(&issuer, 0, 0)).await, None, "{body:.40}");
        until("some polls", || issuer.polls() >= 4).await;
        let polls = issuer.polls() as u128;
        let allowed = 1 + began.elapsed().as_millis() / 200;
        assert!(polls <= allowed, "{polls} polls, {allowed} allowed: {status} {body:.40}");
        assert!(issuer.fetches(0) as u128 <= 1 + allowed, "{:?}", issuer.requests());
    }
}
