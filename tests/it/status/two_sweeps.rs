//! Sweeps on two replicas at once, and revocations meanwhile.

use std::time::Duration;

use signet::flow::sweep;
use signet::grant::{Grant, Revocation};

use super::{at, count, fetch, grant, insert, refresh, replica, revoke};
use crate::helpers::db::{TestDatabase, on_both_engines};

on_both_engines! {
    async fn sweeps_that_meet_lose_nothing_and_do_nothing_twice(database) {
        let keys = tempfile::tempdir().unwrap();
        let mut replicas = [replica(database, keys.path()).await, replica(database, keys.path()).await];
        for replica in &mut replicas {
            replica.stop_background().await;
        }
        let expired = || Grant { idle_until: at(1), bit_until: at(1), ..grant() };
        let mut grants = Vec::new();
        for _ in 0..520 {
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
        assert_eq!((a.0 + b.0, a.1 + b.1), (520, 520));
        assert_eq!(count(database).await, 520);

        let revoked: Vec<_> = living.iter().step_by(10).map(|(n, _)| serials[*n].index()).collect();
        for replica in &replicas {
            refresh(replica).await;
            assert_eq!(fetch(replica, 0).await.revoked(), revoked);
        }
    }
}

/// On PostgreSQL rows are locked one by one: a sweep waits for none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_leaves_a_grant_that_somebody_holds_to_another_turn() {
    let Some(mut database) = TestDatabase::postgres().await else { return };
    database.config.busy_timeout = Duration::from_secs(1);
    let keys = tempfile::tempdir().unwrap();
    let mut replica = replica(&database, keys.path()).await;
    replica.stop_background().await;
    let expired = || Grant { idle_until: at(1), bit_until: at(1), ..grant() };
    let ended: Vec<_> = (0..3).map(|_| Grant { bit_until: at(1), ..grant() }).collect();
    let ids: Vec<_> = ended.iter().map(|grant| grant.id).collect();
    insert(&database.db, vec![expired(), expired(), expired()]).await;
    insert(&database.db, ended).await;
    for id in ids {
        revoke(&database.db, id).await;
    }
    replica.clock.advance(Duration::from_secs(120));
    let mut outside = database.outside().await;
    outside.execute("BEGIN").await;
    let first_of_each = "SELECT min(serial) FROM grants GROUP BY revoked_at IS NULL";
    let hold = format!("UPDATE grants SET scope = scope WHERE serial IN ({first_of_each})");
    assert_eq!(outside.execute(&hold).await, 2);
    let swept = sweep::turn(&replica.app).await.unwrap();
    assert_eq!((swept.expired, swept.revoked), (2, 2));
    outside.execute("ROLLBACK").await;
    for _ in 0..3 {
        replica.clock.advance(Duration::from_secs(60));
        sweep::turn(&replica.app).await.unwrap();
    }
    assert_eq!(count(&database).await, 0);
    drop(outside);
    drop(replica);
    database.remove().await;
}
