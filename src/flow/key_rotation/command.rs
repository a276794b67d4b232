//! What the operator may do to signing keys out of turn.

use signet_guard::{Algorithm, Timestamp};

use super::{Act, Who, make, next_in_line, policy};
use crate::app::App;
use crate::flow::restore;
use crate::flow::signing_keys::{self, SigningKeysError, Stored};
use crate::rotation::KeyStatus;
use crate::store::{SigningKeyRow, StoreError};

/// How often somebody else may change the keys meanwhile.
const ATTEMPTS: usize = 8;

/// Why the keys are as they were.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// There is no such key.
    #[error("there is no signing key {0}: `signet keys list` shows those there are; nothing was changed")]
    Unknown(String),
    /// It is out of use already.
    #[error("signing key {0} is retired: it signs nothing and no verifier gets it; nothing was changed")]
    Retired(String),
    /// Nothing could sign without it.
    #[error(
        "signing key {0} is the only one that can sign {1}: a running server publishes another within seconds, or bring \
         one with `signet keys import`; then try again; nothing was changed"
    )]
    OnlyOne(String, Algorithm),
    /// No key signs yet.
    #[error("no signing key is active: the first start of the server makes one; nothing was changed")]
    NoneActive,
    /// Somebody else changed the keys again and again.
    #[error("the signing keys were changed by somebody else meanwhile: try again")]
    Overtaken,
    /// The keys could not be read.
    #[error(transparent)]
    SigningKeys(#[from] SigningKeysError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a rotation that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// Another key signs.
    Done {
        /// The one that did.
        before: String,
        /// The one that does.
        kid: String,
        /// Until when verifiers may hold a set without it, if they may.
        unknown_until: Option<Timestamp>,
    },
    /// It will, when every verifier has it.
    Later {
        /// The key that signs until then.
        kid: String,
        /// When that is. `None`: its successor is not even published.
        at: Option<Timestamp>,
    },
}

/// What became of a key that was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Where it was.
    pub status: KeyStatus,
    /// The key that signs in its place, if it was signing.
    pub next: Option<String>,
    /// Until when verifiers may hold a set without that one, if they may.
    pub unknown_until: Option<Timestamp>,
    /// Whether the keys folder of this process knows it: an older backup could bring the key back otherwise.
    pub is_remembered: bool,
}

/// Lets the next key of each algorithm sign: at once when every verifier has it, or `immediately` whether they have it
/// or not; otherwise as soon as they have.
///
/// # Errors
/// See [`KeyCommandError`].
pub async fn rotate(app: &App, immediately: bool) -> Result<Vec<Rotated>, KeyCommandError> {
    let mut rotated = Vec::new();
    for algorithm in policy(&app.config).algorithms {
        rotated.push(rotate_one(app, algorithm, immediately).await?);
    }
    Ok(rotated)
}

async fn rotate_one(app: &App, algorithm: Algorithm, immediately: bool) -> Result<Rotated, KeyCommandError> {
    for _ in 0..ATTEMPTS {
        let stored = signing_keys::read(app).await?;
        let active = active(&stored, algorithm).ok_or(KeyCommandError::NoneActive)?;
        let (act, rotated) = match next_in_line(&stored, algorithm) {
            Some(next) if immediately || next.ready_at <= app.clock.now() => {
                let unknown_until = unknown_until(app, next);
                let (before, kid) = (active.kid.clone(), next.kid.clone());
                (activate(app, next), Rotated::Done { before, kid, unknown_until })
            }
            None if immediately => return Err(KeyCommandError::OnlyOne(active.kid.clone(), algorithm)),
            next => {
                let (kid, at) = (active.kid.clone(), next.map(|next| next.ready_at));
                (Act::Request(kid.clone()), Rotated::Later { kid, at })
            }
        };
        if carry_out(app, stored.keyring.version, vec![act]).await? {
            return Ok(rotated);
        }
    }
    Err(KeyCommandError::Overtaken)
}

/// Takes a key away at once, and with it everything that it signed. If it was signing, the next one does.
///
/// # Errors
/// See [`KeyCommandError`].
pub async fn withdraw(app: &App, kid: &str) -> Result<Withdrawn, KeyCommandError> {
    for _ in 0..ATTEMPTS {
        let stored = signing_keys::read(app).await?;
        let found = stored.rows.iter().find(|row| row.kid == kid);
        let row = found.ok_or_else(|| KeyCommandError::Unknown(kid.to_owned()))?;
        let mut acts = vec![Act::Withdraw(kid.to_owned())];
        let mut withdrawn =
            Withdrawn { status: row.status, next: None, unknown_until: None, is_remembered: false };
        match row.status {
            KeyStatus::Retired => return Err(KeyCommandError::Retired(kid.to_owned())),
            KeyStatus::Pending | KeyStatus::Retiring => {}
            KeyStatus::Active => {
                let next = next_in_line(&stored, row.algorithm);
                let next = next.ok_or_else(|| KeyCommandError::OnlyOne(kid.to_owned(), row.algorithm))?;
                withdrawn.next = Some(next.kid.clone());
                withdrawn.unknown_until = unknown_until(app, next);
                acts.push(activate(app, next));
            }
        }
        if carry_out(app, stored.keyring.version, acts).await? {
            // An older backup must not bring it back.
            withdrawn.is_remembered = restore::remember(app).await;
            return Ok(withdrawn);
        }
    }
    Err(KeyCommandError::Overtaken)
}

async fn carry_out(app: &App, version: i64, acts: Vec<Act>) -> Result<bool, KeyCommandError> {
    let is_done = make(app, version, Who::Operator, acts).await?;
    if is_done {
        super::follow(app).await?;
    }
    Ok(is_done)
}

fn active(stored: &Stored, algorithm: Algorithm) -> Option<&SigningKeyRow> {
    stored.rows.iter().find(|row| row.algorithm == algorithm && row.status == KeyStatus::Active)
}

fn activate(app: &App, next: &SigningKeyRow) -> Act {
    Act::Activate(next.kid.clone(), policy(&app.config).longest_life)
}

fn unknown_until(app: &App, next: &SigningKeyRow) -> Option<Timestamp> {
    (next.ready_at > app.clock.now()).then_some(next.ready_at)
}
