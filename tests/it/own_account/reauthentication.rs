//! Proving again that one is the owner.

use std::collections::BTreeMap;

use super::*;
use crate::helpers::app::NOW;
use crate::helpers::mint;

/// Everything that needs a proof, with this one.
async fn try_all(app: &TestApp, by: &SignedIn, proof: Option<&str>) -> Vec<Response> {
    let with = |mut body: Value| {
        if let Some(proof) = proof {
            body["current_password"] = json!(proof);
        }
        body
    };
    let password = with(json!({ "new_password": NEW }));
    vec![
        by.ask(app, Method::PUT, "/api/v1/me/password", Some(password)).await,
        by.patch(app, with(json!({ "email": "eve@example.com", "name": "Eve" }))).await,
        by.delete(app, proof.map(|_| with(json!({})))).await,
    ]
}

/// The entries of the audit log about an account, and how many there are of each: equal refusals may share one.
async fn noted(app: &TestApp, user: &str) -> BTreeMap<String, i64> {
    let mut noted = BTreeMap::new();
    for Entry { event, actor, session, reason, count } in entries(app, user).await {
        assert_eq!((actor.as_str(), session.is_some()), ("anybody", true), "{event}");
        *noted.entry(format!("{event} {}", reason.unwrap())).or_default() += count;
    }
    noted
}

#[tokio::test(flavor = "multi_thread")]
async fn a022_without_the_password_and_after_five_minutes_nothing_is_changed() {
    let app = TestApp::spawn().await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    SignedIn::new(&app, "ann@example.com").await;
    let before = json_of(app.get_with_token("/api/v1/me", &phone.token).await).await;
    app.clock.advance(STALE);
    let long = "x".repeat(1025);
    for proof in [None, Some(""), Some(WRONG), Some("A quiet walk by the sea"), Some(long.as_str())] {
        for answer in try_all(&app, &phone, proof).await {
            assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
        }
    }
    assert_eq!(json_of(app.get_with_token("/api/v1/me", &phone.token).await).await, before);
    assert_eq!(alive(&app, &ann).await.len(), 2);
    let expected = [("reauthentication.fail no-proof", 3), ("reauthentication.fail wrong-password", 12)];
    assert_eq!(
        noted(&app, &ann).await,
        BTreeMap::from(expected.map(|(line, count)| (line.to_owned(), count)))
    );
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a022_a_recent_sign_in_is_proof_enough_but_not_for_a_new_password_nor_beside_a_wrong_one() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    let body = json!({ "new_password": NEW });
    let answer = phone.ask(&app, Method::PUT, "/api/v1/me/password", Some(body)).await;
    assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
    for answer in try_all(&app, &phone, Some(WRONG)).await {
        assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
    }
    app.clock.advance(STALE - Duration::from_secs(1));
    assert_eq!(phone.patch(&app, json!({ "email": "anna@example.com" })).await.status(), StatusCode::OK);
    assert_eq!(phone.delete(&app, None).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a022_only_the_time_of_the_sign_in_counts_and_none_from_the_future() {
    // Replicas may be ten seconds apart; a sign-in at one is recent at the other.
    let app = TestApp::spawn().await;
    let ann = app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    // A fresh token of an old sign-in; one of a time that is yet to come; one that does not say.
    for auth_time in [json!(NOW - 301), json!(NOW + 11), Value::Null] {
        let mut claims = mint::claims(&app, &ann);
        (claims["sid"], claims["auth_time"]) = (json!(phone.sid), auth_time.clone());
        if auth_time.is_null() {
            claims.as_object_mut().unwrap().remove("auth_time");
        }
        let token = mint::token(&app, &claims);
        let stolen = SignedIn { token, sid: phone.sid.clone(), refresh_token: String::new() };
        for answer in try_all(&app, &stolen, None).await {
            assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
        }
    }
    // Without a session there is nothing to count tries against, nor anything that could have ended.
    let mut claims = mint::claims(&app, &ann);
    claims["auth_time"] = json!(NOW - 300);
    let without =
        SignedIn { token: mint::token(&app, &claims), sid: String::new(), refresh_token: String::new() };
    for proof in [Some(PASSWORD), None] {
        for answer in try_all(&app, &without, proof).await {
            assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
        }
    }
    for auth_time in [NOW - 300, NOW + 10] {
        (claims["sid"], claims["auth_time"]) = (json!(phone.sid), json!(auth_time));
        let token = mint::token(&app, &claims);
        let recent = SignedIn { token, sid: phone.sid.clone(), refresh_token: String::new() };
        let email = format!("ann{auth_time}@example.com");
        assert_eq!(
            recent.patch(&app, json!({ "email": email })).await.status(),
            StatusCode::OK,
            "{auth_time}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a022_a_thief_of_a_token_has_the_guesses_of_one_session_and_takes_none_from_the_owner() {
    let throttle = signet::config::Throttle { address_sign_ins: u32::MAX, ..Default::default() };
    let app = TestApp::spawn_with(|config| {
        config.throttle = throttle;
        config.tokens.access_token_life = Duration::from_secs(3600);
    })
    .await;
    let ann = app.register("ann@example.com").await;
    let [phone, stolen] =
        [SignedIn::new(&app, "ann@example.com").await, SignedIn::new(&app, "ann@example.com").await];
    for _ in 0..5 {
        let answer = stolen.put_password(&app, WRONG, NEW).await;
        assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
    }
    // Whatever is asked for, and with the right password too: it is not looked at.
    for answer in try_all(&app, &stolen, Some(PASSWORD)).await {
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_problem(answer, StatusCode::TOO_MANY_REQUESTS, "too-many-tries").await;
    }
    let expected = [("reauthentication.fail wrong-password", 5), ("reauthentication.throttled session", 3)];
    assert_eq!(
        noted(&app, &ann).await,
        BTreeMap::from(expected.map(|(line, count)| (line.to_owned(), count)))
    );
    // A wait later there is one try more, and then the next wait is longer.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(stolen.put_password(&app, WRONG, NEW).await.status(), StatusCode::FORBIDDEN);
    let answer = stolen.put_password(&app, WRONG, NEW).await;
    assert_eq!(answer.headers()["retry-after"], "2");

    // Neither a sign-in nor another session notices.
    assert_eq!(app.login("ann@example.com", PASSWORD).await.status(), StatusCode::OK);
    assert_eq!(phone.put_password(&app, PASSWORD, NEW).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(alive(&app, &ann).await, [phone.sid.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_wrong_guesses_end_the_guessing_of_a_session_and_a_right_one_before_forgives() {
    let throttle =
        signet::config::Throttle { address_sign_ins: u32::MAX, account_limit: 10, ..Default::default() };
    let app = TestApp::spawn_with(|config| {
        config.throttle = throttle;
        config.tokens.access_token_life = Duration::from_secs(86_400);
    })
    .await;
    app.register("ann@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    let guess = async |most: usize| {
        let mut looked_at = 0;
        for _ in 0..3 * most {
            let answer = phone.put_password(&app, WRONG, NEW).await;
            match answer.status() {
                StatusCode::FORBIDDEN => looked_at += 1,
                _ => app.clock.advance(Duration::from_secs(
                    answer.headers()["retry-after"].to_str().unwrap().parse().unwrap(),
                )),
            }
            if looked_at == most {
                break;
            }
        }
        looked_at
    };
    assert_eq!(guess(9).await, 9);
    app.clock.advance(Duration::from_secs(900));
    assert_eq!(phone.put_password(&app, PASSWORD, PASSWORD).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(guess(20).await, 10, "the limit, counted anew");
    app.clock.advance(Duration::from_secs(3600));
    let answer = phone.put_password(&app, PASSWORD, NEW).await;
    assert_problem(answer, StatusCode::TOO_MANY_REQUESTS, "too-many-tries").await;
    let anew = SignedIn::new(&app, "ann@example.com").await;
    assert_eq!(anew.put_password(&app, PASSWORD, NEW).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a022_the_sign_in_of_a_session_that_has_ended_proves_nothing() {
    let mut app = TestApp::spawn().await;
    // So that our own guard does not know yet that the session has ended.
    app.stop_background().await;
    app.register("ann@example.com").await;
    let [phone, stolen] =
        [SignedIn::new(&app, "ann@example.com").await, SignedIn::new(&app, "ann@example.com").await];
    assert_eq!(phone.put_password(&app, PASSWORD, NEW).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(app.get_with_token("/api/v1/me", &stolen.token).await.status(), StatusCode::OK);
    for answer in try_all(&app, &stolen, None).await {
        assert_problem(answer, StatusCode::FORBIDDEN, "reauthentication-required").await;
    }
    assert_eq!(phone.delete(&app, None).await.status(), StatusCode::NO_CONTENT);
}
