//! `throttles`: how often somebody has tried.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Connection, Tx, execute, fetch_all, fetch_optional};
use crate::throttle::{Counter, Subject};

/// What one new row may sweep out: more than comes in, so that the table shrinks again after a flood, and little enough
/// that nobody waits for it.
const SWEPT_AT_ONCE: i64 = 4;

const THROTTLES: &str =
    "SELECT subject, tries, free_at, expires_at FROM throttles WHERE subject IN ($1, $2, $3)";
// Changes nothing of a row that is there, but holds it: of many tries at once each sees what the one before left.
const HOLD_THROTTLE: &str = "INSERT INTO throttles (subject, tries, free_at, expires_at) VALUES ($1, 0, $2, $2) \
     ON CONFLICT (subject) DO UPDATE SET tries = throttles.tries RETURNING tries, free_at, expires_at";
const HOLD_EXISTING_THROTTLE: &str =
    "UPDATE throttles SET tries = tries WHERE subject = $1 RETURNING tries, free_at, expires_at";
const PUT_THROTTLE: &str =
    "UPDATE throttles SET tries = $2, free_at = $3, expires_at = $4 WHERE subject = $1";
const DELETE_THROTTLE: &str = "DELETE FROM throttles WHERE subject = $1";

type Row = (i64, i64, Option<i64>);

fn counter((tries, free_at, expires_at): Row) -> Result<Counter, StoreError> {
    Ok(Counter {
        tries: u32::try_from(tries)
            .map_err(|_| StoreError::Corrupt { table: "throttles", what: "a count is out of range" })?,
        free_at: Timestamp::from_seconds(free_at),
        expires_at: expires_at.map(Timestamp::from_seconds),
    })
}

impl Tx {
    /// The counters of three subjects, as many as a sign-in needs, each `None` when it has never tried.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] on a count no version of Signet wrote; otherwise as every statement.
    pub async fn throttles(&mut self, subjects: [&Subject; 3]) -> Result<[Option<Counter>; 3], StoreError> {
        let [first, second, third] = subjects.map(Subject::as_bytes);
        let rows: Vec<(Vec<u8>, i64, i64, Option<i64>)> =
            fetch_all!(self, sqlx::query_as(THROTTLES).bind(first).bind(second).bind(third))?;
        let mut found = [None; 3];
        for (bytes, tries, free_at, expires_at) in rows {
            let read = counter((tries, free_at, expires_at))?;
            for (place, subject) in found.iter_mut().zip(subjects) {
                if subject.as_bytes() == bytes {
                    *place = Some(read);
                }
            }
        }
        Ok(found)
    }

    /// Reads the counter of a subject and holds it until the unit ends; makes it when it is missing, already expired.
    /// Who holds several takes them in the order address, account or device, or two units could wait for each other.
    ///
    /// # Errors
    /// As [`Tx::throttles`].
    pub async fn hold_throttle(&mut self, subject: &Subject, now: Timestamp) -> Result<Counter, StoreError> {
        self.must_be_write()?;
        let row: Option<Row> = fetch_optional!(
            self,
            sqlx::query_as(HOLD_THROTTLE).bind(subject.as_bytes()).bind(now.as_seconds())
        )?;
        counter(row.ok_or(StoreError::Corrupt { table: "throttles", what: "an upsert answered no row" })?)
    }

    /// The same for a subject that has tried; `None` when nothing is known of it any more.
    ///
    /// # Errors
    /// As [`Tx::throttles`].
    pub async fn hold_existing_throttle(&mut self, subject: &Subject) -> Result<Option<Counter>, StoreError> {
        self.must_be_write()?;
        let row: Option<Row> =
            fetch_optional!(self, sqlx::query_as(HOLD_EXISTING_THROTTLE).bind(subject.as_bytes()))?;
        row.map(counter).transpose()
    }

    /// Writes the counter of a subject that this unit holds.
    ///
    /// # Errors
    /// As every statement.
    pub async fn put_throttle(&mut self, subject: &Subject, counter: &Counter) -> Result<(), StoreError> {
        execute!(
            self,
            sqlx::query(PUT_THROTTLE)
                .bind(subject.as_bytes())
                .bind(i64::from(counter.tries))
                .bind(counter.free_at.as_seconds())
                .bind(counter.expires_at.map(Timestamp::as_seconds))
        )
        .map(drop)
    }

    /// Forgets what a subject has tried. `false`: nothing was known.
    ///
    /// # Errors
    /// As every statement.
    pub async fn delete_throttle(&mut self, subject: &Subject) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(DELETE_THROTTLE).bind(subject.as_bytes()))? == 1)
    }

    /// Deletes a few counters that have expired. Called by a unit that has added one, as its last statement: the table
    /// stays as small as it can be without a task that cleans it.
    ///
    /// # Errors
    /// As every statement.
    pub async fn sweep_throttles(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        const SQLITE: &str = "DELETE FROM throttles WHERE subject IN \
             (SELECT subject FROM throttles WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
        // PostgreSQL locks rows one by one: those that another unit holds are left to it, or two sweeps could wait for
        // each other. The second test of `expires_at` is for a row that changed between the two parts.
        const POSTGRES: &str = "DELETE FROM throttles WHERE expires_at <= $1 AND subject IN \
             (SELECT subject FROM throttles WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 \
              FOR UPDATE SKIP LOCKED)";
        let sweep = match self.connection() {
            Connection::Sqlite(_) => SQLITE,
            Connection::Postgres(_) => POSTGRES,
        };
        execute!(self, sqlx::query(sweep).bind(now.as_seconds()).bind(SWEPT_AT_ONCE))
    }
}
