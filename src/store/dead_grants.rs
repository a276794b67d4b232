//! `grants` whose end has come, and their removal.
//!
//! No index on the deadlines: a rotation would have to keep it up to date. Revoked grants are few and have an index of
//! their own; the others are found by walking through the table.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Connection, Tx, execute, fetch_all, fetch_optional};
use crate::grant::Serial;

/// How many rows one unit looks at, or removes.
pub const GRANTS_AT_ONCE: i64 = 500;

// Never removed before `bit_until`: an access token of it may be alive.
const STEP: &str = "SELECT count(*), max(serial), count(CASE WHEN revoked_at IS NULL AND bit_until <= $2 \
     AND (idle_until <= $2 OR expires_at <= $2) THEN 1 END) \
     FROM (SELECT serial, revoked_at, bit_until, idle_until, expires_at FROM grants \
     WHERE serial > $1 ORDER BY serial LIMIT $3) step";

/// A stretch of the table that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// How many rows it has.
    pub rows: i64,
    /// Where it ends: the last row of it.
    pub last: Serial,
    /// How many of them have expired.
    pub expired: i64,
}

impl Tx {
    /// Looks at the next [`GRANTS_AT_ONCE`] rows after a serial. `None`: there are none.
    ///
    /// # Errors
    /// As every statement.
    pub async fn look_for_expired_grants(
        &mut self,
        after: Serial,
        now: Timestamp,
    ) -> Result<Option<Stretch>, StoreError> {
        let row: Option<(i64, Option<i64>, i64)> = fetch_optional!(
            self,
            sqlx::query_as(STEP).bind(after.number()).bind(now.as_seconds()).bind(GRANTS_AT_ONCE)
        )?;
        Ok(row.and_then(|(rows, last, expired)| {
            Some(Stretch { rows, last: Serial::from_number(last?), expired })
        }))
    }

    /// Removes the grants after one serial and up to another that expired and were not revoked, once no access token of
    /// theirs can be alive. They have no status bit. Answers how many.
    ///
    /// # Errors
    /// As every statement.
    pub async fn delete_expired_grants(
        &mut self,
        after: Serial,
        last: Serial,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        const SQLITE: &str = "DELETE FROM grants WHERE serial > $1 AND serial <= $2 \
             AND revoked_at IS NULL AND bit_until <= $3 AND (idle_until <= $3 OR expires_at <= $3)";
        // PostgreSQL locks rows one by one: those that another sweep, or a unit that uses them, holds are left to it.
        const POSTGRES: &str = "DELETE FROM grants WHERE serial = ANY(ARRAY(SELECT serial FROM grants \
             WHERE serial > $1 AND serial <= $2 \
             AND revoked_at IS NULL AND bit_until <= $3 AND (idle_until <= $3 OR expires_at <= $3) \
             ORDER BY serial FOR UPDATE SKIP LOCKED))";
        let delete = match self.connection() {
            Connection::Sqlite(_) => SQLITE,
            Connection::Postgres(_) => POSTGRES,
        };
        execute!(self, sqlx::query(delete).bind(after.number()).bind(last.number()).bind(now.as_seconds()))
    }

    /// Removes at most [`GRANTS_AT_ONCE`] revoked grants of which no access token can be alive, which clears their
    /// status bits. Answers how many.
    ///
    /// # Errors
    /// As every statement.
    pub async fn delete_revoked_grants(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        const SQLITE: &str = "DELETE FROM grants WHERE serial IN (SELECT serial FROM grants \
             WHERE revoked_at IS NOT NULL AND bit_until <= $1 ORDER BY serial LIMIT $2) RETURNING serial";
        // As above. Like a revocation it holds grants first and the version of the lists last, and it waits for no grant:
        // there is no ring to wait in.
        const POSTGRES: &str = "DELETE FROM grants WHERE serial = ANY(ARRAY(SELECT serial FROM grants \
             WHERE revoked_at IS NOT NULL AND bit_until <= $1 ORDER BY serial LIMIT $2 \
             FOR UPDATE SKIP LOCKED)) RETURNING serial";
        self.must_be_write()?;
        let delete = match self.connection() {
            Connection::Sqlite(_) => SQLITE,
            Connection::Postgres(_) => POSTGRES,
        };
        let rows: Vec<(i64,)> =
            fetch_all!(self, sqlx::query_as(delete).bind(now.as_seconds()).bind(GRANTS_AT_ONCE))?;
        let serials: Vec<Serial> = rows.into_iter().map(|(serial,)| Serial::from_number(serial)).collect();
        self.status_lists_changed(&serials).await?;
        Ok(serials.len())
    }
}
