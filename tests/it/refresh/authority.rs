//! What a refresh grants is what holds now, and never more than was granted.

use reqwest::StatusCode;
use serde_json::json;
use signet::account::{Email, Role};
use signet::flow::accounts;

use super::{PAST_GRACE, Tokens, is_refused, new_session, refresh, sign_in, stored};
use crate::helpers::app::{TestApp, json_of};
use crate::helpers::db::on_both_engines;

fn ann() -> Email {
    Email::parse("ann@example.com").unwrap()
}

on_both_engines! {
    async fn a068_a_role_given_or_taken_is_visible_at_the_next_refresh(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        assert!(first.claims().get("roles").is_none());
        accounts::set_roles(&app.app, ann(), vec![Role::parse("admin").unwrap()]).await.unwrap();
        // Also for a token that stays within the grace.
        let second = refresh(&app, &first.refresh).await;
        assert_eq!(second.claims()["roles"], json!(["admin"]));
        accounts::set_roles(&app.app, ann(), Vec::new()).await.unwrap();
        app.clock.advance(PAST_GRACE);
        assert!(refresh(&app, &second.refresh).await.claims().get("roles").is_none());
    }

    async fn a037_a_disabled_or_deleted_account_gets_nothing_and_a_new_one_of_its_name_is_another(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let first = new_session(&app).await;
        accounts::disable(&app.app, ann()).await.unwrap();
        assert!(is_refused(&app, &first.refresh).await);
        app.clock.advance(PAST_GRACE);
        assert!(is_refused(&app, &first.refresh).await);

        app.register("bob@example.com").await;
        let bob = sign_in(&app, "bob@example.com").await;
        for table in ["user_roles", "passwords"] {
            database.outside().await.execute(&format!("DELETE FROM {table}")).await;
        }
        database.outside().await.execute("DELETE FROM users").await;
        assert!(is_refused(&app, &bob.refresh).await);
        app.register("bob@example.com").await;
        assert!(is_refused(&app, &bob.refresh).await);
        let again = sign_in(&app, "bob@example.com").await;
        assert_ne!(again.claims()["sub"], bob.claims()["sub"]);
        assert_ne!(again.claims()["sid"], bob.claims()["sid"]);
    }
}

async fn refresh_for(app: &TestApp, token: &str, scope: &str) -> reqwest::Response {
    app.post("/api/v1/refresh", &json!({ "refresh_token": token, "scope": scope })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a068_a_part_of_the_scope_may_be_asked_for_and_never_more() {
    let app = TestApp::spawn_with(|config| config.tokens.scopes = "a b c".parse().unwrap()).await;
    app.register("ann@example.com").await;
    let body =
        json!({ "email": "ann@example.com", "password": crate::helpers::app::PASSWORD, "scope": "a b" });
    let first = Tokens::of(app.post("/api/v1/login", &body).await).await;
    app.clock.advance(PAST_GRACE);
    for wider in ["c", "a c", "signet:account", "A", "a b c"] {
        let answer = refresh_for(&app, &first.refresh, wider).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wider}");
        let problem = json_of(answer).await;
        assert_eq!(problem["type"], "urn:signet:problem:invalid-request");
        assert_eq!(problem["errors"][0]["field"], "scope");
        assert_eq!(problem["errors"][0]["code"], "invalid-scope");
    }
    assert_eq!(stored(&app, &first.refresh).await.generation, 0, "a refused wish uses up no token");
    let part = json_of(refresh_for(&app, &first.refresh, "b").await).await;
    assert_eq!(part["scope"], "b");
    let token = part["refresh_token"].as_str().unwrap();
    assert_eq!(refresh(&app, token).await.claims()["scope"], "a b", "the grant is what it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a068_a_scope_that_is_not_offered_any_more_is_not_granted_again() {
    let app = TestApp::spawn_with(|config| config.tokens.scopes = "a b".parse().unwrap()).await;
    app.register("ann@example.com").await;
    let login = |scope: &str| json!({ "email": "ann@example.com", "password": crate::helpers::app::PASSWORD, "scope": scope });
    let both = Tokens::of(app.post("/api/v1/login", &login("a b")).await).await;
    let only = Tokens::of(app.post("/api/v1/login", &login("b")).await).await;
    let later = app.replica(|config| config.tokens.scopes = "a".parse().unwrap()).await;
    later.clock.advance(PAST_GRACE);
    let left = refresh(&later, &both.refresh).await;
    assert_eq!(left.claims()["scope"], "a");
    assert!(is_refused(&later, &only.refresh).await, "nothing is left of it");
    let answer = refresh_for(&later, &left.refresh, "b").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    // Once it is offered again, the grant is worth what it was.
    assert_eq!(stored(&later, &only.refresh).await.revoked_at, None);
    assert_eq!(refresh(&app, &only.refresh).await.claims()["scope"], "b");
}
