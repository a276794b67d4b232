//! Units of concurrent callers share one commit on SQLite, and none of them notices.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use signet::store::Tx;
use signet::throttle::{Counter, Subject};
use tokio::sync::{Notify, Semaphore};

use super::wal::commits;
use super::*;
use crate::helpers::db::{TestDatabase, new_file};

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Hands a unit over, without waiting for its answer.
fn hand_over<T>(writing: impl Future<Output = Result<T, StoreError>> + Send + 'static) -> Answer<T> {
    let mut writing: Answer<T> = Box::pin(writing);
    assert!(writing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    writing
}

/// A unit that holds the writer until the gate is opened, so that others gather behind it.
async fn gate(db: &Db) -> (Arc<Semaphore>, Answer<()>) {
    let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let held = hand_over({
        let (db, input) = (db.clone(), (begun.clone(), gate.clone()));
        async move {
            db.write(input, |_, it| {
                Box::pin(async move {
                    it.0.notify_one();
                    let _ = it.1.acquire().await;
                    Ok(())
                })
            })
            .await
        }
    });
    begun.notified().await;
    (gate, held)
}

/// Adds one to a counter and answers what it came to: done twice, it shows.
async fn add(tx: &mut Tx, subject: &Subject) -> Result<u32, StoreError> {
    let held = tx.hold_throttles(&[subject], at(1)).await?;
    let counter = Counter { tries: held[0].tries + 1, free_at: at(1), expires_at: None };
    tx.put_throttles(&[(subject, &counter)]).await?;
    Ok(counter.tries)
}

fn adding(db: &Db, runs: &Arc<AtomicUsize>) -> Answer<u32> {
    let (db, input) = (db.clone(), (subject(), runs.clone()));
    hand_over(async move {
        db.write(input, |tx, it| {
            Box::pin(async move {
                it.1.fetch_add(1, Ordering::SeqCst);
                add(tx, &it.0).await
            })
        })
        .await
    })
}

fn subject() -> Subject {
    Subject::strangers(&Email::parse("ann@example.com").unwrap())
}

async fn tries(db: &Db) -> u32 {
    let all = db
        .read((), |tx, ()| Box::pin(async move { tx.throttles([&subject(), &subject(), &subject()]).await }))
        .await
        .unwrap();
    all[0].map_or(0, |counter| counter.tries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_wait_together_share_one_commit_in_the_order_in_which_they_came() {
    let database = TestDatabase::sqlite().await;
    let (runs, log) = (Arc::new(AtomicUsize::new(0)), database.folder().join("data/signet.db-wal"));
    let before = commits(&log);
    let (gate, held) = gate(&database.db).await;
    let waiting: Vec<_> = (0..32).map(|_| adding(&database.db, &runs)).collect();
    gate.close();
    held.await.unwrap();
    let answers: Vec<u32> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, (1..=32).collect::<Vec<_>>(), "each saw what those before it wrote");
    assert_eq!(tries(&database.db).await, 32);
    assert_eq!(runs.load(Ordering::SeqCst), 32, "none was run twice");
    // One, where the machine does not take longer over them than a batch may last.
    assert!((1..32).contains(&(commits(&log) - before)), "{}", commits(&log) - before);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_unit_is_a_commit_and_a_long_queue_is_several() {
    let database = TestDatabase::sqlite().await;
    let (runs, log) = (Arc::new(AtomicUsize::new(0)), database.folder().join("data/signet.db-wal"));
    for _ in 0..3 {
        let before = commits(&log);
        adding(&database.db, &runs).await.unwrap();
        assert_eq!(commits(&log) - before, 1);
    }
    let before = commits(&log);
    let (gate, held) = gate(&database.db).await;
    let waiting: Vec<_> = (0..300).map(|_| adding(&database.db, &runs)).collect();
    gate.close();
    held.await.unwrap();
    for (number, answer) in join_all(waiting).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap() as usize, 4 + number);
    }
    assert!((5..300).contains(&(commits(&log) - before)), "a batch is bounded");
    database.remove().await;
}

/// What a bad unit does after it has written.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Error,
    Panic,
    Ignored,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_unit_among_32_harms_none_of_them_and_none_counts_twice() {
    let mut reruns = 0;
    for fault in [Fault::Error, Fault::Panic, Fault::Ignored] {
        for place in [0, 15, 32] {
            let database = TestDatabase::sqlite().await;
            let db = &database.db;
            let ann = user("ann@example.com");
            insert(db, &ann).await.unwrap();
            let mut twin = user("bob@example.com");
            twin.id = ann.id.clone();
            let runs = Arc::new(AtomicUsize::new(0));
            let (gate, held) = gate(db).await;
            let mut waiting: Vec<_> = (0..place).map(|_| adding(db, &runs)).collect();
            let (bad_db, input) = (db.clone(), (subject(), twin, fault));
            let bad = hand_over(async move {
                bad_db
                    .write(input, |tx, it| {
                        Box::pin(async move {
                            add(tx, &it.0).await?;
                            match it.2 {
                                Fault::Error => {
                                    Err(StoreError::Corrupt { table: "users", what: "by the test" })
                                }
                                Fault::Panic => panic!("said by the test"),
                                Fault::Ignored => tx.insert_user(&it.1).await.map(drop).or(Ok(())),
                            }
                        })
                    })
                    .await
            });
            waiting.extend((place..32).map(|_| adding(db, &runs)));
            gate.close();
            held.await.unwrap();
            let answer = bad.await.unwrap_err();
            let told = match fault {
                Fault::Error => matches!(answer, StoreError::Corrupt { .. }),
                Fault::Panic => matches!(answer, StoreError::UnitPanicked),
                Fault::Ignored => matches!(answer, StoreError::FailureIgnored),
            };
            assert!(told, "{fault:?} at {place}: {answer:?}");
            let answers: Vec<u32> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers, (1..=32).collect::<Vec<_>>(), "{fault:?} at {place}");
            assert_eq!(tries(db).await, 32, "{fault:?} at {place}");
            reruns += runs.load(Ordering::SeqCst) - 32;
            database.remove().await;
        }
    }
    assert!(reruns > 0, "no batch was lost: nothing was tested");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_never_ends_keeps_back_neither_those_before_it_nor_their_answers() {
    let (mut config, _folder) = new_file();
    config.busy_timeout = Duration::from_secs(2);
    let db = Db::open(&config).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let (gate, held) = gate(&db).await;
    let before = adding(&db, &runs);
    let (never, input) = (db.clone(), (subject(), Arc::new(Semaphore::new(0))));
    let end = input.1.clone();
    let hung = hand_over(async move {
        never
            .write(input, |tx, it| {
                Box::pin(async move {
                    add(tx, &it.0).await?;
                    let _ = it.1.acquire().await;
                    Ok(())
                })
            })
            .await
    });
    let after = adding(&db, &runs);
    gate.close();
    held.await.unwrap();
    assert_eq!(before.await.unwrap(), 1);
    let error = after.await.unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error:?}");
    end.close();
    hung.await.unwrap();
    assert_eq!(adding(&db, &runs).await.unwrap(), 3, "it goes on");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a127_everybody_who_waits_for_a_foreign_lock_is_told_in_time() {
    let (mut config, _folder) = new_file();
    config.busy_timeout = Duration::from_millis(400);
    let db = Db::open(&config).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let mut outside = crate::helpers::db::connect(&config).await;
    outside.execute("BEGIN IMMEDIATE").await;
    let started = Instant::now();
    // One after the other they would take twenty seconds.
    let waiting: Vec<_> = (0..50).map(|_| adding(&db, &runs)).collect();
    for answer in join_all(waiting).await {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Busy(_)) && error.is_temporary(), "{error:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    let waiting = adding(&db, &runs);
    outside.execute("ROLLBACK").await;
    assert_eq!(waiting.await.unwrap(), 1, "it recovers by itself");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_was_handed_over_and_takes_no_more() {
    let database = TestDatabase::sqlite().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let (gate, held) = gate(&database.db).await;
    let waiting: Vec<_> = (0..10).map(|_| adding(&database.db, &runs)).collect();
    let mut closing = Box::pin(database.db.close());
    assert!(closing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let error = insert(&database.db, &user("ann@example.com")).await.unwrap_err();
    assert!(matches!(error, StoreError::Stopping), "{error:?}");
    gate.close();
    closing.await;
    held.await.unwrap();
    for (number, answer) in join_all(waiting).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap() as usize, number + 1);
    }
    let again = Db::open(&database.config).await.unwrap();
    assert_eq!(tries(&again).await, 10);
    again.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_hang_up_in_the_queue_cancel_nothing() {
    let database = TestDatabase::sqlite().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let (gate, held) = gate(&database.db).await;
    let mut waiting: Vec<_> = (0..20).map(|_| adding(&database.db, &runs)).collect();
    let last = waiting.pop().unwrap();
    drop(waiting);
    gate.close();
    held.await.unwrap();
    assert_eq!(last.await.unwrap(), 20);
    assert_eq!(tries(&database.db).await, 20);
    database.remove().await;
}

/// Whatever the queue has to do, another process finds the file free between two batches: it looks often enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_gets_its_turn_under_load() {
    let (mut config, _folder) = new_file();
    config.busy_timeout = Duration::from_millis(1500);
    let db = Db::open(&config).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..64)
        .map(|_| {
            let (db, runs) = (db.clone(), runs.clone());
            tokio::spawn(async move {
                loop {
                    adding(&db, &runs).await.unwrap();
                }
            })
        })
        .collect();
    for number in 0..8 {
        // As each command does: opening asks for no turn when there is nothing to migrate.
        let other = Db::open(&config).await.unwrap();
        assert!(insert(&other, &user(&format!("n{number}@example.com"))).await.unwrap());
        other.close().await;
    }
    for caller in load {
        caller.abort();
    }
    db.close().await;
}
