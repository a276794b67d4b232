//! A new password.

use super::*;
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn a021_a_new_password_ends_every_other_session_and_signs_nobody_in(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let ann = app.register("ann@example.com").await;
        let bob = app.register("bob@example.com").await;
        let phone = SignedIn::new(&app, "ann@example.com").await;
        let others = [SignedIn::new(&app, "ann@example.com").await, SignedIn::new(&app, "ann@example.com").await];
        let bobs = SignedIn::new(&app, "bob@example.com").await;

        let answer = phone.put_password(&app, PASSWORD, NEW).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert!(!answer.headers().contains_key("set-cookie"));
        assert_eq!(answer.text().await.unwrap(), "", "no token: nobody is signed in by it");
        assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()], "the present session goes on");
        assert_eq!(alive(&app, &bob).await, [bobs.sid.as_str()]);
        for other in &others {
            other.assert_ended(&app).await;
        }
        for (going_on, sub) in [(&phone, &ann), (&bobs, &bob)] {
            let anew = SignedIn::from(going_on.refresh(&app).await).await;
            assert_eq!((&anew.sid, &claims_of(&anew.token)["sub"]), (&going_on.sid, &json!(sub)));
        }
        assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(app.login("ann@example.com", NEW).await.status(), StatusCode::OK);
        let expected = ["password.changed user", "sessions.ended user credential-changed"];
        assert_eq!(events(&app, &ann).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_device_is_a_stranger_with_the_new_password_and_strangers_begin_anew() {
    let throttle = signet::config::Throttle { address_sign_ins: u32::MAX, ..Default::default() };
    let app = TestApp::spawn_with(|config| config.throttle = throttle).await;
    app.register("ann@example.com").await;
    let answer = json_of(app.login("ann@example.com", PASSWORD).await).await;
    let device = answer["device"].as_str().unwrap().to_owned();
    let phone = SignedIn::new(&app, "ann@example.com").await;
    for _ in 0..5 {
        assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);

    assert_eq!(phone.put_password(&app, PASSWORD, NEW).await.status(), StatusCode::NO_CONTENT);
    for _ in 0..5 {
        assert_eq!(app.login("ann@example.com", WRONG).await.status(), StatusCode::UNAUTHORIZED);
    }
    let body = json!({ "email": "ann@example.com", "password": NEW, "device": device });
    let answer = app.post("/api/v1/login", &body).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "the device is not known any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_that_is_refused_changes_nothing_and_costs_no_try() {
    let app = TestApp::spawn_with(|config| config.throttle = Default::default()).await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    for _ in 0..10 {
        for (new, code) in [("short", "too-short"), ("ann@example.com-ann@example.com", "context")] {
            let answer = phone.put_password(&app, WRONG, new).await;
            let problem = assert_problem(answer, StatusCode::BAD_REQUEST, "invalid-request").await;
            assert_eq!(problem["errors"][0]["field"], "new_password");
            assert_eq!(problem["errors"][0]["code"], code);
        }
    }
    for body in [
        json!({ "current_password": PASSWORD }),
        json!({ "current_password": PASSWORD, "new_password": null }),
        json!({ "current_password": 1, "new_password": NEW }),
        json!({ "current_password": PASSWORD, "new_password": NEW, "password": NEW }),
    ] {
        let answer = phone.ask(&app, Method::PUT, "/api/v1/me/password", Some(body)).await;
        assert_problem(answer, StatusCode::BAD_REQUEST, "invalid-request").await;
    }
    assert_eq!(events(&app, &ann).await, [""; 0]);
    assert_eq!(phone.put_password(&app, PASSWORD, NEW).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_entry_in_the_audit_log_no_change_is_made() {
    let app = TestApp::spawn().await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    SignedIn::new(&app, "ann@example.com").await;
    connect(&app.app.config.database).await.execute("ALTER TABLE audit RENAME TO elsewhere").await;

    let body = || Some(json!({ "current_password": PASSWORD }));
    let answers = [
        phone.put_password(&app, PASSWORD, NEW).await,
        phone.patch(&app, json!({ "name": "Anna" })).await,
        phone.patch(&app, json!({ "email": "anna@example.com", "current_password": PASSWORD })).await,
        phone.delete(&app, body()).await,
        phone.ask(&app, Method::DELETE, "/api/v1/me/sessions", None).await,
        phone.ask(&app, Method::DELETE, &format!("/api/v1/me/sessions/{}", phone.sid), None).await,
    ];
    for answer in answers {
        assert!(answer.status().is_server_error(), "{answer:?}");
    }
    assert_eq!(alive(&app, &ann).await.len(), 2);
    let user = json_of(app.get_with_token("/api/v1/me", &phone.token).await).await;
    assert_eq!((&user["email"], user.get("name")), (&json!("ann@example.com"), None));

    connect(&app.app.config.database).await.execute("ALTER TABLE elsewhere RENAME TO audit").await;
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}
