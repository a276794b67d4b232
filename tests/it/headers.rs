//! What stands in the head of every answer, whatever it answers.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::json;
use signet::http::{Cors, ROUTES};
use sqlx::{Connection as _, SqliteConnection};

use crate::helpers::app::{PASSWORD, TestApp};

const EVIL: &str = "https://evil.example";
const OURS: &str = "https://app.example.com";

/// `takes_cookie`: of a route that may be called with the cookie of the refresh token. Credentials may be spoken of there;
/// without an allowed origin beside it, it means nothing to a browser.
fn assert_secure(what: &str, headers: &HeaderMap, takes_cookie: bool) {
    for (name, value) in [
        ("strict-transport-security", "max-age=63072000"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        let found: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(found, [value], "{what}: {name}");
    }
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    assert!(headers.contains_key("cache-control") && headers.contains_key("x-request-id"), "{what}");
    let with_credentials = headers.contains_key("access-control-allow-credentials");
    assert!(takes_cookie || !with_credentials, "{what}");
    assert!(!headers.contains_key("server") && !headers.contains_key("x-powered-by"), "{what}");
}

async fn app() -> TestApp {
    TestApp::spawn_with_env(&[
        ("SIGNET_ISSUER", "https://login.example.com"),
        ("SIGNET__SERVER__ALLOWED_ORIGINS", OURS),
        ("SIGNET__REGISTRATION", "open"),
    ])
    .await
}

fn allowed_origin(answer: &Response) -> Vec<String> {
    let found = answer.headers().get_all("access-control-allow-origin").iter();
    found.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a114_every_answer_of_every_route_carries_the_security_headers() {
    let app = app().await;
    for route in ROUTES {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE"] {
            let path = route.path.replace("{file}", "docs.js").replace("{list}", "0");
            let what = format!("{method} {path}");
            let request = || app.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
            for request in [
                request(),
                request().header("origin", EVIL),
                request().header("origin", OURS).header("access-control-request-method", "POST"),
                request().json(&json!({ "email": "x" })),
                request().header("host", "evil.example"),
                request().bearer_auth("x"),
            ] {
                let takes_cookie = route.cors == Cors::AllowedWithCookie;
                assert_secure(&what, request.send().await.unwrap().headers(), takes_cookie);
            }
        }
    }
    let login = |body: String| app.request(Method::POST, "/api/v1/login").body(body);
    let json = "application/json";
    let mut outsider = SqliteConnection::connect(&app.app.config.database.url.to_string()).await.unwrap();
    sqlx::query("ALTER TABLE users RENAME TO gone").execute(&mut outsider).await.unwrap();
    let sign_in = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
    for (status, request) in [
        (404, app.request(Method::GET, "/nothing/here")),
        (404, app.request(Method::GET, "/docs/nothing.js")),
        (400, login("{".to_owned()).header("content-type", json)),
        (413, login("x".repeat(70_000)).header("content-type", json)),
        (415, login("{}".to_owned())),
        (421, app.request(Method::GET, "/docs").header("host", "evil.example")),
        (500, login(sign_in).header("content-type", json)),
    ] {
        let answer = request.header("origin", EVIL).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_secure(&status.to_string(), answer.headers(), true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a114_no_origin_is_reflected_and_only_listed_ones_may_read_the_api() {
    let app = app().await;
    for route in ROUTES {
        let path = route.path.replace("{file}", "docs.js").replace("{list}", "0");
        let ask = |method: Method, origin: &'static str| {
            app.request(method, &path)
                .header("origin", origin)
                .header("access-control-request-method", route.method.as_str())
                .header("access-control-request-headers", "authorization")
        };
        for method in [route.method.as_str(), "OPTIONS", "PUT"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            for origin in
                [EVIL, "null", "https://app.example.com.evil.example", "http://app.example.com", "*"]
            {
                let answer = ask(method.clone(), origin).send().await.unwrap();
                let found = allowed_origin(&answer);
                // Whoever may read it may be anybody, and then that is said of everybody alike.
                let anyone = found == ["*"] && route.cors == Cors::Anyone;
                assert!(found.is_empty() || anyone, "{method} {path} from {origin}: {found:?}");
            }
            let answer = ask(method.clone(), OURS).send().await.unwrap();
            let found = allowed_origin(&answer);
            match route.cors {
                Cors::Never => assert!(found.is_empty(), "{method} {path}: {found:?}"),
                Cors::Anyone => assert!(found.is_empty() || found == ["*"], "{method} {path}: {found:?}"),
                Cors::Allowed | Cors::AllowedWithCookie => assert_eq!(found, [OURS], "{method} {path}"),
            }
        }
    }
    let nowhere = app.request(Method::GET, "/nothing/here").header("origin", OURS).send().await.unwrap();
    assert!(allowed_origin(&nowhere).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_about_https_by_a_service_that_has_none() {
    let plain = TestApp::spawn().await;
    assert!(!plain.get("/docs").await.headers().contains_key("strict-transport-security"));
    // A browser would remember it for every program that this machine ever serves under that name.
    let local = TestApp::spawn_with_env(&[("SIGNET_ISSUER", "https://localhost:8443")]).await;
    assert!(!local.get("/docs").await.headers().contains_key("strict-transport-security"));
}
