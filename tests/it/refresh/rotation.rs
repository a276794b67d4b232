//! What becomes of a token, and of the one before it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use signet::flow::signing_keys;
use signet::jose::PublishedKeys;

use super::{PAST_GRACE, Tokens, is_refused, new_session, refresh, stored, try_refresh};
use crate::helpers::app::{NOW, PASSWORD, TestApp, json_of};
use crate::helpers::db::{connect, on_both_engines};

on_both_engines! {
    async fn a065_an_old_token_after_the_grace_ends_the_session_and_is_on_record(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        app.clock.advance(PAST_GRACE);
        let second = refresh(&app, &first.refresh).await;
        app.clock.advance(PAST_GRACE);
        assert!(is_refused(&app, &first.refresh).await);
        assert!(is_refused(&app, &second.refresh).await, "whoever of the two is the thief");
        assert!(is_refused(&app, &first.refresh).await);

        let grant = stored(&app, &first.refresh).await;
        assert_eq!(grant.revoked_at, Some(app.clock.now()));
        let mut outside = database.outside().await;
        let rows = outside
            .number("SELECT COUNT(*) FROM audit WHERE event = 'refresh.fail' AND reason = 'replayed' \
                     AND actor = 'anybody' AND session_id = (SELECT session_id FROM grants) \
                     AND user_id = (SELECT id FROM users) AND address = '127.0.0.1'")
            .await;
        assert_eq!(rows, 1, "once, with the session");
        let words = outside.number("SELECT COUNT(*) FROM grants WHERE revoked_for = 'replay'").await;
        let versions = outside.number("SELECT version FROM status_version").await;
        assert_eq!((words, versions), (1, 1), "and the status list has changed");
    }

    async fn a069_a_lost_answer_is_given_again_within_the_grace_and_a_replay_after_it(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        app.clock.advance(PAST_GRACE);
        let second = refresh(&app, &first.refresh).await;
        let rotated = stored(&app, &first.refresh).await;
        for _ in 0..3 {
            let again = refresh(&app, &first.refresh).await;
            assert_eq!(again.refresh, second.refresh, "the same successor");
            assert_ne!(again.access, second.access);
        }
        app.clock.advance(Duration::from_secs(29));
        assert_eq!(refresh(&app, &first.refresh).await.refresh, second.refresh);
        let after = stored(&app, &first.refresh).await;
        assert_eq!(
            (after.generation, after.rotated_at, after.bit_until),
            (1, rotated.rotated_at, rotated.bit_until),
            "nothing was written"
        );
        app.clock.advance(Duration::from_secs(1));
        assert!(is_refused(&app, &first.refresh).await);
        assert!(is_refused(&app, &second.refresh).await);
    }

    async fn a069_two_generations_behind_is_a_replay_within_the_grace_too(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        app.clock.advance(PAST_GRACE);
        let second = refresh(&app, &first.refresh).await;
        app.clock.advance(PAST_GRACE);
        let third = refresh(&app, &second.refresh).await;
        assert!(is_refused(&app, &first.refresh).await);
        assert!(is_refused(&app, &third.refresh).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_grace_a_token_stays_and_after_it_gives_way_to_its_successor() {
    let app = TestApp::spawn().await;
    let first = new_session(&app).await;
    app.clock.advance(Duration::from_secs(29));
    assert_eq!(refresh(&app, &first.refresh).await.refresh, first.refresh);
    app.clock.advance(Duration::from_secs(1));
    let second = refresh(&app, &first.refresh).await;
    assert_ne!(second.refresh, first.refresh);
    assert_eq!(second.refresh.len(), 96);

    let (before, after) = (first.claims(), second.claims());
    for same in ["sub", "sid", "status", "client_id", "scope", "auth_time", "iss", "aud"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_ne!(before["jti"], after["jti"]);
    assert_eq!((&after["iat"], &after["exp"]), (&json!(NOW + 30), &json!(NOW + 630)));
    let grant = stored(&app, &second.refresh).await;
    assert_eq!(grant.bit_until.as_seconds(), NOW + 30 + 600 + 30 + 120);
    assert_eq!(grant.idle_until.as_seconds(), NOW + 30 + 14 * 86_400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_answered_like_a_sign_in_without_a_device() {
    let app = TestApp::spawn().await;
    let first = new_session(&app).await;
    let request = app.request(Method::POST, "/api/v1/refresh");
    let answer = request.json(&json!({ "refresh_token": first.refresh })).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("set-cookie"));
    let body = json_of(answer).await;
    let mut names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(600)));
    let me = app.get_with_token("/api/v1/me", body["access_token"].as_str().unwrap()).await;
    assert_eq!(me.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grace_every_use_rotates_and_no_second_use_is_forgiven() {
    let app = TestApp::spawn_with(|config| config.tokens.refresh_grace = Duration::ZERO).await;
    let mut tokens = new_session(&app).await;
    for _ in 0..5 {
        let next = refresh(&app, &tokens.refresh).await;
        assert_ne!(next.refresh, tokens.refresh);
        tokens = next;
    }
    let next = refresh(&app, &tokens.refresh).await;
    assert!(is_refused(&app, &tokens.refresh).await);
    assert!(is_refused(&app, &next.refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_and_the_program_of_the_last_use_are_kept() {
    let app = TestApp::spawn().await;
    let first = new_session(&app).await;
    app.clock.advance(PAST_GRACE);
    let request = app.request(Method::POST, "/api/v1/refresh").header("user-agent", "an app/2");
    let answer = request.json(&json!({ "refresh_token": first.refresh })).send().await.unwrap();
    let second = Tokens::of(answer).await;
    let grant = stored(&app, &second.refresh).await;
    assert_eq!(grant.last_caller.user_agent.unwrap().as_str(), "an app/2");
    assert_eq!(grant.last_caller.address.unwrap().to_string(), "127.0.0.1");
    assert_eq!(grant.created_at.as_seconds(), NOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_future_is_refused_and_ends_nothing() {
    let app = TestApp::spawn().await;
    let first = new_session(&app).await;
    app.clock.advance(PAST_GRACE);
    let second = refresh(&app, &first.refresh).await;
    // A database that was set back to before the rotation.
    let file = app.app.config.database.url.to_string();
    let mut outside = <sqlx::SqliteConnection as sqlx::Connection>::connect(&file).await.unwrap();
    sqlx::query("UPDATE grants SET generation = 0").execute(&mut outside).await.unwrap();
    assert!(is_refused(&app, &second.refresh).await);
    assert!(stored(&app, &first.refresh).await.revoked_at.is_none());
    assert!(!is_refused(&app, &first.refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a069_no_token_is_used_up_while_none_can_be_signed() {
    let mut app = TestApp::spawn().await;
    app.stop_background().await;
    let first = new_session(&app).await;
    app.clock.advance(PAST_GRACE);
    app.app.keyring.install(None, PublishedKeys::new(None, Vec::new()).unwrap()).unwrap();
    assert_eq!(try_refresh(&app, &first.refresh).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let grants = "SELECT count(*) FROM grants";
    let mut outside = connect(&app.app.config.database).await;
    let before = outside.number(grants).await;
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(outside.number(grants).await, before, "no session that nobody has a token of");

    // Whoever comes back long after the grace has lost nothing.
    app.clock.advance(Duration::from_secs(3600));
    signing_keys::load_or_create(&app.app).await.unwrap();
    let second = refresh(&app, &first.refresh).await;
    assert_ne!(second.refresh, first.refresh);
}
