//! What must be right although nothing was removed.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use signet::flow::sweep;

use super::{count, fetch, refresh, until};
use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of};
use crate::helpers::db::{TestDatabase, on_both_engines};

/// Signs in: access token and refresh token.
async fn session(app: &TestApp) -> (String, String) {
    let answer = app.login("ann@example.com", PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body = json_of(answer).await;
    let member = |name: &str| body[name].as_str().unwrap().to_owned();
    (member("access_token"), member("refresh_token"))
}

async fn refreshed(app: &TestApp, token: &str) -> (StatusCode, Value) {
    let answer = app.post("/api/v1/refresh", &json!({ "refresh_token": token })).await;
    (answer.status(), json_of(answer).await)
}

async fn app(database: &TestDatabase) -> TestApp {
    let mut app = TestApp::spawn_on(database.config.clone()).await;
    app.stop_background().await;
    app.register("ann@example.com").await;
    app
}

on_both_engines! {
    async fn a020_a_grant_that_is_over_counts_no_more_though_its_row_stands(database) {
        let app = app(database).await;
        let idle = app.app.config.tokens.refresh_idle_life;
        let (_, token) = session(&app).await;
        app.clock.advance(idle - Duration::from_secs(1));
        let (status, body) = refreshed(&app, &token).await;
        assert_eq!(status, StatusCode::OK);
        let token = body["refresh_token"].as_str().unwrap();
        app.clock.advance(idle + Duration::from_secs(1));
        let (status, problem) = refreshed(&app, token).await;
        assert_eq!((status, &problem["type"]), (StatusCode::BAD_REQUEST, &json!("urn:signet:problem:invalid-grant")));
        assert_eq!(count(database).await, 1, "the row stands");
        // Nor does a sweep change the answer.
        sweep::turn(&app.app).await.unwrap();
        assert_eq!(refreshed(&app, token).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(count(database).await, 0);
    }

    async fn a033_a_session_ends_at_its_absolute_end_however_busy_it_is(database) {
        let app = app(database).await;
        let tokens = &app.app.config.tokens;
        let (step, end) = (tokens.refresh_idle_life - Duration::from_secs(1), tokens.refresh_life);
        let (_, mut token) = session(&app).await;
        let mut age = Duration::ZERO;
        while age + step < end {
            app.clock.advance(step);
            age += step;
            let (status, body) = refreshed(&app, &token).await;
            assert_eq!(status, StatusCode::OK, "after {age:?}");
            token = body["refresh_token"].as_str().unwrap().to_owned();
        }
        app.clock.advance(end - age + Duration::from_secs(1));
        assert_eq!(refreshed(&app, &token).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(count(database).await, 1, "the row stands");
    }

    async fn a_logout_sets_its_own_bit_and_no_other(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        app.register("ann@example.com").await;
        let sessions = [session(&app).await, session(&app).await, session(&app).await];
        let out = app.post("/api/v1/logout", &json!({ "refresh_token": sessions[1].1 })).await;
        assert_eq!(out.status(), StatusCode::NO_CONTENT);
        let index = claims_of(&sessions[1].0)["status"]["status_list"]["idx"].as_u64().unwrap();
        until("the list is read", async || fetch(&app, 0).await.revoked() == [index]).await;
        app.stop_background().await;
        for (number, (access, _)) in sessions.iter().enumerate() {
            let expected = if number == 1 { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            assert_eq!(app.get_with_token("/api/v1/me", access).await.status(), expected, "{number}");
        }
        // Its last access token is dead, by any clock that is a minute wrong, when the bit is cleared.
        let alive_until = claims_of(&sessions[1].0)["exp"].as_i64().unwrap();
        let now = || app.clock.now().as_seconds();
        while fetch(&app, 0).await.revoked() == [index] {
            app.clock.advance(Duration::from_secs(60));
            sweep::turn(&app.app).await.unwrap();
            refresh(&app).await;
            assert!(now() < alive_until + 3600, "the bit is never cleared");
        }
        assert!(now() > alive_until + 60, "cleared {} s after exp", now() - alive_until);
    }
}
