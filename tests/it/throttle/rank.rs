//! Who has an account cannot be read off an answer, nor off a watch.

use std::time::Instant;

use reqwest::{Response, StatusCode};
use signet::config::{HashCost, Throttle};
use signet::flow::accounts;

use super::{WRONG, account_limits, email, guess, spawn};
use crate::helpers::app::{PASSWORD, TestApp};
use crate::helpers::db::connect;

/// Tries of each kind in one batch.
const BATCH: usize = 200;

/// A run ends with the first batch after which all is well.
const BATCHES: usize = 8;

/// What chance alone rarely leaves once the batches add up: 0.05 is 1.7 times the standard deviation of one, and 4.9 times
/// that of all.
const BOUNDS: std::ops::RangeInclusive<f64> = 0.45..=0.55;

/// Everything but what differs from answer to answer by itself.
async fn bytes(answer: Response) -> (StatusCode, Vec<String>, String) {
    let status = answer.status();
    let own = |name: &str| matches!(name, "date" | "x-request-id");
    let headers = answer.headers().iter().filter(|(name, _)| !own(name.as_str()));
    let mut headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    (status, headers, answer.text().await.unwrap().replace(&id, ""))
}

/// An account with a password, one that is disabled, and one without a password.
async fn accounts_of_all_kinds(app: &TestApp) {
    for name in ["known", "disabled", "empty"] {
        app.register(&format!("{name}@example.com")).await;
    }
    accounts::disable(&app.app, email("disabled@example.com")).await.unwrap();
    let sql =
        "DELETE FROM passwords WHERE user_id = (SELECT id FROM users WHERE email = 'empty@example.com')";
    assert_eq!(connect(&app.app.config.database).await.execute(sql).await, 1);
}

const KINDS: [(&str, &str); 5] = [
    ("nobody@example.com", WRONG),
    ("known@example.com", WRONG),
    ("disabled@example.com", WRONG),
    ("disabled@example.com", PASSWORD),
    ("empty@example.com", WRONG),
];

#[tokio::test(flavor = "multi_thread")]
async fn a001_an_answer_does_not_tell_who_has_an_account_throttled_or_not() {
    let app = spawn(account_limits()).await;
    accounts_of_all_kinds(&app).await;
    let mut answers = std::collections::HashSet::new();
    for (email, password) in KINDS {
        answers.insert(bytes(app.login(email, password).await).await);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    for (email, _) in KINDS {
        accounts::unlock(&app.app, super::email(email)).await.ok();
    }
    for looked_at in [5, 100] {
        let mut answers = std::collections::HashSet::new();
        for name in ["nobody", "known", "disabled", "empty"] {
            let email = format!("{name}{looked_at}@example.com");
            if name != "nobody" {
                app.register(&email).await;
            }
            guess(&app, &email, looked_at).await;
            answers.insert(bytes(app.login(&email, PASSWORD).await).await);
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers.into_iter().next().unwrap().0, StatusCode::TOO_MANY_REQUESTS);
    }
}

/// The chance that one of `left` took longer than one of `right` (Mann and Whitney's U as a share).
fn area_under_curve(left: &[u128], right: &[u128]) -> f64 {
    let mut sorted = right.to_vec();
    sorted.sort_unstable();
    let wins: f64 = left
        .iter()
        .map(|time| {
            let below = sorted.partition_point(|other| other < time);
            let equal = sorted.partition_point(|other| other <= time) - below;
            below as f64 + equal as f64 / 2.0
        })
        .sum();
    wins / (left.len() * right.len()) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a001_nor_does_the_time_it_takes() {
    let app = TestApp::spawn_with(|config| {
        config.passwords.cost = HashCost { memory_kib: 1024, iterations: 1, parallelism: 1 };
    })
    .await;
    assert!(app.app.config.throttle.free_tries > 1_000_000 && app.app.config.throttle != Throttle::default());
    accounts_of_all_kinds(&app).await;
    let mut times = [const { Vec::new() }; KINDS.len()];
    for batch in 0..BATCHES {
        // Interleaved, each kind in each place of the round as often as the others: whatever else the machine does
        // falls on all alike.
        for round in 0..BATCH {
            for place in 0..KINDS.len() {
                let kind = (place + round) % KINDS.len();
                let (email, password) = KINDS[kind];
                let started = Instant::now();
                let status = app.login(email, password).await.status();
                times[kind].push(started.elapsed().as_nanos());
                assert_eq!(status, StatusCode::UNAUTHORIZED);
            }
        }
        let areas = [1, 2, 3, 4].map(|kind| area_under_curve(&times[kind], &times[0]));
        eprintln!("after batch {batch}: {areas:.3?}");
        if areas.iter().all(|area| BOUNDS.contains(area)) {
            return;
        }
    }
    panic!("the time tells unknown names from others");
}

#[test]
fn the_rank_test_sees_a_difference() {
    let (low, high): (Vec<u128>, Vec<u128>) = ((0..100).collect(), (50..150).collect());
    assert!((area_under_curve(&low, &low) - 0.5).abs() < 1e-9);
    assert!((area_under_curve(&high, &low) - 0.875).abs() < 1e-9);
    assert!(area_under_curve(&low, &high) < 0.2);
}
