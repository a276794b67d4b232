//! What sharing a commit brings: rotations of refresh tokens through `Db::write`, the store's part of a refresh alone, many
//! callers at once, against one connection that commits each by itself.
//!
//! `scripts/bench writes`, or `cargo bench --bench writes`. SQLite with `synchronous=FULL`, every case on a file of its own
//! on the same disk, all cases alternately in the same rounds; the medians of the rounds are printed. The bare cases are
//! loops over one sqlx connection with the same statement: with a commit each, and with as many in one transaction as
//! there are callers, which is what the driver could do if nobody had to be answered.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a benchmark may stop at the first surprise")]

mod load;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use load::figures::{goal, median};
use signet::account::UserId;
use signet::caller::Caller;
use signet::config::{Config, Database, DatabaseUrl, Tokens};
use signet::grant::{Given, Grant};
use signet::store::Db;
use signet_guard::{Scope, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor};

const ROUNDS: usize = 31;
const IN_FLIGHT: usize = 32;
const WRITES: usize = 640;
const ROWS: usize = 10_000;

/// What `Tx::rotate_grant` says.
const STATEMENT: &str = "UPDATE grants SET generation = $3, rotated_at = $4, idle_until = $5, bit_until = $6, \
     last_address = $7, last_user_agent = $8 \
     WHERE id = $1 AND generation = $2 AND revoked_at IS NULL AND idle_until > $4 AND expires_at > $4";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

/// The grants of one database as they stand.
type Grants = Arc<Vec<Mutex<Grant>>>;

async fn measure() {
    // Not `/tmp`, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("shared.db");
    let db = Db::open(&config(&file)).await.unwrap();
    let grants = fill(&db).await;
    db.close().await;
    let (each, together) = (folder.path().join("each.db"), folder.path().join("together.db"));
    std::fs::copy(&file, &each).unwrap();
    std::fs::copy(&file, &together).unwrap();
    let db = Db::open(&config(&file)).await.unwrap();
    let (mut each, mut together) = (bare(&each).await, bare(&together).await);
    let own = || -> Grants { Arc::new(grants.iter().cloned().map(Mutex::new).collect()) };
    let (of_each, of_together, of_shared) = (own(), own(), own());
    let tokens = Arc::new(Config::default().tokens);

    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        // 7919 has no divisor in common with the number of rows: none comes twice in a round.
        let row = |number: usize| (round * WRITES + number * 7919) % ROWS;
        let now = Timestamp::from_seconds(i64::try_from(2 * round).unwrap() + 100);
        let started = Instant::now();
        for number in 0..WRITES {
            rotate(&mut each, &of_each[row(number)], &tokens, now).await;
        }
        let alone = started.elapsed();

        let started = Instant::now();
        for batch in 0..WRITES / IN_FLIGHT {
            together.execute("BEGIN IMMEDIATE").await.unwrap();
            for number in 0..IN_FLIGHT {
                rotate(&mut together, &of_together[row(batch * IN_FLIGHT + number)], &tokens, now).await;
            }
            together.execute("COMMIT").await.unwrap();
        }
        let bound = started.elapsed();

        let shared = in_flight(&db, IN_FLIGHT, &row, &of_shared, &tokens, now).await;
        // Another second: SQLite leaves a page alone, and syncs nothing, when nothing on it would change.
        let later = now.plus(Duration::from_secs(1));
        let one = in_flight(&db, 1, &row, &of_shared, &tokens, later).await;
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
async fn in_flight(
    db: &Db,
    callers: usize,
    row: &impl Fn(usize) -> usize,
    grants: &Grants,
    tokens: &Arc<Tokens>,
    now: Timestamp,
) -> Duration {
    let work: Vec<Vec<usize>> =
        (0..callers).map(|caller| (caller..WRITES).step_by(callers).map(row).collect()).collect();
    let started = Instant::now();
    let tasks: Vec<_> = work
        .into_iter()
        .map(|rows| {
            let (db, grants, tokens) = (db.clone(), grants.clone(), tokens.clone());
            tokio::spawn(async move {
                for row in rows {
                    let next = advance(&grants[row], &tokens, now);
                    let unit =
                        db.write(next, |tx, next| Box::pin(tx.rotate_grant(next.generation - 1, next)));
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

fn advance(grant: &Mutex<Grant>, tokens: &Tokens, now: Timestamp) -> Grant {
    let mut grant = grant.lock().unwrap();
    *grant = grant.rotated(tokens, Caller::default(), now);
    grant.clone()
}

async fn rotate(connection: &mut SqliteConnection, grant: &Mutex<Grant>, tokens: &Tokens, now: Timestamp) {
    let next = advance(grant, tokens, now);
    let generation = i64::try_from(next.generation).unwrap();
    let query = sqlx::query(STATEMENT)
        .bind(next.id.as_bytes().to_vec())
        .bind(generation - 1)
        .bind(generation)
        .bind(next.rotated_at.as_seconds())
        .bind(next.idle_until.as_seconds())
        .bind(next.bit_until.as_seconds())
        .bind(None::<String>)
        .bind(None::<String>);
    assert_eq!(query.execute(connection).await.unwrap().rows_affected(), 1);
}

async fn bare(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn fill(db: &Db) -> Vec<Grant> {
    let mut grants = Vec::new();
    let tokens = Config::default().tokens;
    for _ in 0..ROWS {
        let given = Given {
            user: UserId::random(),
            client_id: "first-party".to_owned(),
            scope: Scope::parse("signet:account").unwrap(),
            root_key_id: "1-9f3a0c12".to_owned(),
            caller: Caller::default(),
        };
        let grant = Grant::new(given, &tokens, Timestamp::from_seconds(0));
        grants.push(grant.clone());
        db.write(grant, |tx, grant| Box::pin(tx.insert_grant(grant))).await.unwrap();
    }
    grants
}

fn config(path: &Path) -> Database {
    Database {
        url: DatabaseUrl::Sqlite(path.to_owned()),
        max_connections: 2,
        busy_timeout: Duration::from_secs(30),
    }
}
