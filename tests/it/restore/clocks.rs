//! Clocks that disagree.

use std::time::Duration;

use reqwest::StatusCode;
use signet::flow::clock_check;
use signet_guard::Clock;

use crate::helpers::app::TestApp;
use crate::helpers::db::TestDatabase;

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
