//! Name and address.

use super::*;
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn another_address_ends_every_other_session_and_is_the_one_to_sign_in_with(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let ann = app.register("ann@example.com").await;
        let phone = SignedIn::new(&app, "ann@example.com").await;
        SignedIn::new(&app, "ann@example.com").await;
        let body = json!({ "email": " Anna@Example.com", "name": "Anna" });
        let answer = phone.patch(&app, body).await;
        assert_eq!(answer.status(), StatusCode::OK, "the sign-in was a moment ago");
        let user = json_of(answer).await;
        let expected = json!({
            "id": ann, "email": "anna@example.com", "name": "Anna", "roles": [], "created_at": "2026-01-01T00:00:00Z",
        });
        assert_eq!(user, expected);
        assert_eq!(json_of(app.get_with_token("/api/v1/me", &phone.token).await).await, user);
        assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()]);
        assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(app.login("anna@example.com", PASSWORD).await.status(), StatusCode::OK);
        let expected = ["user.email user", "user.name user", "sessions.ended user credential-changed"];
        assert_eq!(events(&app, &ann).await, expected);
        // The old address is free.
        assert_ne!(app.register("ann@example.com").await, ann);
    }

    async fn an_address_that_is_taken_is_told_and_nothing_changes(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let ann = app.register("ann@example.com").await;
        app.register("bob@example.com").await;
        let phone = SignedIn::new(&app, "ann@example.com").await;
        SignedIn::new(&app, "ann@example.com").await;
        let answer = phone.patch(&app, json!({ "email": "BOB@example.com", "name": "Bob" })).await;
        assert_problem(answer, StatusCode::CONFLICT, "address-taken").await;
        let user = json_of(app.get_with_token("/api/v1/me", &phone.token).await).await;
        assert_eq!((&user["email"], user.get("name")), (&json!("ann@example.com"), None));
        assert_eq!(alive(&app, &ann).await.len(), 2);
        assert_eq!(events(&app, &ann).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_needs_no_proof_and_may_be_taken_away() {
    let app = TestApp::spawn().await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    SignedIn::new(&app, "ann@example.com").await;
    app.clock.advance(STALE);
    for (body, name) in [
        (json!({ "name": " Ann O'Nym " }), Some("Ann O'Nym")),
        (json!({ "name": "Ann O'Nym", "email": "ANN@example.com" }), Some("Ann O'Nym")),
        (json!({}), Some("Ann O'Nym")),
        (json!({ "name": null }), None),
        (json!({ "name": null }), None),
    ] {
        let answer = phone.patch(&app, body.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{body}");
        let user = json_of(answer).await;
        assert_eq!(user.get("name").and_then(Value::as_str), name, "{body}");
        assert_eq!(json_of(app.get_with_token("/api/v1/me", &phone.token).await).await, user);
    }
    assert_eq!(events(&app, &ann).await, ["user.name user", "user.name user"], "what stays is no change");
    assert_eq!(alive(&app, &ann).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a025_an_own_profile_has_no_other_members_and_a_refused_change_changes_nothing() {
    let app = TestApp::spawn().await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    SignedIn::new(&app, "ann@example.com").await;
    let before = json_of(app.get_with_token("/api/v1/me", &phone.token).await).await;
    let named = |member: &str, value: Value| {
        let mut body = json!({ "name": "Eve", "email": "eve@example.com", "current_password": PASSWORD });
        body[member] = value;
        (member.to_owned(), body)
    };
    let mut cases: Vec<_> =
        ["roles", "id", "sub", "email_verified", "tenant", "created_at", "disabled_at", "Name"]
            .map(|member| named(member, json!("admin")))
            .to_vec();
    cases.push(named("roles", json!(["admin"])));
    cases.push(named("credential_version", json!(0)));
    cases.push(named("email", json!("eve@example.com,bob@example.com")));
    cases.push(named("email", Value::Null));
    cases.push(named("name", json!("a\r\nb")));
    cases.push(named("name", json!("")));
    cases.push(named("current_password", json!(["x"])));
    for (member, body) in cases {
        let problem =
            assert_problem(phone.patch(&app, body).await, StatusCode::BAD_REQUEST, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], member);
    }
    assert_eq!(json_of(app.get_with_token("/api/v1/me", &phone.token).await).await, before);
    assert_eq!(alive(&app, &ann).await.len(), 2);
    assert_eq!(events(&app, &ann).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_through_a_list_of_addresses_with_an_account_of_their_own() {
    let app = TestApp::spawn_with(|config| config.throttle.address_registrations = 5).await;
    for email in ["ann@example.com", "bob@example.com"] {
        app.register(email).await;
    }
    let phone = SignedIn::new(&app, "ann@example.com").await;
    for _ in 0..3 {
        let answer = phone.patch(&app, json!({ "email": "bob@example.com" })).await;
        assert_problem(answer, StatusCode::CONFLICT, "address-taken").await;
    }
    for email in ["bob@example.com", "free@example.com"] {
        let answer = phone.patch(&app, json!({ "email": email })).await;
        assert_eq!(answer.headers()["retry-after"], "60");
        assert_problem(answer, StatusCode::TOO_MANY_REQUESTS, "too-many-tries").await;
    }
    // The proof comes first: a stolen token learns nothing about anybody.
    app.clock.advance(STALE);
    let answer = phone.patch(&app, json!({ "email": "bob@example.com" })).await;
    assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
    assert_eq!(phone.patch(&app, json!({ "name": "Ann" })).await.status(), StatusCode::OK);
}
