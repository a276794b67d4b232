//! Several servers on one database.

use std::time::Duration;

use super::{fetch, grant, insert, refresh, replica, revoke, until};
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
}
