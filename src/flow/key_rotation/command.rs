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
    /// No key signs with the algorithm yet, and none stands by.
    #[error(
        "there is no key for {0} yet: the server makes one when it first starts, and a running one with these settings within \
         seconds; nothing was changed"
    )]
    None(Algorithm),
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
        /// The one that did, if one of its algorithm did.
        before: Option<String>,
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
    /// The first key of its algorithm will sign when every verifier has it, asked or not.
    First {
        /// That key.
        kid: String,
        /// When that is.
        at: Timestamp,
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
    for _ in 0..ATTEMPTS {
        let stored = signing_keys::read(app).await?;
        let algorithms = policy(&app.config).algorithms;
        let turns: Vec<_> = algorithms
            .into_iter()
            .map(|algorithm| turn(app, &stored, algorithm, immediately))
            .collect::<Result<_, _>>()?;
        let (acts, rotated): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
        if carry_out(app, stored.keyring.version, acts.into_iter().flatten().collect()).await? {
            return Ok(rotated);
        }
    }
    Err(KeyCommandError::Overtaken)
}

/// What is to be done for the keys of one algorithm, and what comes of it.
fn turn(
    app: &App,
    stored: &Stored,
    algorithm: Algorithm,
    immediately: bool,
) -> Result<(Option<Act>, Rotated), KeyCommandError> {
    match (active(stored, algorithm), next_in_line(stored, algorithm)) {
        (active, Some(next)) if immediately || next.ready_at <= app.clock.now() => {
            let unknown_until = unknown_until(app, next);
            let (before, kid) = (active.map(|key| key.kid.clone()), next.kid.clone());
            Ok((Some(activate(app, next)), Rotated::Done { before, kid, unknown_until }))
        }
        (Some(active), None) if immediately => Err(KeyCommandError::OnlyOne(active.kid.clone(), algorithm)),
        (Some(active), next) => {
            let (kid, at) = (active.kid.clone(), next.map(|next| next.ready_at));
            Ok((Some(Act::Request(kid.clone())), Rotated::Later { kid, at }))
        }
        (None, Some(next)) => Ok((None, Rotated::First { kid: next.kid.clone(), at: next.ready_at })),
        (None, None) => Err(KeyCommandError::None(algorithm)),
    }
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
                // Without a key of another algorithm, RS256 signs again, as it did before there was one.
                let next = next_in_line(&stored, row.algorithm);
                if next.is_none() && row.algorithm == Algorithm::Rs256 {
                    return Err(KeyCommandError::OnlyOne(kid.to_owned(), row.algorithm));
                }
                withdrawn.next = next.or(active(&stored, Algorithm::Rs256)).map(|next| next.kid.clone());
                withdrawn.unknown_until = next.and_then(|next| unknown_until(app, next));
                acts.extend(next.map(|next| activate(app, next)));
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
