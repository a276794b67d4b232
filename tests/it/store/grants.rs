//! Grants as stored.

use signet::caller::Caller;
use signet::grant::{Grant, GrantId, Seed, Serial, SessionId};
use signet_guard::Scope;

use super::*;
use crate::helpers::db::on_both_engines;

fn grant() -> Grant {
    Grant {
        serial: Serial::from_number(0),
        id: GrantId::random(),
        session: SessionId::random(),
        user: UserId::random(),
        client_id: "first-party".to_owned(),
        scope: Scope::parse("read").unwrap(),
        seed: Seed::random(),
        root_key_id: "1-9f3a0c12".to_owned(),
        generation: 0,
        rotated_at: at(1_000),
        created_at: at(1_000),
        authenticated_at: at(1_000),
        idle_until: at(2_000),
        expires_at: at(3_000),
        revoked_at: None,
        bit_until: at(2_500),
        last_caller: Caller::default(),
    }
}

/// Whether a grant of these deadlines is rotated at 2000. The new ones say nothing: those that stand are judged.
async fn is_rotated(db: &Db, idle_until: i64, expires_at: i64) -> bool {
    let before = Grant { idle_until: at(idle_until), expires_at: at(expires_at), ..grant() };
    let after = Grant {
        generation: 1,
        rotated_at: at(2_000),
        idle_until: at(9_000),
        expires_at: at(9_000),
        ..before.clone()
    };
    db.write((before, after), |tx, (before, after)| {
        Box::pin(async move {
            tx.insert_grant(before).await?;
            let is_rotated = tx.rotate_grant(0, after).await?;
            let stored = tx.grant(&before.id).await?.unwrap();
            assert_eq!(stored.generation, u64::from(is_rotated), "all of it or nothing");
            assert_eq!(stored.idle_until, if is_rotated { after.idle_until } else { before.idle_until });
            assert_eq!(stored.expires_at, before.expires_at, "the last deadline never moves");
            Ok(is_rotated)
        })
    })
    .await
    .unwrap()
}

on_both_engines! {
    async fn a070_at_either_of_its_deadlines_a_grant_is_rotated_no_more(database) {
        for (idle_until, expires_at, expected) in [
            (2_001, 2_001, true),
            (2_000, 2_001, false),
            (2_001, 2_000, false),
            (1_999, 9_000, false),
            (9_000, 1_999, false),
        ] {
            let found = is_rotated(&database.db, idle_until, expires_at).await;
            assert_eq!(found, expected, "idle until {idle_until}, expires at {expires_at}");
        }
    }

    async fn a_grant_is_rotated_once_from_each_generation_and_never_when_it_is_revoked(database) {
        let before = grant();
        let after = Grant { generation: 1, rotated_at: at(1_500), ..before.clone() };
        database.db.write(before.clone(), |tx, it| Box::pin(tx.insert_grant(it))).await.unwrap();
        let rotate = async |from: u64| {
            database.db.write((from, after.clone()), |tx, (from, it)| Box::pin(tx.rotate_grant(*from, it))).await.unwrap()
        };
        assert!(!rotate(1).await);
        assert!(rotate(0).await);
        assert!(!rotate(0).await, "somebody was quicker");
        let unit = before.id;
        let revoked = database.db.write(unit, |tx, id| {
            Box::pin(tx.revoke_grant(id, signet::grant::Revocation::Logout, at(1_600)))
        });
        assert!(revoked.await.unwrap());
        assert!(!rotate(1).await);
    }
}
