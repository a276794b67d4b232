//! Requests on whose end two readers could disagree, and other protocols on our port.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use signet::http::ROUTES;

use crate::helpers::app::TestApp;
use crate::helpers::raw;

/// Everything that comes back until the server closes, or until it has answered and says nothing more.
fn answers(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a117_whoever_frames_a_request_in_two_ways_is_refused_and_cut_off() {
    let app = TestApp::spawn().await;
    // Behind each of them stands a second request, which must never be seen as one.
    let smuggled = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!(
            "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}"
        )
    };
    let cases = [
        post("content-length: 5\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        post("transfer-encoding: chunked\r\ncontent-length: 5", "0\r\n\r\n"),
        post("content-length: 5\r\ncontent-length: 6", "{}   "),
        post("content-length: 2\r\ncontent-length: 2", "{}"),
        post("content-length: 2, 2", "{}"),
        post("content-length: +2", "{}"),
        post("content-length: -2", "{}"),
        post("content-length: 0x2", "{}"),
        post("content-length: 99999999999999999999999", "{}"),
        post("content-length: ", "{}"),
        post("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        post("transfer-encoding: identity, chunked", "0\r\n\r\n"),
        post("transfer-encoding: xchunked", "0\r\n\r\n"),
        post("transfer-encoding: gzip", "0\r\n\r\n"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: x", "0\r\n\r\n"),
        post("transfer-encoding: \u{b}chunked", "0\r\n\r\n"),
        post("transfer-encoding : chunked", "0\r\n\r\n"),
        post("content-length : 2", "{}"),
        post(" transfer-encoding: chunked", "0\r\n\r\n"),
        post("x: 1\r\n transfer-encoding: chunked", "0\r\n\r\n"),
        post("transfer-encoding:\r\n chunked", "0\r\n\r\n"),
        post("transfer-encoding: chunked", "+0\r\n\r\n"),
        post("transfer-encoding: chunked", "-1\r\n\r\n"),
        post("transfer-encoding: chunked", "0x0\r\n\r\n"),
        post("transfer-encoding: chunked", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked", "2;a=\nb\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked", "2\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked", "2\r\n{}0\r\n\r\n"),
        post("content-length: 2", "{}").replace("HTTP/1.1", "HTTP/1.2"),
        post("content-length: 2", "{}").replace("HTTP/1.1", "HTTP/2.0"),
        post("transfer-encoding: chunked", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
        post("x\0: 1\r\ncontent-length: 2", "{}"),
        post("x: \0\r\ncontent-length: 2", "{}"),
        post("x: a\rb\r\ncontent-length: 2", "{}"),
        post("content-length: 2", "{}").replace("POST /api", "POST  /api"),
    ];
    for case in cases {
        let answer = answers(&app, format!("{case}{smuggled}").as_bytes());
        assert_eq!(raw::status(&answer), 400, "{case:?}: {answer}");
        assert!(!answer.contains("\"live\""), "smuggled past {case:?}: {answer}");
    }
    // A body that HTTP/1.0 gives no length has none, and what follows is not read.
    let unframed = format!("POST /api/v1/login HTTP/1.0\r\nhost: localhost\r\n\r\n{smuggled}");
    assert_eq!(raw::status(&answers(&app, unframed.as_bytes())), 400);
    // Lines that end in a bare line feed are allowed (RFC 9112 section 2.2), and mean what they mean with both.
    let bare = answers(&app, b"GET /health/live HTTP/1.1\nhost: localhost\nconnection: close\n\n");
    assert_eq!(raw::status(&bare), 200);
    // Chunk extensions and trailers say nothing (RFC 9112 section 7.1.1): the body is what it is without them.
    let extended = post(
        "transfer-encoding: chunked\r\nconnection: close",
        "2;a=b;c=\"d\"\r\n{}\r\n0;e\r\ncontent-length: 9\r\nhost: evil.example\r\n\r\n",
    );
    let answer = answers(&app, extended.as_bytes());
    assert!(raw::status(&answer) == 400 && answer.contains("missing"), "{answer}");
    assert_eq!(app.get("/health/live").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a117_no_spelling_of_a_path_reaches_another_route() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let token = app.token("ann@example.com").await;
    let ask = |target: &str, token: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n");
        raw::exchange(&app.url, format!("{head}connection: close\r\n\r\n"))
    };
    for target in [
        "//api/v1/me",
        "/api//v1/me",
        "/api/v1/me/",
        "/api/v1/me/.",
        "/api/v1/x/../me",
        "/api/v1/./me",
        "/api%2fv1/me",
        "/api/v1%2Fme",
        "/api/v1;x/me",
        "/api/v1/me;x=1",
        "/api/v1/me%00",
        "/API/v1/me",
        "/api/v1/%2e%2e/v1/me",
        "/api\\v1\\me",
        "/docs/..;/api/v1/me",
        "/health/live/../../api/v1/me",
        "/api/v1/me%20",
        "/api/v1/me%3f",
        "/docs/../api/v1/me",
    ] {
        let answer = ask(target, &token);
        assert!(matches!(raw::status(&answer), 400 | 404), "{target}: {answer}");
        assert!(!answer.contains("ann@example.com"), "{target}");
    }
    // An escaped letter is that letter (RFC 3986 section 6.2.2.2): the same route, and the same guard in front of it.
    let escaped = ask("/api/v1/m%65", "wrong");
    assert!(matches!(raw::status(&escaped), 401 | 404), "{escaped}");
    // An absolute form for our own host is the same request (RFC 9112 section 3.2.2), guarded all the same.
    assert_eq!(raw::status(&ask("http://localhost/api/v1/me", &token)), 200);
    assert_eq!(raw::status(&ask("http://localhost/api/v1/me", "wrong")), 401);
    for target in ["*", "localhost:1", "evil.example:443"] {
        for method in ["OPTIONS", "CONNECT", "GET"] {
            let request =
                format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = raw::exchange(&app.url, request);
            assert!(matches!(raw::status(&answer), 400 | 404 | 405 | 421), "{method} {target}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a117_head_is_get_without_a_body_and_strange_methods_are_refused_on_every_route() {
    let app = TestApp::spawn().await;
    for path in ROUTES.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
        let gets = ROUTES.iter().any(|route| route.path == path && route.method == "GET");
        let ask = |method: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            raw::exchange(&app.url, request)
        };
        let head = ask("HEAD");
        let get = ask("GET");
        assert_eq!(raw::status(&head), raw::status(&get), "{path}");
        assert_eq!(gets, raw::status(&head) != 405, "{path}");
        assert!(head.ends_with("\r\n\r\n"), "no body: {path} {head}");
        let length =
            |answer: &str| answer.lines().find(|line| line.starts_with("content-length:")).map(str::to_owned);
        if raw::status(&get) == 200 {
            assert_eq!(length(&head), length(&get), "{path}");
        }
        for method in ["TRACE", "CONNECT", "PROPFIND", "get", "GETT", "X-A"] {
            let answer = ask(method);
            assert_eq!(raw::status(&answer), 405, "{method} {path}: {answer}");
            assert!(
                answer.contains("\r\nallow: ") && !answer.contains("message/http"),
                "{method} {path}: {answer}"
            );
        }
        for wish in ["x-http-method-override: DELETE", "x-http-method: DELETE", "x-method-override: DELETE"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{wish}\r\nconnection: close\r\n\r\n");
            assert_eq!(raw::status(&raw::exchange(&app.url, request)), raw::status(&get), "{wish} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a120_http_2_is_neither_spoken_nor_switched_to() {
    let app = TestApp::spawn().await;
    let preface = answers(&app, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    assert_eq!(raw::status(&preface), 400, "{preface}");
    for upgrade in [
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "connection: upgrade\r\nupgrade: h2c",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13",
        "connection: upgrade\r\nupgrade: TLS/1.0",
    ] {
        let answer = answers(
            &app,
            format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\n{upgrade}\r\n\r\n").as_bytes(),
        );
        // RFC 9110 section 7.8: a server may ignore the wish.
        assert_eq!(raw::status(&answer), 200, "{upgrade}: {answer}");
        assert!(
            !answer.contains("HTTP/1.1 101") && !answer.to_lowercase().contains("\r\nupgrade:"),
            "{answer}"
        );
    }
}
