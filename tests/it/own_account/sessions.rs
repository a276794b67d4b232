//! Where one is signed in.

use super::*;
use crate::helpers::db::on_both_engines;
use crate::helpers::mint;

async fn with_agent(app: &TestApp, email: &str, agent: &str) -> SignedIn {
    let body = json!({ "email": email, "password": PASSWORD });
    let request = app.request(Method::POST, "/api/v1/login").header("user-agent", agent).json(&body);
    SignedIn::from(request.send().await.unwrap()).await
}

on_both_engines! {
    async fn a_person_sees_where_they_are_signed_in(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        app.register("ann@example.com").await;
        app.register("bob@example.com").await;
        let phone = with_agent(&app, "ann@example.com", "phone/1.0 \u{e9}").await;
        SignedIn::new(&app, "bob@example.com").await;
        app.clock.advance(Duration::from_secs(60));
        let laptop = with_agent(&app, "ann@example.com", "").await;

        let sessions = phone.sessions(&app).await;
        assert_eq!(sessions.len(), 2, "{sessions:?}");
        assert_eq!(sessions[0], json!({
            "id": laptop.sid, "client_id": "first-party", "scope": "signet:account",
            "created_at": "2026-01-01T00:01:00Z", "last_used_at": "2026-01-01T00:01:00Z",
            "address": "127.0.0.1", "current": false,
        }));
        assert_eq!(sessions[1], json!({
            "id": phone.sid, "client_id": "first-party", "scope": "signet:account",
            "created_at": "2026-01-01T00:00:00Z", "last_used_at": "2026-01-01T00:00:00Z",
            "address": "127.0.0.1", "user_agent": "phone/1.0", "current": true,
        }));

        // Used is what was refreshed last.
        app.clock.advance(Duration::from_secs(60));
        phone.refresh(&app).await;
        let sessions = laptop.sessions(&app).await;
        assert_eq!([&sessions[0]["id"], &sessions[1]["id"]], [&phone.sid, &laptop.sid]);
        assert_eq!(sessions[0]["last_used_at"], "2026-01-01T00:02:00Z");
        assert_eq!(sessions[0]["created_at"], "2026-01-01T00:00:00Z");
        let of_laptop = laptop.sessions(&app).await;
        assert_eq!([&of_laptop[0]["current"], &of_laptop[1]["current"]], [false, true]);
    }

    async fn one_session_ends_by_its_name_and_no_other_does(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let ann = app.register("ann@example.com").await;
        let bob = app.register("bob@example.com").await;
        let [phone, laptop] = [SignedIn::new(&app, "ann@example.com").await, SignedIn::new(&app, "ann@example.com").await];
        let other = SignedIn::new(&app, "bob@example.com").await;
        let end = async |by: &SignedIn, sid: &str| {
            by.ask(&app, Method::DELETE, &format!("/api/v1/me/sessions/{sid}"), None).await
        };
        for sid in [other.sid.as_str(), "AAAAAAAAAAAAAAAAAAAAAA", "1", "%00", "..%2f", &"x".repeat(3000)] {
            assert_problem(end(&phone, sid).await, StatusCode::NOT_FOUND, "not-found").await;
        }
        assert_eq!(alive(&app, &bob).await, [other.sid.as_str()]);
        assert_eq!(alive(&app, &ann).await.len(), 2);
        assert!(events(&app, &ann).await.is_empty());

        assert_eq!(end(&phone, &laptop.sid).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()]);
        laptop.assert_ended(&app).await;
        assert_problem(end(&phone, &laptop.sid).await, StatusCode::NOT_FOUND, "not-found").await;
        // The present one too: signing out by another name.
        assert_eq!(end(&phone, &phone.sid).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(alive(&app, &ann).await, [""; 0]);
        let ended = "session.ended user ended-by-user";
        assert_eq!(events(&app, &ann).await, [ended, ended]);
        assert_eq!(events(&app, &bob).await, [""; 0]);
    }

    async fn all_sessions_end_at_once_or_all_but_the_present_one(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let ann = app.register("ann@example.com").await;
        let bob = app.register("bob@example.com").await;
        SignedIn::new(&app, "bob@example.com").await;
        let phone = SignedIn::new(&app, "ann@example.com").await;
        for _ in 0..3 {
            SignedIn::new(&app, "ann@example.com").await;
        }
        let end = async |query: &str| {
            phone.ask(&app, Method::DELETE, &format!("/api/v1/me/sessions{query}"), None).await
        };
        for query in ["?except=others", "?except=", "?Except=current", "?except=current&except=current", "?x"] {
            assert_problem(end(query).await, StatusCode::BAD_REQUEST, "invalid-request").await;
        }
        assert_eq!(alive(&app, &ann).await.len(), 4);

        assert_eq!(end("?except=current").await.status(), StatusCode::NO_CONTENT);
        assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()]);
        // Nothing ends, nothing is written.
        assert_eq!(end("?except=current").await.status(), StatusCode::NO_CONTENT);
        let told = entries(&app, &ann).await;
        assert_eq!((told.len(), told[0].event.as_str(), told[0].count), (1, "sessions.ended", 3));
        assert_eq!(end("").await.status(), StatusCode::NO_CONTENT);
        assert_eq!(alive(&app, &ann).await, [""; 0]);
        assert_eq!(alive(&app, &bob).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sessions_that_can_be_used_are_shown_and_of_many_those_used_last() {
    let app = TestApp::spawn_with(|config| {
        config.tokens.refresh_idle_life = Duration::from_secs(3600);
    })
    .await;
    let ann = app.register("ann@example.com").await;
    let old = SignedIn::new(&app, "ann@example.com").await;
    app.clock.advance(Duration::from_secs(3599));
    let new = SignedIn::new(&app, "ann@example.com").await;
    assert_eq!(new.sessions(&app).await.len(), 2);
    app.clock.advance(Duration::from_secs(1));
    let left = new.sessions(&app).await;
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!(new.sid)));
    assert_ne!(old.sid, new.sid);

    for _ in 0..201 {
        app.clock.advance(Duration::from_secs(1));
        SignedIn::new(&app, "ann@example.com").await;
    }
    let last = SignedIn::new(&app, "ann@example.com").await;
    let shown = last.sessions(&app).await;
    assert_eq!(shown.len(), 200);
    assert_eq!(shown[0]["id"], last.sid);
    assert!(alive(&app, &ann).await.len() > 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_session_or_of_no_account_sees_no_more_than_it_should() {
    let app = TestApp::spawn().await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    // As one of an earlier version.
    let without = mint::token(&app, &mint::claims(&app, &ann));
    let listed = json_of(app.get_with_token("/api/v1/me/sessions", &without).await).await;
    assert_eq!(listed["sessions"][0]["current"], false);
    assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()]);

    for sub in ["00000000-0000-4000-8000-000000000000", "first-party", "é"] {
        let token = mint::token(&app, &mint::claims(&app, sub));
        for (method, path) in [
            (Method::GET, "/api/v1/me".to_owned()),
            (Method::GET, "/api/v1/me/sessions".to_owned()),
            (Method::DELETE, "/api/v1/me/sessions".to_owned()),
            (Method::DELETE, format!("/api/v1/me/sessions/{}", phone.sid)),
        ] {
            let answer = app.request(method, &path).bearer_auth(&token).send().await.unwrap();
            assert_problem(answer, StatusCode::UNAUTHORIZED, "account-gone").await;
        }
    }
    assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()]);
}
