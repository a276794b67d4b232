//! The refresh token in a cookie.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::json;

use super::{PAST_GRACE, is_refused, new_session, refresh};
use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of};

fn login() -> serde_json::Value {
    json!({ "email": "ann@example.com", "password": PASSWORD, "delivery": "cookie" })
}

/// The `Set-Cookie` of the refresh token.
fn set_cookie(answer: &Response) -> Option<String> {
    let cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    cookies.filter(|cookie| cookie.contains("signet-refresh=")).map(str::to_owned).next()
}

/// The value in a `Set-Cookie`.
fn value(cookie: &str) -> String {
    cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

/// A call as a browser makes it: with a cookie and without a body.
fn with_cookie(app: &TestApp, path: &str, cookie: &str) -> RequestBuilder {
    app.request(Method::POST, path).header("cookie", cookie)
}

async fn by_cookie(app: &TestApp, token: &str) -> Response {
    with_cookie(app, "/api/v1/refresh", &format!("signet-refresh={token}")).send().await.unwrap()
}

/// An account and the token that its browser holds.
async fn browser(app: &TestApp) -> String {
    app.register("ann@example.com").await;
    value(&set_cookie(&app.post("/api/v1/login", &login()).await).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_keeps_the_token_where_no_script_reads_it() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let answer = app.post("/api/v1/login", &login()).await;
    let cookie = set_cookie(&answer).unwrap();
    let first = value(&cookie);
    assert_eq!(
        cookie,
        format!("signet-refresh={first}; Path=/; Max-Age=1209600; HttpOnly; SameSite=Strict"),
        "until the idle deadline; a loopback issuer has no TLS"
    );
    let text = answer.text().await.unwrap();
    assert!(!text.contains("sgr_") && !text.contains("refresh_token"), "{text}");

    app.clock.advance(PAST_GRACE);
    let answer = by_cookie(&app, &first).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let second = value(&set_cookie(&answer).unwrap());
    assert_ne!(first, second);
    let text = answer.text().await.unwrap();
    assert!(!text.contains("sgr_") && !text.contains("refresh_token"), "{text}");
    let body: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(claims_of(body["access_token"].as_str().unwrap()).get("sid").is_some());

    // The same token again: no more life than it has.
    app.clock.advance(Duration::from_secs(20));
    let again = by_cookie(&app, &second).await;
    let cookie = set_cookie(&again).unwrap();
    assert!(cookie.starts_with(&format!("signet-refresh={second}; Path=/; Max-Age=1209580; ")), "{cookie}");

    let path = "/api/v1/logout";
    let answer = with_cookie(&app, path, &format!("signet-refresh={second}")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let cleared = "signet-refresh=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict";
    assert_eq!(set_cookie(&answer).as_deref(), Some(cleared));
    assert_eq!(by_cookie(&app, &second).await.status(), StatusCode::BAD_REQUEST);
    assert!(is_refused(&app, &second).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_cookie_is_bound_to_its_host() {
    let app = TestApp::spawn_with_env(&[
        ("SIGNET_ISSUER", "https://login.example.com/auth"),
        ("SIGNET__REGISTRATION", "open"),
    ])
    .await;
    let client = Client::builder().no_proxy().build().unwrap();
    let post = |path: &str| {
        let request = client.post(format!("{}/auth/api/v1/{path}", app.url));
        request.header("host", "login.example.com").header("origin", "https://login.example.com")
    };
    let account = json!({ "email": "ann@example.com", "password": PASSWORD });
    assert_eq!(post("register").json(&account).send().await.unwrap().status(), StatusCode::CREATED);
    let cookie = set_cookie(&post("login").json(&login()).send().await.unwrap()).unwrap();
    assert!(cookie.starts_with("__Host-signet-refresh=sgr_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=1209600; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let token = value(&cookie);
    let send = async |cookie: String| post("refresh").header("cookie", cookie).send().await.unwrap().status();
    assert_eq!(send(format!("signet-refresh={token}")).await, StatusCode::BAD_REQUEST, "a neighbour's");
    assert_eq!(send(format!("__Host-signet-refresh={token}")).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_body_goes_before_the_cookie_and_comes_back_in_the_body() {
    let app = TestApp::spawn().await;
    let cookie = browser(&app).await;
    let own = super::sign_in(&app, "ann@example.com").await;
    let request = with_cookie(&app, "/api/v1/refresh", &format!("signet-refresh={cookie}"));
    let answer = request.json(&json!({ "refresh_token": own.refresh })).send().await.unwrap();
    assert_eq!(set_cookie(&answer), None);
    let body = json_of(answer).await;
    assert_eq!(body["refresh_token"], own.refresh.as_str());
    assert_eq!(claims_of(body["access_token"].as_str().unwrap())["sid"], own.claims()["sid"]);

    let request = with_cookie(&app, "/api/v1/logout", &format!("signet-refresh={cookie}"));
    let answer = request.json(&json!({ "refresh_token": own.refresh })).send().await.unwrap();
    assert_eq!((answer.status(), set_cookie(&answer)), (StatusCode::NO_CONTENT, None));
    assert!(is_refused(&app, &own.refresh).await);
    assert_eq!(by_cookie(&app, &cookie).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a031_two_refresh_cookies_count_as_none() {
    let app = TestApp::spawn().await;
    let token = browser(&app).await;
    let good = format!("signet-refresh={token}");
    for cookies in [
        vec![good.clone(), "signet-refresh=x".to_owned()],
        vec!["signet-refresh=x".to_owned(), good.clone()],
        vec![format!("{good}; {good}")],
        vec![format!("{good};signet-refresh=")],
        vec![format!("__Host-{good}")],
        vec![format!("Signet-Refresh={token}")],
        vec![format!("signet-refresh={}", &token[..95])],
        vec!["signet-refresh".to_owned()],
        vec!["signet-refresh=".to_owned()],
    ] {
        let mut request = app.request(Method::POST, "/api/v1/refresh");
        for cookie in &cookies {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{cookies:?}");
        assert_eq!(json_of(answer).await["type"], "urn:signet:problem:invalid-grant");
    }
    let beside = with_cookie(&app, "/api/v1/refresh", &format!("a=b; {good};c=d"));
    assert_eq!(beside.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_or_no_body_at_all_is_read() {
    let app = TestApp::spawn().await;
    let cookie = format!("signet-refresh={}", browser(&app).await);
    let ask = async |kind: Option<&str>, body: &'static str| {
        let mut request = with_cookie(&app, "/api/v1/refresh", &cookie);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        request.body(body).send().await.unwrap().status().as_u16()
    };
    for body in ["", "{}"] {
        assert_eq!(ask(Some("application/json"), body).await, 200, "{body}");
    }
    assert_eq!(ask(None, "").await, 200);
    assert_eq!(ask(None, "{}").await, 415);
    for form in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""] {
        assert_eq!([ask(Some(form), "").await, ask(Some(form), "{}").await], [415, 415], "{form}");
    }
    for body in ["[]", "null", "{\"refresh_token\":null}", "{\"token\":\"x\"}", "{"] {
        assert_eq!(ask(Some("application/json"), body).await, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_does_not_exist_is_refused() {
    let app = TestApp::spawn().await;
    let first = new_session(&app).await;
    for delivery in [json!("Cookie"), json!(""), json!(true), json!("header")] {
        let body = json!({ "email": "ann@example.com", "password": PASSWORD, "delivery": delivery });
        let answer = app.post("/api/v1/login", &body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(json_of(answer).await["errors"][0]["field"], "delivery");
    }
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "delivery": "body" });
    let answer = app.post("/api/v1/login", &body).await;
    assert_eq!(set_cookie(&answer), None);
    assert!(json_of(answer).await["refresh_token"].is_string());
    refresh(&app, &first.refresh).await;
}
