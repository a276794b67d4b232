//! A server that cannot read which keys sign.

use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use serde_json::json;
use signet::flow::key_rotation;
use signet::rotation::{PUBLISHED_UNREAD, SIGNED_UNREAD};

use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::db::on_both_engines;

fn refused_for_now(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
}

on_both_engines! {
    async fn a141_a_server_that_cannot_read_the_keys_stops_signing_and_then_publishing(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        app.stop_background().await;
        app.register("ann@example.com").await;
        let session = json_of(app.login("ann@example.com", PASSWORD).await).await;
        let mut outside = database.outside().await;
        outside.execute("ALTER TABLE keyring RENAME TO out_of_reach").await;
        let unread_for = |span: Duration| app.app.keyring.note_read(Instant::now().checked_sub(span).unwrap());

        unread_for(SIGNED_UNREAD);
        key_rotation::run_once(&app.app).await;
        let refresh = json!({ "refresh_token": session["refresh_token"] });
        refused_for_now(&app.login("ann@example.com", PASSWORD).await);
        refused_for_now(&app.post("/api/v1/refresh", &refresh).await);
        refused_for_now(&app.get("/health/ready").await);
        assert_eq!(app.get("/.well-known/jwks.json").await.status(), StatusCode::OK, "verifiers go on");
        unread_for(PUBLISHED_UNREAD);
        refused_for_now(&app.get("/.well-known/jwks.json").await);

        outside.execute("ALTER TABLE out_of_reach RENAME TO keyring").await;
        key_rotation::run_once(&app.app).await;
        for path in ["/.well-known/jwks.json", "/health/ready"] {
            assert_eq!(app.get(path).await.status(), StatusCode::OK, "{path}");
        }
        assert_eq!(app.post("/api/v1/refresh", &refresh).await.status(), StatusCode::OK, "nothing was used up");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_does_not_happen_is_told_and_the_server_goes_on() {
    let month = Duration::from_secs(30 * 86_400);
    let mut app = TestApp::spawn_with(|config| config.keys.rotate_every = month).await;
    app.stop_background().await;
    let ready = json_of(app.get("/health/ready").await).await;
    assert_eq!((&ready["status"], &ready["degraded"]), (&json!("ready"), &json!(null)));
    assert_eq!(ready["last_key_rotation"], "2026-01-01T00:00:00Z");
    assert_eq!(ready["next_key_rotation"], "2026-01-31T00:00:00Z");

    app.clock.advance(month + Duration::from_secs(3_601));
    let late = app.get("/health/ready").await;
    assert_eq!(late.status(), StatusCode::OK);
    let late = json_of(late).await;
    assert_eq!(late["status"], "degraded");
    assert!(late["degraded"][0].as_str().unwrap().contains("overdue"), "{late}");

    // No entry in the audit log, no rotation.
    let mut outside = crate::helpers::db::connect(&app.app.config.database).await;
    outside.execute("ALTER TABLE audit RENAME TO elsewhere").await;
    let before = app.app.keyring.active_kid();
    key_rotation::run_once(&app.app).await;
    assert_eq!(app.app.keyring.active_kid(), before);
    assert_eq!(json_of(app.get("/health/ready").await).await["status"], "degraded");
    outside.execute("ALTER TABLE elsewhere RENAME TO audit").await;
    super::settle(&app).await;
    assert_ne!(app.app.keyring.active_kid(), before);
    assert_eq!(json_of(app.get("/health/ready").await).await["status"], "ready");
}
