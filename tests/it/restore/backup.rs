//! An older backup is put in the place of the database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::StatusCode;
use serde_json::json;
use signet::config::{DatabaseUrl, Keys};
use signet::flow::restore::{self, EPOCH};
use signet::store::Position;

use crate::helpers::app::{PASSWORD, TestApp, claims_of, json_of};
use crate::helpers::db::{Outside, connect, on_both_engines};

async fn spawn(database: &signet::config::Database, keys: &Path) -> TestApp {
    TestApp::spawn_with(|config| {
        config.database = database.clone();
        config.keys = Keys::in_dir(keys.to_owned());
    })
    .await
}

async fn position(app: &TestApp) -> Position {
    app.app.db.read((), |tx, ()| Box::pin(tx.position())).await.unwrap()
}

/// The next epoch.
async fn turn(app: &TestApp) {
    app.clock.advance(EPOCH);
    restore::run_once(&app.app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a130_after_an_older_backup_no_session_lives_and_no_retired_key_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/signet.db");
    let database = crate::helpers::db::at(DatabaseUrl::Sqlite(file.clone()));
    let keys = folder.path().join("keys");
    let app = spawn(&database, &keys).await;
    app.register("ann@example.com").await;
    let kept = json_of(app.login("ann@example.com", PASSWORD).await).await;
    turn(&app).await;
    let at_backup = position(&app).await;
    let mut outside = connect(&database).await;
    let backup = folder.path().join("backup.db");
    outside.execute(&format!("VACUUM INTO '{}'", backup.display())).await;

    // What the backup has forgotten: a session, and a signing key that was taken out of use.
    let lost = json_of(app.login("ann@example.com", PASSWORD).await).await;
    let kid = app.app.keyring.active_kid().unwrap();
    let retire = format!("UPDATE signing_keys SET status = 'retired', sealed = x'' WHERE kid = '{kid}'");
    outside.execute(&retire).await;
    for _ in 0..3 {
        turn(&app).await;
    }
    let before = position(&app).await;
    assert_eq!(before.epoch, at_backup.epoch + 3);
    let now = app.clock.now();
    stop(app, outside).await;

    put(&backup, &file);
    let app = spawn(&database, &keys).await;
    app.clock.set(now);
    let mut outside = connect(&database).await;
    let after = position(&app).await;
    assert_eq!(after.database, before.database);
    assert_eq!(after.epoch, before.epoch + 1);
    assert!(after.status_version > before.status_version + 1000);
    assert_eq!(after.retired, std::slice::from_ref(&kid));
    assert_ne!(app.app.keyring.active_kid(), Some(kid.clone()), "another key signs");
    assert!(!String::from_utf8_lossy(&app.app.keyring.published().bytes).contains(&kid));
    assert!(after.serial.list() > before.serial.list(), "the next grant begins a list");
    assert_eq!(outside.number("SELECT count(*) FROM audit WHERE event = 'restore.detected'").await, 1);
    ended(&app, &mut outside, &[&kept, &lost], (&at_backup, &before, &after)).await;

    // It is over: the next start finds nothing, and who signs in stays signed in.
    let new = json_of(app.login("ann@example.com", PASSWORD).await).await;
    lives(&app, &new).await;
    turn(&app).await;
    lives(&app, &new).await;
    stop(app, outside).await;
    let app = spawn(&database, &keys).await;
    app.clock.set(now);
    let version = position(&app).await.status_version;
    lives(&app, &new).await;
    let mut outside = connect(&database).await;
    assert_eq!(outside.number("SELECT count(*) FROM audit WHERE event = 'restore.detected'").await, 1);
    // Nothing of what was lost can be alive: its bits are cleared, and whoever follows the lists is told.
    app.clock.advance(std::time::Duration::from_secs(3600));
    restore::run_once(&app.app).await;
    assert_eq!(outside.number("SELECT count(*) FROM status_gaps").await, 0);
    assert!(position(&app).await.status_version > version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a130_a_withdrawn_key_does_not_come_back_with_a_backup_of_a_moment_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/signet.db");
    let database = crate::helpers::db::at(DatabaseUrl::Sqlite(file.clone()));
    let keys = folder.path().join("keys");
    let app = spawn(&database, &keys).await;
    app.register("ann@example.com").await;
    let session = json_of(app.login("ann@example.com", PASSWORD).await).await;
    let token = session["access_token"].as_str().unwrap();
    let mut outside = connect(&database).await;
    let backup = folder.path().join("backup.db");
    outside.execute(&format!("VACUUM INTO '{}'", backup.display())).await;

    let stolen = app.app.keyring.active_kid().unwrap();
    signet::flow::key_rotation::withdraw(&app.app, &stolen).await.unwrap();
    let state = fs::read_to_string(keys.join("state")).unwrap();
    assert!(state.contains(&format!("retired {stolen}\n")), "at once: {state}");
    stop(app, outside).await;
    put(&backup, &file);
    // In the same epoch, as far as the database goes.
    let app = spawn(&database, &keys).await;
    assert_ne!(app.app.keyring.active_kid(), Some(stolen.clone()));
    assert!(!String::from_utf8_lossy(&app.app.keyring.published().bytes).contains(&stolen));
    assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), StatusCode::UNAUTHORIZED);
    let mut outside = connect(&database).await;
    assert_eq!(outside.number("SELECT count(*) FROM audit WHERE event = 'restore.detected'").await, 1);
    let live = format!("SELECT length(sealed) FROM signing_keys WHERE kid = '{stolen}'");
    assert_eq!(outside.number(&live).await, 0, "its private part is gone again");
    // Once is enough.
    turn(&app).await;
    assert_eq!(outside.number("SELECT count(*) FROM audit WHERE event = 'restore.detected'").await, 1);
}

async fn stop(app: TestApp, outside: Outside) {
    drop(outside);
    app.app.db.close().await;
}

/// A backup in the place of the database.
fn put(backup: &Path, file: &Path) {
    for beside in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{beside}", file.display()));
    }
    fs::copy(backup, file).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// None of these sessions can be used, and what hangs on the lost ones is known to be lost.
async fn ended(
    app: &TestApp,
    outside: &mut Outside,
    sessions: &[&serde_json::Value],
    (at_backup, before, after): (&Position, &Position, &Position),
) {
    let live = "SELECT count(*) FROM grants WHERE revoked_at IS NULL OR revoked_for <> 'restored'";
    assert_eq!(outside.number(live).await, 0);
    for session in sessions {
        let token = json!({ "refresh_token": session["refresh_token"] });
        let refused = app.post("/api/v1/refresh", &token).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert!(refused.text().await.unwrap().contains("invalid-grant"));
    }
    let gaps = app.app.db.read((), |tx, ()| Box::pin(tx.status_gaps())).await.unwrap();
    let [(first, last)] = gaps[..] else { panic!("one gap") };
    assert_eq!(first.number(), at_backup.serial.number() + 1);
    assert_eq!(last, after.serial);
    assert!(last > before.serial);
    // Access tokens end, too, also those whose grants have no row: here, and wherever the lists are followed.
    signet::flow::status::load(&app.app).await.unwrap();
    for session in sessions {
        let token = session["access_token"].as_str().unwrap();
        assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), StatusCode::UNAUTHORIZED);
        let status = &claims_of(token)["status"]["status_list"];
        let list = status["uri"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
        let list = app.app.status_board.current().list(list).expect("the list is served");
        assert_eq!(list.bits.is_set(status["idx"].as_u64().unwrap()), Some(true));
    }
    assert_eq!(outside.number("SELECT count(*) FROM status_gaps").await, 1);
}

async fn lives(app: &TestApp, session: &serde_json::Value) {
    let token = session["access_token"].as_str().unwrap();
    assert_eq!(app.get_with_token("/api/v1/me", token).await.status(), StatusCode::OK);
}

on_both_engines! {
    // As it is when somebody restores a dump under running servers.
    async fn a130_running_servers_notice_it_too_and_one_of_them_deals_with_it(database) {
        let (keys, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let app = spawn(&database.config, keys.path()).await;
        fs::copy(keys.path().join("root.key"), others.path().join("root.key")).unwrap();
        let other = spawn(&database.config, others.path()).await;
        app.register("ann@example.com").await;
        let session = json_of(app.login("ann@example.com", PASSWORD).await).await;
        for _ in 0..3 {
            turn(&app).await;
            other.clock.advance(EPOCH);
            restore::run_once(&other.app).await;
        }
        let before = position(&app).await;
        let mut outside = database.outside().await;
        outside.execute("UPDATE database_epoch SET epoch = 2").await;
        tokio::join!(restore::run_once(&app.app), restore::run_once(&other.app));
        let after = position(&app).await;
        assert_eq!(after.epoch, before.epoch + 1);
        assert_eq!(outside.number("SELECT count(*) FROM audit WHERE event = 'restore.detected'").await, 1);
        ended(&app, &mut outside, &[&session], (&before, &before, &after)).await;
        lives(&other, &json_of(other.login("ann@example.com", PASSWORD).await).await).await;
        let _ = session;
    }

    async fn replicas_with_folders_of_their_own_or_with_one_raise_no_alarm(database) {
        let (keys, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let one = spawn(&database.config, keys.path()).await;
        fs::copy(keys.path().join("root.key"), others.path().join("root.key")).unwrap();
        let shares = spawn(&database.config, keys.path()).await;
        let apart = spawn(&database.config, others.path()).await;
        let begun = position(&one).await.epoch;
        for round in 0..4 {
            for app in [&one, &shares, &apart] {
                app.clock.advance(EPOCH);
            }
            tokio::join!(
                restore::run_once(&one.app),
                restore::run_once(&shares.app),
                // This one was off for a while: its file is old.
                async { if round % 2 == 1 { restore::run_once(&apart.app).await } },
            );
        }
        assert_eq!(position(&one).await.epoch, begun + 4, "one replica wins at each turn");
        let mut outside = database.outside().await;
        assert_eq!(outside.number("SELECT count(*) FROM audit WHERE event = 'restore.detected'").await, 0);
        let state = fs::read_to_string(keys.path().join("state")).unwrap();
        assert!(state.contains(&format!("epoch {}\n", begun + 4)), "{state}");
    }
}
