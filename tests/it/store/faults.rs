//! The database goes away, is held by others, or refuses to write.

use std::future::Future as _;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::*;
use crate::helpers::db::{TestDatabase, at as config_at, new_file};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a127_a_long_writer_outside_makes_writes_busy_and_leaves_reads_alone() {
    let (mut config, _folder) = new_file();
    config.busy_timeout = Duration::from_millis(300);
    let db = Db::open(&config).await.unwrap();
    let ann = user("ann@example.com");
    insert(&db, &ann).await.unwrap();

    let mut outside = crate::helpers::db::connect(&config).await;
    outside.execute("BEGIN IMMEDIATE").await;
    outside.execute("UPDATE users SET name = 'held'").await;
    let started = Instant::now();
    let error = insert(&db, &user("bob@example.com")).await.unwrap_err();
    let waited = started.elapsed();
    assert!(matches!(error, StoreError::Busy(_)) && error.is_temporary(), "{error:?}");
    assert!(waited >= Duration::from_millis(250) && waited < Duration::from_secs(5), "{waited:?}");
    assert_eq!(find(&db, &ann.id).await, Some(ann), "what was committed before can be read");

    outside.execute("ROLLBACK").await;
    assert!(insert(&db, &user("bob@example.com")).await.unwrap(), "it recovers by itself");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a127_a_row_held_outside_makes_its_writers_busy() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let ann = user("ann@example.com");
    insert(&database.db, &ann).await.unwrap();
    let mut config = config_at(database.config.url.clone());
    config.busy_timeout = Duration::from_millis(300);
    let hasty = Db::open(&config).await.unwrap();
    let mut outside = database.outside().await;
    outside.execute("BEGIN").await;
    outside.execute("UPDATE users SET name = 'held'").await;
    let input = (ann.id.clone(), at(1));
    let error = hasty.write(input, |tx, it| Box::pin(tx.disable_user(&it.0, it.1))).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error:?}");
    outside.execute("ROLLBACK").await;
    assert!(disable(&hasty, &ann.id, 1).await);
    hasty.close().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a128_a_dropped_line_costs_at_most_one_answer() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut outside = database.outside().await;
    for round in 0..5 {
        insert(&database.db, &user(&format!("before{round}@example.com"))).await.unwrap();
        kill_all(&mut outside).await;
        // The pool asks a connection whether it lives before it hands it on.
        assert!(insert(&database.db, &user(&format!("after{round}@example.com"))).await.unwrap());
        kill_all(&mut outside).await;
        database.db.ping().await.unwrap();
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a128_a_line_dropped_inside_a_unit_keeps_nothing_of_it() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let ann = user("ann@example.com");
    let config = database.config.clone();
    let outcome = database
        .db
        .write((ann.clone(), config), |tx, it| {
            Box::pin(async move {
                tx.insert_user(&it.0).await?;
                kill_all(&mut crate::helpers::db::connect(&it.1).await).await;
                tx.set_roles(&it.0.id, &[]).await
            })
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(find(&database.db, &ann.id).await, None);
    assert!(insert(&database.db, &ann).await.unwrap());
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a128_a_line_dropped_in_the_commit_is_told_and_a_failed_serialisation_there_is_tried_again() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut outside = database.outside().await;
    // A deferred trigger runs inside COMMIT. A sequence is not rolled back: it counts the attempts.
    outside.execute("CREATE SEQUENCE attempts").await;
    outside
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.email = 'ann@example.com' THEN PERFORM pg_terminate_backend(pg_backend_pid()); \
             ELSIF nextval('attempts') <= 2 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; \
             RETURN NEW; END $$",
        )
        .await;
    outside
        .execute(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    for _ in 0..3 {
        let ann = user("ann@example.com");
        let error = insert(&database.db, &ann).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)) && error.is_temporary(), "{error:?}");
        assert_eq!(find(&database.db, &ann.id).await, None, "the next borrower is not affected");
    }
    assert!(insert(&database.db, &user("bob@example.com")).await.unwrap());
    assert_eq!(outside.number("SELECT last_value FROM attempts").await, 3);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a128_callers_cancelled_at_begin_leave_the_only_connection_as_it_was() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut config = database.config.clone();
    config.max_connections = 1;
    config.busy_timeout = Duration::from_secs(60);
    let db = Db::open(&config).await.unwrap();
    let first = user("ann@example.com");
    for polls in 1..12 {
        let mut writing = Box::pin(insert(&db, &first));
        for _ in 0..polls {
            let _ = writing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            tokio::task::yield_now().await;
        }
        drop(writing);
        let mut reading = Box::pin(db.snapshot((), |tx, ()| Box::pin(tx.signing_keys())));
        for _ in 0..polls {
            let _ = reading.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        drop(reading);
        let next = user(&format!("n{polls}@example.com"));
        assert!(insert(&db, &next).await.unwrap());
        assert!(find(&db, &next.id).await.is_some());
    }
    // What was handed over is carried out; then no transaction is left that nobody ends.
    let mut outside = database.outside().await;
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    let ending = async { while outside.number(idle).await > 0 {} };
    tokio::time::timeout(Duration::from_secs(20), ending).await.unwrap();
    db.close().await;
    database.remove().await;
}

/// Ends every connection to this database but the caller's, and waits until they are gone.
async fn kill_all(outside: &mut crate::helpers::db::Outside) {
    outside
        .execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a125_a_standby_after_a_failover_is_unavailable_until_it_writes_again() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut outside = database.outside().await;
    let read_only = |to: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {to}', \
             current_database()); END $$"
        )
    };
    outside.execute(&read_only("on")).await;
    kill_all(&mut outside).await;
    let ann = user("ann@example.com");
    let error = insert(&database.db, &ann).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)) && error.is_temporary(), "{error:?}");
    assert_eq!(find(&database.db, &ann.id).await, None);
    outside.execute(&read_only("off")).await;
    kill_all(&mut outside).await;
    assert!(insert(&database.db, &ann).await.unwrap(), "it recovers without a restart");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://ann:hunter2@127.0.0.1:{port}/signet");
    let mut config = config_at(signet::config::DatabaseUrl::Postgres(signet::config::PostgresUrl::new(url)));
    config.busy_timeout = Duration::from_millis(300);
    let Err(error) = Db::open(&config).await else { panic!("nobody listens") };
    assert!(error.is_temporary(), "{error:?}");
    let told = format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
    assert!(!told.contains("hunter2"), "{told}");
}
