//! `replicas` and `active_root_key`: the servers at work, which root keys they hold, and which one counts.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};

const ACTIVE_ROOT_KEY: &str = "SELECT root_key_id FROM active_root_key";
// Changes nothing, and makes a replica that reports wait for a change of the active key, and the other way round.
const HOLD_ACTIVE_ROOT_KEY: &str = "UPDATE active_root_key SET only_row = only_row RETURNING root_key_id";
const SET_ACTIVE_ROOT_KEY: &str = "UPDATE active_root_key SET root_key_id = $1";
const REPORT_REPLICA: &str = "INSERT INTO replicas (id, seen_at, root_key_ids) VALUES ($1, $2, $3) \
     ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, root_key_ids = excluded.root_key_ids";
const FORGET_REPLICA: &str = "DELETE FROM replicas WHERE id = $1";
const FORGET_REPLICAS: &str = "DELETE FROM replicas WHERE seen_at < $1";
const REPLICAS: &str = "SELECT id, seen_at, root_key_ids FROM replicas WHERE seen_at >= $1 ORDER BY id";
const ROOT_KEYS_OF_SIGNING_KEYS: &str = "SELECT root_key_id, count(*) FROM signing_keys \
     WHERE status <> 'retired' GROUP BY root_key_id";
const ROOT_KEYS_OF_GRANTS: &str = "SELECT root_key_id, count(*) FROM grants \
     WHERE revoked_at IS NULL AND idle_until > $1 AND expires_at > $1 GROUP BY root_key_id";
const ROOT_KEYS_OF_SEALS: &str = "SELECT root_key_id, count(*) FROM audit_seals GROUP BY root_key_id";

/// A server at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    /// A random id of its process.
    pub id: String,
    /// When it reported last, by its own clock.
    pub seen_at: Timestamp,
    /// The ids of the root keys it holds.
    pub root_key_ids: Vec<String>,
}

/// How many rows name root keys, by the id of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootKeyUse {
    /// Signing keys that are sealed under it.
    pub signing_keys: Vec<(String, i64)>,
    /// Grants that can still be refreshed, whose tokens are derived from it.
    pub grants: Vec<(String, i64)>,
    /// Seals of the audit log.
    pub audit_seals: Vec<(String, i64)>,
}

impl Tx {
    /// The id of the root key that was activated. `None`: none ever was, and the first of the file counts.
    ///
    /// # Errors
    /// As every statement.
    pub async fn active_root_key(&mut self) -> Result<Option<String>, StoreError> {
        let row: Option<(Option<String>,)> = fetch_optional!(self, sqlx::query_as(ACTIVE_ROOT_KEY))?;
        Ok(row.and_then(|(id,)| id))
    }

    /// The same, and nobody changes it before this unit has ended.
    ///
    /// # Errors
    /// As every statement.
    pub async fn hold_active_root_key(&mut self) -> Result<Option<String>, StoreError> {
        self.must_be_write()?;
        let row: Option<(Option<String>,)> = fetch_optional!(self, sqlx::query_as(HOLD_ACTIVE_ROOT_KEY))?;
        Ok(row.and_then(|(id,)| id))
    }

    /// Makes a root key the one that new secrets are made under.
    ///
    /// # Errors
    /// As every statement.
    pub async fn set_active_root_key(&mut self, id: &str) -> Result<(), StoreError> {
        execute!(self, sqlx::query(SET_ACTIVE_ROOT_KEY).bind(id)).map(drop)
    }

    /// Notes that a replica is at work, and what it holds.
    ///
    /// # Errors
    /// As every statement.
    pub async fn report_replica(&mut self, replica: &ReplicaRow) -> Result<(), StoreError> {
        execute!(
            self,
            sqlx::query(REPORT_REPLICA)
                .bind(&replica.id)
                .bind(replica.seen_at.as_seconds())
                .bind(replica.root_key_ids.join(" "))
        )
        .map(drop)
    }

    /// A replica has ended.
    ///
    /// # Errors
    /// As every statement.
    pub async fn forget_replica(&mut self, id: &str) -> Result<(), StoreError> {
        execute!(self, sqlx::query(FORGET_REPLICA).bind(id)).map(drop)
    }

    /// Replicas that were not seen since then have ended without saying so.
    ///
    /// # Errors
    /// As every statement.
    pub async fn forget_replicas_before(&mut self, since: Timestamp) -> Result<(), StoreError> {
        execute!(self, sqlx::query(FORGET_REPLICAS).bind(since.as_seconds())).map(drop)
    }

    /// The replicas that were seen since then, in order of their ids.
    ///
    /// # Errors
    /// As every statement.
    pub async fn replicas_since(&mut self, since: Timestamp) -> Result<Vec<ReplicaRow>, StoreError> {
        let rows: Vec<(String, i64, String)> =
            fetch_all!(self, sqlx::query_as(REPLICAS).bind(since.as_seconds()))?;
        let replica = |(id, seen_at, ids): (String, i64, String)| ReplicaRow {
            id,
            seen_at: Timestamp::from_seconds(seen_at),
            root_key_ids: ids.split_whitespace().map(str::to_owned).collect(),
        };
        Ok(rows.into_iter().map(replica).collect())
    }

    /// What names root keys. Looks at every grant.
    ///
    /// # Errors
    /// As every statement.
    pub async fn root_key_use(&mut self, now: Timestamp) -> Result<RootKeyUse, StoreError> {
        Ok(RootKeyUse {
            signing_keys: fetch_all!(self, sqlx::query_as(ROOT_KEYS_OF_SIGNING_KEYS))?,
            grants: fetch_all!(self, sqlx::query_as(ROOT_KEYS_OF_GRANTS).bind(now.as_seconds()))?,
            audit_seals: fetch_all!(self, sqlx::query_as(ROOT_KEYS_OF_SEALS))?,
        })
    }
}
