//! PostgreSQL.

use std::time::Duration;

use sqlx::migrate::Migrate;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};

use super::error::StoreError;
use super::migrations::{self, Applied, Migrated, Newer};
use crate::config::PostgresUrl;

/// A row lock held by another never makes a unit wait longer than this.
const SET_LOCK_TIMEOUT: &str = "SELECT set_config('lock_timeout', $1, false)";

/// A commit that was answered must survive a power cut, whatever the server's default.
const MUST_SYNC: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";

/// Connects, and refuses a database that lacks migrations.
pub(super) async fn open(
    url: &PostgresUrl,
    max_connections: u32,
    busy_timeout: Duration,
) -> Result<PgPool, StoreError> {
    let lock_timeout = busy_timeout.as_millis().to_string();
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(busy_timeout)
        .after_connect(move |connection, _| {
            let lock_timeout = lock_timeout.clone();
            Box::pin(async move {
                sqlx::query(SET_LOCK_TIMEOUT).bind(lock_timeout).execute(&mut *connection).await?;
                sqlx::query(MUST_SYNC).execute(&mut *connection).await?;
                Ok(())
            })
        })
        .connect_with(options(url)?)
        .await;
    let pool = match pool {
        // The pool waited for a server that may be starting up, and does not say what kept it waiting.
        Err(sqlx::Error::PoolTimedOut) => return Err(reason(url, busy_timeout).await),
        pool => pool?,
    };
    let missing = {
        let mut connection = pool.acquire().await?;
        let applied = applied(&mut connection).await?;
        migrations::missing(&applied, migrations::for_postgres(), Newer::Allowed)?.len()
    };
    if missing > 0 { Err(StoreError::Unmigrated { missing }) } else { Ok(pool) }
}

/// Why there was no connection in time.
async fn reason(url: &PostgresUrl, busy_timeout: Duration) -> StoreError {
    let attempt = async { Ok::<_, StoreError>(options(url)?.connect().await?) };
    match tokio::time::timeout(busy_timeout, attempt).await {
        Ok(Err(error)) => error,
        _ => sqlx::Error::PoolTimedOut.into(),
    }
}

/// Applies the migrations that are missing. Two processes may do so at once.
pub(super) async fn migrate(url: &PostgresUrl) -> Result<Migrated, StoreError> {
    let mut connection = options(url)?.connect().await?;
    // The lock belongs to the session: it is gone with the connection, also when something fails.
    connection.lock().await.map_err(sqlx::Error::from)?;
    let before = applied(&mut connection).await?;
    let missing = migrations::missing(&before, migrations::for_postgres(), Newer::Allowed)?;
    migrations::apply(&mut connection, &missing).await?;
    connection.close().await?;
    Ok(migrations::migrated(missing.len(), &before))
}

fn options(url: &PostgresUrl) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.expose().parse().map_err(|_| StoreError::Url)?;
    Ok(options.application_name("signet").disable_statement_logging())
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, StoreError> {
    let (is_there,): (bool,) = sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(migrations::APPLIED).fetch_all(connection).await?)
}
