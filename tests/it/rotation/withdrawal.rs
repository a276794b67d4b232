//! A key that may be in the wrong hands.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use signet::flow::key_rotation::{self, KeyCommandError, Rotated};
use signet::rotation::KeyStatus;
use signet_guard::{KeySet, KeySource, SharedKeys, Verifier};

use super::{keys, kids, published};
use crate::helpers::app::{PASSWORD, TestApp, header_of, json_of};
use crate::helpers::db::on_both_engines;

async fn set_of(app: &TestApp) -> KeySet {
    KeySet::from_json(&app.get("/.well-known/jwks.json").await.bytes().await.unwrap()).unwrap()
}

on_both_engines! {
    async fn a078_a_withdrawn_key_is_gone_everywhere_and_the_standby_signs(database) {
        let app = TestApp::spawn_on(database.config.clone()).await;
        let other = app.replica(|_| ()).await;
        app.register("ann@example.com").await;
        let answer = json_of(app.login("ann@example.com", PASSWORD).await).await;
        let token = answer["access_token"].as_str().unwrap();
        let stolen = app.app.keyring.active_kid().unwrap();
        let standby = kids(&app, KeyStatus::Pending).await.remove(0);
        let shared = SharedKeys::new(set_of(&app).await);
        let config = &app.app.config;
        let guard = Verifier::builder(config.issuer.as_str(), &config.tokens.audience, KeySource::shared(shared.clone()))
            .clock(app.clock.clone())
            .build()
            .unwrap();
        guard.verify(token).await.unwrap();

        let withdrawn = key_rotation::withdraw(&app.app, &stolen).await.unwrap();
        assert_eq!((withdrawn.status, withdrawn.next.as_ref()), (KeyStatus::Active, Some(&standby)));
        // Here at once, and as soon as anybody looks.
        assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), StatusCode::UNAUTHORIZED);
        assert!(!published(&app).await.contains(&stolen));
        shared.replace(set_of(&app).await);
        guard.verify(token).await.unwrap_err();
        while published(&other).await.contains(&stolen) || other.app.keyring.active_kid().as_ref() != Some(&standby) {
            tokio::time::sleep(Duration::from_millis(20)).await; // poll: until the other has looked
        }
        assert_eq!(other.get_with_token("/api/v1/me", token).await.status(), StatusCode::UNAUTHORIZED);

        // The session goes on.
        for server in [&app, &other] {
            let body = json!({ "refresh_token": answer["refresh_token"] });
            let refreshed = json_of(server.post("/api/v1/refresh", &body).await).await;
            let token = refreshed["access_token"].as_str().unwrap();
            assert_eq!(header_of(token)["kid"], standby.as_str());
            guard.verify(token).await.unwrap();
        }
        let row = keys(&app).await.into_iter().find(|row| row.kid == stolen).unwrap();
        assert_eq!((row.status, row.sealed.len()), (KeyStatus::Retired, 0), "its private part is gone");
        assert_eq!(row.withdrawn_at, Some(app.clock.now()));
        let mut outside = database.outside().await;
        for (event, kid) in [("key.revoked", &stolen), ("key.rotated", &standby)] {
            let entry = format!("SELECT count(*) FROM audit WHERE event = '{event}' AND kid = '{kid}' AND actor = 'operator'");
            assert_eq!(outside.number(&entry).await, 1, "{event}");
        }
        // Another one stands by as soon as it is made.
        while kids(&app, KeyStatus::Pending).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await; // poll: until the key is made
        }
    }
}

on_both_engines! {
    async fn a078_every_server_that_hears_of_a_withdrawal_remembers_it_and_no_backup_under_it_brings_the_key_back(database) {
        let mut app = TestApp::spawn_on(database.config.clone()).await;
        app.stop_background().await;
        let mut other = app.replica(|_| ()).await;
        other.stop_background().await;
        let mut outside = database.outside().await;
        outside.execute("CREATE TABLE keys_before AS SELECT * FROM signing_keys").await;
        let version = outside.number("SELECT version FROM keyring").await;
        let stolen = app.app.keyring.active_kid().unwrap();
        let standby = kids(&app, KeyStatus::Pending).await;
        key_rotation::withdraw(&app.app, &stolen).await.unwrap();
        key_rotation::follow(&other.app).await.unwrap();
        let state = std::fs::read_to_string(other.app.config.keys.dir.join("state")).unwrap();
        assert!(state.contains(&format!("retired {stolen}\n")), "at once: {state}");

        // An older backup of the keys, in the same epoch.
        outside.execute("DELETE FROM signing_keys").await;
        outside.execute("INSERT INTO signing_keys SELECT * FROM keys_before").await;
        outside.execute(&format!("UPDATE keyring SET version = {version}")).await;
        key_rotation::follow(&other.app).await.unwrap();
        assert!(!published(&other).await.contains(&stolen));
        assert_eq!(other.app.keyring.active_kid().into_iter().collect::<Vec<_>>(), standby, "verifiers have it");
        let row = keys(&app).await.into_iter().find(|row| row.kid == stolen).unwrap();
        assert_eq!((row.status, row.sealed.len()), (KeyStatus::Retired, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_withdrawn_is_named_and_nothing_changes() {
    let mut app = TestApp::spawn().await;
    app.stop_background().await;
    let (active, standby) =
        (app.app.keyring.active_kid().unwrap(), kids(&app, KeyStatus::Pending).await.remove(0));
    let refused = async |kid: &str| key_rotation::withdraw(&app.app, kid).await.unwrap_err();
    assert!(matches!(refused("nobody").await, KeyCommandError::Unknown(_)));
    key_rotation::withdraw(&app.app, &standby).await.unwrap();
    assert!(matches!(refused(&standby).await, KeyCommandError::Retired(_)));
    assert!(matches!(refused(&active).await, KeyCommandError::OnlyOne(..)));
    assert!(matches!(key_rotation::rotate(&app.app, true).await, Err(KeyCommandError::OnlyOne(..))));
    assert_eq!(published(&app).await, [active]);
    // Until there is a standby again, nobody keeps the set for long.
    let answer = app.get("/.well-known/jwks.json").await;
    assert_eq!(answer.headers()["cache-control"], "public, max-age=10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_asked_for_waits_until_every_verifier_has_the_key() {
    let mut app = TestApp::spawn().await;
    app.stop_background().await;
    let (first, second) =
        (app.app.keyring.active_kid().unwrap(), kids(&app, KeyStatus::Pending).await.remove(0));
    let ready = keys(&app).await.into_iter().find(|key| key.kid == second).unwrap().ready_at;
    assert_eq!(ready, app.clock.now().plus(app.app.config.keys.publish_ahead));
    let later = vec![Rotated::Later { kid: first.clone(), at: Some(ready) }];
    assert_eq!(key_rotation::rotate(&app.app, false).await.unwrap(), later);
    app.clock.set(ready.minus(Duration::from_secs(1)));
    key_rotation::run_once(&app.app).await;
    assert_eq!(app.app.keyring.active_kid(), Some(first.clone()));
    app.clock.set(ready);
    key_rotation::run_once(&app.app).await;
    assert_eq!(app.app.keyring.active_kid(), Some(second.clone()));
    super::settle(&app).await;

    // Whoever cannot wait is told what that costs.
    let third = kids(&app, KeyStatus::Pending).await.remove(0);
    let until = Some(app.clock.now().plus(app.app.config.keys.publish_ahead));
    let done = vec![Rotated::Done { before: Some(second.clone()), kid: third.clone(), unknown_until: until }];
    assert_eq!(key_rotation::rotate(&app.app, true).await.unwrap(), done);
    assert_eq!(app.app.keyring.active_kid(), Some(third));
    assert_eq!(kids(&app, KeyStatus::Retiring).await.len(), 2, "what they signed stays good");
}
