//! Several servers do what is due at the same time.

use std::time::Duration;

use signet::flow::key_rotation;
use signet::rotation::KeyStatus;

use super::{keys, kids, published, settle};
use crate::helpers::app::TestApp;
use crate::helpers::db::{TestDatabase, on_both_engines};

const ROUNDS: usize = 4;

const DAY: Duration = Duration::from_secs(86_400);

on_both_engines! {
    async fn a079_servers_that_rotate_at_once_end_with_one_signer_and_one_set(database) {
        let often = |config: &mut signet::config::Config| config.keys.rotate_every = 2 * DAY;
        let mut app = TestApp::spawn_on_with(database.config.clone(), often).await;
        app.stop_background().await;
        let mut other = app.replica(often).await;
        other.stop_background().await;
        for round in 1..=ROUNDS {
            for server in [&app, &other] {
                server.clock.advance(3 * DAY);
            }
            tokio::join!(settle(&app), settle(&other));
            tokio::join!(key_rotation::run_once(&app.app), key_rotation::run_once(&other.app));
            for server in [&app, &other] {
                key_rotation::follow(&server.app).await.unwrap();
            }
            for status in [KeyStatus::Active, KeyStatus::Pending] {
                assert_eq!(kids(&app, status).await.len(), 1, "round {round}: {}", status.as_str());
            }
            assert_eq!(keys(&app).await.len(), 2 + round, "each round makes one key");
            assert_eq!(published(&app).await, published(&other).await);
            assert_eq!(app.app.keyring.active_kid(), other.app.keyring.active_kid());
            assert_eq!(app.app.keyring.active_kid(), kids(&app, KeyStatus::Active).await.pop());
        }
        let rotated = "SELECT count(*) FROM audit WHERE event = 'key.rotated'";
        let rounds = i64::try_from(ROUNDS).unwrap();
        assert_eq!(database.outside().await.number(rotated).await, rounds, "each is on record once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a079_of_two_servers_that_publish_a_key_in_the_same_moment_one_does() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut app = TestApp::spawn_on(database.config.clone()).await;
    app.stop_background().await;
    let mut other = app.replica(|_| ()).await;
    other.stop_background().await;
    let standby = kids(&app, KeyStatus::Pending).await.remove(0);
    key_rotation::withdraw(&app.app, &standby).await.unwrap();
    // Both have decided, and neither can write.
    let (mut holder, mut watcher) = (database.outside().await, database.outside().await);
    holder.execute("BEGIN").await;
    holder.execute("SELECT * FROM keyring FOR UPDATE").await;
    let both_wait = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock' AND query LIKE 'UPDATE keyring%'";
        while watcher.number(waiting).await < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await; // poll: until both have made their keys
        }
        holder.execute("ROLLBACK").await;
    };
    tokio::join!(settle(&app), settle(&other), both_wait);
    for server in [&app, &other] {
        key_rotation::follow(&server.app).await.unwrap();
    }
    assert_eq!(kids(&app, KeyStatus::Pending).await.len(), 1);
    assert_eq!(keys(&app).await.len(), 3, "the other's was thrown away");
    assert_eq!(published(&app).await, published(&other).await);
    let created = "SELECT count(*) FROM audit WHERE event = 'key.created'";
    assert_eq!(watcher.number(created).await, 1);
    drop((holder, watcher, app, other));
    database.remove().await;
}
