//! `status_version` and `status_lists`: what changed in the status lists, in the order in which it was committed; and
//! `grants` as far as they are read list by list.

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};
use crate::grant::Serial;

// Held until the unit ends: versions are committed in their order, on every engine, so that whoever has seen one has seen
// all before it.
const NEXT_STATUS_VERSION: &str = "UPDATE status_version SET version = version + 1 RETURNING version";
const STATUS_LIST_CHANGED: &str = "INSERT INTO status_lists (list, version) VALUES ($1, $2) \
     ON CONFLICT (list) DO UPDATE SET version = excluded.version";
const STATUS_VERSION: &str =
    "SELECT version, coalesce((SELECT max(serial) FROM grants), 0) FROM status_version";
// One statement, because a statement sees one state of the database: each list comes with exactly the bits of its version.
// A list is 65,536 serials long (`Serial`).
const CHANGED_STATUS_LISTS: &str = "SELECT l.list, l.version, g.serial FROM \
     (SELECT list, version FROM status_lists WHERE (version, list) > ($1, $2) ORDER BY version, list LIMIT $3) l \
     LEFT JOIN grants g \
     ON g.revoked_at IS NOT NULL AND g.serial >= l.list * 65536 AND g.serial < l.list * 65536 + 65536 \
     ORDER BY l.version, l.list, g.serial";

/// How many lists are read at once. If everything in them were revoked, that would be a million rows.
const LISTS_AT_ONCE: i64 = 16;

/// How far the status lists have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusState {
    /// Counts the changes of all lists.
    pub version: i64,
    /// The highest serial there is.
    pub highest: Serial,
}

/// A list as it was at the version of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusListRow {
    /// Its number.
    pub list: i64,
    /// The version of its last change.
    pub version: i64,
    /// The entries that are revoked, in their order.
    pub revoked: Vec<u64>,
}

impl Tx {
    /// How far the status lists have come: two short look-ups, for whoever asks often.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the version is missing; otherwise as every statement.
    pub async fn status_state(&mut self) -> Result<StatusState, StoreError> {
        let row: Option<(i64, i64)> = fetch_optional!(self, sqlx::query_as(STATUS_VERSION))?;
        let missing = StoreError::Corrupt { table: "status_version", what: "it is empty" };
        row.map(|(version, highest)| StatusState { version, highest: Serial::from_number(highest) })
            .ok_or(missing)
    }

    /// The next few lists that changed after `(version, list)`, in that order; none when there are no more. Begin with
    /// `(version, i64::MAX)` for all that changed after that version.
    ///
    /// # Errors
    /// As every statement.
    pub async fn changed_status_lists(
        &mut self,
        after: (i64, i64),
    ) -> Result<Vec<StatusListRow>, StoreError> {
        let rows: Vec<(i64, i64, Option<i64>)> = fetch_all!(
            self,
            sqlx::query_as(CHANGED_STATUS_LISTS).bind(after.0).bind(after.1).bind(LISTS_AT_ONCE)
        )?;
        let mut lists: Vec<StatusListRow> = Vec::new();
        for (list, version, serial) in rows {
            let index = serial.map(|serial| Serial::from_number(serial).index());
            match lists.last_mut().filter(|last| last.list == list) {
                Some(last) => last.revoked.extend(index),
                None => lists.push(StatusListRow { list, version, revoked: index.into_iter().collect() }),
            }
        }
        Ok(lists)
    }

    /// Notes that the status of these grants has changed. The last thing a unit does: others who revoke wait for it.
    ///
    /// # Errors
    /// As every statement.
    pub(super) async fn status_lists_changed(&mut self, serials: &[Serial]) -> Result<(), StoreError> {
        let mut lists: Vec<i64> = serials.iter().map(|serial| serial.list()).collect();
        lists.sort_unstable();
        lists.dedup();
        if lists.is_empty() {
            return Ok(());
        }
        let row: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(NEXT_STATUS_VERSION))?;
        let missing = StoreError::Corrupt { table: "status_version", what: "it is empty" };
        let (version,) = row.ok_or(missing)?;
        for list in lists {
            execute!(self, sqlx::query(STATUS_LIST_CHANGED).bind(list).bind(version))?;
        }
        Ok(())
    }
}
