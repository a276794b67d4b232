//! What verifiers and browsers fetch.

use reqwest::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, ETAG,
    IF_NONE_MATCH, ORIGIN,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::helpers::app::{PASSWORD, TestApp, header_of, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn a076_the_key_set_is_public_members_only_and_the_issuer_is_the_same_everywhere() {
    let app = TestApp::spawn().await;
    let answer = app.get("/.well-known/jwks.json").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=300");
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let set = json_of(answer).await;
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "one signs, one stands by");
    let mut names: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!(
        (&keys[0]["kty"], &keys[0]["alg"], &keys[0]["use"]),
        (&json!("RSA"), &json!("RS256"), &json!("sig"))
    );

    app.register("ann@example.com").await;
    let token = app.token("ann@example.com").await;
    assert_eq!(header_of(&token)["kid"], keys[0]["kid"]);

    let metadata = json_of(app.get("/.well-known/oauth-authorization-server").await).await;
    let issuer = app.app.config.issuer.as_str();
    assert_eq!(metadata["issuer"], issuer);
    assert_eq!(metadata["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    assert_eq!(metadata["response_types_supported"], json!([]));
    assert_eq!(crate::helpers::app::claims_of(&token)["iss"], issuer);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_with_a_path_answers_below_it_and_at_the_root() {
    let app = TestApp::spawn_with_env(&[("SIGNET_ISSUER", "http://127.0.0.1:8080/auth")]).await;
    let metadata = json_of(app.get("/.well-known/oauth-authorization-server/auth").await).await;
    assert_eq!(metadata["issuer"], "http://127.0.0.1:8080/auth");
    assert_eq!(metadata["jwks_uri"], "http://127.0.0.1:8080/auth/.well-known/jwks.json");
    for path in ["/auth/.well-known/jwks.json", "/.well-known/jwks.json", "/auth/docs", "/auth/health/ready"]
    {
        assert_eq!(app.get(path).await.status(), StatusCode::OK, "{path}");
    }
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    assert_eq!(app.post("/auth/api/v1/register", &body).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_in_one_process_describe_themselves_each() {
    let at_the_root = TestApp::spawn().await;
    let below_a_path = TestApp::spawn_with_env(&[("SIGNET_ISSUER", "http://127.0.0.1:8080/auth")]).await;
    for (app, server) in [(at_the_root, "/"), (below_a_path, "/auth")] {
        let document = json_of(app.get("/openapi.json").await).await;
        assert_eq!(document["servers"][0]["url"], server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_set_is_sent_once_and_then_only_confirmed() {
    let app = TestApp::spawn().await;
    let first = app.get("/.well-known/jwks.json").await;
    let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
    assert!(etag.starts_with('"'), "a strong entity tag");
    let length = first.headers()[CONTENT_LENGTH].clone();
    let ask =
        |tag: String| app.request(Method::GET, "/.well-known/jwks.json").header(IF_NONE_MATCH, tag).send();
    for tag in [etag.clone(), format!("\"other\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
        let answer = ask(tag).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()[ETAG], etag.as_str());
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(ask("\"other\"".to_owned()).await.unwrap().status(), StatusCode::OK);
    let head = app.request(Method::HEAD, "/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()[CONTENT_LENGTH], length);
    assert_eq!(head.headers()[ETAG], etag.as_str());
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_origins_may_call_the_api_from_a_browser() {
    let ours = "https://app.example.com";
    let app = TestApp::spawn_with(|config| config.server.allowed_origins = vec![ours.to_owned()]).await;
    let preflight = |origin: &'static str, path: &'static str| {
        app.request(Method::OPTIONS, path)
            .header(ORIGIN, origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,authorization")
            .send()
    };
    // The cookie of the refresh token is for three routes; all others take bearer tokens.
    for (path, with_credentials) in [("/api/v1/login", true), ("/api/v1/register", false)] {
        let answer = preflight("https://app.example.com", path).await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], ours);
        let found = answer.headers().contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        assert_eq!(found, with_credentials, "{path}");
    }

    for origin in ["https://evil.example", "null", "https://app.example.com.evil.example"] {
        let answer = preflight(origin, "/api/v1/login").await.unwrap();
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
        let answer = app.request(Method::GET, "/api/v1/me").header(ORIGIN, origin).send().await.unwrap();
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
    }
    // Also a refusal is readable by our own page, or it could not say what is wrong.
    let answer = app.request(Method::GET, "/api/v1/me").header(ORIGIN, ours).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], ours);

    let closed = TestApp::spawn().await;
    let answer = closed.request(Method::GET, "/api/v1/me").header(ORIGIN, ours).send().await.unwrap();
    assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "none by default");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_how_it_is() {
    let app = TestApp::spawn().await;
    assert_eq!(json_of(app.get("/health/live").await).await["status"], "live");
    assert_eq!(json_of(app.get("/health/ready").await).await["status"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_served_from_the_binary_alone() {
    let app = TestApp::spawn().await;
    let page = app.get("/docs").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    let page = page.text().await.unwrap();
    let files: Vec<_> =
        page.split(['"']).filter(|part| part.starts_with("docs/")).map(|file| format!("/{file}")).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let answer = app.get(&file).await;
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        assert!(answer.bytes().await.unwrap().len() > 100, "{file}");
    }
    assert!(!page.contains("//"), "nothing from elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_the_one_in_the_repository() {
    let app = TestApp::spawn().await;
    let served: Value = json_of(app.get("/openapi.json").await).await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let pretty = format!("{}\n", serde_json::to_string_pretty(&served).unwrap());
    if std::env::var_os("SIGNET_TEST_UPDATE").is_some() {
        std::fs::write(file, &pretty).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == pretty,
        "openapi.json is not what the code says: run `SIGNET_TEST_UPDATE=1 cargo test --test it openapi`"
    );
}
