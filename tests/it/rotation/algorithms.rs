//! Keys of several algorithms in one set, each with its own turns.

use reqwest::StatusCode;
use serde_json::Value;
use signet::flow::key_rotation::{self, KeyCommandError, Rotated};
use signet::flow::signing_keys::{self, SigningKeysError};
use signet::jose::PrivateKey;
use signet::rotation::KeyStatus;
use signet::store::SigningKeyRow;
use signet_guard::{Algorithm, KeySet, KeySource, Verifier};

use super::{keys, published, settle};
use crate::helpers::app::{PASSWORD, TestApp, claims_of, header_of, json_of};
use crate::helpers::db::on_both_engines;

/// A guard that fetched the set now and keeps it.
async fn guard_now(app: &TestApp) -> Verifier {
    let set = app.get("/.well-known/jwks.json").await.bytes().await.unwrap();
    let config = &app.app.config;
    let source = KeySource::fixed(KeySet::from_json(&set).unwrap());
    let verifier = Verifier::builder(config.issuer.as_str(), &config.tokens.audience, source);
    verifier.clock(app.clock.clone()).build().unwrap()
}

fn alg(token: &str) -> Value {
    header_of(token)["alg"].clone()
}

/// The keys of an algorithm that are not retired, oldest first.
async fn of(app: &TestApp, algorithm: Algorithm) -> Vec<SigningKeyRow> {
    let rows = keys(app).await.into_iter();
    rows.filter(|row| row.algorithm == algorithm && row.status != KeyStatus::Retired).collect()
}

async fn kid_of(app: &TestApp, algorithm: Algorithm, status: KeyStatus) -> Option<String> {
    of(app, algorithm).await.into_iter().find(|row| row.status == status).map(|row| row.kid)
}

/// Lets a server do what is due until a key of the algorithm stands by.
async fn settle_for(app: &TestApp, algorithm: Algorithm) {
    loop {
        settle(app).await;
        if kid_of(app, algorithm, KeyStatus::Pending).await.is_some() {
            return;
        }
    }
}

async fn with(algorithm: Algorithm) -> TestApp {
    TestApp::spawn_with(|config| config.tokens.signing_algorithm = algorithm).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_service_signs_with_the_configured_algorithm_from_the_first_token() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let app = with(algorithm).await;
        app.register("ann@example.com").await;
        let answer = json_of(app.login("ann@example.com", PASSWORD).await).await;
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!(alg(token), algorithm.as_str());
        assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), StatusCode::OK);
        guard_now(&app).await.verify(token).await.unwrap();
        let list = claims_of(token)["status"]["status_list"]["uri"].as_str().unwrap().to_owned();
        let path = list.strip_prefix(app.app.config.issuer.as_str()).unwrap();
        let list = app.get(path).await.text().await.unwrap();
        assert_eq!(alg(&list), algorithm.as_str());
        // A key that every verifier understands is the first of the set, though it signs nothing.
        let rs256 = kid_of(&app, Algorithm::Rs256, KeyStatus::Active).await.unwrap();
        assert_eq!(published(&app).await.first(), Some(&rs256));
        assert_eq!(app.get("/health/ready").await.status(), StatusCode::OK);
    }
}

on_both_engines! {
    async fn another_algorithm_is_published_before_it_signs_and_after(database) {
        let mut rs256 = TestApp::spawn_on(database.config.clone()).await;
        rs256.stop_background().await;
        rs256.register("ann@example.com").await;
        // A server is restarted with another setting, while one of the old setting still runs.
        let mut es256 = rs256.replica(|config| config.tokens.signing_algorithm = Algorithm::Es256).await;
        es256.stop_background().await;
        settle_for(&es256, Algorithm::Es256).await;
        let first = of(&es256, Algorithm::Es256).await.remove(0);
        assert_eq!((first.status, alg(&es256.token("ann@example.com").await)), (KeyStatus::Pending, "RS256".into()));
        let rotated = key_rotation::rotate(&es256.app, false).await.unwrap();
        assert!(matches!(&rotated[1], Rotated::First { kid, at } if *kid == first.kid && *at == first.ready_at));
        let almost = first.ready_at.minus(std::time::Duration::from_secs(1));
        for server in [&rs256, &es256] {
            server.clock.set(almost);
            key_rotation::run_once(&server.app).await;
        }
        assert_eq!(alg(&es256.token("ann@example.com").await), "RS256");
        let guard = guard_now(&rs256).await;

        es256.clock.set(first.ready_at);
        settle_for(&es256, Algorithm::Es256).await;
        rs256.clock.set(first.ready_at);
        key_rotation::run_once(&rs256.app).await;
        let new = es256.token("ann@example.com").await;
        let old = rs256.token("ann@example.com").await;
        assert_eq!((alg(&old), alg(&new), &header_of(&new)["kid"]), ("RS256".into(), "ES256".into(), &first.kid.clone().into()));
        for token in [&old, &new] {
            guard.verify(token).await.unwrap();
            for server in [&rs256, &es256] {
                assert_eq!(server.get_with_token("/api/v1/me", token).await.status(), StatusCode::OK);
            }
        }
        assert_eq!(published(&rs256).await, published(&es256).await, "one set for both");

        // Back again: RS256 signs at once, and the others leave when nobody has wanted them for long and what they signed
        // is dead.
        drop(es256);
        let day = std::time::Duration::from_secs(86_400);
        let gone = rs256.clock.now().plus(rs256.app.config.keys.rotate_every);
        rs256.clock.set(gone.minus(day));
        key_rotation::run_once(&rs256.app).await;
        assert!(published(&rs256).await.contains(&first.kid));
        rs256.clock.set(gone);
        settle(&rs256).await;
        let status = |rows: Vec<SigningKeyRow>| rows.into_iter().map(|row| row.status).collect::<Vec<_>>();
        assert_eq!(status(of(&rs256, Algorithm::Es256).await), [KeyStatus::Retiring], "its standby is gone");
        assert!(published(&rs256).await.contains(&first.kid), "its tokens may live");
        rs256.clock.set(gone.plus(day));
        settle(&rs256).await;
        assert_eq!(status(of(&rs256, Algorithm::Es256).await), []);
        assert!(!published(&rs256).await.contains(&first.kid));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_algorithm_has_its_own_turns() {
    let mut app = with(Algorithm::EdDsa).await;
    app.stop_background().await;
    app.register("ann@example.com").await;
    for algorithm in [Algorithm::Rs256, Algorithm::EdDsa] {
        settle_for(&app, algorithm).await;
    }
    let kid = async |algorithm, status| kid_of(&app, algorithm, status).await.unwrap();
    let rsa = kid(Algorithm::Rs256, KeyStatus::Active).await;
    let first = kid(Algorithm::EdDsa, KeyStatus::Active).await;
    let second = kid(Algorithm::EdDsa, KeyStatus::Pending).await;
    let token = app.token("ann@example.com").await;

    // One is withdrawn: its standby signs, and nothing happens to the other algorithm.
    let withdrawn = key_rotation::withdraw(&app.app, &first).await.unwrap();
    assert_eq!(withdrawn.next, Some(second.clone()));
    assert_eq!(header_of(&app.token("ann@example.com").await)["kid"], second.as_str());
    assert_eq!(app.get_with_token("/api/v1/me", &token).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(kid(Algorithm::Rs256, KeyStatus::Active).await, rsa);

    // All or nothing: one algorithm has no standby now.
    let refused = key_rotation::rotate(&app.app, true).await;
    assert!(matches!(refused, Err(KeyCommandError::OnlyOne(kid, Algorithm::EdDsa)) if kid == second));
    assert_eq!(kid(Algorithm::Rs256, KeyStatus::Active).await, rsa, "nothing was changed");

    // Without a successor RS256 signs, which every verifier knows.
    let withdrawn = key_rotation::withdraw(&app.app, &second).await.unwrap();
    assert_eq!((withdrawn.next, withdrawn.unknown_until), (Some(rsa.clone()), None));
    let token = app.token("ann@example.com").await;
    assert_eq!((alg(&token), &header_of(&token)["kid"]), ("RS256".into(), &rsa.clone().into()));
    assert_eq!(app.get_with_token("/api/v1/me", &token).await.status(), StatusCode::OK);
    assert!(matches!(
        key_rotation::rotate(&app.app, true).await,
        Err(KeyCommandError::None(Algorithm::EdDsa))
    ));

    // And a rotation is one of both.
    settle_for(&app, Algorithm::EdDsa).await;
    let third = kid(Algorithm::EdDsa, KeyStatus::Pending).await;
    let next_rsa = kid(Algorithm::Rs256, KeyStatus::Pending).await;
    let rotated = key_rotation::rotate(&app.app, true).await.unwrap();
    let done = |rotated: &Rotated| match rotated {
        Rotated::Done { before, kid, .. } => (before.clone(), kid.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(rotated.iter().map(done).collect::<Vec<_>>(), [(Some(rsa), next_rsa), (None, third.clone())]);
    assert_eq!(header_of(&app.token("ann@example.com").await)["kid"], third.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_for_another_algorithm_may_be_brought_where_it_is_wanted() {
    let pem = |key: &PrivateKey| {
        use base64::Engine as _;
        let der = base64::engine::general_purpose::STANDARD.encode(key.to_pkcs8_der().unwrap());
        // RFC 7468 §2: lines of 64.
        let lines: Vec<&[u8]> = der.as_bytes().chunks(64).collect();
        let body = String::from_utf8(lines.join(&b'\n')).unwrap();
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    };
    let key = PrivateKey::generate(Algorithm::Es256, 0).unwrap();
    let plain = TestApp::spawn().await;
    let refused = signing_keys::import(&plain.app, &pem(&key)).await.unwrap_err();
    let SigningKeysError::OtherAlgorithm { key: Algorithm::Es256, configured: Algorithm::Rs256 } = refused
    else {
        panic!("{refused}")
    };
    assert!(refused.to_string().contains("tokens.signing_algorithm"), "{refused}");

    let app = with(Algorithm::Es256).await;
    let row = signing_keys::import(&app.app, &pem(&key)).await.unwrap();
    assert_eq!(
        (row.status, row.algorithm, row.kid.as_str()),
        (KeyStatus::Pending, Algorithm::Es256, key.public_jwk().kid())
    );
    assert!(published(&app).await.contains(&row.kid));
}
