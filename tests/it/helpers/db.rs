//! A database of its own for each test, on each engine.
//!
//! `SIGNET_TEST_POSTGRES` holds the URL of a PostgreSQL server on which databases may be made; without it the tests on
//! PostgreSQL do nothing but say so, unless `SIGNET_TEST_REQUIRE_POSTGRES` is set, with which they fail.

use std::path::{Path, PathBuf};
use std::time::Duration;

use signet::config::{Database, DatabaseUrl, PostgresUrl};
use signet::store::Db;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

/// A new, empty, migrated database and what belongs to it.
pub(crate) struct TestDatabase {
    pub(crate) db: Db,
    pub(crate) config: Database,
    home: Home,
}

enum Home {
    Folder(tempfile::TempDir),
    Server { admin_url: String, name: String },
}

/// A connection beside Signet's own.
pub(crate) enum Outside {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl TestDatabase {
    pub(crate) async fn sqlite() -> Self {
        let (config, folder) = new_file();
        let db = Db::open(&config).await.unwrap();
        Self { db, config, home: Home::Folder(folder) }
    }

    /// `None` when there is no server to test on.
    pub(crate) async fn postgres() -> Option<Self> {
        let (config, admin_url, name) = new_on_server().await?;
        signet::store::migrate(&config).await.unwrap();
        let db = Db::open(&config).await.unwrap();
        Some(Self { db, config, home: Home::Server { admin_url, name } })
    }

    /// Connects beside Signet.
    pub(crate) async fn outside(&self) -> Outside {
        connect(&self.config).await
    }

    /// The folder of an SQLite file.
    pub(crate) fn folder(&self) -> &Path {
        match &self.home {
            Home::Folder(folder) => folder.path(),
            Home::Server { .. } => panic!("PostgreSQL has no folder"),
        }
    }

    /// Closes it and removes what the server keeps of it.
    pub(crate) async fn remove(self) {
        self.db.close().await;
        if let Home::Server { admin_url, name } = self.home {
            drop_database(&admin_url, &name).await;
        }
    }
}

impl Outside {
    pub(crate) async fn execute(&mut self, sql: &str) -> u64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => connection.execute(sql).await.unwrap().rows_affected(),
            Self::Postgres(connection) => connection.execute(sql).await.unwrap().rows_affected(),
        }
    }

    /// Polls, on PostgreSQL, until somebody waits for a row that another connection holds.
    pub(crate) async fn until_somebody_waits<T>(&mut self, asked: &tokio::task::JoinHandle<T>) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while self.number(waiting).await == 0 {
            assert!(!asked.is_finished(), "it did not wait");
            tokio::time::sleep(Duration::from_millis(5)).await; // poll: until it waits for the row
        }
    }

    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let (number,): (i64,) = match self {
            Self::Sqlite(connection) => sqlx::query_as(sql).fetch_one(connection).await.unwrap(),
            Self::Postgres(connection) => sqlx::query_as(sql).fetch_one(connection).await.unwrap(),
        };
        number
    }
}

/// A file not yet there, and its folder.
pub(crate) fn new_file() -> (Database, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (at(DatabaseUrl::Sqlite(folder.path().join("data/signet.db"))), folder)
}

/// An empty database on the server, the server's URL, and its name.
pub(crate) async fn new_on_server() -> Option<(Database, String, String)> {
    let Ok(admin_url) = std::env::var("SIGNET_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("SIGNET_TEST_REQUIRE_POSTGRES").is_none(),
            "SIGNET_TEST_REQUIRE_POSTGRES is set, SIGNET_TEST_POSTGRES is not"
        );
        eprintln!("not run on PostgreSQL: SIGNET_TEST_POSTGRES is not set");
        return None;
    };
    let name = format!("signet_{}", uuid::Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(&admin_url).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let mut url = url::Url::parse(&admin_url).unwrap();
    url.set_path(&name);
    Some((at(DatabaseUrl::Postgres(PostgresUrl::new(url.to_string()))), admin_url, name))
}

pub(crate) async fn drop_database(admin_url: &str, name: &str) {
    let mut admin = PgConnection::connect(admin_url).await.unwrap();
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}

pub(crate) fn at(url: DatabaseUrl) -> Database {
    Database { url, max_connections: 8, busy_timeout: Duration::from_secs(10) }
}

pub(crate) fn sqlite_path(config: &Database) -> PathBuf {
    match &config.url {
        DatabaseUrl::Sqlite(path) => path.clone(),
        DatabaseUrl::Postgres(_) => panic!("PostgreSQL has no file"),
    }
}

pub(crate) async fn connect(config: &Database) -> Outside {
    match &config.url {
        DatabaseUrl::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            Outside::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
        }
        DatabaseUrl::Postgres(url) => Outside::Postgres(PgConnection::connect(url.expose()).await.unwrap()),
    }
}

/// One test body, run on both engines as `name::sqlite` and `name::postgres`.
macro_rules! on_both_engines {
    ($(async fn $name:ident($database:ident) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($database: &$crate::helpers::db::TestDatabase) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let database = $crate::helpers::db::TestDatabase::sqlite().await;
                body(&database).await;
                database.remove().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(database) = $crate::helpers::db::TestDatabase::postgres().await else { return };
                body(&database).await;
                database.remove().await;
            }
        }
    )+};
}
pub(crate) use on_both_engines;
