//! A unit's hold on the database, and the ways a statement is run through it.

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

use super::error::StoreError;

/// Runs one expression on whichever engine this is; it is compiled once for each.
macro_rules! on_engine {
    ($tx:expr, |$connection:ident| $run:expr) => {{
        $tx.begin_statement();
        let outcome = match $tx.connection() {
            $crate::store::tx::Connection::Sqlite($connection) => $run,
            $crate::store::tx::Connection::Postgres($connection) => $run,
        };
        $tx.outcome(outcome)
    }};
}

/// A unit's hold on the database: a transaction for a unit that writes or needs one state of it, a mere connection for one
/// that reads. The methods that read and write are beside their tables.
///
/// Not sqlx's `Transaction`: when SQLite has rolled back by itself, as it does on a full disk, sqlx goes on counting
/// that transaction as open, and the connection refuses every later one.
pub struct Tx {
    hold: Hold,
    stage: Stage,
    /// A statement failed, or was given up half-way. PostgreSQL turns the commit of such a transaction into a silent
    /// roll-back, and SQLite may have rolled back by itself, after which every statement commits alone. So it must not
    /// be committed even when the unit says `Ok`.
    has_failed: bool,
    /// A statement was begun and its outcome was not seen.
    is_in_statement: bool,
}

pub(super) enum Hold {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// The engine's connection.
pub(super) enum Connection<'t> {
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut PgConnection),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No transaction is open.
    Plain,
    /// A transaction that reads was begun, and it is not known to have ended.
    Snapshot,
    /// A transaction that writes was begun, and it is not known to have ended.
    Writing,
}

impl Tx {
    /// For reading; a transaction may be begun.
    pub(super) fn new(hold: Hold) -> Self {
        Self { hold, stage: Stage::Plain, has_failed: false, is_in_statement: false }
    }

    /// Begins a transaction that writes. On SQLite the lock is taken at once: a transaction that took it at the first
    /// write could find that what it had read is no longer true.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        let begin = match self.hold {
            Hold::Sqlite(_) => "BEGIN IMMEDIATE",
            Hold::Postgres(_) => "BEGIN",
        };
        self.open(Stage::Writing, begin).await
    }

    /// Begins a transaction whose statements all see one state of the database. On SQLite that is the state at its first
    /// statement.
    pub(super) async fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        let begin = match self.hold {
            Hold::Sqlite(_) => "BEGIN DEFERRED",
            Hold::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.open(Stage::Snapshot, begin).await
    }

    async fn open(&mut self, stage: Stage, begin: &'static str) -> Result<(), StoreError> {
        self.stage = stage;
        self.has_failed = false;
        let outcome = self.control(begin).await;
        if let Err(StoreError::Busy(_)) = outcome {
            self.stage = Stage::Plain;
        }
        outcome
    }

    pub(super) fn connection(&mut self) -> Connection<'_> {
        match &mut self.hold {
            Hold::Sqlite(connection) => Connection::Sqlite(connection),
            Hold::Postgres(connection) => Connection::Postgres(connection),
        }
    }

    /// Notes that a statement begins.
    pub(super) fn begin_statement(&mut self) {
        self.has_failed |= self.is_in_statement;
        self.is_in_statement = true;
    }

    /// Refuses to write where only reading was asked for.
    pub(super) fn must_be_write(&self) -> Result<(), StoreError> {
        if self.stage == Stage::Writing { Ok(()) } else { Err(StoreError::WriteInRead) }
    }

    /// Notes whether a statement failed.
    pub(super) fn outcome<T>(&mut self, outcome: sqlx::Result<T>) -> Result<T, StoreError> {
        self.is_in_statement = false;
        outcome.map_err(|error| {
            self.has_failed = true;
            StoreError::from(error)
        })
    }

    /// Whether the transaction may no longer be committed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed || self.is_in_statement
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), StoreError> {
        on_engine!(self, |connection| sqlx::raw_sql(statement).execute(connection).await.map(drop))
    }

    /// Makes what was written durable. After an error nothing more may be done with it.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.has_failed() {
            self.roll_back().await;
            return Err(StoreError::FailureIgnored);
        }
        self.control("COMMIT").await?;
        self.stage = Stage::Plain;
        Ok(())
    }

    /// Undoes what was written. `false`: nothing more may be done with it.
    pub(super) async fn roll_back(&mut self) -> bool {
        match self.control("ROLLBACK").await {
            Ok(()) => self.stage = Stage::Plain,
            // Closing the connection, below, undoes it too, if SQLite has not done so already.
            Err(error) => tracing::debug!(error = %error, "store.roll_back_failed"),
        }
        self.stage == Stage::Plain
    }
}

/// The next borrower must never find somebody else's transaction: a connection that may have one is closed.
impl Drop for Tx {
    fn drop(&mut self) {
        if self.stage != Stage::Plain {
            match &mut self.hold {
                Hold::Sqlite(connection) => connection.close_on_drop(),
                Hold::Postgres(connection) => connection.close_on_drop(),
            }
        }
    }
}

/// Runs a statement that changes rows; answers how many.
macro_rules! execute {
    ($tx:expr, $query:expr) => {{
        $tx.must_be_write()?;
        $crate::store::tx::on_engine!($tx, |connection| $query
            .execute(connection)
            .await
            .map(|done| done.rows_affected()))
    }};
}

/// Runs a query for at most one row.
macro_rules! fetch_optional {
    ($tx:expr, $query:expr) => {
        $crate::store::tx::on_engine!($tx, |connection| $query.fetch_optional(connection).await)
    };
}

/// Runs a query for all its rows.
macro_rules! fetch_all {
    ($tx:expr, $query:expr) => {
        $crate::store::tx::on_engine!($tx, |connection| $query.fetch_all(connection).await)
    };
}

pub(super) use {execute, fetch_all, fetch_optional, on_engine};
