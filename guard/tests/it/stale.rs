//! An issuer that is not heard: how old the status is, and what becomes of the tokens.

use std::time::{Duration, Instant};

use serde_json::Value;
use signet_guard::{Reason, StalePolicy, StatusSource, Verifier};

use crate::api::{answer, assert_problem, bearer};
use crate::issuer::{Issuer, builder, reason, source, token, token_with, until, until_refused};

const BOUND: Duration = Duration::from_secs(2);

fn with(issuer: &Issuer, source: &StatusSource, policy: StalePolicy) -> Verifier {
    builder(issuer).status(source.clone().when_stale(policy, BOUND)).build().unwrap()
}

#[actix_web::test]
async fn a139_with_the_issuer_stopped_the_age_is_told_and_each_api_follows_its_policy() {
    let issuer = Issuer::start();
    issuer.publish(0, &[1]);
    let source = source(&issuer);
    let open = with(&issuer, &source, StalePolicy::FailOpen);
    let closed = with(&issuer, &source, StalePolicy::FailClosed);
    let patient =
        builder(&issuer).status(source.when_stale(StalePolicy::FailClosed, Duration::from_secs(3600)));
    let patient = patient.build().unwrap();
    let (revoked, good) = (token(&issuer, 0, 0), token(&issuer, 0, 1));
    let without = token_with(&issuer, Value::Null);
    for verifier in [&open, &closed, &patient] {
        assert_eq!(reason(verifier, &good).await, None);
        until_refused(verifier, &revoked, Reason::Revoked).await;
    }
    until("a poll that waits", || issuer.waiting() == 1).await;
    // For longer than the bound all is well, because the issuer says so again and again.
    let began = Instant::now();
    until("polls", || began.elapsed() > 2 * BOUND).await;
    assert!(!open.status().unwrap().is_stale, "{:?}", open.status());
    assert_eq!(reason(&closed, &good).await, None);

    issuer.stop();
    until("staleness", || open.status().unwrap().is_stale).await;
    let report = open.status().unwrap();
    assert!(report.age > BOUND && report.lists == 1, "{report:?}");
    assert!(!patient.status().unwrap().is_stale);
    for verifier in [&open, &patient] {
        assert_eq!(reason(verifier, &good).await, None);
    }
    let refused = answer(&closed, bearer("/me", &good)).await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
    assert_eq!(refused.challenge, None);
    assert_problem(
        &refused,
        "Service Unavailable",
        "Access tokens cannot be checked at the moment. Try again in a second.",
    );
    for verifier in [&open, &closed, &patient] {
        assert_eq!(reason(verifier, &revoked).await, Some(Reason::Revoked), "the last word counts");
        assert_eq!(reason(verifier, &without).await, None);
    }
    // Another list cannot be seen now.
    assert_eq!(reason(&open, &token(&issuer, 1, 0)).await, None);
    assert_eq!(reason(&closed, &token(&issuer, 1, 0)).await, Some(Reason::StatusUnavailable));

    issuer.publish(1, &[1]);
    issuer.publish(0, &[0b11]);
    issuer.restart();
    until("the issuer", || !open.status().unwrap().is_stale).await;
    until("the change", || open.status().unwrap().version == issuer.version()).await;
    until("the lists", || open.status().unwrap().outdated == 0 && open.status().unwrap().lists == 2).await;
    for verifier in [&open, &closed] {
        assert_eq!(reason(verifier, &good).await, Some(Reason::Revoked), "what was revoked meanwhile");
        until_refused(verifier, &token(&issuer, 1, 0), Reason::Revoked).await;
        assert_eq!(reason(verifier, &token(&issuer, 0, 2)).await, None);
    }
}

#[actix_web::test]
async fn a100_an_issuer_that_was_never_heard_is_waited_for_once_and_then_the_policy_counts() {
    let issuer = Issuer::start();
    issuer.hold_lists(true);
    let source = source(&issuer);
    let (open, closed) =
        (with(&issuer, &source, StalePolicy::FailOpen), with(&issuer, &source, StalePolicy::FailClosed));
    let token = token(&issuer, 0, 0);
    // The list is asked for and does not come.
    assert_eq!(reason(&open, &token).await, None);
    assert_eq!(reason(&closed, &token).await, Some(Reason::StatusUnavailable));
    let fetches = issuer.fetches(0);
    for _ in 0..200 {
        assert_eq!(reason(&closed, &token).await, Some(Reason::StatusUnavailable));
        assert_eq!(reason(&open, &token).await, None);
    }
    assert!(issuer.fetches(0) <= fetches + 1, "every request asked for the list");
    issuer.hold_lists(false);
    until("the list", || open.status().unwrap().lists == 1).await;
    assert_eq!(reason(&closed, &token).await, None);
}

#[actix_web::test]
async fn a139_an_answer_from_before_the_last_one_does_not_pass_for_news() {
    let issuer = Issuer::start();
    let closed = with(&issuer, &source(&issuer), StalePolicy::FailClosed);
    let good = token(&issuer, 0, 0);
    assert_eq!(reason(&closed, &good).await, None);
    until("a poll that waits", || issuer.waiting() == 1).await;
    let version = issuer.version();
    // A replica that lags for ever, and does not know that it does.
    issuer.can(usize::MAX, 200, r#"{"version":1,"lists":[]}"#);
    until("staleness", || closed.status().unwrap().is_stale).await;
    assert_eq!(reason(&closed, &good).await, Some(Reason::StatusUnavailable));
    assert_eq!(closed.status().unwrap().version, version);
    let since = format!("/status?since={version}");
    let mut asked = issuer.requests().into_iter().filter(|(path, _)| path.starts_with("/status?"));
    assert!(asked.all(|(path, _)| path == since), "{:?}", issuer.requests());
}
