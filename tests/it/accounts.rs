//! Making accounts and signing in, as an app developer does it.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::helpers::app::{NOW, PASSWORD, TestApp, claims_of, header_of, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_registers_signs_in_and_reads_the_account() {
    let app = TestApp::spawn().await;
    let body = json!({ "email": "Ann@Example.COM ", "password": PASSWORD, "name": "Ann <b>" });
    let answer = app.post("/api/v1/register", &body).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let user = json_of(answer).await;
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["name"], "Ann <b>");
    assert_eq!(user["created_at"], "2026-01-01T00:00:00Z");

    let answer = app.login("ann@example.com", PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let tokens = json_of(answer).await;
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "signet:account");

    let token = tokens["access_token"].as_str().unwrap();
    let answer = app.get_with_token("/api/v1/me", token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(json_of(answer).await, user);
}

#[tokio::test(flavor = "multi_thread")]
async fn a063_the_token_is_what_rfc_9068_describes_and_nothing_a_user_typed_gets_in() {
    let app = TestApp::spawn().await;
    let name = r#"","roles":["admin"],"sub":"someone-else"#;
    let body = json!({ "email": "ann+roles@example.com", "password": PASSWORD, "name": name });
    let id = json_of(app.post("/api/v1/register", &body).await).await["id"].as_str().unwrap().to_owned();
    let token = app.token("ann+roles@example.com").await;

    let header = header_of(&token);
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header.as_object().unwrap().len(), 3);
    let claims = claims_of(&token);
    let issuer = app.app.config.issuer.as_str();
    assert_eq!(claims["iss"], issuer);
    assert_eq!(claims["aud"], issuer, "one audience, as a string");
    assert_eq!(claims["sub"], id);
    assert_eq!(claims["client_id"], "first-party");
    assert_eq!(claims["scope"], "signet:account");
    assert_eq!(claims["iat"], NOW);
    assert_eq!(claims["auth_time"], NOW);
    assert_eq!(claims["exp"], NOW + 600);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected =
        ["aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "status", "sub"];
    assert_eq!(names, expected);
    assert_eq!(claims["sid"].as_str().unwrap().len(), 22);
    let status = json!({ "status_list": { "idx": 1, "uri": format!("{issuer}/status/0") } });
    assert_eq!(claims["status"], status, "the first grant of this database");
    assert_ne!(claims_of(&app.token("ann+roles@example.com").await)["jti"], claims["jti"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_travel_in_the_token_and_three_of_them_fit_in_1000_bytes() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let roles = ["admin", "editor", "reviewer"].map(|role| signet::account::Role::parse(role).unwrap());
    let email = signet::account::Email::parse("ann@example.com").unwrap();
    signet::flow::accounts::set_roles(&app.app, email, roles.to_vec()).await.unwrap();
    let token = app.token("ann@example.com").await;
    assert_eq!(claims_of(&token)["roles"], json!(["admin", "editor", "reviewer"]));
    assert!(token.len() <= 1_000, "{} bytes", token.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_may_ask_for_a_part_of_the_scope_and_never_for_more() {
    let app = TestApp::spawn_with(|config| config.tokens.scopes = "orders:read".parse().unwrap()).await;
    app.register("ann@example.com").await;
    let ask = |scope: &str| json!({ "email": "ann@example.com", "password": PASSWORD, "scope": scope });
    let all = json_of(app.login("ann@example.com", PASSWORD).await).await;
    assert_eq!(all["scope"], "orders:read signet:account");
    let part = json_of(app.post("/api/v1/login", &ask("orders:read")).await).await;
    assert_eq!(part["scope"], "orders:read");
    for scope in ["signet:admin", "orders:read signet:admin", "orders:READ", "orders"] {
        let answer = app.post("/api/v1/login", &ask(scope)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{scope}");
        assert_eq!(json_of(answer).await["errors"][0]["field"], "scope");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_says_why_it_refuses_and_writes_nothing() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let answer =
        app.post("/api/v1/register", &json!({ "email": "ann@example.com", "password": PASSWORD })).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(json_of(answer).await["type"], "urn:signet:problem:address-taken");

    let answer =
        app.post("/api/v1/register", &json!({ "email": "bob@example.com", "password": "short" })).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(answer).await["errors"][0]["field"], "password");
    assert_eq!(app.count_users().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_registration_is_said_so() {
    let app = TestApp::spawn_with(|config| config.registration = signet::config::Registration::Closed).await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(app.count_users().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a006_every_spelling_of_an_address_names_one_account() {
    let app = TestApp::spawn().await;
    let id = app.register("ivan.kent@example.com").await;
    let spellings = [
        "IVAN.KENT@EXAMPLE.COM",
        "  ivan.kent@example.com\t",
        "ｉｖａｎ．ｋｅｎｔ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "ivan.\u{212a}ent@example.com",
    ];
    for spelling in spellings {
        let body = json!({ "email": spelling, "password": PASSWORD });
        assert_eq!(app.post("/api/v1/register", &body).await.status(), StatusCode::CONFLICT, "{spelling}");
        let token = app.token(spelling).await;
        assert_eq!(claims_of(&token)["sub"], id, "{spelling}");
    }
    let refused = [
        "\u{131}van.kent@example.com",
        "\u{130}van.kent@example.com",
        "iv\u{200b}an.kent@example.com",
        "ivan.kent@exam\u{200d}ple.com",
        "ivan.kent",
        "@example.com",
        "ivan.kent@",
        "\"ivan kent\"@example.com",
        "ivan..kent@example.com",
        "ivan.kent@-example.com",
    ];
    for spelling in refused {
        let body = json!({ "email": spelling, "password": PASSWORD });
        let answer = app.post("/api/v1/register", &body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{spelling}");
        assert_eq!(json_of(answer).await["errors"][0]["field"], "email", "{spelling}");
    }
    assert_eq!(app.count_users().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a025_a_profile_cannot_name_its_own_roles_or_id() {
    let app = TestApp::spawn().await;
    for member in
        ["roles", "id", "email_verified", "tenant", "created_at", "credential_version", "disabled_at"]
    {
        let mut body = json!({ "email": "eve@example.com", "password": PASSWORD });
        body[member] = json!("admin");
        let answer = app.post("/api/v1/register", &body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{member}");
        assert_eq!(json_of(answer).await["errors"][0]["field"], member);
    }
    assert_eq!(app.count_users().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a026_names_and_addresses_are_one_line_and_one_recipient() {
    let app = TestApp::spawn().await;
    let bad_addresses = [
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com,eve@example.com",
        "ann@example.com eve@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\u{0}",
        "ann.@example.com",
        "<b>@example.com",
    ];
    for email in bad_addresses {
        let answer = app.post("/api/v1/register", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{email:?}");
    }
    let long = "x".repeat(101);
    for name in [
        "a\r\nb",
        "a\u{0}b",
        "a\u{1b}[31mb",
        "a\u{202e}b",
        "a\u{2028}b",
        "",
        "   ",
        "\u{200b}\u{2060}\u{3164}",
        long.as_str(),
    ] {
        let body = json!({ "email": "ann@example.com", "password": PASSWORD, "name": name });
        let answer = app.post("/api/v1/register", &body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{name:?}");
        assert_eq!(json_of(answer).await["errors"][0]["field"], "name", "{name:?}");
    }
    assert_eq!(app.count_users().await, 0);

    // Markup is not ours to forbid; JSON carries it as it is, and the answer cannot be taken for a page.
    let name = "<script>alert(1)</script> & \"Ann\" {{7*7}}";
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "name": name });
    let answer = app.request(Method::POST, "/api/v1/register").json(&body).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(json_of(answer).await["name"], name);
}
