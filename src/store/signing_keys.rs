//! `signing_keys`.

use std::fmt;

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all};

const INSERT_SIGNING_KEY: &str = "INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed, root_key_id, status, \
     created_at, activated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const SIGNING_KEYS: &str = "SELECT kid, algorithm, public_jwk, sealed, root_key_id, status, created_at, activated_at \
     FROM signing_keys ORDER BY created_at, kid";
// Only the row that was read: whoever changed it meanwhile wins.
const RESEAL_SIGNING_KEY: &str =
    "UPDATE signing_keys SET sealed = $2, root_key_id = $3 WHERE kid = $1 AND sealed = $4";

/// Where a signing key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// Published, not signing yet.
    Pending,
    /// Published and signing.
    Active,
    /// Published, no longer signing.
    Retiring,
    /// Neither; its private part is gone.
    Retired,
}

impl KeyStatus {
    const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Retiring, Self::Retired];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// A signing key as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// Its identifier: the RFC 7638 thumbprint.
    pub kid: String,
    /// The algorithm it signs with (RFC 7518 §3.1).
    pub algorithm: String,
    /// Its public half, as a JWK.
    pub public_jwk: String,
    /// Its private half, sealed.
    pub sealed: Vec<u8>,
    /// The root key it is sealed under.
    pub root_key_id: String,
    /// Where it is in its life.
    pub status: KeyStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
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
                .bind(&key.algorithm)
                .bind(&key.public_jwk)
                .bind(&key.sealed)
                .bind(&key.root_key_id)
                .bind(key.status.as_str())
                .bind(key.created_at.as_seconds())
                .bind(key.activated_at.map(Timestamp::as_seconds))
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

    /// Every key, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] on a status no version of Signet wrote; otherwise as every statement.
    pub async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRow>, StoreError> {
        type Row = (String, String, String, Vec<u8>, String, String, i64, Option<i64>);
        let rows: Vec<Row> = fetch_all!(self, sqlx::query_as(SIGNING_KEYS))?;
        rows.into_iter()
            .map(|(kid, algorithm, public_jwk, sealed, root_key_id, status, created_at, activated_at)| {
                let status = KeyStatus::ALL
                    .into_iter()
                    .find(|known| known.as_str() == status)
                    .ok_or(StoreError::Corrupt { table: "signing_keys", what: "a status is not one" })?;
                Ok(SigningKeyRow {
                    kid,
                    algorithm,
                    public_jwk,
                    sealed,
                    root_key_id,
                    status,
                    created_at: Timestamp::from_seconds(created_at),
                    activated_at: activated_at.map(Timestamp::from_seconds),
                })
            })
            .collect()
    }
}
