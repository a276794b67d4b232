//! Units of work: all or nothing, whatever happens to the unit or its caller.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::*;
use crate::helpers::db::on_both_engines;

/// Waits until an account is there.
async fn appears(db: &Db, id: &UserId) -> bool {
    let looking = async {
        while find(db, id).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.is_ok()
}

on_both_engines! {
    async fn an_error_rolls_the_unit_back(database) {
        let ann = user("ann@example.com");
        let outcome: Result<(), _> = database
            .db
            .write(ann.clone(), |tx, user| {
                Box::pin(async move {
                    assert!(tx.insert_user(user).await?);
                    Err(StoreError::Corrupt { table: "users", what: "said by the test" })
                })
            })
            .await;
        assert!(matches!(outcome, Err(StoreError::Corrupt { .. })), "{outcome:?}");
        assert_eq!(find(&database.db, &ann.id).await, None);
        assert!(insert(&database.db, &ann).await.unwrap(), "the next one is unaffected");
    }

    async fn a_panic_rolls_the_unit_back_and_harms_nobody_else(database) {
        for round in 0..20 {
            let ann = user("ann@example.com");
            let outcome: Result<(), _> = database
                .db
                .write(ann.clone(), |tx, user| {
                    Box::pin(async move {
                        assert!(tx.insert_user(user).await?);
                        panic!("said by the test");
                    })
                })
                .await;
            assert!(matches!(outcome, Err(StoreError::UnitPanicked)), "{outcome:?}");
            assert_eq!(find(&database.db, &ann.id).await, None);
            assert!(insert(&database.db, &user(&format!("u{round}@example.com"))).await.unwrap());
        }
        let outcome: Result<(), _> =
            database.db.read((), |_, ()| Box::pin(async { panic!("said by the test") })).await;
        assert!(matches!(outcome, Err(StoreError::UnitPanicked)), "{outcome:?}");
    }

    async fn a_unit_that_ignores_a_failed_statement_is_not_committed(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        let mut twin = user("bob@example.com");
        twin.id = ann.id.clone();
        let other = user("eve@example.com");
        let outcome = database
            .db
            .write((twin, other.clone()), |tx, it| {
                Box::pin(async move {
                    tx.insert_user(&it.1).await?;
                    let _ = tx.insert_user(&it.0).await;
                    Ok(())
                })
            })
            .await;
        assert!(matches!(outcome, Err(StoreError::FailureIgnored)), "{outcome:?}");
        assert_eq!(find(&database.db, &other.id).await, None);
    }

    async fn a_unit_handed_to_read_cannot_write(database) {
        let ann = user("ann@example.com");
        let outcome = database.db.read(ann.clone(), |tx, user| Box::pin(tx.insert_user(user))).await;
        assert!(matches!(outcome, Err(StoreError::WriteInRead)), "{outcome:?}");
        assert_eq!(find(&database.db, &ann.id).await, None);
    }

    async fn a_snapshot_is_one_state_and_cannot_write(database) {
        let db = &database.db;
        let (ann, bob) = (user("ann@example.com"), user("bob@example.com"));
        insert(db, &ann).await.unwrap();
        let input = (db.clone(), ann.id.clone(), bob.clone());
        let seen = db
            .snapshot(input.clone(), |tx, it| {
                Box::pin(async move {
                    let before = tx.user(&it.1).await?;
                    assert!(insert(&it.0, &it.2).await?, "others write meanwhile");
                    assert!(disable(&it.0, &it.1, 50).await);
                    Ok((before, tx.user(&it.1).await?, tx.user(&it.2.id).await?))
                })
            })
            .await
            .unwrap();
        assert_eq!(seen, (Some(ann.clone()), Some(ann.clone()), None));
        // A unit that reads without one sees each change.
        let seen = db.read(input, |tx, it| Box::pin(async move {
            Ok((tx.user(&it.1).await?, tx.user(&it.2.id).await?))
        }));
        let seen = seen.await.unwrap();
        assert!(seen.0.unwrap().disabled_at.is_some() && seen.1.is_some());

        let eve = user("eve@example.com");
        let outcome = db.snapshot(eve.clone(), |tx, user| Box::pin(tx.insert_user(user))).await;
        assert!(matches!(outcome, Err(StoreError::WriteInRead)), "{outcome:?}");
        for _ in 0..20 {
            let outcome: Result<(), _> =
                db.snapshot((), |_, ()| Box::pin(async { panic!("said by the test") })).await;
            assert!(matches!(outcome, Err(StoreError::UnitPanicked)), "{outcome:?}");
        }
        assert!(find(db, &eve.id).await.is_none() && insert(db, &eve).await.unwrap(), "nobody is left inside one");
    }

    async fn the_database_tells_the_time(database) {
        let clock = signet_guard::Clock::System;
        let before = clock.now().as_seconds();
        let told = database.db.now().await.unwrap().as_seconds();
        let after = clock.now().as_seconds();
        assert!((before..=after).contains(&told), "{before} {told} {after}");
    }

    async fn a128_a_caller_who_hangs_up_cancels_nothing(database) {
        // Drop the caller's future after ever more polls: before BEGIN, in it, in the unit, in COMMIT.
        for polls in 0..100 {
            let ann = user(&format!("u{polls}@example.com"));
            let mut writing = Box::pin(database.db.write(ann.clone(), |tx, user| {
                Box::pin(async move {
                    tx.insert_user(user).await?;
                    tx.set_roles(&user.id, &[]).await
                })
            }));
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                if writing.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(writing);
            // A unit that was handed over is carried out as a whole; one whose caller never asked is not begun.
            if polls > 0 {
                assert!(appears(&database.db, &ann.id).await, "after {polls} polls");
                assert!(find(&database.db, &ann.id).await.unwrap().roles.is_empty());
            } else {
                assert_eq!(find(&database.db, &ann.id).await, None);
            }
        }
        // Nobody was handed a connection with somebody else's transaction on it.
        for number in 0..20 {
            assert!(insert(&database.db, &user(&format!("after{number}@example.com"))).await.unwrap());
        }
        let mut outside = database.outside().await;
        assert_eq!(outside.number("SELECT count(*) FROM users").await, 119, "visible to others: committed");
    }

    async fn a_unit_outlives_the_runtime_of_its_caller(database) {
        let (db, ann) = (database.db.clone(), user("ann@example.com"));
        let begun = Arc::new(Notify::new());
        let go_on = Arc::new(Notify::new());
        let input = (ann.clone(), begun.clone(), go_on.clone());
        let worker = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let writing = db.write(input, |tx, it| {
                    Box::pin(async move {
                        it.1.notify_one();
                        it.2.notified().await;
                        tx.insert_user(&it.0).await
                    })
                });
                tokio::select! {
                    _ = writing => panic!("it must not be done yet"),
                    () = begun.notified() => {}
                }
            });
        });
        tokio::task::spawn_blocking(move || worker.join().unwrap()).await.unwrap();
        go_on.notify_one();
        assert!(appears(&database.db, &ann.id).await);
    }

    async fn a_closed_database_says_so(database) {
        database.db.close().await;
        let error = database.db.ping().await.unwrap_err();
        assert!(error.is_temporary(), "{error:?}");
        assert!(insert(&database.db, &user("ann@example.com")).await.unwrap_err().is_temporary());
    }

    async fn a_database_keeps_its_id(database) {
        let id = database.db.database_id().await.unwrap();
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        let again = Db::open(&database.config).await.unwrap();
        assert_eq!(again.database_id().await.unwrap(), id);
        again.close().await;
        database.db.ping().await.unwrap();
    }
}
