//! What was made before a root key changed stays valid, on every replica.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use signet::config::Keys;
use signet::flow::root_keys::{self, RootKeysError};
use signet::flow::{restore, signing_keys};
use signet::store::{ReplicaRow, Tx};
use signet_guard::Algorithm;

use crate::helpers::app::{PASSWORD, TestApp, json_of};
use crate::helpers::db::{TestDatabase, on_both_engines};

async fn spawn(database: &TestDatabase, keys: &Path) -> TestApp {
    TestApp::spawn_with(|config| {
        config.database = database.config.clone();
        config.keys = Keys::in_dir(keys.to_owned());
    })
    .await
}

on_both_engines! {
    async fn a_new_root_key_signs_nobody_out(database) {
        let folder = tempfile::tempdir().unwrap();
        let app = spawn(database, folder.path()).await;
        app.register("ann@example.com").await;
        let before = json_of(app.login("ann@example.com", PASSWORD).await).await;
        let id = root_keys::add(&app.app).await.unwrap();
        root_keys::run_once(&app.app).await;
        let done = root_keys::activate(&app.app, 2).await.unwrap();
        assert_eq!((done.id.as_str(), done.resealed), (id.as_str(), 2));
        root_keys::run_once(&app.app).await;
        assert_eq!(*app.app.replica.root_key_ids(), [id.clone(), root_keys::list(&app.app).await.unwrap().keys[0].id.clone()]);
        let before = holds(&app, &before).await;
        let after = json_of(app.login("ann@example.com", PASSWORD).await).await;
        assert_ne!(made_under(&before["device"]), made_under(&after["device"]), "new secrets are made under the new key");

        // And after a restart, whatever the order in the file.
        let now = app.clock.now();
        app.app.db.close().await;
        drop(app);
        let app = spawn(database, folder.path()).await;
        app.clock.set(now);
        assert_eq!(app.app.replica.root_key_ids()[0], id);
        holds(&app, &before).await;
        holds(&app, &after).await;
        let list = root_keys::list(&app.app).await.unwrap();
        assert!(list.keys.iter().all(|key| key.grants > 0), "each grant keeps the key of its birth: {list:?}");
    }

    async fn a_root_key_is_not_used_before_every_replica_has_it(database) {
        let folder = tempfile::tempdir().unwrap();
        let app = spawn(database, folder.path()).await;
        let second = root_keys::add(&app.app).await.unwrap();
        root_keys::run_once(&app.app).await;
        let first = root_keys::list(&app.app).await.unwrap().keys[0].id.clone();
        let other = |root_key_ids: Vec<String>| ReplicaRow {
            id: "other".to_owned(),
            seen_at: app.clock.now(),
            root_key_ids,
        };
        report(&app, other(vec![first.clone()])).await;
        let refused = root_keys::activate(&app.app, 2).await.unwrap_err();
        let RootKeysError::NotReported { replicas, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*replicas, [format!("replica other has {first}")]);
        assert!(refused.to_string().contains("nothing was changed"));
        let list = root_keys::list(&app.app).await.unwrap();
        assert!(list.keys[0].is_active && list.keys[0].signing_keys == 2);
        assert_eq!((list.keys[0].replicas.len(), list.keys[1].replicas.len()), (2, 1));

        report(&app, other(vec![second, first.clone()])).await;
        root_keys::activate(&app.app, 2).await.unwrap();
        // Back again; a replica that was not seen for a minute does not count.
        report(&app, ReplicaRow { root_key_ids: Vec::new(), ..other(Vec::new()) }).await;
        assert!(root_keys::activate(&app.app, 1).await.is_err());
        app.clock.advance(root_keys::REPLICA_LIFE + Duration::from_secs(1));
        root_keys::activate(&app.app, 1).await.unwrap();
        assert!(root_keys::list(&app.app).await.unwrap().keys[0].is_active);
        let audited = "SELECT count(*) FROM audit WHERE event IN ('root_key.added', 'root_key.activated')";
        assert_eq!(database.outside().await.number(audited).await, 3);
    }

    // The heartbeat and whoever follows the file write the same row: what is older must not be written last, and whoever has
    // followed must have said so.
    async fn a_replica_that_has_followed_has_said_so_whatever_runs_beside_it(database) {
        let folder = tempfile::tempdir().unwrap();
        let app = spawn(database, folder.path()).await;
        for round in 0..20 {
            let id = root_keys::add(&app.app).await.unwrap();
            tokio::join!(restore::run_once(&app.app), root_keys::run_once(&app.app), restore::run_once(&app.app), async {
                root_keys::run_once(&app.app).await;
                let list = root_keys::list(&app.app).await.unwrap();
                let added = list.keys.iter().find(|key| key.id == id).unwrap();
                assert_eq!(added.replicas.len(), 1, "round {round}: {list:?}");
            });
            let list = root_keys::list(&app.app).await.unwrap();
            let added = list.keys.iter().find(|key| key.id == id).unwrap();
            assert_eq!(added.replicas.len(), 1, "afterwards, round {round}: {list:?}");
        }
    }

    // Somebody may damage it at any time; `use` must still wait for whoever is at work.
    async fn a_replica_that_cannot_read_its_state_is_still_counted_and_begins_no_epoch(database) {
        let folder = tempfile::tempdir().unwrap();
        let mut app = spawn(database, folder.path()).await;
        app.stop_background().await;
        restore::run_once(&app.app).await;
        std::fs::write(folder.path().join("state"), "rubbish").unwrap();
        let epoch = "SELECT epoch FROM database_epoch";
        let before = database.outside().await.number(epoch).await;
        for _ in 0..10 {
            app.clock.advance(restore::EPOCH + Duration::from_secs(1));
            restore::run_once(&app.app).await;
        }
        assert_eq!(root_keys::list(&app.app).await.unwrap().replicas, [app.app.replica.id()]);
        assert_eq!(database.outside().await.number(epoch).await, before);
    }

    // As it is when a server's file lost the key, or a server comes back from a long sleep.
    async fn a_replica_without_the_active_root_key_is_not_ready_and_another_does_not_start(database) {
        let (keys, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let app = spawn(database, keys.path()).await;
        std::fs::copy(keys.path().join("root.key"), others.path().join("root.key")).unwrap();
        let mut other = spawn(database, others.path()).await;
        root_keys::add(&app.app).await.unwrap();
        root_keys::run_once(&app.app).await;
        let refused = root_keys::activate(&app.app, 2).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("replica {} has 1-", other.app.replica.id())), "{refused}");
        // As a server that ends: it says nothing more before it leaves.
        other.stop_background().await;
        root_keys::leave(&other.app.db, other.app.replica.id()).await.unwrap();
        let id = root_keys::activate(&app.app, 2).await.unwrap().id;

        root_keys::run_once(&other.app).await;
        assert_eq!(other.get("/health/ready").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        let error = signet::flow::signing_keys::load_or_create(&other.app).await.unwrap_err().to_string();
        assert!(error.contains(&id) && error.contains("nothing was changed"), "{error}");
        // The cure that it names works without a restart.
        std::fs::copy(keys.path().join("root.key"), others.path().join("root.key")).unwrap();
        root_keys::run_once(&other.app).await;
        assert_eq!(other.get("/health/ready").await.status(), StatusCode::OK);
        assert_eq!(other.app.replica.root_key_ids()[0], id);
    }

    // It would be lost with the older root key.
    async fn a_signing_key_that_is_made_meanwhile_is_not_left_under_the_older_root_key(database) {
        let folder = tempfile::tempdir().unwrap();
        let app = TestApp::spawn_with(|config| {
            config.database = database.config.clone();
            config.keys = Keys::in_dir(folder.path().to_owned());
            config.tokens.signing_algorithm = Algorithm::Es256;
        })
        .await;
        root_keys::add(&app.app).await.unwrap();
        root_keys::run_once(&app.app).await;
        let left = "SELECT count(*) FROM signing_keys
            WHERE root_key_id <> (SELECT root_key_id FROM active_root_key)";
        let mut outside = database.outside().await;
        let import = async {
            for _ in 0..40 {
                let key = rcgen::KeyPair::generate().unwrap();
                signing_keys::import(&app.app, &key.serialize_pem()).await.unwrap();
            }
        };
        let change = async {
            for round in 0..40 {
                root_keys::activate(&app.app, 2 - round % 2).await.unwrap();
                assert_eq!(outside.number(left).await, 0, "round {round}");
            }
        };
        tokio::join!(import, change);
    }
}

async fn report(app: &TestApp, row: ReplicaRow) {
    app.app.db.write(row, |tx: &mut Tx, row| Box::pin(tx.report_replica(row))).await.unwrap();
}

/// The fingerprint of the root key in a device proof.
fn made_under(device: &serde_json::Value) -> [u8; 4] {
    use base64::Engine as _;
    let device = device.as_str().unwrap().strip_prefix("sgd_").unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(device).unwrap();
    bytes[1..5].try_into().unwrap()
}

/// The access token, the refresh token and the device proof of an earlier sign-in. Answers it with the newest refresh
/// token.
async fn holds(app: &TestApp, answer: &serde_json::Value) -> serde_json::Value {
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), StatusCode::OK);
    let login = json!({ "email": "ann@example.com", "password": PASSWORD, "device": answer["device"] });
    let again = json_of(app.post("/api/v1/login", &login).await).await;
    assert_eq!(device_id(&again["device"]), device_id(&answer["device"]), "it is still the same device");
    app.clock.advance(app.app.config.tokens.refresh_grace + Duration::from_secs(1));
    let token = json!({ "refresh_token": answer["refresh_token"] });
    let refreshed = app.post("/api/v1/refresh", &token).await;
    assert_eq!(refreshed.status(), StatusCode::OK);
    let refreshed = json_of(refreshed).await;
    assert_ne!(refreshed["refresh_token"], answer["refresh_token"], "it was rotated");
    let mut newest = answer.clone();
    newest["refresh_token"] = refreshed["refresh_token"].clone();
    newest
}

fn device_id(device: &serde_json::Value) -> Vec<u8> {
    use base64::Engine as _;
    let device = device.as_str().unwrap().strip_prefix("sgd_").unwrap();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(device).unwrap()[5..21].to_vec()
}
