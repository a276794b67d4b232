//! `audit_seals` and `audit_head`: what proves that the audit log is as it was written.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};

const SEALS: &str =
    "SELECT seal, at, entries, root_key_id, mac FROM audit_seals WHERE seal >= $1 ORDER BY seal LIMIT $2";
const INSERT_SEAL: &str =
    "INSERT INTO audit_seals (seal, at, entries, root_key_id, mac) VALUES ($1, $2, $3, $4, $5)";
const HEAD: &str = "SELECT seal, swept, root_key_id, mac FROM audit_head";
// Of several replicas that seal or sweep at once, one moves the head. It holds the row until its unit ends.
const MOVE_HEAD: &str = "UPDATE audit_head SET seal = $3, swept = $4, root_key_id = $5, mac = $6 \
     WHERE seal = $1 AND swept = $2 AND mac = $7";
const INSERT_HEAD: &str = "INSERT INTO audit_head (only_row, seal, swept, root_key_id, mac) VALUES (1, $1, $2, $3, $4) \
     ON CONFLICT (only_row) DO NOTHING";
const RELEASE_ENTRIES: &str = "UPDATE audit SET seal = NULL WHERE seal > $1 OR seal <= $2";
const DELETE_BROKEN_SEALS: &str = "DELETE FROM audit_seals WHERE seal > $1 OR seal < $2 OR seal < 1";
const SEAL_ENTRIES: &str = "UPDATE audit SET seal = $1 WHERE seal IS NULL AND id >= $2 AND id <= $3";
const DELETE_ENTRIES: &str = "DELETE FROM audit WHERE seal = $1";
const DELETE_SEALS: &str = "DELETE FROM audit_seals WHERE seal < $1";
// One statement, so that a seal that is made meanwhile is seen whole or not at all.
const STRAY: &str = "SELECT id FROM audit WHERE seal IS NOT NULL AND (seal <= (SELECT swept FROM audit_head) \
     OR NOT EXISTS (SELECT 1 FROM audit_seals WHERE audit_seals.seal = audit.seal)) ORDER BY id LIMIT 1";
const STRAY_SEAL: &str = "SELECT seal FROM audit_seals WHERE seal > (SELECT seal FROM audit_head) \
     OR seal < (SELECT swept FROM audit_head) ORDER BY seal LIMIT 1";

/// A seal over some entries and, through the one before it, over all older ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// Its number: 1, 2, 3 …
    pub seal: i64,
    /// When it was made.
    pub at: Timestamp,
    /// How many entries it covers.
    pub entries: i64,
    /// The root key it was made under.
    pub root_key_id: String,
    /// The message authentication code.
    pub mac: Vec<u8>,
}

/// Both ends of the chain of seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The newest seal; 0: none.
    pub seal: i64,
    /// The newest seal whose entries are gone; 0: none.
    pub swept: i64,
    /// The root key it was made under.
    pub root_key_id: String,
    /// The message authentication code.
    pub mac: Vec<u8>,
}

impl Tx {
    /// Both ends of the chain. `None`: somebody removed the row.
    ///
    /// # Errors
    /// As every statement.
    pub async fn audit_head(&mut self) -> Result<Option<AuditHead>, StoreError> {
        let row: Option<(i64, i64, String, Vec<u8>)> = fetch_optional!(self, sqlx::query_as(HEAD))?;
        Ok(row.map(|(seal, swept, root_key_id, mac)| AuditHead { seal, swept, root_key_id, mac }))
    }

    /// Seals from this number on, in order.
    ///
    /// # Errors
    /// As every statement.
    pub async fn audit_seals(&mut self, from: i64, limit: i64) -> Result<Vec<AuditSeal>, StoreError> {
        let rows: Vec<(i64, i64, i64, String, Vec<u8>)> =
            fetch_all!(self, sqlx::query_as(SEALS).bind(from).bind(limit))?;
        let seal = |(seal, at, entries, root_key_id, mac)| {
            let at = Timestamp::from_seconds(at);
            AuditSeal { seal, at, entries, root_key_id, mac }
        };
        Ok(rows.into_iter().map(seal).collect())
    }

    /// The seal of this number.
    ///
    /// # Errors
    /// As every statement.
    pub async fn audit_seal(&mut self, number: i64) -> Result<Option<AuditSeal>, StoreError> {
        Ok(self.audit_seals(number, 1).await?.into_iter().find(|seal| seal.seal == number))
    }

    /// Adds a seal over the unsealed entries from the first to the last of these numbers, and moves the head to it.
    /// `false`: somebody else moved it first; nothing was written.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the entries are not those that were counted: one was committed late, and the next
    /// try sees it. Otherwise as every statement.
    pub async fn seal_audit(
        &mut self,
        seal: &AuditSeal,
        [first, last]: [i64; 2],
        [from, to]: [&AuditHead; 2],
    ) -> Result<bool, StoreError> {
        if !self.move_audit_head(from, to).await? {
            return Ok(false);
        }
        let sealed = execute!(self, sqlx::query(SEAL_ENTRIES).bind(seal.seal).bind(first).bind(last))?;
        if i64::try_from(sealed) != Ok(seal.entries) {
            return Err(StoreError::Overtaken);
        }
        execute!(
            self,
            sqlx::query(INSERT_SEAL)
                .bind(seal.seal)
                .bind(seal.at.as_seconds())
                .bind(seal.entries)
                .bind(seal.root_key_id.as_str())
                .bind(seal.mac.as_slice())
        )?;
        Ok(true)
    }

    /// Removes the entries of the seal that `to` calls swept, and all seals before it. `false`: somebody else moved the
    /// head first; nothing was removed.
    ///
    /// # Errors
    /// As every statement.
    pub async fn sweep_audit(&mut self, from: &AuditHead, to: &AuditHead) -> Result<bool, StoreError> {
        if !self.move_audit_head(from, to).await? {
            return Ok(false);
        }
        execute!(self, sqlx::query(DELETE_ENTRIES).bind(to.swept))?;
        execute!(self, sqlx::query(DELETE_SEALS).bind(to.swept))?;
        Ok(true)
    }

    /// Moves the head, or makes one where there is none, to where the chain holds; no seal covers the other entries any
    /// more, and seals beyond those ends are removed. `false`: somebody else moved it first; nothing was written.
    ///
    /// # Errors
    /// As every statement.
    pub async fn reseal_audit(
        &mut self,
        from: Option<&AuditHead>,
        to: &AuditHead,
    ) -> Result<bool, StoreError> {
        let is_moved = match from {
            Some(from) => self.move_audit_head(from, to).await?,
            None => self.insert_audit_head(to).await?,
        };
        if !is_moved {
            return Ok(false);
        }
        execute!(self, sqlx::query(RELEASE_ENTRIES).bind(to.seal).bind(to.swept))?;
        execute!(self, sqlx::query(DELETE_BROKEN_SEALS).bind(to.seal).bind(to.swept))?;
        Ok(true)
    }

    async fn insert_audit_head(&mut self, head: &AuditHead) -> Result<bool, StoreError> {
        let inserted = execute!(
            self,
            sqlx::query(INSERT_HEAD)
                .bind(head.seal)
                .bind(head.swept)
                .bind(head.root_key_id.as_str())
                .bind(head.mac.as_slice())
        )?;
        Ok(inserted == 1)
    }

    async fn move_audit_head(&mut self, from: &AuditHead, to: &AuditHead) -> Result<bool, StoreError> {
        let moved = execute!(
            self,
            sqlx::query(MOVE_HEAD)
                .bind(from.seal)
                .bind(from.swept)
                .bind(to.seal)
                .bind(to.swept)
                .bind(to.root_key_id.as_str())
                .bind(to.mac.as_slice())
                .bind(from.mac.as_slice())
        )?;
        Ok(moved == 1)
    }

    /// The number of the first entry that names a seal which is not there, or whose entries were removed.
    ///
    /// # Errors
    /// As every statement.
    pub async fn stray_audit(&mut self) -> Result<Option<i64>, StoreError> {
        let row: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(STRAY))?;
        Ok(row.map(|(id,)| id))
    }

    /// The number of the first seal that is beyond the ends of the chain.
    ///
    /// # Errors
    /// As every statement.
    pub async fn stray_audit_seal(&mut self) -> Result<Option<i64>, StoreError> {
        let row: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(STRAY_SEAL))?;
        Ok(row.map(|(seal,)| seal))
    }
}
