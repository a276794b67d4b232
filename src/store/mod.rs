//! The database: SQLite in a file, or PostgreSQL. The only place that speaks SQL.
//!
//! Every query is written once, in the dialect both engines share, and is a method of [`Tx`] beside its table. Callers
//! hand over whole units of work ([`Db::read`], [`Db::write`]); what belongs into one is theirs to decide.

use signet_guard::Timestamp;
use sqlx::PgPool;
use tokio::runtime::Handle;

use crate::config::{Database, DatabaseUrl};

mod audit;
mod audit_seals;
mod dead_grants;
mod epoch;
mod error;
mod grants;
mod group_commit;
mod migrations;
mod passwords;
mod postgres;
mod private_file;
mod replicas;
mod sessions;
mod signing_keys;
mod sqlite;
mod status;
mod throttles;
mod tx;
mod unit;
mod users;
mod write_queue;

pub use audit::{AuditFilter, AuditRow, StoredAudit};
pub use audit_seals::{AuditHead, AuditSeal};
pub use dead_grants::{GRANTS_AT_ONCE, Stretch};
pub use epoch::Position;
pub use error::{Cause, StoreError};
pub use grants::HeldGrant;
pub use migrations::Migrated;
pub use passwords::SignInCandidate;
pub use replicas::{ReplicaRow, RootKeyUse};
pub use sessions::Session;
pub use signing_keys::{KeyringRow, SigningKeyRow};
pub use status::{StatusListRow, StatusState};
pub use tx::Tx;

use sqlite::SqliteDb;
use tx::fetch_optional;

const DATABASE_ID: &str = "SELECT id FROM database_identity";
const SQLITE_NOW: &str = "SELECT unixepoch()";
const POSTGRES_NOW: &str = "SELECT floor(extract(epoch FROM clock_timestamp()))::BIGINT";

/// A database that is open and up to date. Clones share its connections.
#[derive(Clone)]
pub struct Db {
    pools: Pools,
    /// The runtime the database was opened on: it outlives every worker.
    main: Handle,
}

#[derive(Clone)]
enum Pools {
    Sqlite(SqliteDb),
    Postgres(PgPool),
}

/// Which database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL, elsewhere.
    Postgres,
}

impl Db {
    /// Opens the database. Must be called on the main runtime: database work runs there.
    ///
    /// SQLite: makes the folder and the file when they are missing, readable by this user only, and applies missing
    /// migrations. A file with migrations this version does not know is refused: the node was downgraded.
    /// PostgreSQL: connects and changes nothing. Migrations newer than all known ones are allowed, since they only add
    /// and a cluster is upgraded node by node; missing ones are not.
    ///
    /// # Errors
    /// [`StoreError::Unmigrated`], [`StoreError::TooNew`], [`StoreError::HalfMigrated`],
    /// [`StoreError::MigrationAltered`], [`StoreError::NotADatabase`], [`StoreError::ForeignDatabase`],
    /// [`StoreError::Exposed`], [`StoreError::File`], [`StoreError::Url`]: each says what to do. Otherwise as every
    /// statement.
    pub async fn open(config: &Database) -> Result<Self, StoreError> {
        let pools = match &config.url {
            DatabaseUrl::Sqlite(path) => {
                Pools::Sqlite(SqliteDb::open(path, config.max_connections, config.busy_timeout).await?)
            }
            DatabaseUrl::Postgres(url) => {
                Pools::Postgres(postgres::open(url, config.max_connections, config.busy_timeout).await?)
            }
        };
        Ok(Self { pools, main: Handle::current() })
    }

    /// Which engine it runs on.
    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite(_) => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// The random id this database got when it was made: 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it has none; otherwise as every statement.
    pub async fn database_id(&self) -> Result<String, StoreError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let row: Option<(String,)> = fetch_optional!(tx, sqlx::query_as(DATABASE_ID))?;
                let missing = StoreError::Corrupt { table: "database_identity", what: "it is empty" };
                row.map(|(id,)| id).ok_or(missing)
            })
        })
        .await
    }

    /// What time it is at the database: for PostgreSQL the server's clock. To compare clocks with; what is stored is
    /// always Signet's own time.
    ///
    /// # Errors
    /// As every statement.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        // The engines have no function in common.
        let query = match self.engine() {
            Engine::Sqlite => SQLITE_NOW,
            Engine::Postgres => POSTGRES_NOW,
        };
        self.read((), move |tx, ()| {
            Box::pin(async move {
                let row: Option<(i64,)> = fetch_optional!(tx, sqlx::query_as(query))?;
                let (seconds,) = row.ok_or(sqlx::Error::RowNotFound)?;
                Ok(Timestamp::from_seconds(seconds))
            })
        })
        .await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// As [`Db::database_id`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database_id().await.map(drop)
    }

    /// Closes every connection, once the units that were handed over are done. Later ones get
    /// [`StoreError::Stopping`].
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(sqlite) => sqlite.close().await,
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Applies the migrations a database lacks. On SQLite [`Db::open`] does so by itself.
///
/// # Errors
/// As [`Db::open`].
pub async fn migrate(config: &Database) -> Result<Migrated, StoreError> {
    match &config.url {
        DatabaseUrl::Sqlite(path) => sqlite::migrate(path, config.busy_timeout).await,
        DatabaseUrl::Postgres(url) => postgres::migrate(url).await,
    }
}
