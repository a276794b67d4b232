//! What sharing a commit brings: conditional writes by primary key through `Db::write`, many callers at once, against one
//! connection that commits each by itself.
//!
//! `scripts/bench writes`, or `cargo bench --bench writes`. SQLite with `synchronous=FULL`, every case on a file of its own
//! on the same disk, all cases alternately in the same rounds; the medians of the rounds are printed. The bare cases are
//! loops over one sqlx connection with the same statement: with a commit each, and with as many in one transaction as
//! there are callers, which is what the driver could do if nobody had to be answered.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a benchmark may stop at the first surprise")]

mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use load::figures::{goal, median};
use signet::account::{Email, User, UserId};
use signet::config::{Database, DatabaseUrl};
use signet::store::Db;
use signet_guard::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor};

const ROUNDS: usize = 31;
const IN_FLIGHT: usize = 32;
const WRITES: usize = 640;
const ROWS: usize = 10_000;

/// What `Tx::record_sign_in` says.
const STATEMENT: &str = "UPDATE users SET last_sign_in = $3 \
     WHERE id = $1 AND disabled_at IS NULL AND credential_version = $2";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    // Not `/tmp`, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("shared.db");
    let db = Db::open(&config(&file)).await.unwrap();
    let ids = fill(&db).await;
    db.close().await;
    let (each, together) = (folder.path().join("each.db"), folder.path().join("together.db"));
    std::fs::copy(&file, &each).unwrap();
    std::fs::copy(&file, &together).unwrap();
    let db = Db::open(&config(&file)).await.unwrap();
    let (mut each, mut together) = (bare(&each).await, bare(&together).await);

    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let at = i64::try_from(round).unwrap();
        let row = |number: usize| ids[(round * WRITES + number * 7919) % ROWS].clone();
        let started = Instant::now();
        for number in 0..WRITES {
            assert_eq!(update(&mut each, &row(number), at).await, 1);
        }
        let alone = started.elapsed();

        let started = Instant::now();
        for batch in 0..WRITES / IN_FLIGHT {
            together.execute("BEGIN IMMEDIATE").await.unwrap();
            for number in 0..IN_FLIGHT {
                assert_eq!(update(&mut together, &row(batch * IN_FLIGHT + number), at).await, 1);
            }
            together.execute("COMMIT").await.unwrap();
        }
        let bound = started.elapsed();

        let shared = in_flight(&db, IN_FLIGHT, &row, at).await;
        // Another value: SQLite leaves a page alone, and syncs nothing, when nothing on it would change.
        let one = in_flight(&db, 1, &row, at + 1_000_000).await;
        // The first warms caches up.
        if round > 0 {
            rounds.push([alone, bound, shared, one].map(|time| time.as_secs_f64()));
        }
    }
    report(&rounds);
    db.close().await;
}

fn report(rounds: &[[f64; 4]]) {
    let names = [
        "bare connection, a commit each",
        "bare connection, 32 to a commit",
        "`Db::write`, 32 in flight",
        "`Db::write`, one after the other",
    ];
    println!("{ROUNDS} rounds of {WRITES} writes, {ROWS} rows\n");
    println!("| Writes | µs each | a second | times the first |");
    println!("|---|---|---|---|");
    let ratio = |column: usize| median(rounds.iter().map(|round| round[0] / round[column]).collect());
    for (column, name) in names.iter().enumerate() {
        let each = median(rounds.iter().map(|round| round[column] / WRITES as f64).collect());
        println!("| {name} | {:.0} | {:.0} | {:.2} |", each * 1e6, 1.0 / each, ratio(column));
    }
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    goal("32 in flight / a commit each", ratio(2), " ×", 3.0, false);
}

/// So many callers, each of whom asks again once it was answered.
async fn in_flight(db: &Db, callers: usize, row: &impl Fn(usize) -> UserId, at: i64) -> Duration {
    let work: Vec<Vec<UserId>> =
        (0..callers).map(|caller| (caller..WRITES).step_by(callers).map(row).collect()).collect();
    let started = Instant::now();
    let tasks: Vec<_> = work
        .into_iter()
        .map(|rows| {
            let db = db.clone();
            tokio::spawn(async move {
                for id in rows {
                    let input = (id, 0, Timestamp::from_seconds(at));
                    let unit = db.write(input, |tx, it| Box::pin(tx.record_sign_in(&it.0, it.1, it.2)));
                    assert!(unit.await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    started.elapsed()
}

async fn update(connection: &mut SqliteConnection, id: &UserId, at: i64) -> u64 {
    let query = sqlx::query(STATEMENT).bind(id.as_str().to_owned()).bind(0i64).bind(at);
    query.execute(connection).await.unwrap().rows_affected()
}

async fn bare(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn fill(db: &Db) -> Vec<UserId> {
    let mut ids = Vec::new();
    for number in 0..ROWS {
        let user = User {
            id: UserId::random(),
            email: Email::parse(&format!("n{number}@example.com")).unwrap(),
            name: None,
            roles: Vec::new(),
            credential_version: 0,
            created_at: Timestamp::from_seconds(0),
            last_sign_in: None,
            disabled_at: None,
        };
        ids.push(user.id.clone());
        db.write(user, |tx, user| Box::pin(tx.insert_user(user))).await.unwrap();
    }
    ids
}

fn config(path: &Path) -> Database {
    Database {
        url: DatabaseUrl::Sqlite(path.to_owned()),
        max_connections: 2,
        busy_timeout: Duration::from_secs(30),
    }
}
