//! Signatures and durable writes with nothing around them: what a machine allows at most.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use tokio::runtime::Runtime;

/// What is signed of a token: header and claims.
const SIGNED_BYTES: usize = 490;

/// Rows of the bare table.
const ROWS: usize = 1000;

/// A key, and a file with one small table, written as Signet writes: write-ahead log, synced at every commit.
pub struct Durable {
    key: RsaKeyPair,
    runtime: Runtime,
    connection: SqliteConnection,
    _folder: tempfile::TempDir,
}

impl Durable {
    /// Makes both.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let connection = runtime.block_on(table(folder.path()));
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self { key, runtime, connection, _folder: folder }
    }

    /// Signs for so long on so many threads; signatures a second.
    pub fn signatures(&self, threads: usize, lasts: Duration) -> f64 {
        let started = Instant::now();
        let count: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut count = 0;
                        while started.elapsed() < lasts {
                            sign(&self.key);
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        count as f64 / started.elapsed().as_secs_f64()
    }

    /// Writes for so long, so many rows in each commit; rows a second.
    pub fn writes(&mut self, rows_in_a_commit: usize, lasts: Duration) -> f64 {
        let (started, mut rows) = (Instant::now(), 0);
        while started.elapsed() < lasts {
            self.commit(rows, rows_in_a_commit);
            rows += rows_in_a_commit;
        }
        rows as f64 / started.elapsed().as_secs_f64()
    }

    /// Signs on so many threads and writes a row for each signature, at most so many in one commit: all that wait when
    /// the commit before is done. Rows a second.
    pub fn both(
        &mut self,
        threads: usize,
        in_flight: usize,
        rows_in_a_commit: usize,
        lasts: Duration,
    ) -> f64 {
        let started = Instant::now();
        let (signed, written) = sync_channel::<()>(in_flight);
        let written = Arc::new(Mutex::new(written));
        std::thread::scope(|scope| {
            let key = &self.key;
            for _ in 0..threads {
                let signed: SyncSender<()> = signed.clone();
                scope.spawn(move || {
                    while started.elapsed() < lasts {
                        sign(key);
                        if signed.send(()).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(signed);
            let (mut rows, written) = (0, written.lock().unwrap());
            while let Some(waiting) = take(&written, rows_in_a_commit) {
                commit(&self.runtime, &mut self.connection, rows, waiting);
                rows += waiting;
            }
            rows as f64 / started.elapsed().as_secs_f64()
        })
    }

    fn commit(&mut self, first: usize, rows: usize) {
        commit(&self.runtime, &mut self.connection, first, rows);
    }
}

/// How many wait, at least one and at most so many. `None`: nobody will come any more.
fn take(written: &Receiver<()>, most: usize) -> Option<usize> {
    written.recv().ok()?;
    Some(1 + written.try_iter().take(most - 1).count())
}

async fn table(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection
        .execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, generation INTEGER) STRICT")
        .await
        .unwrap();
    for id in 0..ROWS {
        sqlx::query("INSERT INTO bare VALUES ($1, 0)")
            .bind(id as i64)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection
}

/// One commit; all statements in one text, so that only one trip to the connection's thread is paid.
fn commit(runtime: &Runtime, connection: &mut SqliteConnection, first: usize, rows: usize) {
    let update = |row: usize| {
        format!("UPDATE bare SET generation = generation + 1 WHERE id = {};", (first + row) % ROWS)
    };
    let updates: String = (0..rows).map(update).collect();
    let text = format!("BEGIN IMMEDIATE; {updates} COMMIT;");
    runtime.block_on(sqlx::raw_sql(AssertSqlSafe(text)).execute(connection)).unwrap();
}

fn sign(key: &RsaKeyPair) {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &[7; SIGNED_BYTES], &mut signature).unwrap();
    std::hint::black_box(signature);
}
