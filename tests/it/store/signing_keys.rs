//! Signing keys as stored.

use std::path::Path;
use std::time::Duration;

use signet::rotation::{Announced, KeyLife, KeyStatus};
use signet::store::SigningKeyRow;
use signet_guard::Algorithm;

use super::*;
use crate::helpers::db::{TestDatabase, on_both_engines};

fn key(kid: &str, algorithm: Algorithm, status: KeyStatus, created: i64) -> SigningKeyRow {
    SigningKeyRow {
        kid: kid.to_owned(),
        algorithm,
        public_jwk: "{\"kty\":\"RSA\"}".to_owned(),
        sealed: vec![0, 1, 254, 255],
        root_key_id: "1-9f3a0c12".to_owned(),
        status,
        created_at: at(created),
        ready_at: at(created + 100),
        activated_at: (status == KeyStatus::Active).then(|| at(created + 1)),
        retiring_at: None,
        retired_at: None,
        withdrawn_at: None,
        rotation_requested_at: None,
        longest_life: Duration::from_secs(600),
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
            key("d", Algorithm::Rs256, KeyStatus::Retired, 1),
            key("B", Algorithm::Rs256, KeyStatus::Retiring, 2),
            key("a", Algorithm::Rs256, KeyStatus::Active, 2),
            key("c", Algorithm::Rs256, KeyStatus::Pending, 3),
        ];
        for index in [3, 1, 0, 2] {
            assert!(add(&database.db, &keys[index]).await);
        }
        assert_eq!(all(&database.db).await, keys);
    }

    async fn one_key_is_active_for_each_algorithm(database) {
        assert!(add(&database.db, &key("a", Algorithm::Rs256, KeyStatus::Active, 1)).await);
        assert!(!add(&database.db, &key("b", Algorithm::Rs256, KeyStatus::Active, 2)).await);
        assert!(add(&database.db, &key("c", Algorithm::Es256, KeyStatus::Active, 3)).await);
        assert!(!add(&database.db, &key("a", Algorithm::Rs256, KeyStatus::Pending, 4)).await, "a known kid");
        assert_eq!(all(&database.db).await.len(), 2);
    }

    async fn a_status_no_version_wrote_is_reported(database) {
        add(&database.db, &key("a", Algorithm::Rs256, KeyStatus::Active, 1)).await;
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
            tokio::spawn(async move { add(&db, &key(&format!("k{number}"), Algorithm::Rs256, KeyStatus::Active, 1)).await })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += usize::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1);
        assert_eq!(all(&database.db).await.len(), 1);
    }

    async fn a_key_takes_the_place_of_the_one_that_signs_or_nothing_happens(database) {
        for row in [
            key("a", Algorithm::Rs256, KeyStatus::Active, 1),
            key("e", Algorithm::Es256, KeyStatus::Active, 1),
            key("p", Algorithm::Rs256, KeyStatus::Pending, 2),
        ] {
            assert!(add(&database.db, &row).await);
        }
        let activate = async |kid: &str| {
            let life = Duration::from_secs(900);
            let unit = (kid.to_owned(), life);
            database
                .db
                .write(unit, |tx, (kid, life)| Box::pin(tx.activate_signing_key(kid, at(50), *life)))
                .await
                .unwrap()
        };
        assert!(!activate("e").await && !activate("nobody").await);
        assert_eq!(all(&database.db).await[0].status, KeyStatus::Active);
        assert!(activate("p").await);
        let [a, e, p] = &all(&database.db).await[..] else { panic!("three keys") };
        assert_eq!((a.status, a.retiring_at), (KeyStatus::Retiring, Some(at(50))));
        assert_eq!((p.status, p.activated_at, p.longest_life), (KeyStatus::Active, Some(at(50)), Duration::from_secs(900)));
        assert_eq!(e.status, KeyStatus::Active, "the other algorithm goes on");
        let longer = SigningKeyRow { longest_life: Duration::from_secs(1_200), ..key("q", Algorithm::Rs256, KeyStatus::Pending, 9) };
        assert!(add(&database.db, &longer).await && activate("q").await);
        assert_eq!(all(&database.db).await.last().unwrap().longest_life, longer.longest_life, "never less than was written");
    }

    async fn a_retired_key_has_no_private_part_and_stays_retired(database) {
        add(&database.db, &key("a", Algorithm::Rs256, KeyStatus::Active, 1)).await;
        let retire = async |is_withdrawn: bool| {
            database
                .db
                .write(is_withdrawn, |tx, is_withdrawn| Box::pin(tx.retire_signing_key("a", at(9), *is_withdrawn)))
                .await
                .unwrap()
        };
        assert!(retire(true).await);
        let [row] = &all(&database.db).await[..] else { panic!("one key") };
        assert_eq!((row.status, row.sealed.len()), (KeyStatus::Retired, 0));
        assert_eq!((row.retired_at, row.withdrawn_at), (Some(at(9)), Some(at(9))));
        assert!(!retire(false).await);
    }

    async fn what_is_decided_for_a_key_is_not_written_to_one_that_has_moved_on(database) {
        let rows = [key("a", Algorithm::Rs256, KeyStatus::Active, 1), key("p", Algorithm::Rs256, KeyStatus::Pending, 2)];
        for row in &rows {
            assert!(add(&database.db, row).await);
        }
        let unit = rows.clone();
        let (allowed, asked, stopped, resealed) = database
            .db
            .write(unit, |tx, [a, p]| {
                Box::pin(async move {
                    let signs = KeyLife { status: KeyStatus::Active, ready_at: at(9_999), ..p.life() };
                    let other = SigningKeyRow { sealed: vec![9], ..a.clone() };
                    Ok((
                        tx.allow_signing_key(&signs).await?,
                        tx.request_key_rotation(&p.kid, at(5)).await?,
                        tx.stop_signing_key(&p.kid, at(5)).await?,
                        tx.reseal_signing_key(&other, &[1, 2, 3]).await?,
                    ))
                })
            })
            .await
            .unwrap();
        assert!(!allowed && !asked && !stopped && !resealed);
        assert_eq!(all(&database.db).await, rows);
    }

    async fn of_those_who_change_the_keys_at_once_one_wins(database) {
        let racers = (0..8).map(|_| {
            let db = database.db.clone();
            tokio::spawn(async move { db.write(1, |tx, from| Box::pin(tx.change_keyring(*from))).await.unwrap() })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += usize::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1);
        let announced = Announced { max_age: Duration::from_secs(300), cached_until: at(7) };
        database.db.write(announced, |tx, it| Box::pin(tx.announce_max_age(*it))).await.unwrap();
        let row = database.db.read((), |tx, ()| Box::pin(tx.keyring())).await.unwrap();
        assert_eq!((row.version, row.announced), (2, announced));
    }
}

/// Whether any piece of it is in a file of that folder.
fn is_in(folder: &Path, sealed: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let has = |bytes: &[u8]| {
        sealed.chunks_exact(32).any(|piece| bytes.windows(piece.len()).any(|window| window == piece))
    };
    files.into_iter().any(|bytes| has(&bytes))
}

/// Pages are split and joined meanwhile: what was copied elsewhere on the way must be gone, too.
#[tokio::test]
async fn of_a_retired_key_nothing_is_left_in_the_file_of_sqlite() {
    let database = TestDatabase::sqlite().await;
    let sealed: Vec<Vec<u8>> = (0..14).map(|_| (0..1250).map(|_| rand::random()).collect()).collect();
    let kid = |number: usize| format!("k{number}");
    for (number, private) in sealed.iter().enumerate() {
        let mut row = key(&kid(number), Algorithm::Rs256, KeyStatus::Pending, 1);
        (row.public_jwk, row.sealed) = ("j".repeat(430), private.clone());
        assert!(add(&database.db, &row).await);
        let unit = (kid(number.saturating_sub(1)), kid(number.saturating_sub(2)), number);
        let turn = database.db.write(unit, |tx, (next, last, number)| {
            Box::pin(async move {
                Ok((*number < 1 || tx.activate_signing_key(next, at(1), Duration::ZERO).await?)
                    && (*number < 2 || tx.retire_signing_key(last, at(1), false).await?))
            })
        });
        assert!(turn.await.unwrap(), "{number}");
    }
    // What the log still has is gone with it.
    database.db.close().await;
    let folder = database.folder().join("data");
    let left: Vec<usize> = (0..sealed.len()).filter(|number| is_in(&folder, &sealed[*number])).collect();
    assert_eq!(left, [12, 13], "the one that signs and the one that stands by");
}
