//! Secrets in the slots of others, and what a thief of the database makes of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::json;

use super::{is_refused, new_session, refresh, stored, try_refresh};
use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::db::connect;

#[tokio::test(flavor = "multi_thread")]
async fn a058_a_changed_token_is_refused_and_ends_nothing() {
    let app = TestApp::spawn().await;
    let token = new_session(&app).await.refresh;
    let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
    // Every bit is played beside the code; here one of each byte, through the front door.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(is_refused(&app, &format!("sgr_{}", URL_SAFE_NO_PAD.encode(flipped))).await, "byte {at}");
    }
    for changed in [
        String::new(),
        "sgr_".to_owned(),
        token[..95].to_owned(),
        token[1..].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}{token}"),
        token.to_uppercase(),
        token.to_lowercase(),
        token.replacen("sgr_", "SGR_", 1),
        format!("sgr_{}", STANDARD.encode(&bytes[..66])),
        "x".repeat(60_000),
        "é\u{0}".to_owned(),
    ] {
        assert!(is_refused(&app, &changed).await, "{changed:.100}");
    }
    refresh(&app, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a059_no_kind_of_secret_passes_for_another() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    let answer = json_of(app.login("ann@example.com", PASSWORD).await).await;
    let text = |member: &str| answer[member].as_str().unwrap().to_owned();
    let (access, refresh, device) = (text("access_token"), text("refresh_token"), text("device"));
    let session = crate::helpers::app::claims_of(&access)["sid"].as_str().unwrap().to_owned();

    let renamed = format!("sgr_{}", &device[4..]);
    for other in [&access, &device, &session, &renamed, &PASSWORD.to_owned()] {
        assert!(is_refused(&app, other).await, "{other:.20} as a refresh token");
        let answer = app.post("/api/v1/logout", &json!({ "refresh_token": other })).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
    let renamed = format!("sgd_{}", &refresh[4..]);
    for other in [&refresh, &device, &session, &renamed] {
        let answer = app.get_with_token("/api/v1/me", other).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{other:.20} as an access token");
    }
    for other in [&refresh, &access, &device, &session] {
        assert_eq!(app.login("ann@example.com", other).await.status(), StatusCode::UNAUTHORIZED);
    }
    for other in [&refresh, &renamed, &access, &session] {
        let body = json!({ "email": "ann@example.com", "password": PASSWORD, "device": other });
        let answer = json_of(app.post("/api/v1/login", &body).await).await;
        let made = answer["device"].as_str().unwrap();
        assert_ne!(made.get(..27), other.get(..27), "a new device");
    }
    assert!(!is_refused(&app, &refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a071_nothing_of_a_stored_session_is_a_token() {
    let app = TestApp::spawn().await;
    let token = new_session(&app).await.refresh;
    let grant = stored(&app, &token).await;
    let (seed, id) = (grant.seed.expose().as_slice(), grant.id.as_bytes().as_slice());
    let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
    // All that a row holds, in the places it would have; only the root key is missing.
    let forged = |prefilter: &[u8], tag: &[u8]| [&bytes[..29], prefilter, tag].concat();
    for made in [
        seed.to_vec(),
        id.to_vec(),
        [id, seed].concat(),
        forged(&seed[..8], seed),
        forged(&bytes[29..37], seed),
        forged(&bytes[29..37], &[0; 32]),
        forged(&[0; 8], &bytes[37..]),
    ] {
        for text in [format!("sgr_{}", URL_SAFE_NO_PAD.encode(&made)), URL_SAFE_NO_PAD.encode(&made)] {
            assert!(is_refused(&app, &text).await, "{} bytes", made.len());
        }
    }
    for text in [grant.session.as_str(), grant.user.as_str(), &grant.root_key_id, "0", "1"] {
        assert!(is_refused(&app, text).await);
        assert!(is_refused(&app, &format!("sgr_{text}")).await);
    }
    assert_eq!(stored(&app, &token).await.revoked_at, None, "and none of it ends the session");
    refresh(&app, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a058_what_was_made_up_costs_the_database_nothing() {
    let app = TestApp::spawn().await;
    let token = new_session(&app).await.refresh;
    connect(&app.app.config.database).await.execute("ALTER TABLE grants RENAME TO elsewhere").await;
    let mut bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
    bytes[29] ^= 1; // the first byte of the prefilter
    let made_up = format!("sgr_{}", URL_SAFE_NO_PAD.encode(bytes));
    assert!(is_refused(&app, &made_up).await);
    assert!(try_refresh(&app, &token).await.status().is_server_error(), "a real one is looked up");
}
