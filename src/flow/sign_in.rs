//! First-party sign-in: a password for an access token.

use signet_guard::{Scope, ScopeToken, Timestamp};

use crate::account::{Email, User, UserId};
use crate::app::App;
use crate::audit::{self, Event, SignInRefusal};
use crate::config::Passwords;
use crate::flow::access_token::{self, ACCOUNT_SCOPE, Issue, Issued};
use crate::jose::SignError;
use crate::password::{HashError, Password, PhcString, Verdict};
use crate::store::{SignInCandidate, StoreError};

/// One try to sign in.
pub struct SignIn {
    /// The sign-in name.
    pub email: Email,
    /// The password as typed.
    pub password: Password,
    /// What the token shall allow; everything a first-party token may allow when absent.
    pub scope: Option<Scope>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown, wrong or disabled: the caller learns no more than this.
    #[error("the e-mail address or the password is wrong")]
    Refused,
    /// More was asked for than a first-party token may allow.
    #[error("the scope is not offered")]
    InvalidScope,
    /// The password could not be checked now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The token could not be signed now.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks a password and issues an access token.
///
/// An unknown address costs the same hash as a wrong password. The one write after the check succeeds only if the
/// account is still enabled and its credentials are still those that were checked, so that no sign-in outlives a
/// disable or a new password.
///
/// # Errors
/// See [`SignInError`].
pub async fn sign_in(app: &App, attempt: SignIn) -> Result<Issued, SignInError> {
    let scope = granted_scope(app, attempt.scope)?;
    // Nobody can have such a password, so its length alone refuses it, whoever the account is. Not the limit in force:
    // that is for new passwords, and may have been higher before.
    if attempt.password.exceeds(Passwords::LONGEST) {
        return Err(refused(None, SignInRefusal::WrongPassword));
    }
    let candidate = app
        .db
        .read(attempt.email, |tx, email| Box::pin(async move { tx.sign_in_candidate(email).await }))
        .await?;
    let Proven { user, rehashed } = verify(app, candidate, attempt.password).await?;

    let now = app.clock.now();
    let record = Record { user: user.id.clone(), credential_version: user.credential_version, now, rehashed };
    let recorded = app.db.write(record, |tx, it| Box::pin(async move { it.commit(tx).await })).await?;
    let user = recorded.ok_or_else(|| refused(Some(&user.id), SignInRefusal::Superseded))?;
    let issued = access_token::issue(app, Issue { user: &user, scope, authenticated_at: now }).await?;
    audit::record(&Event::SignedIn(&user.id));
    Ok(issued)
}

/// An account whose password was right at the time it was read.
struct Proven {
    user: User,
    rehashed: Option<Rehashed>,
}

/// The same password hashed with today's parameters.
struct Rehashed {
    old: String,
    new: PhcString,
}

async fn verify(
    app: &App,
    candidate: Option<SignInCandidate>,
    password: Password,
) -> Result<Proven, SignInError> {
    let stored = candidate.as_ref().and_then(|candidate| candidate.password.clone());
    let again = password.share();
    let verdict = app.hasher.verify(password, stored.as_deref()).await?;
    let Some(SignInCandidate { user, .. }) = candidate else {
        return Err(refused(None, SignInRefusal::UnknownUser));
    };
    let outdated = match verdict {
        Verdict::Match { outdated } => outdated,
        Verdict::Mismatch => return Err(refused(Some(&user.id), SignInRefusal::WrongPassword)),
        Verdict::Corrupt => {
            audit::record(&Event::CredentialCorrupt(&user.id));
            return Err(refused(Some(&user.id), SignInRefusal::WrongPassword));
        }
    };
    if user.disabled_at.is_some() {
        return Err(refused(Some(&user.id), SignInRefusal::Disabled));
    }
    let rehashed = match stored {
        Some(old) if outdated => rehash(app, old, again).await?,
        _ => None,
    };
    Ok(Proven { user, rehashed })
}

/// A full queue is no reason to turn a right password away: the next sign-in tries again.
async fn rehash(app: &App, old: String, password: Password) -> Result<Option<Rehashed>, HashError> {
    match app.hasher.hash(password).await {
        Ok(new) => Ok(Some(Rehashed { old, new })),
        Err(HashError::Busy { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The one write of a sign-in.
struct Record {
    user: UserId,
    credential_version: i64,
    now: Timestamp,
    rehashed: Option<Rehashed>,
}

impl Record {
    /// The account as it is now, if the sign-in stands. Read again, because its roles may have changed since the
    /// password was read, and held by the update before, so that they cannot change until this unit ends.
    async fn commit(&self, tx: &mut crate::store::Tx) -> Result<Option<User>, StoreError> {
        if !tx.record_sign_in(&self.user, self.credential_version, self.now).await? {
            return Ok(None);
        }
        if let Some(Rehashed { old, new }) = &self.rehashed {
            // Someone else may have replaced it in between; theirs is as good.
            tx.replace_outdated_password(&self.user, old, new.as_str()).await?;
        }
        tx.user(&self.user).await
    }
}

/// All that a first-party token may allow, or the part of it that was asked for.
fn granted_scope(app: &App, asked: Option<Scope>) -> Result<Scope, SignInError> {
    let own = ScopeToken::parse(ACCOUNT_SCOPE).ok();
    let offered: Scope = app.config.tokens.scopes.iter().cloned().chain(own).collect();
    match asked {
        None => Ok(offered),
        Some(asked) if asked.iter().all(|token| offered.contains(token.as_str())) => Ok(asked),
        Some(_) => Err(SignInError::InvalidScope),
    }
}

fn refused(user: Option<&UserId>, reason: SignInRefusal) -> SignInError {
    audit::record(&Event::SignInRefused { user, reason });
    SignInError::Refused
}
