//! What the service answers to requests that are not right.

use std::collections::BTreeSet;

use reqwest::header::{ALLOW, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use signet::http::ROUTES;

use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::raw;

/// Checks what every problem document must be, and answers it.
async fn problem(answer: Response, status: u16) -> Value {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let problem = json_of(answer).await;
    assert_eq!(problem["status"], status);
    assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
    assert!(problem["type"].as_str().unwrap().starts_with("urn:signet:problem:"));
    problem
}

fn faults(problem: &Value) -> BTreeSet<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    problem["errors"].as_array().unwrap().iter().map(|f| (text(f, "field"), text(f, "code"))).collect()
}

fn set(expected: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    expected.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a012_a_body_that_is_not_right_is_told_what_to_mend() {
    let app = TestApp::spawn().await;
    let cases: [(Value, &[(&str, &str)]); 9] = [
        (json!({}), &[("email", "missing"), ("password", "missing")]),
        (json!({ "email": null, "password": null }), &[("email", "wrong-type"), ("password", "wrong-type")]),
        (json!({ "email": [], "password": {} }), &[("email", "wrong-type"), ("password", "wrong-type")]),
        (json!({ "email": 5, "password": true }), &[("email", "wrong-type"), ("password", "wrong-type")]),
        (json!({ "email": "x", "password": PASSWORD }), &[("email", "invalid")]),
        (
            json!({ "email": "x".repeat(5000) + "@example.com", "password": PASSWORD }),
            &[("email", "invalid")],
        ),
        (json!({ "email": "' OR 1=1 --", "password": PASSWORD }), &[("email", "invalid")]),
        (
            json!({ "email": "${jndi:ldap://x}\u{1b}[2J@example.com", "password": PASSWORD }),
            &[("email", "invalid")],
        ),
        (json!({ "email": "ann@example.com", "password": PASSWORD, "x": 1 }), &[("x", "unknown")]),
    ];
    for path in ["/api/v1/register", "/api/v1/login"] {
        for (body, expected) in &cases {
            let problem = problem(app.post(path, body).await, 400).await;
            assert_eq!(faults(&problem), set(expected), "{path} {body}");
            assert!(!problem.to_string().contains(PASSWORD));
        }
        for text in
            ["", "null", "[]", "{", "email=ann%40example.com", "{\"email\":\"a\"}}", "\u{feff}{}", "\"x\""]
        {
            let request = app.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(text);
            problem(request.send().await.unwrap(), 400).await;
        }
        let twice = r#"{"email":"ann@example.com","password":"a","password":"b"}"#;
        let request = app.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(twice);
        let found = problem(request.send().await.unwrap(), 400).await;
        assert_eq!(faults(&found), set(&[("password", "repeated")]));

        let good = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let request = app.request(Method::POST, path).header(CONTENT_TYPE, wrong).body(good.clone());
            problem(request.send().await.unwrap(), 415).await;
        }
        problem(app.request(Method::POST, path).body(good.clone()).send().await.unwrap(), 415).await;
    }
    // A password in the query is neither used nor told to the log (see the log tests).
    let query = "/api/v1/login?email=ann%40example.com&password=hunter2hunter2hunter2";
    problem(app.get(query).await, 405).await;
    assert_eq!(app.count_users().await, 0, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_other_methods_and_names_its_own() {
    let app = TestApp::spawn().await;
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    for path in ROUTES.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
        let own: Vec<_> =
            ROUTES.iter().filter(|route| route.path == path).map(|r| r.method.as_str()).collect();
        for method in &methods {
            if own.contains(&method.as_str()) {
                continue;
            }
            let answer = app.request(method.clone(), path).send().await.unwrap();
            let allow = answer.headers()[ALLOW].to_str().unwrap().to_owned();
            assert!(own.iter().all(|own| allow.split(", ").any(|name| name == *own)), "{path}: {allow}");
            problem(answer, 405).await;
        }
    }
    problem(app.get("/nothing/here").await, 404).await;
    problem(app.get("/docs/..%2f..%2fCargo.toml").await, 404).await;
    problem(app.get("/docs/unknown.js").await, 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a118_bodies_over_the_limit_compressed_ones_and_header_floods_are_refused() {
    let app = TestApp::spawn().await;
    for path in ["/api/v1/register", "/api/v1/login"] {
        let body = json!({ "email": "ann@example.com", "password": "x".repeat(70_000) });
        problem(app.post(path, &body).await, 413).await;
        let request = app.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        let bomb = request.header("content-encoding", "gzip").body(vec![0x1f, 0x8b, 8, 0]);
        problem(bomb.send().await.unwrap(), 415).await;
    }
    let many: String = (0..97).map(|n| format!("x-{n}: y\r\n")).collect();
    let flood = format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\n{many}connection: close\r\n\r\n");
    assert!(matches!(raw::status(&raw::exchange(&app.url, flood)), 400 | 431));
    let block = format!(
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx: {}\r\nconnection: close\r\n\r\n",
        "y".repeat(200_000)
    );
    assert!(matches!(raw::status(&raw::exchange(&app.url, block)), 0 | 400 | 431));
    assert_eq!(app.get("/health/live").await.status(), StatusCode::OK);
    assert_eq!(app.count_users().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_given_up() {
    let app = TestApp::spawn_with(|c| c.server.body_timeout = std::time::Duration::from_millis(100)).await;
    let head = "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 50\r\nconnection: close\r\n\r\n{\"email\":";
    let answer = raw::exchange(&app.url, head);
    assert_eq!(raw::status(&answer), 408, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a017_no_header_decides_who_we_are() {
    let app = TestApp::spawn().await;
    let port = app.url.rsplit_once(':').unwrap().1.to_owned();
    let ask = |target: &str, headers: &str| {
        raw::exchange(&app.url, format!("GET {target} HTTP/1.1\r\n{headers}\r\nconnection: close\r\n\r\n"))
    };
    let path = "/.well-known/oauth-authorization-server";
    let honest = ask(path, &format!("host: 127.0.0.1:{port}"));
    assert_eq!(raw::status(&honest), 200);
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    for forwarded in [
        "x-forwarded-host: evil.example",
        "x-forwarded-proto: https",
        "x-forwarded-port: 4444",
        "forwarded: host=evil.example;proto=https",
        "x-original-url: /evil",
    ] {
        let answer = ask(path, &format!("host: localhost:{port}\r\n{forwarded}"));
        assert_eq!(body(&answer), body(&honest), "{forwarded}");
    }
    for (hosts, status) in [
        ("host: evil.example", 421),
        ("host: evil.example:8080", 421),
        ("host: 127.0.0.1.evil.example", 421),
        ("host: localhost.evil.example", 421),
        ("host: localhost@evil.example", 421),
        ("host: ", 421),
        ("x-nothing: 1", 400),
        ("host: localhost\r\nhost: evil.example", 400),
    ] {
        let answer = ask(path, hosts);
        assert_eq!(raw::status(&answer), status, "{hosts}: {answer}");
        assert!(!answer.contains("evil.example"), "{answer}");
    }
    let absolute = ask(&format!("http://evil.example{path}"), "host: localhost");
    assert_eq!(raw::status(&absolute), 421, "{absolute}");
    // Health checks come by address, under any name, and learn nothing.
    assert_eq!(raw::status(&ask("/health/live", "host: probe.internal")), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_believed_when_they_are_listed() {
    let app = TestApp::spawn_with(|config| config.server.hosts = vec!["login.example.com".to_owned()]).await;
    let ask = |host: &str| {
        let request =
            format!("GET /.well-known/jwks.json HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        raw::status(&raw::exchange(&app.url, request))
    };
    assert_eq!(ask("LOGIN.example.com"), 200);
    assert_eq!(ask("login.example.com:81"), 421);
    assert_eq!(ask(app.app.config.issuer.host()), 200);
    // The default port of the issuer's scheme may be written (RFC 9110 section 4.2.1).
    assert_eq!(ask("login.example.com:80"), 200);
    assert_eq!(ask("login.example.com:443"), 421);
}
