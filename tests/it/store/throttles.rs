//! Counters as rows.

use std::sync::Arc;
use std::time::Duration;

use signet::throttle::{Counter, Rule, Subject};
use tokio::sync::Barrier;

use super::at;
use crate::helpers::db::{TestDatabase, on_both_engines};

fn subject(number: u32) -> Subject {
    Subject::device(&number.to_be_bytes())
}

async fn put(database: &TestDatabase, subject: Subject, counter: Counter, now: i64) {
    let unit = (subject, counter, at(now));
    let outcome = database.db.write(unit, |tx, (subject, counter, now)| {
        Box::pin(async move {
            tx.hold_throttles(&[subject], *now).await?;
            tx.put_throttles(&[(subject, counter)]).await?;
            tx.sweep_throttles(*now).await.map(drop)
        })
    });
    outcome.await.unwrap();
}

async fn read(database: &TestDatabase, subject: Subject) -> Option<Counter> {
    let unit = database.db.read(subject, |tx, it| Box::pin(async move { tx.throttles([it, it, it]).await }));
    let [one, two, three] = unit.await.unwrap();
    assert!(one == two && two == three);
    one
}

on_both_engines! {
    async fn a_counter_is_kept_and_forgotten(database) {
        let counter = Counter { tries: 7, free_at: at(20), expires_at: None };
        put(database, subject(1), counter, 10).await;
        assert_eq!(read(database, subject(1)).await, Some(counter));
        assert_eq!(read(database, subject(2)).await, None);
        let held = database.db.write(subject(1), |tx, it| Box::pin(async move { tx.hold_existing_throttle(it).await }));
        assert_eq!(held.await.unwrap(), Some(counter));
        let absent = database.db.write(subject(2), |tx, it| Box::pin(async move { tx.hold_existing_throttle(it).await }));
        assert_eq!(absent.await.unwrap(), None);
        let delete = || database.db.write(subject(1), |tx, it| Box::pin(async move { tx.delete_throttle(it).await }));
        assert!(delete().await.unwrap());
        assert!(!delete().await.unwrap());
        assert_eq!(read(database, subject(1)).await, None);
    }

    // As if the try had never been: what came back by itself meanwhile does not come back twice.
    async fn a_bucket_gets_a_try_back(database) {
        let minute = Duration::from_secs(60);
        let bucket = Rule::Bucket { burst: 2, refill: minute };
        let one = bucket.charge(&Counter::none(at(100)), at(100)).unwrap();
        let two = bucket.charge(&one, at(100)).unwrap();
        put(database, subject(1), two, 100).await;
        let refill = || database.db.write((subject(1), minute), |tx, (it, refill)| {
            Box::pin(async move { tx.refill_throttle(it, *refill).await })
        });
        refill().await.unwrap();
        assert_eq!(read(database, subject(1)).await, Some(one));
        refill().await.unwrap();
        refill().await.unwrap();
        let none = read(database, subject(1)).await.unwrap();
        assert_eq!((none.tries, none.expires_at), (0, Some(at(100))));
        assert_eq!(bucket.charge(&none, at(100)).unwrap(), one);
    }

    // Two rows in one statement: each gets its own, whichever is there already.
    async fn two_counters_are_held_and_put_at_once(database) {
        let there = Counter { tries: 7, free_at: at(20), expires_at: None };
        put(database, subject(2), there, 10).await;
        let unit = database.db.write((), |tx, ()| Box::pin(async move {
            let (new, old) = (subject(1), subject(2));
            let held = tx.hold_throttles(&[&new, &old], at(30)).await?;
            let counter = |tries| Counter { tries, free_at: at(40), expires_at: Some(at(50)) };
            tx.put_throttles(&[(&new, &counter(1)), (&old, &counter(8))]).await?;
            Ok(held)
        }));
        assert_eq!(unit.await.unwrap(), [Counter::none(at(30)), there]);
        let tries = [read(database, subject(1)).await, read(database, subject(2)).await].map(|it| it.unwrap().tries);
        assert_eq!(tries, [1, 8]);
    }

    // Each new name pays for the removal of several old ones, so that a flood leaves nothing behind; what is locked stays.
    async fn the_table_shrinks_after_a_flood(database) {
        let locked = Counter { tries: 100, free_at: at(0), expires_at: None };
        put(database, subject(0), locked, 0).await;
        for number in 1..=60 {
            let counter = Counter { tries: 1, free_at: at(0), expires_at: Some(at(100)) };
            put(database, subject(number), counter, 50).await;
        }
        let mut outside = database.outside().await;
        assert_eq!(outside.number("SELECT count(*) FROM throttles").await, 61);
        for number in 100..115 {
            let counter = Counter { tries: 1, free_at: at(200), expires_at: Some(at(300)) };
            put(database, subject(number), counter, 200).await;
        }
        assert_eq!(outside.number("SELECT count(*) FROM throttles").await, 16);
        assert_eq!(read(database, subject(0)).await, Some(locked));
        assert_eq!(read(database, subject(114)).await.unwrap().tries, 1);
    }

    // Sweeps that meet, and units that want what is being swept, never wait for each other in a ring.
    async fn sweeps_and_charges_do_not_meet_in_a_deadlock(database) {
        for number in 0..100 {
            let counter = Counter { tries: 1, free_at: at(0), expires_at: Some(at(100)) };
            put(database, subject(number), counter, 50).await;
        }
        let barrier = Arc::new(Barrier::new(40));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..40_u32 {
            let (db, barrier) = (database.db.clone(), barrier.clone());
            tasks.spawn(async move {
                barrier.wait().await;
                for step in 0..5 {
                    let unit = (subject((task * 7 + step * 13) % 100), at(200));
                    let charged = db.write(unit, |tx, (subject, now)| {
                        Box::pin(async move {
                            let tries = tx.hold_throttles(&[subject], *now).await?[0].tries + 1;
                            let counter = Counter { tries, free_at: *now, expires_at: Some(at(1_000)) };
                            tx.put_throttles(&[(subject, &counter)]).await?;
                            tx.sweep_throttles(*now).await.map(drop)
                        })
                    });
                    charged.await.unwrap();
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let mut outside = database.outside().await;
        assert_eq!(outside.number("SELECT count(*) FROM throttles WHERE expires_at <= 200").await, 0);
    }

    // Two hundred writers on one row: every try is counted once.
    async fn no_try_is_lost(database) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let db = database.db.clone();
            tasks.spawn(async move {
                let charged = db.write((), |tx, ()| {
                    Box::pin(async move {
                        let tries = tx.hold_throttles(&[&subject(1)], at(10)).await?[0].tries + 1;
                        let counter = Counter { tries, free_at: at(10), expires_at: Some(at(1_000)) };
                        tx.put_throttles(&[(&subject(1), &counter)]).await
                    })
                });
                charged.await.unwrap();
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert_eq!(read(database, subject(1)).await.unwrap().tries, 200);
    }
}
