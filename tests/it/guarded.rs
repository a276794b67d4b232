//! The service's own routes behind its own guard.

use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use signet::account::Email;
use signet::flow::accounts;
use signet::http::ROUTES;

use crate::helpers::app::{NOW, TestApp, json_of};
use crate::helpers::mint;

/// Routes that need no token: whatever a stranger may do.
const OPEN: &[&str] = &[
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/api/v1/register",
    "/api/v1/login",
    "/api/v1/refresh",
    "/api/v1/logout",
    "/status",
    "/status/{list}",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/docs",
    "/docs/{file}",
];

async fn refused(answer: Response, status: StatusCode, error: Option<&str>) -> Value {
    assert_eq!(answer.status(), status);
    let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    match error {
        Some(error) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
        None => assert!(!challenge.contains("error"), "RFC 6750 section 3.1: no code when no token was sent"),
    }
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let problem = json_of(answer).await;
    assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn a107_every_route_is_open_on_purpose_or_refuses_nobody_wrong_audience_and_missing_scope() {
    let app = TestApp::spawn().await;
    let sub = app.register("ann@example.com").await;
    let mut elsewhere = mint::claims(&app, &sub);
    elsewhere["aud"] = json!("https://another-api.example");
    let mut powerless = mint::claims(&app, &sub);
    powerless["scope"] = json!("openid signet:account2 signet");
    let (elsewhere, powerless) = (mint::token(&app, &elsewhere), mint::token(&app, &powerless));

    let mut guarded = 0;
    for route in ROUTES.iter().filter(|route| !OPEN.contains(&route.path)) {
        guarded += 1;
        let ask = |token: Option<&str>| {
            let request = app.request(route.method.as_str().parse().unwrap(), route.path);
            token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token)).send()
        };
        refused(ask(None).await.unwrap(), StatusCode::UNAUTHORIZED, None).await;
        refused(ask(Some(&elsewhere)).await.unwrap(), StatusCode::UNAUTHORIZED, Some("invalid_token")).await;
        refused(ask(Some(&powerless)).await.unwrap(), StatusCode::FORBIDDEN, Some("insufficient_scope"))
            .await;
        // No way around by method.
        for method in
            [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE, Method::PATCH]
        {
            let answer = app
                .request(method.clone(), route.path)
                .header("x-http-method-override", route.method.as_str())
                .send()
                .await
                .unwrap();
            assert!(answer.status().is_client_error(), "{method} {}: {}", route.path, answer.status());
        }
    }
    assert!(guarded > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a106_a_fresh_start_has_no_account_and_no_way_in() {
    let app = TestApp::spawn().await;
    assert_eq!(app.count_users().await, 0);
    for (email, password) in [
        ("admin@localhost", "admin"),
        ("admin@example.com", "password"),
        ("root@localhost", "root"),
        ("signet@localhost", "signet"),
        ("ann@example.com", "a quiet walk by the sea"),
    ] {
        assert_eq!(app.login(email, password).await.status(), StatusCode::UNAUTHORIZED, "{email}");
    }
    // Each installation has a key of its own: the self-signed token of another one is worth nothing here.
    let other = TestApp::spawn().await;
    let sub = other.register("eve@example.com").await;
    let mut claims = mint::claims(&other, &sub);
    claims["roles"] = json!(["admin"]);
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "another-installation" });
    let token = mint::sign(&header, &claims);
    refused(app.get_with_token("/api/v1/me", &token).await, StatusCode::UNAUTHORIZED, Some("invalid_token"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a084_one_bearer_header_and_nothing_else_carries_a_token() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let token = app.token("ann@example.com").await;
    let good = app.get_with_token("/api/v1/me", &token).await;
    assert_eq!(good.status(), StatusCode::OK);

    let nowhere = app.get(&format!("/api/v1/me?access_token={token}")).await;
    refused(nowhere, StatusCode::UNAUTHORIZED, None).await;
    let form = app.request(Method::GET, "/api/v1/me").form_like(&token).send().await.unwrap();
    refused(form, StatusCode::UNAUTHORIZED, None).await;
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer\t{token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token}\u{a0}"),
    ] {
        let header = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let answer =
            app.request(Method::GET, "/api/v1/me").header(AUTHORIZATION, header).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 400 | 401), "{value:.20}: {}", answer.status());
    }
    let twice =
        app.request(Method::GET, "/api/v1/me").bearer_auth(&token).bearer_auth(&token).send().await.unwrap();
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
}

trait FormLike {
    fn form_like(self, token: &str) -> Self;
}

impl FormLike for reqwest::RequestBuilder {
    fn form_like(self, token: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(format!("access_token={token}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a105_the_caller_learns_that_a_token_expired_and_nothing_else() {
    let app = TestApp::spawn().await;
    let sub = app.register("ann@example.com").await;
    let good = mint::claims(&app, &sub);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        mint::token(&app, &claims)
    };
    let mut texts = std::collections::HashSet::new();
    for token in [
        with("iss", json!("https://evil.example")),
        with("aud", json!("https://evil.example")),
        with("nbf", json!(NOW + 3600)),
        with("client_id", json!("")),
        mint::sign(&json!({ "alg": "RS256", "typ": "JWT", "kid": app.app.keyring.active_kid() }), &good),
        mint::sign(&json!({ "alg": "RS256", "typ": "at+jwt", "kid": "unknown" }), &good),
        "not.a.token".to_owned(),
    ] {
        let answer = app.get_with_token("/api/v1/me", &token).await;
        let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
        let mut problem = refused(answer, StatusCode::UNAUTHORIZED, Some("invalid_token")).await;
        assert!(!problem.to_string().contains(&token));
        problem["instance"] = Value::Null;
        texts.insert((challenge, problem.to_string()));
    }
    assert_eq!(texts.len(), 1, "one text for every refusal: {texts:?}");

    let mut old = good.clone();
    (old["iat"], old["exp"]) = (json!(NOW - 4200), json!(NOW - 3600));
    let token = mint::token(&app, &old);
    let expired = app.get_with_token("/api/v1/me", &token).await;
    let problem = refused(expired, StatusCode::UNAUTHORIZED, Some("invalid_token")).await;
    assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
    // Expired and not ours: not told.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let answer = app.get_with_token("/api/v1/me", &forged).await;
    let problem = refused(answer, StatusCode::UNAUTHORIZED, Some("invalid_token")).await;
    assert!(!problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_neither_its_time_nor_its_account() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let token = app.token("ann@example.com").await;
    accounts::disable(&app.app, Email::parse("ann@example.com").unwrap()).await.unwrap();
    let answer = app.get_with_token("/api/v1/me", &token).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(json_of(answer).await["type"], "urn:signet:problem:account-gone");
    accounts::enable(&app.app, Email::parse("ann@example.com").unwrap()).await.unwrap();
    assert_eq!(app.get_with_token("/api/v1/me", &token).await.status(), StatusCode::OK);

    app.clock.advance(std::time::Duration::from_secs(600 + 31));
    let answer = app.get_with_token("/api/v1/me", &token).await;
    refused(answer, StatusCode::UNAUTHORIZED, Some("invalid_token")).await;
}
