//! Units of work: what is handed to the store to be read or written as a whole.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::StoreError;
use super::tx::{Hold, Tx};
use super::{Db, Pools};

/// How often a unit that met another transaction is run before its caller is told.
const ATTEMPTS: u32 = 6;

impl Db {
    /// Reads. Each statement of the unit sees the database as it is at that moment; there is no transaction.
    ///
    /// # Errors
    /// What the unit answers, or that no connection was free in time.
    pub async fn read<I, T, F>(&self, input: I, unit: F) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync + 'static,
    {
        match &self.pools {
            // SQLite's connections have threads of their own; a hop to another runtime would buy nothing.
            Pools::Sqlite(sqlite) => {
                let mut tx = Tx::reading(Hold::Sqlite(sqlite.readers.acquire().await?));
                run(&mut tx, &input, &unit).await
            }
            // A connection belongs to the runtime it was opened on: that must not be an actix worker's, which may end
            // before the others.
            Pools::Postgres(pool) => {
                let pool = pool.clone();
                self.on_main(async move {
                    let mut tx = Tx::reading(Hold::Postgres(pool.acquire().await?));
                    run(&mut tx, &input, &unit).await
                })
                .await
            }
        }
    }

    /// Writes one unit: all of it is durable before the answer, or none of it happened.
    ///
    /// It runs in a task of its own on the main runtime, so that a caller who hangs up cannot cancel it half-way. `Ok`
    /// commits: a refusal that must persist is an `Ok` outcome. `Err` or a panic rolls back. On PostgreSQL `unit` runs
    /// again when another transaction came in between: it reads `input` and has no effect outside the database.
    ///
    /// # Errors
    /// What the unit answers; [`StoreError::Busy`] when the lock was not free in time;
    /// [`StoreError::Unavailable`] when the database went away, in which case the unit may yet have been committed.
    pub async fn write<I, T, F>(&self, input: I, unit: F) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync + 'static,
    {
        let pools = self.pools.clone();
        self.on_main(async move {
            let mut attempt = 1;
            loop {
                match write_once(&pools, &input, &unit).await {
                    Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => {
                        tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        })
        .await
    }

    /// Runs database work on the main runtime, whichever runtime the caller is on.
    pub(super) async fn on_main<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.main.spawn(work).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => Err(StoreError::UnitPanicked),
            Err(_) => Err(StoreError::Stopping),
        }
    }
}

async fn write_once<I, T, F>(pools: &Pools, input: &I, unit: &F) -> Result<T, StoreError>
where
    I: Sync,
    F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Sync,
{
    let hold = match pools {
        Pools::Sqlite(sqlite) => Hold::Sqlite(sqlite.writer.acquire().await?),
        Pools::Postgres(pool) => Hold::Postgres(pool.acquire().await?),
    };
    let mut tx = Tx::begin(hold).await?;
    match run(&mut tx, input, unit).await {
        Ok(answer) => {
            tx.commit().await?;
            Ok(answer)
        }
        Err(error) => {
            tx.roll_back().await;
            Err(error)
        }
    }
}

/// Runs a unit. Its panic is caught here, so that the transaction is rolled back before the connection is handed on.
async fn run<I, T, F>(tx: &mut Tx, input: &I, unit: &F) -> Result<T, StoreError>
where
    I: Sync,
    F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Sync,
{
    let unit = async { unit(tx, input).await };
    AssertUnwindSafe(unit).catch_unwind().await.unwrap_or(Err(StoreError::UnitPanicked))
}
