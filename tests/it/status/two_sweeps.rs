//! Sweeps on two replicas at once, and revocations meanwhile.

use std::time::Duration;

use signet::flow::sweep;
use signet::grant::{Grant, Revocation};

use super::{at, count, fetch, grant, insert, refresh, replica, revoke};
use crate::helpers::db::on_both_engines;

on_both_engines! {
    async fn sweeps_that_meet_lose_nothing_and_do_nothing_twice(database) {
        let keys = tempfile::tempdir().unwrap();
        let mut replicas = [replica(database, keys.path()).await, replica(database, keys.path()).await];
        for replica in &mut replicas {
            replica.stop_background().await;
        }
        let expired = || Grant { idle_until: at(1), bit_until: at(1), ..grant() };
        let mut grants = Vec::new();
        for _ in 0..700 {
            grants.extend([expired(), grant(), Grant { bit_until: at(1), ..grant() }]);
        }
        let (living, ended): (Vec<_>, Vec<_>) =
            grants.iter().enumerate().filter(|(n, _)| n % 3 > 0).partition(|(n, _)| n % 3 == 1);
        let living: Vec<_> = living.into_iter().map(|(n, grant)| (n, grant.id)).collect();
        let ended: Vec<_> = ended.into_iter().map(|(_, grant)| grant.id).collect();
        let serials = insert(&database.db, grants).await;
        let revoke_all = database.db.write(ended, |tx, ids| {
            Box::pin(async move {
                for id in ids {
                    tx.revoke_grant(id, Revocation::Logout, at(0)).await?;
                }
                Ok(())
            })
        });
        revoke_all.await.unwrap();

        // Too soon for those who are revoked meanwhile to go.
        for replica in &replicas {
            replica.clock.advance(Duration::from_secs(120));
        }
        let revocations = async {
            for (_, id) in living.iter().step_by(10) {
                revoke(&database.db, *id).await;
            }
        };
        let sweeps = replicas.each_ref().map(|replica| async {
            let mut swept = (0, 0);
            for _ in 0..8 {
                let turn = sweep::turn(&replica.app).await.unwrap();
                swept = (swept.0 + turn.expired, swept.1 + turn.revoked);
            }
            swept
        });
        let [a, b] = sweeps;
        let (a, b, ()) = futures_util::future::join3(a, b, revocations).await;
        assert_eq!((a.0 + b.0, a.1 + b.1), (700, 700));
        assert_eq!(count(database).await, 700);

        let revoked: Vec<_> = living.iter().step_by(10).map(|(n, _)| serials[*n].index()).collect();
        for replica in &replicas {
            refresh(replica).await;
            assert_eq!(fetch(replica, 0).await.revoked(), revoked);
        }
    }
}
