//! `status_version` and `status_lists`: what changed in the status lists, in the order in which it was committed.

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_optional};
use crate::grant::Serial;

// Held until the unit ends: versions are committed in their order, on every engine, so that whoever has seen one has seen
// all before it.
const NEXT_STATUS_VERSION: &str = "UPDATE status_version SET version = version + 1 RETURNING version";
const STATUS_LIST_CHANGED: &str = "INSERT INTO status_lists (list, version) VALUES ($1, $2) \
     ON CONFLICT (list) DO UPDATE SET version = excluded.version";

impl Tx {
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
