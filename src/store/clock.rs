//! The database's clock: the one query that reads a time the process did not bring.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::fetch_optional;
use super::{Db, Engine};

// Rounded down, as ours is.
const NOW: &str = "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)";

impl Db {
    /// What time it is at the database. `None`: SQLite, which has no clock but this machine's.
    ///
    /// # Errors
    /// As every statement.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        self.read((), |tx, ()| {
            Box::pin(async move {
                let row: Option<(i64,)> = fetch_optional!(tx, sqlx::query_as(NOW))?;
                Ok(row.map(|(now,)| Timestamp::from_seconds(now)))
            })
        })
        .await
    }
}
