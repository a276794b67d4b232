//! A unit's hold on the database, and the ways a statement is run through it.

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

use super::error::StoreError;

/// Runs one expression on whichever engine this is; it is compiled once for each.
macro_rules! on_engine {
    ($tx:expr, |$connection:ident| $run:expr) => {{
        let outcome = match $tx.connection() {
            $crate::store::tx::Connection::Sqlite($connection) => $run,
            $crate::store::tx::Connection::Postgres($connection) => $run,
        };
        $tx.outcome(outcome)
    }};
}

/// A unit's hold on the database: a transaction for a unit that writes, a mere connection for one that reads. The
/// methods that read and write are beside their tables.
///
/// Not sqlx's `Transaction`: when SQLite has rolled back by itself, as it does on a full disk, sqlx goes on counting
/// that transaction as open, and the connection refuses every later one.
pub struct Tx {
    hold: Hold,
    stage: Stage,
    /// A statement failed. PostgreSQL turns the commit of such a transaction into a silent roll-back, and SQLite may
    /// have rolled back by itself, so that it must not be committed even when the unit says `Ok`.
    has_failed: bool,
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

#[derive(PartialEq, Eq)]
enum Stage {
    /// No transaction: the unit reads.
    Reading,
    /// A transaction was begun, and it is not known to have ended.
    Open,
    /// The transaction has ended.
    Ended,
}

impl Tx {
    /// For a unit that reads.
    pub(super) fn reading(hold: Hold) -> Self {
        Self { hold, stage: Stage::Reading, has_failed: false }
    }

    /// For a unit that writes. On SQLite the lock is taken at once: a transaction that took it at the first write could
    /// find that what it had read is no longer true.
    pub(super) async fn begin(hold: Hold) -> Result<Self, StoreError> {
        let begin = match hold {
            Hold::Sqlite(_) => "BEGIN IMMEDIATE",
            Hold::Postgres(_) => "BEGIN",
        };
        let mut tx = Self { hold, stage: Stage::Open, has_failed: false };
        match tx.control(begin).await {
            Err(error @ StoreError::Busy(_)) => {
                tx.stage = Stage::Ended;
                Err(error)
            }
            outcome => outcome.map(|()| tx),
        }
    }

    pub(super) fn connection(&mut self) -> Connection<'_> {
        match &mut self.hold {
            Hold::Sqlite(connection) => Connection::Sqlite(connection),
            Hold::Postgres(connection) => Connection::Postgres(connection),
        }
    }

    /// Refuses to write where only reading was asked for.
    pub(super) fn must_be_write(&self) -> Result<(), StoreError> {
        if self.stage == Stage::Reading { Err(StoreError::WriteInRead) } else { Ok(()) }
    }

    /// Notes whether a statement failed.
    pub(super) fn outcome<T>(&mut self, outcome: sqlx::Result<T>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            self.has_failed = true;
            StoreError::from(error)
        })
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), StoreError> {
        on_engine!(self, |connection| sqlx::raw_sql(statement).execute(connection).await.map(drop))
    }

    /// Makes what the unit wrote durable.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if self.has_failed {
            self.roll_back().await;
            return Err(StoreError::FailureIgnored);
        }
        self.control("COMMIT").await?;
        self.stage = Stage::Ended;
        Ok(())
    }

    /// Undoes what the unit wrote.
    pub(super) async fn roll_back(mut self) {
        match self.control("ROLLBACK").await {
            Ok(()) => self.stage = Stage::Ended,
            // Closing the connection, below, undoes it too, if SQLite has not done so already.
            Err(error) => tracing::debug!(error = %error, "store.roll_back_failed"),
        }
    }
}

/// The next borrower must never find somebody else's transaction: a connection that may have one is closed.
impl Drop for Tx {
    fn drop(&mut self) {
        if self.stage == Stage::Open {
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
