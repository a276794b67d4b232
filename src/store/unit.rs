//! Units of work: what is handed to the store to be read or written as a whole.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::tx::{Hold, Tx};
use super::write_queue::Unit;
use super::{Db, Pools};

/// How often a unit that met another transaction on PostgreSQL is run before its caller is told.
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
                let mut tx = Tx::new(Hold::Sqlite(sqlite.readers.acquire().await?));
                run(&mut tx, &input, &unit).await
            }
            // A connection belongs to the runtime it was opened on: that must not be an actix worker's, which may end
            // before the others.
            Pools::Postgres(pool) => {
                let pool = pool.clone();
                self.on_main(async move {
                    let mut tx = Tx::new(Hold::Postgres(pool.acquire().await?));
                    run(&mut tx, &input, &unit).await
                })
                .await
            }
        }
    }

    /// Reads one state of the database: no statement of the unit sees what was committed after its first.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn snapshot<I, T, F>(&self, input: I, unit: F) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync + 'static,
    {
        let pools = self.pools.clone();
        // A caller who hangs up would leave a transaction behind, and its connection would have to be closed.
        self.on_main(async move {
            let mut tx = Tx::new(match &pools {
                Pools::Sqlite(sqlite) => Hold::Sqlite(sqlite.readers.acquire().await?),
                Pools::Postgres(pool) => Hold::Postgres(pool.acquire().await?),
            });
            tx.begin_snapshot().await?;
            let answer = run(&mut tx, &input, &unit).await;
            tx.roll_back().await;
            answer
        })
        .await
    }

    /// Writes one unit: all of it is durable before the answer, or none of it happened.
    ///
    /// It runs on the main runtime, so that a caller who hangs up cannot cancel it half-way. `Ok` commits: a refusal that
    /// must persist is an `Ok` outcome. `Err` or a panic rolls back.
    ///
    /// `unit` may run more than once: on PostgreSQL when another transaction came in between; on SQLite when it shared a
    /// transaction with one that failed. It reads `input` and has no effect outside the database. On SQLite it sees what
    /// the units before it wrote, whose callers may not have been answered yet.
    ///
    /// # Errors
    /// What the unit answers; [`StoreError::Busy`] when its turn did not come in time, or the lock was not free;
    /// [`StoreError::Unavailable`] when the database went away, in which case the unit may yet have been committed;
    /// [`StoreError::Stopping`] after [`Db::close`].
    pub async fn write<I, T, F>(&self, input: I, unit: F) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync + 'static,
    {
        match &self.pools {
            Pools::Sqlite(sqlite) => {
                let (caller, answer) = oneshot::channel();
                let unit = Box::new(OneUnit { input, unit, answer: None, caller });
                if let Some(leadership) = sqlite.queue.push(unit)? {
                    self.main.spawn(sqlite.clone().lead(leadership));
                }
                answer.await.unwrap_or(Err(StoreError::Stopping))
            }
            Pools::Postgres(pool) => {
                let pool = pool.clone();
                self.on_main(async move { write_with_retries(&pool, &input, &unit).await }).await
            }
        }
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

async fn write_with_retries<I, T, F>(pool: &PgPool, input: &I, unit: &F) -> Result<T, StoreError>
where
    I: Sync,
    F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Sync,
{
    let mut attempt = 1;
    loop {
        match write_once(pool, input, unit).await {
            Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn write_once<I, T, F>(pool: &PgPool, input: &I, unit: &F) -> Result<T, StoreError>
where
    I: Sync,
    F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Sync,
{
    let mut tx = Tx::new(Hold::Postgres(pool.acquire().await?));
    tx.begin().await?;
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

/// A unit for SQLite's queue.
struct OneUnit<I, T, F> {
    input: I,
    unit: F,
    answer: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<I, T, F> Unit for OneUnit<I, T, F>
where
    I: Send + Sync,
    T: Send,
    F: for<'c> Fn(&'c mut Tx, &'c I) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(async move {
            self.answer = Some(run(tx, &self.input, &self.unit).await?);
            Ok(())
        })
    }

    // A caller who hung up is not there to be told.
    fn committed(self: Box<Self>) {
        if let Some(answer) = self.answer {
            let _ = self.caller.send(Ok(answer));
        }
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _ = self.caller.send(Err(error));
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
