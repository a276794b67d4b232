//! `database_epoch` and `status_gaps`: how far the database has come, and what is done when it has gone back.

use signet_guard::Timestamp;

use super::DATABASE_ID;
use super::error::StoreError;
use super::tx::{Connection, Tx, execute, fetch_all, fetch_optional};
use crate::grant::{Revocation, Serial};

const EPOCH: &str = "SELECT epoch, at FROM database_epoch";
// Changes nothing, and lets no second replica find the same older backup at the same time.
const HOLD_EPOCH: &str = "UPDATE database_epoch SET only_row = only_row RETURNING epoch";
// Of many replicas one wins at each turn. A time far ahead comes from a clock that was wrong, and must not stop it.
const NEXT_EPOCH: &str = "UPDATE database_epoch SET epoch = epoch + 1, at = $1 WHERE at <= $2 OR at > $3";
const SET_EPOCH: &str = "UPDATE database_epoch SET epoch = $1, at = $2";
const STATUS_VERSION: &str = "SELECT version FROM status_version";
const SET_STATUS_VERSION: &str = "UPDATE status_version SET version = $1";
const RETIRED_KEYS: &str = "SELECT kid FROM signing_keys WHERE status = 'retired' ORDER BY kid";
// The row may be older than the grant's last access token: its bit is needed for as long as one can live.
const REVOKE_ALL: &str = "UPDATE grants SET revoked_at = $1, revoked_for = $2, \
     bit_until = CASE WHEN bit_until < $3 THEN $3 ELSE bit_until END WHERE revoked_at IS NULL";
const ADD_STATUS_GAP: &str = "INSERT INTO status_gaps (first, last, until) VALUES ($1, $2, $3) \
     ON CONFLICT (first) DO UPDATE SET last = excluded.last, until = excluded.until";
// Whether or not their time has come: the bits of a list change with its version alone, which sweeping raises.
const STATUS_GAPS: &str = "SELECT first, last FROM status_gaps ORDER BY first";
const SWEEP_STATUS_GAPS: &str = "DELETE FROM status_gaps WHERE until <= $1 RETURNING first, last";

/// How far a database has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which database it is.
    pub database: String,
    /// Goes up every few seconds.
    pub epoch: i64,
    /// When it went up last, by the clock of whoever did it.
    pub epoch_at: Timestamp,
    /// The highest serial a grant was given.
    pub serial: Serial,
    /// The version of the status lists.
    pub status_version: i64,
    /// The signing keys that are retired, in order.
    pub retired: Vec<String>,
}

impl Tx {
    /// How far the database has come.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is missing; otherwise as every statement.
    pub async fn position(&mut self) -> Result<Position, StoreError> {
        let missing = |table| StoreError::Corrupt { table, what: "it is empty" };
        let database: Option<(String,)> = fetch_optional!(self, sqlx::query_as(DATABASE_ID))?;
        let epoch: Option<(i64, i64)> = fetch_optional!(self, sqlx::query_as(EPOCH))?;
        let version: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(STATUS_VERSION))?;
        let retired: Vec<(String,)> = fetch_all!(self, sqlx::query_as(RETIRED_KEYS))?;
        let (epoch, epoch_at) = epoch.ok_or(missing("database_epoch"))?;
        Ok(Position {
            database: database.ok_or(missing("database_identity"))?.0,
            epoch,
            epoch_at: Timestamp::from_seconds(epoch_at),
            serial: self.highest_serial().await?,
            status_version: version.ok_or(missing("status_version"))?.0,
            retired: retired.into_iter().map(|(kid,)| kid).collect(),
        })
    }

    /// The highest serial a grant was given, whether its row is still there or not: the engines count in places of their
    /// own.
    async fn highest_serial(&mut self) -> Result<Serial, StoreError> {
        const SQLITE: &str = "SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'grants'";
        const POSTGRES: &str =
            "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM grants_serial_seq";
        let row: Option<(i64,)> = match self.is_sqlite() {
            true => fetch_optional!(self, sqlx::query_as(SQLITE))?,
            false => fetch_optional!(self, sqlx::query_as(POSTGRES))?,
        };
        Ok(Serial::from_number(row.map_or(0, |(serial,)| serial)))
    }

    /// The next grant gets the serial after this one. The engines count in places of their own.
    ///
    /// # Errors
    /// As every statement.
    pub async fn skip_serials(&mut self, last: Serial) -> Result<(), StoreError> {
        const SQLITE: &str = "UPDATE sqlite_sequence SET seq = $1 WHERE name = 'grants'";
        const SQLITE_FIRST: &str = "INSERT INTO sqlite_sequence (name, seq) VALUES ('grants', $1)";
        const POSTGRES: &str = "SELECT setval('grants_serial_seq', $1)";
        let last = last.number();
        if !self.is_sqlite() {
            let _: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(POSTGRES).bind(last))?;
        } else if execute!(self, sqlx::query(SQLITE).bind(last))? == 0 {
            // No grant was ever given.
            execute!(self, sqlx::query(SQLITE_FIRST).bind(last))?;
        }
        Ok(())
    }

    fn is_sqlite(&mut self) -> bool {
        matches!(self.connection(), Connection::Sqlite(_))
    }

    /// The epoch, which nobody changes before this unit has ended.
    ///
    /// # Errors
    /// As every statement.
    pub async fn hold_epoch(&mut self) -> Result<i64, StoreError> {
        self.must_be_write()?;
        let row: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(HOLD_EPOCH))?;
        row.map(|(epoch,)| epoch).ok_or(StoreError::Corrupt { table: "database_epoch", what: "it is empty" })
    }

    /// Begins the next epoch, if the present one began at `due` or before, or after `ahead`.
    ///
    /// # Errors
    /// As every statement.
    pub async fn next_epoch(
        &mut self,
        now: Timestamp,
        due: Timestamp,
        ahead: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            sqlx::query(NEXT_EPOCH).bind(now.as_seconds()).bind(due.as_seconds()).bind(ahead.as_seconds())
        )
        .map(drop)
    }

    /// Begins this epoch.
    ///
    /// # Errors
    /// As every statement.
    pub async fn set_epoch(&mut self, epoch: i64, now: Timestamp) -> Result<(), StoreError> {
        execute!(self, sqlx::query(SET_EPOCH).bind(epoch).bind(now.as_seconds())).map(drop)
    }

    /// Revokes every grant there is; their status bits stay set until `bit_until` at least. All lists up to
    /// that of `last` count as changed at the next version after `version`.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke_all_grants(
        &mut self,
        why: Revocation,
        now: Timestamp,
        bit_until: Timestamp,
        (last, version): (Serial, i64),
    ) -> Result<u64, StoreError> {
        let revoked = execute!(
            self,
            sqlx::query(REVOKE_ALL).bind(now.as_seconds()).bind(why.as_str()).bind(bit_until.as_seconds())
        )?;
        execute!(self, sqlx::query(SET_STATUS_VERSION).bind(version))?;
        let changed: Vec<Serial> = (0..=last.list()).map(Serial::first_of).collect();
        self.status_lists_changed(&changed).await?;
        Ok(revoked)
    }

    /// From now on the status lists call these serials revoked, until `until`.
    ///
    /// # Errors
    /// As every statement.
    pub async fn add_status_gap(
        &mut self,
        (first, last): (Serial, Serial),
        until: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            sqlx::query(ADD_STATUS_GAP).bind(first.number()).bind(last.number()).bind(until.as_seconds())
        )
        .map(drop)
    }

    /// The serials, from first to last, of grants that were lost when a backup was restored: revoked, and none of them has
    /// a row. They are as they are until they are swept.
    ///
    /// # Errors
    /// As every statement.
    pub async fn status_gaps(&mut self) -> Result<Vec<(Serial, Serial)>, StoreError> {
        let rows: Vec<(i64, i64)> = fetch_all!(self, sqlx::query_as(STATUS_GAPS))?;
        let serial = Serial::from_number;
        Ok(rows.into_iter().map(|(first, last)| (serial(first), serial(last))).collect())
    }

    /// Forgets the serials none of whose access tokens can be alive. The last thing a unit does.
    ///
    /// # Errors
    /// As every statement.
    pub async fn sweep_status_gaps(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.must_be_write()?;
        let swept: Vec<(i64, i64)> =
            fetch_all!(self, sqlx::query_as(SWEEP_STATUS_GAPS).bind(now.as_seconds()))?;
        let lists =
            |(first, last): (i64, i64)| Serial::from_number(first).list()..=Serial::from_number(last).list();
        let changed: Vec<Serial> = swept.into_iter().flat_map(lists).map(Serial::first_of).collect();
        self.status_lists_changed(&changed).await
    }
}
