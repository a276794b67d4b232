//! Counters as rows.

use std::sync::Arc;

use signet::throttle::{Counter, Subject};
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
            tx.hold_throttle(subject, *now).await?;
            tx.put_throttle(subject, counter).await?;
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
                            let counter = tx.hold_throttle(subject, *now).await?;
                            let tries = counter.tries + 1;
                            let counter = Counter { tries, free_at: *now, expires_at: Some(at(1_000)) };
                            tx.put_throttle(subject, &counter).await?;
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
                        let counter = tx.hold_throttle(&subject(1), at(10)).await?;
                        let tries = counter.tries + 1;
                        let counter = Counter { tries, free_at: at(10), expires_at: Some(at(1_000)) };
                        tx.put_throttle(&subject(1), &counter).await
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
