//! `exp`, `nbf`, `iat`, `auth_time` and the clock: RFC 7519 §4.1, RFC 9068 §4.

use std::time::Duration;

use serde_json::json;
use signet_guard::{Clock, ConfigError, Reason, Timestamp};

use crate::forge::{
    NOW, accepted, builder, clock, good, refused, verify_with, with_claim_text, with_claims, without_claim,
};

const NO_INSTANTS: [&str; 14] = [
    "null",
    "\"1800000500\"",
    "\"\"",
    "-5",
    "-1",
    "1e30",
    "1e300",
    "1800000500.5",
    "1800000500.0",
    "18000005e2",
    "9223372036854775808",
    "true",
    "[1800000500]",
    "{}",
];

#[test]
fn a094_instants_are_whole_numbers_and_nothing_else() {
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for value in NO_INSTANTS {
            let refusal = refused(&with_claim_text(name, value), Reason::InvalidClaim);
            assert_eq!(refusal.subject(), Some(name), "{value}");
        }
    }
    refused(&without_claim("exp"), Reason::MissingClaim);
    refused(&without_claim("iat"), Reason::MissingClaim);
}

#[test]
fn a094_a_token_is_dead_thirty_seconds_after_exp() {
    let token = |exp: i64| with_claims(json!({ "iat": NOW - 600, "exp": exp }));
    accepted(&token(NOW - 29));
    let refusal = refused(&token(NOW - 30), Reason::Expired);
    assert_eq!(refusal.to_string(), "The access token has expired.");
    refused(&token(NOW - 500), Reason::Expired);
}

#[test]
fn a094_a_token_from_the_future_is_refused() {
    for (name, reason) in [("iat", Reason::IssuedInFuture), ("nbf", Reason::NotYetValid)] {
        accepted(&with_claims(json!({ name: NOW + 30 })));
        refused(&with_claims(json!({ name: NOW + 31 })), reason);
        refused(&with_claims(json!({ name: NOW + 61 })), reason);
    }
    let lenient = builder().leeway(Duration::from_secs(60)).build().unwrap();
    assert!(verify_with(&lenient, &with_claims(json!({ "iat": NOW + 60 }))).is_ok());
    assert!(verify_with(&lenient, &with_claims(json!({ "iat": NOW + 61 }))).is_err());
}

#[test]
fn a094_exp_lies_after_iat_and_not_too_far() {
    refused(&with_claims(json!({ "iat": NOW, "exp": NOW })), Reason::InvalidClaim);
    refused(&with_claims(json!({ "iat": NOW, "exp": NOW - 1 })), Reason::InvalidClaim);
    accepted(&with_claims(json!({ "iat": NOW, "exp": NOW + 86_400 })));
    refused(&with_claims(json!({ "iat": NOW, "exp": NOW + 86_401 })), Reason::LivesTooLong);
    refused(&with_claims(json!({ "exp": i64::MAX })), Reason::LivesTooLong);
    refused(&with_claims(json!({ "iat": i64::MAX - 1, "exp": i64::MAX })), Reason::IssuedInFuture);
    let strict = builder().longest_life(Duration::from_secs(599)).build().unwrap();
    assert_eq!(verify_with(&strict, &good()).unwrap_err().reason(), Reason::LivesTooLong);
}

#[test]
fn a104_no_clock_makes_the_guard_panic_or_let_in() {
    let years = |count: i64| count * 31_557_600;
    for now in [NOW + years(100), NOW - years(100), -1, 0, i64::MIN, i64::MAX] {
        let clock = Clock::fixed(Timestamp::from_seconds(now));
        let verifier = builder().clock(clock).build().unwrap();
        for token in
            [good(), with_claims(json!({ "exp": i64::MAX })), with_claims(json!({ "nbf": i64::MAX }))]
        {
            assert!(verify_with(&verifier, &token).is_err(), "accepted at {now}");
        }
    }
}

#[test]
fn a_clock_that_moves_on_ends_a_token() {
    let clock = clock();
    let verifier = builder().clock(clock.clone()).leeway(Duration::ZERO).build().unwrap();
    assert!(verify_with(&verifier, &good()).is_ok());
    clock.advance(Duration::from_secs(589));
    assert!(verify_with(&verifier, &good()).is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(verify_with(&verifier, &good()).unwrap_err().reason(), Reason::Expired);
}

#[test]
fn a_leeway_beyond_a_minute_is_a_fault_of_configuration() {
    let leeway = Duration::from_secs(61);
    assert_eq!(builder().leeway(leeway).build().unwrap_err(), ConfigError::LeewayTooLong(leeway));
}
