//! Rotation where something is wrong, or servers want different things.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use signet::flow::key_rotation;
use signet::rotation::KeyStatus;
use signet_guard::Timestamp;

use super::{keys, kids, settle};
use crate::helpers::app::{NOW, TestApp, json_of};
use crate::helpers::db::on_both_engines;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a138_a_server_whose_clock_is_wrong_lets_no_key_take_its_turn() {
    let mut app = TestApp::spawn_with(|config| config.keys.rotate_every = 2 * DAY).await;
    app.stop_background().await;
    let before = keys(&app).await;
    app.clock.advance(30 * DAY);
    app.app.replica.set_clock_right(false);
    key_rotation::run_once(&app.app).await;
    assert_eq!(keys(&app).await, before);
    assert_eq!(app.get("/health/ready").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // What the operator wants is done all the same.
    let active = app.app.keyring.active_kid().unwrap();
    key_rotation::withdraw(&app.app, &active).await.unwrap();
    assert_ne!(app.app.keyring.active_kid().unwrap(), active);
    app.app.replica.set_clock_right(true);
    settle(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_leave_the_set_in_time_where_none_can_be_made() {
    let mut app = TestApp::spawn_with(|config| config.keys.rotate_every = 2 * DAY).await;
    app.stop_background().await;
    let first = app.app.keyring.active_kid().unwrap();
    let mut other =
        app.replica(|config| (config.keys.rotate_every, config.keys.rsa_bits) = (2 * DAY, 1_024)).await;
    other.stop_background().await;
    other.clock.advance(3 * DAY);
    for minutes in [0, 1, 60, 60] {
        other.clock.advance(Duration::from_secs(60 * minutes));
        key_rotation::run_once(&other.app).await;
    }
    assert_eq!(kids(&app, KeyStatus::Retired).await, [first]);
    assert!(kids(&app, KeyStatus::Pending).await.is_empty(), "there are no keys of 1024 bits");
    // It is told once the attempt has failed.
    loop {
        key_rotation::run_once(&other.app).await;
        let ready = json_of(other.get("/health/ready").await).await;
        if ready["status"] == "degraded" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // poll: until it has failed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a138_after_a_clock_that_was_ahead_it_is_told_that_no_key_takes_its_turn() {
    let mut app = TestApp::spawn().await;
    app.stop_background().await;
    app.clock.set(Timestamp::from_seconds(NOW - 86_400 * 365));
    key_rotation::run_once(&app.app).await;
    let ready = json_of(app.get("/health/ready").await).await;
    assert_eq!(
        (&ready["status"], &ready["degraded"]),
        (&json!("degraded"), &json!(["a signing key is dated in the future"]))
    );
    // The cure that the log names.
    assert!(app.app.replica.complaint("key rotation").unwrap().contains("signet keys rotate --now"));
    key_rotation::rotate(&app.app, true).await.unwrap();
    settle(&app).await;
    assert_eq!(json_of(app.get("/health/ready").await).await["status"], "ready");
}

on_both_engines! {
    async fn a077_of_servers_with_different_settings_the_most_careful_one_counts(database) {
        let (lead, long) = (Duration::from_secs(1_260), 12 * 3_600);
        let mut app = TestApp::spawn_on_with(database.config.clone(), |config| config.keys.publish_ahead = lead).await;
        app.stop_background().await;
        let mut outside = database.outside().await;
        assert_eq!(outside.number("SELECT max_age FROM keyring").await, 300);
        let mut other = app
            .replica(|config| {
                config.keys.publish_ahead = 3 * DAY;
                config.tokens.jwks_max_age = Duration::from_secs(12 * 3_600);
                config.tokens.access_token_life = Duration::from_secs(3_600);
            })
            .await;
        other.stop_background().await;
        // Written before it is followed, and not taken back by the first one.
        for server in [&app, &other, &app] {
            key_rotation::run_once(&server.app).await;
            assert_eq!(outside.number("SELECT max_age FROM keyring").await, long);
            for key in keys(&app).await {
                match key.status {
                    KeyStatus::Active => assert_eq!(key.longest_life, Duration::from_secs(3_600)),
                    _ => assert_eq!(key.ready_at, key.created_at.plus(3 * DAY)),
                }
            }
        }
        // The first one publishes: sets that the other gave out are held for long.
        let standby = kids(&app, KeyStatus::Pending).await.remove(0);
        key_rotation::withdraw(&app.app, &standby).await.unwrap();
        settle(&app).await;
        let now = app.clock.now();
        let until = now.plus(Duration::from_secs(12 * 3_600));
        assert_eq!(outside.number("SELECT max_age FROM keyring").await, 300);
        assert_eq!(outside.number("SELECT cached_until FROM keyring").await, until.as_seconds());
        let pending = keys(&app).await.into_iter().find(|key| key.status == KeyStatus::Pending).unwrap();
        assert_eq!(pending.ready_at, until.plus(Duration::from_secs(600 + 300 + 60)));
    }

    async fn a_key_that_could_not_be_written_is_kept_for_the_next_turn(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        app.stop_background().await;
        let standby = kids(&app, KeyStatus::Pending).await.remove(0);
        key_rotation::withdraw(&app.app, &standby).await.unwrap();
        let mut outside = database.outside().await;
        outside.execute("ALTER TABLE audit RENAME TO hidden").await;
        while app.app.replica.complaint("key rotation").is_none() {
            key_rotation::run_once(&app.app).await;
            assert!(kids(&app, KeyStatus::Pending).await.is_empty(), "no change without its entry");
            tokio::time::sleep(Duration::from_millis(5)).await; // poll: until it is made and was not written
        }
        outside.execute("ALTER TABLE hidden RENAME TO audit").await;
        key_rotation::run_once(&app.app).await;
        assert_eq!(kids(&app, KeyStatus::Pending).await.len(), 1, "at once: no other was made");
    }
}
