//! `signing_keys`, and `keyring`: the number that goes up with each change of them.
//!
//! A change is decided by what was read together with the number, and is made only while that number stands
//! ([`Tx::change_keyring`]): of two servers that decide at once one wins, and every server notices.

use std::fmt;
use std::time::Duration;

use signet_guard::{Algorithm, Timestamp};

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};
use crate::rotation::{Announced, KeyLife, KeyStatus};

const INSERT_SIGNING_KEY: &str = "INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed, root_key_id, status, \
     created_at, ready_at, activated_at, longest_life) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT DO NOTHING";
const SIGNING_KEYS: &str = "SELECT kid, algorithm, public_jwk, sealed, root_key_id, status, created_at, ready_at, \
     activated_at, retiring_at, retired_at, withdrawn_at, rotation_requested_at, longest_life FROM signing_keys \
     ORDER BY created_at, kid";
// Only the row that was read: whoever changed it meanwhile wins.
const RESEAL_SIGNING_KEY: &str =
    "UPDATE signing_keys SET sealed = $2, root_key_id = $3 WHERE kid = $1 AND sealed = $4";
const ALLOW: &str = "UPDATE signing_keys SET ready_at = $2, longest_life = $3 WHERE kid = $1 AND status = $4";
// Changes nothing, and lets nobody else take the key away before this unit has ended.
const HOLD_PENDING: &str =
    "UPDATE signing_keys SET kid = kid WHERE kid = $1 AND status = 'pending' RETURNING algorithm";
const DEMOTE: &str = "UPDATE signing_keys SET status = 'retiring', retiring_at = $2 \
     WHERE algorithm = $1 AND status = 'active'";
const ACTIVATE: &str = "UPDATE signing_keys SET status = 'active', activated_at = $2, \
     longest_life = CASE WHEN longest_life < $3 THEN $3 ELSE longest_life END WHERE kid = $1 AND status = 'pending'";
const STOP: &str =
    "UPDATE signing_keys SET status = 'retiring', retiring_at = $2 WHERE kid = $1 AND status = 'active'";
const RETIRE: &str = "UPDATE signing_keys SET status = 'retired', sealed = $2, retired_at = $3, withdrawn_at = $4 \
     WHERE kid = $1 AND status <> 'retired'";
const REQUEST_ROTATION: &str =
    "UPDATE signing_keys SET rotation_requested_at = $2 WHERE kid = $1 AND status = 'active'";
const KEYRING: &str = "SELECT version, max_age, cached_until FROM keyring";
const CHANGE_KEYRING: &str = "UPDATE keyring SET version = version + 1 WHERE version = $1";
const MOVE_KEYRING: &str = "UPDATE keyring SET version = version + $1";
const ANNOUNCE: &str = "UPDATE keyring SET max_age = $1, cached_until = $2";

/// A signing key as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// Its identifier: the RFC 7638 thumbprint.
    pub kid: String,
    /// The algorithm it signs with.
    pub algorithm: Algorithm,
    /// Its public half, as a JWK.
    pub public_jwk: String,
    /// Its private half, sealed; empty when the key is retired.
    pub sealed: Vec<u8>,
    /// The root key it is sealed under.
    pub root_key_id: String,
    /// Where it is in its life.
    pub status: KeyStatus,
    /// When it was made, and from when on it is published.
    pub created_at: Timestamp,
    /// From when on nobody may hold a set without it.
    pub ready_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retiring_at: Option<Timestamp>,
    /// When it left the set.
    pub retired_at: Option<Timestamp>,
    /// The same, if it was taken away before its time.
    pub withdrawn_at: Option<Timestamp>,
    /// When the operator asked for its successor.
    pub rotation_requested_at: Option<Timestamp>,
    /// The longest life of anything that it signs, in whole seconds.
    pub longest_life: Duration,
}

impl SigningKeyRow {
    /// What the plan must know of it.
    pub fn life(&self) -> KeyLife {
        KeyLife {
            kid: self.kid.clone(),
            algorithm: self.algorithm,
            status: self.status,
            published_at: self.created_at,
            ready_at: self.ready_at,
            activated_at: self.activated_at,
            retiring_at: self.retiring_at,
            rotation_requested_at: self.rotation_requested_at,
            longest_life: self.longest_life,
        }
    }
}

impl fmt::Debug for SigningKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyRow")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .field("root_key_id", &self.root_key_id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What is true of all signing keys together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyringRow {
    /// Goes up with each change.
    pub version: i64,
    /// For how long sets are given out.
    pub announced: Announced,
}

impl Tx {
    /// Adds a key. `false`: the key is known, or it is active and another active one signs with its algorithm; nothing
    /// was written.
    ///
    /// # Errors
    /// As every statement.
    pub async fn insert_signing_key(&mut self, key: &SigningKeyRow) -> Result<bool, StoreError> {
        let inserted = execute!(
            self,
            sqlx::query(INSERT_SIGNING_KEY)
                .bind(&key.kid)
                .bind(key.algorithm.as_str())
                .bind(&key.public_jwk)
                .bind(&key.sealed)
                .bind(&key.root_key_id)
                .bind(key.status.as_str())
                .bind(key.created_at.as_seconds())
                .bind(key.ready_at.as_seconds())
                .bind(key.activated_at.map(Timestamp::as_seconds))
                .bind(seconds(key.longest_life))
        )?;
        Ok(inserted == 1)
    }

    /// Puts the private half of `key`, sealed anew, in the place of `before`. `false`: that is not there any more.
    ///
    /// # Errors
    /// As every statement.
    pub async fn reseal_signing_key(
        &mut self,
        key: &SigningKeyRow,
        before: &[u8],
    ) -> Result<bool, StoreError> {
        let resealed = execute!(
            self,
            sqlx::query(RESEAL_SIGNING_KEY)
                .bind(&key.kid)
                .bind(&key.sealed)
                .bind(&key.root_key_id)
                .bind(before)
        )?;
        Ok(resealed == 1)
    }

    /// Writes from when on a key may sign, and how long what it signs may live. `false`: its status is another one.
    ///
    /// # Errors
    /// As every statement.
    pub async fn allow_signing_key(&mut self, key: &KeyLife) -> Result<bool, StoreError> {
        let allowed = execute!(
            self,
            sqlx::query(ALLOW)
                .bind(&key.kid)
                .bind(key.ready_at.as_seconds())
                .bind(seconds(key.longest_life))
                .bind(key.status.as_str())
        )?;
        Ok(allowed == 1)
    }

    /// Lets a pending key sign, and no longer the one that signed with its algorithm. `false`: it is not pending; nothing
    /// was written.
    ///
    /// # Errors
    /// As every statement.
    pub async fn activate_signing_key(
        &mut self,
        kid: &str,
        now: Timestamp,
        longest_life: Duration,
    ) -> Result<bool, StoreError> {
        self.must_be_write()?;
        let held: Option<(String,)> = fetch_optional!(self, sqlx::query_as(HOLD_PENDING).bind(kid))?;
        let Some((algorithm,)) = held else { return Ok(false) };
        execute!(self, sqlx::query(DEMOTE).bind(algorithm).bind(now.as_seconds()))?;
        let (now, life) = (now.as_seconds(), seconds(longest_life));
        let activated = execute!(self, sqlx::query(ACTIVATE).bind(kid).bind(now).bind(life))?;
        Ok(activated == 1)
    }

    /// Lets the active key sign no more. `false`: it is not active.
    ///
    /// # Errors
    /// As every statement.
    pub async fn stop_signing_key(&mut self, kid: &str, now: Timestamp) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(STOP).bind(kid).bind(now.as_seconds()))? == 1)
    }

    /// Takes a key out of use for good and destroys its private half. `is_withdrawn`: before its time. `false`: it was, or
    /// it is not there.
    ///
    /// # Errors
    /// As every statement.
    pub async fn retire_signing_key(
        &mut self,
        kid: &str,
        now: Timestamp,
        is_withdrawn: bool,
    ) -> Result<bool, StoreError> {
        let now = now.as_seconds();
        let retired = execute!(
            self,
            sqlx::query(RETIRE).bind(kid).bind(Vec::<u8>::new()).bind(now).bind(is_withdrawn.then_some(now))
        )?;
        Ok(retired == 1)
    }

    /// Notes that the operator wants another key in the place of this one. `false`: it is not active.
    ///
    /// # Errors
    /// As every statement.
    pub async fn request_key_rotation(&mut self, kid: &str, now: Timestamp) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(REQUEST_ROTATION).bind(kid).bind(now.as_seconds()))? == 1)
    }

    /// What is true of all signing keys together.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the row is missing; otherwise as every statement.
    pub async fn keyring(&mut self) -> Result<KeyringRow, StoreError> {
        let row: Option<(i64, i64, i64)> = fetch_optional!(self, sqlx::query_as(KEYRING))?;
        let missing = StoreError::Corrupt { table: "keyring", what: "it is empty" };
        let (version, max_age, cached_until) = row.ok_or(missing)?;
        let cached_until = Timestamp::from_seconds(cached_until);
        Ok(KeyringRow { version, announced: Announced { max_age: span(max_age), cached_until } })
    }

    /// The first thing in a unit that changes signing keys: it was decided by what was read at this version. `false`:
    /// somebody else has changed them since, and this unit must not.
    ///
    /// # Errors
    /// As every statement.
    pub async fn change_keyring(&mut self, version: i64) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(CHANGE_KEYRING).bind(version))? == 1)
    }

    /// The same for a unit that decides by what it reads itself, after this: the version goes up by so much.
    ///
    /// # Errors
    /// As every statement.
    pub async fn move_keyring(&mut self, by: i64) -> Result<(), StoreError> {
        execute!(self, sqlx::query(MOVE_KEYRING).bind(by)).map(drop)
    }

    /// Writes for how long sets are given out from now on.
    ///
    /// # Errors
    /// As every statement.
    pub async fn announce_max_age(&mut self, announced: Announced) -> Result<(), StoreError> {
        let Announced { max_age, cached_until } = announced;
        execute!(self, sqlx::query(ANNOUNCE).bind(seconds(max_age)).bind(cached_until.as_seconds())).map(drop)
    }

    /// Every key, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] on a status or an algorithm that this version does not know; otherwise as every statement.
    pub async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRow>, StoreError> {
        let rows: Vec<Row> = fetch_all!(self, sqlx::query_as(SIGNING_KEYS))?;
        rows.into_iter().map(from_row).collect()
    }
}

type Time = Option<i64>;
type Row = (String, String, String, Vec<u8>, String, String, i64, i64, Time, Time, Time, Time, Time, i64);

fn from_row(row: Row) -> Result<SigningKeyRow, StoreError> {
    let (kid, algorithm, public_jwk, sealed, root_key_id, status, created, ready, ..) = row;
    let (.., activated, retiring, retired, withdrawn, requested, longest_life) = row;
    let corrupt = |what| StoreError::Corrupt { table: "signing_keys", what };
    let known_status = KeyStatus::ALL.into_iter().find(|known| known.as_str() == status);
    let known_algorithm = Algorithm::ALL.iter().find(|known| known.as_str() == algorithm);
    let at = |seconds: Time| seconds.map(Timestamp::from_seconds);
    Ok(SigningKeyRow {
        kid,
        algorithm: *known_algorithm.ok_or(corrupt("an algorithm is not one"))?,
        public_jwk,
        sealed,
        root_key_id,
        status: known_status.ok_or(corrupt("a status is not one"))?,
        created_at: Timestamp::from_seconds(created),
        ready_at: Timestamp::from_seconds(ready),
        activated_at: at(activated),
        retiring_at: at(retiring),
        retired_at: at(retired),
        withdrawn_at: at(withdrawn),
        rotation_requested_at: at(requested),
        longest_life: span(longest_life),
    })
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

fn span(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
