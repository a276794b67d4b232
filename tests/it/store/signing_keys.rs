//! Signing keys as stored.

use signet::store::{KeyStatus, SigningKeyRow};

use super::*;
use crate::helpers::db::on_both_engines;

fn key(kid: &str, algorithm: &str, status: KeyStatus, created: i64) -> SigningKeyRow {
    SigningKeyRow {
        kid: kid.to_owned(),
        algorithm: algorithm.to_owned(),
        public_jwk: "{\"kty\":\"RSA\"}".to_owned(),
        sealed: vec![0, 1, 254, 255],
        root_key_id: "1-9f3a0c12".to_owned(),
        status,
        created_at: at(created),
        activated_at: (status == KeyStatus::Active).then(|| at(created + 1)),
    }
}

async fn add(db: &Db, key: &SigningKeyRow) -> bool {
    db.write(key.clone(), |tx, key| Box::pin(tx.insert_signing_key(key))).await.unwrap()
}

async fn all(db: &Db) -> Vec<SigningKeyRow> {
    db.read((), |tx, ()| Box::pin(tx.signing_keys())).await.unwrap()
}

on_both_engines! {
    async fn keys_are_read_back_oldest_first(database) {
        assert_eq!(all(&database.db).await, []);
        let keys = [
            key("d", "RS256", KeyStatus::Retired, 1),
            key("B", "RS256", KeyStatus::Retiring, 2),
            key("a", "RS256", KeyStatus::Active, 2),
            key("c", "RS256", KeyStatus::Pending, 3),
        ];
        for index in [3, 1, 0, 2] {
            assert!(add(&database.db, &keys[index]).await);
        }
        assert_eq!(all(&database.db).await, keys);
    }

    async fn one_key_is_active_for_each_algorithm(database) {
        assert!(add(&database.db, &key("a", "RS256", KeyStatus::Active, 1)).await);
        assert!(!add(&database.db, &key("b", "RS256", KeyStatus::Active, 2)).await);
        assert!(add(&database.db, &key("c", "ES256", KeyStatus::Active, 3)).await);
        assert!(!add(&database.db, &key("a", "RS256", KeyStatus::Pending, 4)).await, "a known kid");
        assert_eq!(all(&database.db).await.len(), 2);
    }

    async fn a_status_no_version_wrote_is_reported(database) {
        add(&database.db, &key("a", "RS256", KeyStatus::Active, 1)).await;
        let mut outside = database.outside().await;
        match database.db.engine() {
            signet::store::Engine::Sqlite => {
                outside.execute("PRAGMA ignore_check_constraints = on").await;
            }
            signet::store::Engine::Postgres => {
                outside.execute("ALTER TABLE signing_keys DROP CONSTRAINT signing_keys_status_check").await;
            }
        }
        outside.execute("UPDATE signing_keys SET status = 'odd'").await;
        let error = database.db.read((), |tx, ()| Box::pin(tx.signing_keys())).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { table: "signing_keys", .. }), "{error:?}");
    }

    async fn a_race_for_the_first_key_ends_with_one(database) {
        let racers = (0..8).map(|number| {
            let db = database.db.clone();
            tokio::spawn(async move { add(&db, &key(&format!("k{number}"), "RS256", KeyStatus::Active, 1)).await })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += usize::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1);
        assert_eq!(all(&database.db).await.len(), 1);
    }
}
