//! A browser does what any page tells it to.

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::json;

use super::is_refused;
use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::process::{Process, command};

const APP: &str = "https://app.example.com";

/// What a browser says about the page that sends it.
type Page = &'static [(&'static str, &'static str)];

const HOSTILE: &[Page] = &[
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "")],
    &[("origin", "https://app.example.com.evil.example")],
    &[("origin", "http://app.example.com")],
    &[("origin", "https://app.example.com:8443")],
    &[("origin", "https://other.example.com")],
    &[("origin", "HTTP://127.0.0.1:8080")],
    &[("origin", "http://127.0.0.1:8080/")],
    &[("origin", APP), ("origin", "https://evil.example")],
    &[("sec-fetch-site", "cross-site")],
    &[("origin", APP), ("sec-fetch-site", "cross-site")],
    &[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "cross-site")],
    &[("origin", "https://other.example.com"), ("sec-fetch-site", "same-site")],
];

const WELCOME: &[Page] = &[
    &[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")],
    &[("origin", APP), ("sec-fetch-site", "same-site")],
    &[("origin", APP)],
    &[],
];

async fn app() -> TestApp {
    let app = TestApp::spawn_with(|config| config.server.allowed_origins = vec![APP.to_owned()]).await;
    app.register("ann@example.com").await;
    app
}

async fn send(app: &TestApp, page: Page, path: &str, cookie: Option<&str>) -> Response {
    let mut request = app.request(Method::POST, path);
    for (name, value) in page {
        request = request.header(*name, *value);
    }
    request = match cookie {
        Some(token) => request.header("cookie", format!("signet-refresh={token}")),
        None => {
            request.json(&json!({ "email": "ann@example.com", "password": PASSWORD, "delivery": "cookie" }))
        }
    };
    request.send().await.unwrap()
}

async fn assert_rejected(answer: Response, what: &str) {
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{what}");
    assert!(!answer.headers().contains_key("set-cookie"), "{what}");
    assert_eq!(json_of(answer).await["type"], "urn:signet:problem:csrf-rejected", "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a030_another_sites_page_neither_refreshes_nor_logs_out_nor_signs_in() {
    let app = app().await;
    let token = super::sign_in(&app, "ann@example.com").await.refresh;
    for page in HOSTILE {
        for (path, cookie) in [
            ("/api/v1/login", None),
            ("/api/v1/refresh", Some(token.as_str())),
            ("/api/v1/logout", Some(token.as_str())),
            // Nor does it learn whether there is a cookie, or remove one.
            ("/api/v1/refresh", Some("x")),
            ("/api/v1/logout", Some("x")),
        ] {
            let answer = send(&app, page, path, cookie).await;
            assert_rejected(answer, &format!("{path} from {page:?}")).await;
        }
    }
    for page in WELCOME {
        assert_eq!(send(&app, page, "/api/v1/login", None).await.status(), StatusCode::OK, "{page:?}");
        let answer = send(&app, page, "/api/v1/refresh", Some(&token)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{page:?}");
    }
    assert!(!is_refused(&app, &token).await);
    let answer = send(&app, WELCOME[1], "/api/v1/logout", Some(&token)).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(is_refused(&app, &token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a030_what_is_in_the_body_proves_itself() {
    let app = app().await;
    let first = super::sign_in(&app, "ann@example.com").await;
    // No browser adds a body by itself: whoever has the token may use it. What a page may read of the answer is another
    // matter.
    for page in HOSTILE {
        let mut request = app.request(Method::POST, "/api/v1/refresh");
        for (name, value) in *page {
            request = request.header(*name, *value);
        }
        let answer = request.json(&json!({ "refresh_token": first.refresh })).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{page:?}");
        assert!(!answer.headers().contains_key("set-cookie"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_origins_may_use_the_cookie_and_no_others() {
    let app = app().await;
    for path in ["/api/v1/login", "/api/v1/refresh", "/api/v1/logout"] {
        let preflight = async |origin: &str| {
            let request = app.request(Method::OPTIONS, path).header("origin", origin);
            request.header("access-control-request-method", "POST").send().await.unwrap()
        };
        let allowed = preflight(APP).await;
        assert_eq!(allowed.headers()["access-control-allow-origin"], APP, "{path}");
        assert_eq!(allowed.headers()["access-control-allow-credentials"], "true", "{path}");
        assert!(
            !preflight("https://evil.example").await.headers().contains_key("access-control-allow-origin")
        );
    }
    let answer = send(&app, WELCOME[1], "/api/v1/login", None).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], APP);
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a030_the_log_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_command(command(folder.path()), folder.path()).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let request =
        client.post(format!("{}/api/v1/refresh", server.url)).header("origin", "https://evil.example");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let log = server.logged();
    assert!(log.contains("csrf.reject") && !log.contains("evil"), "{log}");
}
