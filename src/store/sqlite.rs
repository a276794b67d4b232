//! SQLite: one file, one connection that writes, several that read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::migrate::Migration;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::error::{StoreError, is_not_a_database};
use super::migrations::{self, Applied, Migrated, Newer};
use super::write_queue::{Leadership, WriteQueue};
use super::{group_commit, private_file};

/// `application_id` of a Signet database: "Sgnt", as the first migration sets it.
const APPLICATION_ID: i64 = 0x5367_6e74;

/// How long SQLite itself waits for the writer's lock; then the queue asks again. SQLite looks ten times a second before
/// long, and may never see the file free between two transactions of a process that is busy.
const LOOKS: Duration = Duration::from_millis(10);

/// SQLite never lets two write at once. Taking turns in our own queue is fair and quick; in SQLite's it is neither.
#[derive(Clone)]
pub(super) struct SqliteDb {
    pub(super) queue: Arc<WriteQueue>,
    writer: SqlitePool,
    pub(super) readers: SqlitePool,
    busy_timeout: Duration,
}

impl SqliteDb {
    /// Opens the file, makes it when it is missing, and brings it up to date.
    pub(super) async fn open(
        path: &Path,
        max_connections: u32,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        migrate(path, busy_timeout).await?;
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(busy_timeout)
                .idle_timeout(None)
                .max_lifetime(None)
                // There is no line that could have dropped.
                .test_before_acquire(false)
        };
        let options = options(path, busy_timeout);
        // Several processes that start together get in each other's way here without SQLite's waiting for its turn.
        let started = Instant::now();
        let writer = loop {
            let options = options
                .clone()
                .busy_timeout(LOOKS)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .pragma("journal_size_limit", "67108864")
                // What is deleted is overwritten within its page: the private half of a retired key, say.
                .pragma("secure_delete", "fast")
                .optimize_on_close(true, 400);
            match pool()
                .max_connections(1)
                .min_connections(1)
                .connect_with(options)
                .await
                .map_err(StoreError::from)
            {
                Err(StoreError::Busy(_)) if started.elapsed() < busy_timeout => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                other => break other?,
            }
        };
        let readers = pool().max_connections(max_connections).connect_with(options.read_only(true)).await?;
        let queue = Arc::new(WriteQueue::new(busy_timeout));
        Ok(Self { queue, writer, readers, busy_timeout })
    }

    /// Carries out what is in the queue.
    pub(super) async fn lead(self, leadership: Leadership) {
        group_commit::lead(leadership, self.writer, self.busy_timeout / 2).await;
    }

    /// Finishes what is in the queue, and closes every connection.
    pub(super) async fn close(&self) {
        self.queue.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn options(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(busy_timeout)
        .foreign_keys(true)
        // What a doctored file can make the library do.
        .pragma("trusted_schema", "off")
        .pragma("cell_size_check", "on")
        .disable_statement_logging()
}

/// Makes the file when it is missing and applies the migrations it lacks, all or none. Two processes may do so at once.
pub(super) async fn migrate(path: &Path, busy_timeout: Duration) -> Result<Migrated, StoreError> {
    private_file::make(path)?;
    let refused = |error: sqlx::Error| {
        if is_not_a_database(&error) { StoreError::NotADatabase(path.to_owned()) } else { error.into() }
    };
    let mut connection = options(path, busy_timeout).connect().await.map_err(refused)?;
    sqlx::query("PRAGMA schema_version").execute(&mut connection).await.map_err(refused)?;
    // Mostly nothing is, and there is no need to wait for those who write.
    let (missing, before) = missing(&mut connection, path).await?;
    if missing.is_empty() {
        connection.close().await?;
        return Ok(migrations::migrated(0, &before));
    }
    // sqlx takes no lock for migrations on SQLite. Ours makes a second process wait, then find all of them applied.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(refused)?;
    let outcome = migrate_locked(&mut transaction, path).await;
    if outcome.is_ok() {
        transaction.commit().await?;
    } else {
        // Closing the connection rolls back, also where SQLite has done so already.
        drop(transaction);
    }
    connection.close().await?;
    outcome
}

async fn migrate_locked(connection: &mut SqliteConnection, path: &Path) -> Result<Migrated, StoreError> {
    let (missing, before) = missing(connection, path).await?;
    migrations::apply(connection, &missing).await?;
    Ok(migrations::migrated(missing.len(), &before))
}

/// The migrations a database lacks, and those it has.
async fn missing(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(Vec<Migration>, Vec<Applied>), StoreError> {
    if is_foreign(connection).await? {
        return Err(StoreError::ForeignDatabase(PathBuf::from(path)));
    }
    let before = applied(connection).await?;
    let missing = migrations::missing(&before, migrations::for_sqlite(), Newer::Refused)?;
    Ok((missing, before))
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<Applied>, StoreError> {
    let (tables,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(migrations::APPLIED).fetch_all(connection).await?)
}

/// Whether the file holds tables, but not ours.
async fn is_foreign(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let (tables,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    let (id,): (i64,) = sqlx::query_as("PRAGMA application_id").fetch_one(&mut *connection).await?;
    Ok(tables > 0 && id != APPLICATION_ID)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use signet_guard::{Algorithm, Timestamp};
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::config::{Database, DatabaseUrl};
    use crate::rotation::KeyStatus;
    use crate::store::tx::{Hold, Tx, execute};
    use crate::store::{Db, Pools, SigningKeyRow};

    async fn open() -> (SqliteDb, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signet.db");
        (SqliteDb::open(&path, 2, Duration::from_secs(5)).await.unwrap(), folder)
    }

    async fn number(pool: &SqlitePool, sql: String) -> i64 {
        let (number,): (i64,) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
        number
    }

    #[tokio::test]
    async fn a129_what_was_committed_is_on_the_disk() {
        let (db, _folder) = open().await;
        // 2 is FULL: the log is synced at every commit.
        assert_eq!(number(&db.writer, "PRAGMA synchronous".into()).await, 2);
        let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&db.writer).await.unwrap();
        assert_eq!(mode, "wal");
        for pool in [&db.writer, &db.readers] {
            for (pragma, value) in [("foreign_keys", 1), ("trusted_schema", 0), ("cell_size_check", 1)] {
                assert_eq!(number(pool, format!("PRAGMA {pragma}")).await, value, "{pragma}");
            }
        }
        assert_eq!(number(&db.writer, "PRAGMA secure_delete".into()).await, 2, "2 is fast");
        assert_eq!(db.writer.options().get_max_connections(), 1);
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (db, _folder) = open().await;
        let outcome = sqlx::query("DELETE FROM users").execute(&db.readers).await;
        assert!(matches!(StoreError::from(outcome.unwrap_err()), StoreError::Unavailable(_)));
    }

    #[tokio::test]
    async fn a_transaction_nobody_ended_is_not_handed_on() -> Result<(), StoreError> {
        let (db, _folder) = open().await;
        for _ in 0..5 {
            let tx = || async { Tx::new(Hold::Sqlite(db.writer.acquire().await.unwrap())) };
            let mut abandoned = tx().await;
            abandoned.begin().await.unwrap();
            execute!(abandoned, sqlx::query("DELETE FROM database_identity"))?;
            drop(abandoned);
            let mut next = tx().await;
            next.begin().await.unwrap();
            next.commit().await.unwrap();
            assert_eq!(number(&db.readers, "SELECT count(*) FROM database_identity".into()).await, 1);
        }
        Ok(())
    }

    async fn opened() -> (Db, SqlitePool, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("signet.db"));
        let config = Database { url, max_connections: 2, busy_timeout: Duration::from_secs(5) };
        let db = Db::open(&config).await.unwrap();
        let Pools::Sqlite(SqliteDb { writer, .. }) = &db.pools else { panic!("SQLite") };
        let writer = writer.clone();
        (db, writer, folder)
    }

    fn key(kid: &str, sealed: usize) -> SigningKeyRow {
        SigningKeyRow {
            kid: kid.to_owned(),
            algorithm: Algorithm::Rs256,
            public_jwk: String::new(),
            sealed: vec![7; sealed],
            root_key_id: String::new(),
            status: KeyStatus::Pending,
            created_at: Timestamp::from_seconds(0),
            ready_at: Timestamp::from_seconds(0),
            activated_at: None,
            retiring_at: None,
            retired_at: None,
            withdrawn_at: None,
            rotation_requested_at: None,
            longest_life: Duration::ZERO,
        }
    }

    async fn insert(db: &Db, key: SigningKeyRow) -> Result<bool, StoreError> {
        db.write(key, |tx, key| Box::pin(tx.insert_signing_key(key))).await
    }

    #[tokio::test]
    async fn a_connection_that_is_lost_or_left_in_a_transaction_costs_no_answer() {
        let (db, writer, _folder) = opened().await;
        for number in 0..3 {
            sqlx::raw_sql("BEGIN").execute(&writer).await.unwrap();
            assert!(insert(&db, key(&format!("a{number}"), 10)).await.unwrap());
            writer.acquire().await.unwrap().close().await.unwrap();
            assert!(insert(&db, key(&format!("b{number}"), 10)).await.unwrap());
        }
        assert_eq!(number(&writer, "SELECT count(*) FROM signing_keys".into()).await, 6);
    }

    #[tokio::test]
    async fn a125_of_units_that_share_a_commit_none_is_lost_when_one_does_not_fit_on_the_disk() {
        let (db, writer, _folder) = opened().await;
        let pages = number(&writer, "PRAGMA page_count".into()).await;
        number(&writer, format!("PRAGMA max_page_count = {pages}")).await;
        let runs = Arc::new(AtomicUsize::new(0));
        let units = (0..32).map(|number| {
            let (db, runs) = (db.clone(), runs.clone());
            async move {
                if number % 8 == 3 {
                    return insert(&db, key(&number.to_string(), 50_000)).await;
                }
                // Fits: it changes a row in its place.
                db.write(runs, |tx, runs| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    Box::pin(count_one(tx))
                })
                .await
            }
        });
        let answers = futures_util::future::join_all(units).await;
        let (large, small): (Vec<_>, Vec<_>) =
            answers.into_iter().enumerate().partition(|(number, _)| number % 8 == 3);
        assert!(small.iter().all(|(_, answer)| matches!(answer, Ok(true))), "{small:?}");
        assert_eq!(number(&writer, "SELECT version FROM status_version".into()).await, 28, "each once");
        assert!(runs.load(Ordering::SeqCst) > 28, "no batch was lost: nothing was tested");
        // SQLite rolls back by itself, so the connection is closed, and the next one does not know the limit.
        assert!(large.iter().all(|(_, it)| matches!(it, Ok(true) | Err(StoreError::Busy(_)))), "{large:?}");
        let kept = large.iter().filter(|(_, answer)| answer.is_ok()).count();
        let keys = number(&writer, "SELECT count(*) FROM signing_keys".into()).await;
        assert_eq!(usize::try_from(keys).unwrap(), kept, "those that were answered");
    }

    async fn count_one(tx: &mut Tx) -> Result<bool, StoreError> {
        Ok(execute!(tx, sqlx::query("UPDATE status_version SET version = version + 1"))? == 1)
    }

    #[tokio::test]
    async fn a125_a_full_disk_makes_writes_busy_keeps_nothing_of_them_and_recovers() {
        let (db, writer, _folder) = opened().await;
        for round in 0..3 {
            let pages = number(&writer, "PRAGMA page_count".into()).await;
            number(&writer, format!("PRAGMA max_page_count = {pages}")).await;
            let outcome = insert(&db, key("a", 20_000)).await;
            assert!(matches!(outcome, Err(StoreError::Busy(_))), "round {round}: {outcome:?}");
            assert_eq!(db.read((), |tx, ()| Box::pin(tx.signing_keys())).await.unwrap(), []);
        }
        number(&writer, "PRAGMA max_page_count = 100000".into()).await;
        assert!(insert(&db, key("a", 20_000)).await.unwrap());
    }
}
