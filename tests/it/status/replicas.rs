//! Several servers on one database.

use std::time::Duration;

use serde_json::json;

use super::{fetch, grant, insert, refresh, replica, revoke, until};
use crate::helpers::app::json_of;
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn a139_a_revocation_on_one_replica_is_served_by_the_other(database) {
        let keys = tempfile::tempdir().unwrap();
        let (a, b) = (replica(database, keys.path()).await, replica(database, keys.path()).await);
        let mut slowest = Duration::ZERO;
        for round in 0..5 {
            let one = grant();
            let id = one.id;
            let serial = insert(&a.app.db, vec![one]).await[0];
            assert!(!fetch(&b, 0).await.revoked().contains(&serial.index()));
            revoke(&a.app.db, id).await;
            let served = async || fetch(&b, 0).await.revoked().contains(&serial.index());
            slowest = slowest.max(until(&format!("round {round}"), served).await);
        }
        eprintln!("a revocation was served by another replica on {:?} after {slowest:?} at most", database.db.engine());
    }

    async fn replicas_sign_the_same_bytes(database) {
        let keys = tempfile::tempdir().unwrap();
        let (a, b) = (replica(database, keys.path()).await, replica(database, keys.path()).await);
        // Their clocks do not agree to the second.
        b.clock.advance(Duration::from_secs(17));
        for round in 0..3 {
            let one = grant();
            let id = one.id;
            insert(&a.app.db, vec![one]).await;
            revoke(&b.app.db, id).await;
            refresh(&a).await;
            refresh(&b).await;
            let (from_a, from_b) = (fetch(&a, 0).await, fetch(&b, 0).await);
            assert_eq!((from_a.etag(), &from_a.token), (from_b.etag(), &from_b.token));
            assert_eq!(from_a.revoked().len(), round + 1);
            a.clock.advance(Duration::from_secs(30));
            b.clock.advance(Duration::from_secs(30));
        }
    }

    async fn a_replica_that_lags_does_not_say_that_a_version_never_was(database) {
        let keys = tempfile::tempdir().unwrap();
        let (a, mut b) = (replica(database, keys.path()).await, replica(database, keys.path()).await);
        b.stop_background().await;
        let one = grant();
        let id = one.id;
        insert(&a.app.db, vec![one]).await;
        revoke(&a.app.db, id).await;
        refresh(&a).await;
        let version = json_of(a.get("/status").await).await["version"].as_i64().unwrap();
        let answer = b.get(&format!("/status?since={version}")).await;
        assert_eq!(json_of(answer).await, json!({ "version": version, "lists": [] }));
    }
}
