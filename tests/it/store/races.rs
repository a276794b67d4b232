//! Two who write at once: conditions decide, and each unit is seen as a whole.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::*;
use crate::helpers::db::{TestDatabase, on_both_engines};

on_both_engines! {
    async fn one_of_two_gets_the_address(database) {
        for round in 0..20 {
            let address = format!("u{round}@example.com");
            let racers: Vec<_> = (0..4)
                .map(|_| {
                    let (db, user) = (database.db.clone(), user(&address));
                    tokio::spawn(async move { insert(&db, &user).await.unwrap() })
                })
                .collect();
            let mut winners = 0;
            for racer in racers {
                winners += usize::from(racer.await.unwrap());
            }
            assert_eq!(winners, 1, "{address}");
        }
    }

    async fn no_sign_in_counts_after_the_account_was_disabled(database) {
        for round in 0..20 {
            let ann = user(&format!("u{round}@example.com"));
            insert(&database.db, &ann).await.unwrap();
            let (db, id) = (database.db.clone(), ann.id.clone());
            let disabling = tokio::spawn(async move { disable(&db, &id, 50).await });
            let (db, id) = (database.db.clone(), ann.id.clone());
            let signing_in = tokio::spawn(async move { sign_in(&db, &id, 0, 60).await });
            assert!(disabling.await.unwrap());
            let counted = signing_in.await.unwrap();
            let after = find(&database.db, &ann.id).await.unwrap();
            assert_eq!(after.last_sign_in.is_some(), counted);
            assert!(!sign_in(&database.db, &ann.id, 0, 70).await, "the version it verified is gone");
        }
    }

    async fn roles_set_at_once_are_not_mixed(database) {
        let ann = user("ann@example.com");
        insert(&database.db, &ann).await.unwrap();
        for _ in 0..20 {
            let both = [["a", "b"], ["c", "d"]].map(|names| {
                let (db, input) = (database.db.clone(), (ann.id.clone(), roles(&names)));
                tokio::spawn(async move {
                    db.write(input, |tx, it| Box::pin(tx.set_roles(&it.0, &it.1))).await.unwrap()
                })
            });
            for one in both {
                assert!(one.await.unwrap());
            }
            let set = find(&database.db, &ann.id).await.unwrap().roles;
            assert!(set == roles(&["a", "b"]) || set == roles(&["c", "d"]), "{set:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a128_of_two_in_a_deadlock_one_is_run_again() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let (ann, bob) = (user("ann@example.com"), user("bob@example.com"));
    insert(&database.db, &ann).await.unwrap();
    insert(&database.db, &bob).await.unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let both = [(ann.id.clone(), bob.id.clone()), (bob.id.clone(), ann.id.clone())].map(|(first, second)| {
        let input = (first, second, barrier.clone(), runs.clone());
        let db = database.db.clone();
        tokio::spawn(async move {
            db.write(input, |tx, it| {
                Box::pin(async move {
                    tx.disable_user(&it.0, at(1)).await?;
                    // Both hold one row before either asks for the other; the second run meets nobody.
                    if it.3.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
                        it.2.wait().await;
                    }
                    tx.disable_user(&it.1, at(1)).await
                })
            })
            .await
        })
    });
    for one in both {
        assert!(one.await.unwrap().unwrap());
    }
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 3, "one was run again");
    for id in [&ann.id, &bob.id] {
        assert_eq!(find(&database.db, id).await.unwrap().credential_version, 2, "each counted once");
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a128_a_serialisation_failure_is_run_again() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut outside = database.outside().await;
    // A sequence is not rolled back: it counts the attempts.
    outside.execute("CREATE SEQUENCE attempts").await;
    outside
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('attempts') <= 2 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; \
             RETURN NEW; END $$",
        )
        .await;
    outside
        .execute("CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()")
        .await;
    assert!(insert(&database.db, &user("ann@example.com")).await.unwrap());
    assert_eq!(outside.number("SELECT last_value FROM attempts").await, 3);

    outside.execute("ALTER SEQUENCE attempts RESTART MINVALUE -1000 START -1000").await;
    outside.execute("ALTER SEQUENCE attempts RESTART WITH -1000").await;
    let error = insert(&database.db, &user("bob@example.com")).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)) && error.is_temporary(), "{error:?}");
    assert!(outside.number("SELECT last_value FROM attempts").await < -980, "it was not tried for ever");
    database.remove().await;
}
