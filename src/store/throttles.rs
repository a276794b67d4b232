//! `throttles`: how often somebody has tried.

use std::time::Duration;

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Connection, Tx, execute, fetch_all, fetch_optional};
use crate::throttle::{Counter, Subject};

/// What one sweep removes at most: little enough that nobody waits for it.
const SWEPT_AT_ONCE: i64 = 32;

const THROTTLES: &str =
    "SELECT subject, tries, free_at, expires_at FROM throttles WHERE subject IN ($1, $2, $3)";
// Changes nothing of a row that is there, but holds it: of many tries at once each sees what the one before left. One
// statement for two rows, because each is a trip to another thread or machine.
const HOLD_ONE: &str = "INSERT INTO throttles (subject, tries, free_at, expires_at) VALUES ($1, 0, $2, $2) \
     ON CONFLICT (subject) DO UPDATE SET tries = throttles.tries RETURNING subject, tries, free_at, expires_at";
const HOLD_TWO: &str = "INSERT INTO throttles (subject, tries, free_at, expires_at) \
     VALUES ($1, 0, $3, $3), ($2, 0, $3, $3) \
     ON CONFLICT (subject) DO UPDATE SET tries = throttles.tries RETURNING subject, tries, free_at, expires_at";
const HOLD_EXISTING_THROTTLE: &str =
    "UPDATE throttles SET tries = tries WHERE subject = $1 RETURNING tries, free_at, expires_at";
const PUT_ONE: &str = "INSERT INTO throttles (subject, tries, free_at, expires_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (subject) DO UPDATE \
     SET tries = excluded.tries, free_at = excluded.free_at, expires_at = excluded.expires_at";
const PUT_TWO: &str = "INSERT INTO throttles (subject, tries, free_at, expires_at) \
     VALUES ($1, $2, $3, $4), ($5, $6, $7, $8) \
     ON CONFLICT (subject) DO UPDATE \
     SET tries = excluded.tries, free_at = excluded.free_at, expires_at = excluded.expires_at";
const REFILL_THROTTLE: &str = "UPDATE throttles \
     SET tries = tries - 1, free_at = free_at - $2, expires_at = expires_at - $2 WHERE subject = $1 AND tries > 0";
const DELETE_THROTTLE: &str = "DELETE FROM throttles WHERE subject = $1";

type Row = (i64, i64, Option<i64>);
type NamedRow = (Vec<u8>, i64, i64, Option<i64>);

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
        let rows: Vec<NamedRow> =
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

    /// Reads the counters of one or two subjects and holds them until the unit ends; makes those that are missing, already
    /// expired. Two are held in the order given, which is address, account everywhere: otherwise two units could wait for
    /// each other.
    ///
    /// # Errors
    /// As [`Tx::throttles`].
    pub async fn hold_throttles(
        &mut self,
        subjects: &[&Subject],
        now: Timestamp,
    ) -> Result<Vec<Counter>, StoreError> {
        self.must_be_write()?;
        let statement = if subjects.len() == 1 { HOLD_ONE } else { HOLD_TWO };
        let rows: Vec<NamedRow> = fetch_all!(self, {
            let query =
                subjects.iter().fold(sqlx::query_as(statement), |query, it| query.bind(it.as_bytes()));
            query.bind(now.as_seconds())
        })?;
        let missing = StoreError::Corrupt { table: "throttles", what: "an upsert answered no row" };
        let of = |subject: &&Subject| rows.iter().find(|row| row.0 == subject.as_bytes());
        let found: Option<Vec<&NamedRow>> = subjects.iter().map(of).collect();
        found.ok_or(missing)?.into_iter().map(|row| counter((row.1, row.2, row.3))).collect()
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

    /// Writes the counters of one or two subjects that this unit holds.
    ///
    /// # Errors
    /// As every statement.
    pub async fn put_throttles(&mut self, counters: &[(&Subject, &Counter)]) -> Result<(), StoreError> {
        let statement = if counters.len() == 1 { PUT_ONE } else { PUT_TWO };
        execute!(
            self,
            counters.iter().fold(sqlx::query(statement), |query, (subject, counter)| {
                query
                    .bind(subject.as_bytes())
                    .bind(i64::from(counter.tries))
                    .bind(counter.free_at.as_seconds())
                    .bind(counter.expires_at.map(Timestamp::as_seconds))
            })
        )
        .map(drop)
    }

    /// Puts one try back into a bucket: it is full again, and a try free, by that much sooner.
    ///
    /// # Errors
    /// As every statement.
    pub async fn refill_throttle(&mut self, subject: &Subject, refill: Duration) -> Result<(), StoreError> {
        let seconds = i64::try_from(refill.as_secs()).unwrap_or(i64::MAX);
        execute!(self, sqlx::query(REFILL_THROTTLE).bind(subject.as_bytes()).bind(seconds)).map(drop)
    }

    /// Forgets what a subject has tried. `false`: nothing was known.
    ///
    /// # Errors
    /// As every statement.
    pub async fn delete_throttle(&mut self, subject: &Subject) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(DELETE_THROTTLE).bind(subject.as_bytes()))? == 1)
    }

    /// Deletes a few counters that have expired. Called now and then by a unit that has added one, as its last statement:
    /// the table stays as small as it can be without a task that cleans it.
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
