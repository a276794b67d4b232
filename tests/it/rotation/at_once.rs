//! Several servers do what is due at the same time.

use std::time::Duration;

use signet::flow::key_rotation;
use signet::rotation::KeyStatus;

use super::{keys, kids, published, settle};
use crate::helpers::app::TestApp;
use crate::helpers::db::on_both_engines;

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
