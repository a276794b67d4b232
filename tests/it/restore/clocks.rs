//! Clocks that disagree.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use signet::config::Keys;
use signet::flow::clock_check;
use signet_guard::{Clock, Timestamp};

use crate::helpers::app::{NOW, PASSWORD, TestApp, json_of};
use crate::helpers::db::{TestDatabase, on_both_engines};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a138_a_clock_far_from_the_databases_makes_a_replica_unready_until_it_is_right_again() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let app = TestApp::spawn_on(database.config.clone()).await;
    // The clock of the test stands in another year; nothing compares it unasked.
    clock_check::compare(&app.app).await;
    assert_eq!(app.get("/health/ready").await.status(), StatusCode::OK);
    let ready = async |seconds: i64| {
        let now = Clock::System.now();
        let span = Duration::from_secs(seconds.unsigned_abs());
        app.clock.set(if seconds < 0 { now.minus(span) } else { now.plus(span) });
        clock_check::run_once(&app.app).await;
        app.get("/health/ready").await.status()
    };
    for seconds in [30_i64, 0, -30, 5, 300, -5, -300, 0] {
        let expected = if seconds.abs() > 10 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        assert_eq!(ready(seconds).await, expected, "{seconds} s");
    }
    // Tokens are told apart from rubbish all the same: the replica is unready, not unsafe.
    ready(300).await;
    assert_eq!(app.get_with_token("/api/v1/me", "rubbish").await.status(), StatusCode::UNAUTHORIZED);
    drop(app);
    database.remove().await;
}

#[tokio::test]
async fn on_sqlite_there_is_one_clock_and_nothing_to_compare() {
    let app = TestApp::spawn().await;
    clock_check::run_once(&app.app).await;
    assert_eq!(app.get("/health/ready").await.status(), StatusCode::OK);
}

on_both_engines! {
    // Two replicas whose clocks disagree, before anybody has noticed.
    async fn a138_clocks_apart_sign_nobody_out_and_let_nothing_live_past_its_deadline(database) {
        let keys = tempfile::tempdir().unwrap();
        let spawn = || {
            TestApp::spawn_with(|config| {
                config.database = database.config.clone();
                config.keys = Keys::in_dir(keys.path().to_owned());
            })
        };
        let (right, wrong) = (spawn().await, spawn().await);
        right.register("ann@example.com").await;
        // Later each time: a clock that goes back by weeks is another matter.
        for (weeks, apart) in [(0, 30), (4, -30), (8, 300), (12, -300)] {
            set(&right, weeks * 604_800);
            set(&wrong, weeks * 604_800 + apart);
            let signed_in = json_of(wrong.login("ann@example.com", PASSWORD).await).await;
            // A token from the future is refused by whoever cannot explain it by a little skew.
            let token = signed_in["access_token"].as_str().unwrap();
            let expected = if apart > 60 { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            assert_eq!(right.get_with_token("/api/v1/me", token).await.status(), expected, "{apart} s");
            // An honest client, now here, now there, with the newest token it has.
            let mut newest = signed_in["refresh_token"].clone();
            for round in 0..6 {
                let app = if round % 2 == 0 { &right } else { &wrong };
                let answer = refresh(app, &newest).await;
                assert_eq!(answer.status(), StatusCode::OK, "{apart} s, round {round}");
                newest = json_of(answer).await["refresh_token"].clone();
                for app in [&right, &wrong] {
                    app.clock.advance(Duration::from_secs(100));
                }
            }
            // Past the deadline by both clocks, whoever wrote it.
            let idle = app_idle_life(&right) + Duration::from_secs(300);
            for app in [&right, &wrong] {
                app.clock.advance(idle);
            }
            for app in [&right, &wrong] {
                assert_eq!(refresh(app, &newest).await.status(), StatusCode::BAD_REQUEST, "{apart} s");
                app.clock.set(app.clock.now().minus(Duration::from_secs(30)));
            }
            // A small step back does not wake it.
            for app in [&right, &wrong] {
                assert_eq!(refresh(app, &newest).await.status(), StatusCode::BAD_REQUEST, "{apart} s");
            }
        }
    }
}

fn set(app: &TestApp, ahead: i64) {
    app.clock.set(Timestamp::from_seconds(NOW + ahead));
}

fn app_idle_life(app: &TestApp) -> Duration {
    app.app.config.tokens.refresh_idle_life
}

async fn refresh(app: &TestApp, token: &Value) -> reqwest::Response {
    app.post("/api/v1/refresh", &json!({ "refresh_token": token })).await
}
