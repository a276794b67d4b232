//! The end of an account.

use signet::account::Email;
use signet::flow::accounts;

use super::*;
use crate::helpers::db::on_both_engines;

fn ann() -> Email {
    Email::parse("ann@example.com").unwrap()
}

on_both_engines! {
    async fn a037_an_account_that_was_deleted_is_gone_and_the_next_of_its_name_is_another(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        // Our own guard must not be quicker than the account's absence to refuse a token.
        app.stop_background().await;
        let first = app.register("ann@example.com").await;
        accounts::set_roles(&app.app, ann(), vec![signet::account::Role::parse("admin").unwrap()]).await.unwrap();
        let bob = app.register("bob@example.com").await;
        SignedIn::new(&app, "bob@example.com").await;
        let phone = SignedIn::new(&app, "ann@example.com").await;
        let laptop = SignedIn::new(&app, "ann@example.com").await;
        // Strangers have guessed; nothing of that stays either.
        app.login("ann@example.com", WRONG).await;
        assert_eq!(phone.delete(&app, Some(json!({ "current_password": PASSWORD }))).await.status(), StatusCode::NO_CONTENT);

        let gone = app.get_with_token("/api/v1/me", &phone.token).await;
        assert_problem(gone, StatusCode::UNAUTHORIZED, "account-gone").await;
        assert_eq!(alive(&app, &first).await, [""; 0]);
        phone.assert_ended(&app).await;
        laptop.assert_ended(&app).await;
        assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
        let mut outside = database.outside().await;
        for (what, sql) in [
            ("account", "SELECT count(*) FROM users"),
            ("password", "SELECT count(*) FROM passwords"),
        ] {
            assert_eq!(outside.number(sql).await, 1, "{what}: Bob's alone");
        }
        assert_eq!(outside.number("SELECT count(*) FROM user_roles").await, 0);
        let known = "SELECT count(*) FROM grants WHERE last_address IS NOT NULL OR last_user_agent IS NOT NULL";
        assert_eq!(outside.number(known).await, 1, "Bob's alone");
        assert_eq!(alive(&app, &bob).await.len(), 1);
        let expected = ["user.roles operator", "user.deleted user", "sessions.ended user account-deleted"];
        let written = events(&app, &first).await;
        assert_eq!(written[written.len() - 2..], expected[1..]);

        let second = app.register("ann@example.com").await;
        assert_ne!(second, first);
        let token = app.token("ann@example.com").await;
        assert_eq!(claims_of(&token)["sub"], second);
        assert_eq!(claims_of(&token).get("roles"), None);
        laptop.assert_ended(&app).await;
        let stale = app.get_with_token("/api/v1/me", &phone.token).await;
        assert_problem(stale, StatusCode::UNAUTHORIZED, "account-gone").await;
    }

    async fn a037_disabling_an_account_ends_its_sessions_for_good(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        // Our own guard must not be quicker than the account's absence to refuse a token.
        app.stop_background().await;
        let id = app.register("ann@example.com").await;
        let phone = SignedIn::new(&app, "ann@example.com").await;
        accounts::disable(&app.app, ann()).await.unwrap();
        assert_eq!(alive(&app, &id).await, [""; 0]);
        for (method, path) in [
            (Method::GET, "/api/v1/me"),
            (Method::GET, "/api/v1/me/sessions"),
            (Method::DELETE, "/api/v1/me/sessions"),
            (Method::DELETE, "/api/v1/me"),
        ] {
            let answer = phone.ask(&app, method, path, None).await;
            assert_problem(answer, StatusCode::UNAUTHORIZED, "account-gone").await;
        }
        for answer in [
            phone.put_password(&app, PASSWORD, NEW).await,
            phone.patch(&app, json!({ "name": "Ann" })).await,
            phone.patch(&app, json!({ "email": "anna@example.com", "current_password": PASSWORD })).await,
        ] {
            assert_problem(answer, StatusCode::UNAUTHORIZED, "account-gone").await;
        }
        accounts::enable(&app.app, ann()).await.unwrap();
        assert_eq!(alive(&app, &id).await, [""; 0], "what has ended has ended");
        phone.assert_ended(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_says_what_it_needs_and_takes_no_body_for_an_empty_one() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    for (body, status) in
        [("{", 400), ("[]", 400), ("{\"password\":\"x\"}", 400), ("{\"current_password\":null}", 400)]
    {
        let request = app.request(Method::DELETE, "/api/v1/me").bearer_auth(&phone.token);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
    }
    let request = app.request(Method::DELETE, "/api/v1/me").bearer_auth(&phone.token);
    assert_eq!(request.body("{}").send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.count_users().await, 1);
    assert_eq!(phone.delete(&app, Some(json!({}))).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(app.count_users().await, 0);
}
