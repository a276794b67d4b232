//! The end of a session.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{PAST_GRACE, is_refused, logout, new_session, refresh, sign_in, stored, try_refresh};
use crate::helpers::app::TestApp;
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn any_token_of_a_session_ends_it_and_no_other(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let other = new_session(&app).await;
        for is_old in [false, true] {
            let first = sign_in(&app, "ann@example.com").await;
            app.clock.advance(PAST_GRACE);
            let second = refresh(&app, &first.refresh).await;
            app.clock.advance(PAST_GRACE);
            let token = if is_old { &first } else { &second };
            assert_eq!(logout(&app, &token.refresh).await, StatusCode::NO_CONTENT);
            assert!(is_refused(&app, &second.refresh).await);
            assert!(is_refused(&app, &first.refresh).await);
            assert_eq!(logout(&app, &token.refresh).await, StatusCode::NO_CONTENT, "again");
            let grant = stored(&app, &first.refresh).await;
            assert!(grant.revoked_at.is_some());
        }
        refresh(&app, &other.refresh).await;
        let mut outside = database.outside().await;
        let rows = outside
            .number("SELECT COUNT(*) FROM audit WHERE event = 'session.ended' AND reason = 'logout' \
                     AND actor = 'user' AND session_id IN (SELECT session_id FROM grants)")
            .await;
        let words = outside.number("SELECT COUNT(*) FROM grants WHERE revoked_for = 'logout'").await;
        let versions = outside.number("SELECT version FROM status_version").await;
        assert_eq!((rows, words, versions), (2, 2, 2), "each once");
    }

    async fn a073_a_logout_that_cannot_be_kept_is_never_called_done(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        let mut outside = database.outside().await;
        // The session cannot be read; cannot be ended; cannot be put on record.
        for table in ["grants", "status_version", "audit"] {
            outside.execute(&format!("ALTER TABLE {table} RENAME TO gone")).await;
            let answer = app.post("/api/v1/logout", &json!({ "refresh_token": first.refresh })).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{table}");
            assert!(answer.headers().contains_key("retry-after"));
            assert!(!answer.headers().contains_key("set-cookie"));
            outside.execute(&format!("ALTER TABLE gone RENAME TO {table}")).await;
            assert_eq!(stored(&app, &first.refresh).await.revoked_at, None, "{table}: half of it was kept");
        }
        assert_eq!(logout(&app, &first.refresh).await, StatusCode::NO_CONTENT);
        assert!(is_refused(&app, &first.refresh).await);
    }

    async fn a_replay_that_cannot_be_put_on_record_is_no_refusal_either(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        app.clock.advance(PAST_GRACE);
        let second = refresh(&app, &first.refresh).await;
        app.clock.advance(PAST_GRACE);
        let mut outside = database.outside().await;
        outside.execute("ALTER TABLE audit RENAME TO gone").await;
        assert!(try_refresh(&app, &first.refresh).await.status().is_server_error());
        outside.execute("ALTER TABLE gone RENAME TO audit").await;
        assert_eq!(stored(&app, &second.refresh).await.revoked_at, None);
        assert!(is_refused(&app, &first.refresh).await);
        assert!(is_refused(&app, &second.refresh).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_of_nothing_is_a_logout() {
    let app = TestApp::spawn().await;
    let first = new_session(&app).await;
    let long = "x".repeat(10_000);
    let near = format!("{}A", &first.refresh[..95]);
    let near = if near == first.refresh { format!("{}B", &first.refresh[..95]) } else { near };
    for token in ["", "garbage", &long, &first.access, &near, "sgr_", "\u{0}é"] {
        assert_eq!(logout(&app, token).await, StatusCode::NO_CONTENT, "{token:.40}");
    }
    for body in ["", "{}"] {
        let request = app.request(Method::POST, "/api/v1/logout").header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
    let answer = app.request(Method::POST, "/api/v1/logout").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(!is_refused(&app, &first.refresh).await, "and ends nobody's session");
    let answer = app.post("/api/v1/logout", &json!({ "refresh_token": 1, "all": true })).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}
