//! Proving again that one is the owner, before something that a stolen access token alone must not do.
//!
//! Either with the password, or with a sign-in that is at most [`RECENT`] ago (`auth_time`) and whose session has not
//! ended. Tries at the password count against the session whose token was sent, and against nothing else: a thief of one
//! access token neither gets more guesses than one session has, nor takes any from the owner, who signs in anew.

use std::time::Duration;

use signet_guard::Timestamp;

use crate::account::{User, UserId};
use crate::app::App;
use crate::audit::{self, Actor, Event, ReauthenticationRefusal, ThrottleReason};
use crate::caller::Caller;
use crate::config::Passwords;
use crate::flow::audit_log;
use crate::flow::clock_check::UNUSABLE;
use crate::flow::throttle::{self, Charged, Limit, Throttled};
use crate::grant::SessionId;
use crate::password::{HashError, Password, Verdict};
use crate::store::{SignInCandidate, StoreError};
use crate::throttle::{Rule, Subject};

/// How long a sign-in counts as proof by itself.
pub const RECENT: Duration = Duration::from_secs(5 * 60);

/// Who acts on their own account, as the token says.
pub struct Owner {
    /// The account.
    pub user: UserId,
    /// The session. A token that names none proves nothing.
    pub session: Option<SessionId>,
    /// When the person last proved who they are.
    pub authenticated_at: Option<Timestamp>,
    /// Where the request comes from.
    pub caller: Caller,
}

impl Owner {
    /// Whether the sign-in is proof enough at `now`. One from the future is none, unless the clock of another replica, at
    /// which it took place, may be ahead by so much.
    fn is_recent(&self, now: Timestamp) -> bool {
        self.authenticated_at.is_some_and(|at| at <= now.plus(UNUSABLE) && now <= at.plus(RECENT))
    }
}

/// What counts as proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The password alone.
    Password,
    /// The password, or a recent sign-in.
    PasswordOrRecentSignIn,
}

/// Why nothing may be changed.
#[derive(Debug, thiserror::Error)]
pub enum ReauthenticationError {
    /// The account is disabled or gone.
    #[error("the account is not active")]
    AccountGone,
    /// There was no proof, or it was wrong.
    #[error("the owner has not proven to be the owner")]
    Required(Proof),
    /// Too many tries: this one was not looked at.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The password could not be checked now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account whose owner has proven to be the owner. It holds for the credentials it was proven with: the unit that
/// follows checks that they are still the account's ([`Tx::hold_user`](crate::store::Tx::hold_user)).
pub(super) struct Reauthenticated(pub(super) User);

/// Asks for a proof. A password that is sent must be right, also when the sign-in would do.
///
/// # Errors
/// See [`ReauthenticationError`].
pub(super) async fn reauthenticate(
    app: &App,
    owner: &Owner,
    password: Option<Password>,
    proof: Proof,
) -> Result<Reauthenticated, ReauthenticationError> {
    let refused = |why| refused(app, owner, proof, why);
    match (password, &owner.session) {
        (None, _) => {
            let (user, is_alive) = look(app, owner).await?;
            let user = user.filter(is_active).ok_or(ReauthenticationError::AccountGone)?;
            let is_recent = is_alive && owner.is_recent(app.clock.now());
            if is_recent && proof == Proof::PasswordOrRecentSignIn {
                Ok(Reauthenticated(user))
            } else {
                Err(refused(ReauthenticationRefusal::NoProof))
            }
        }
        // Tries must be counted against something that only the password's holder can have more of.
        (Some(_), None) => Err(refused(ReauthenticationRefusal::NoProof)),
        // No account has such a password, so that it is not worth a hash.
        (Some(password), _) if password.exceeds(Passwords::LONGEST) => {
            Err(refused(ReauthenticationRefusal::WrongPassword))
        }
        (Some(password), Some(session)) => match check(app, owner, session, password).await? {
            Some(user) => Ok(Reauthenticated(user)),
            None => {
                note_failure(app, owner).await?;
                Err(ReauthenticationError::Required(proof))
            }
        },
    }
}

/// Notes that there was no proof.
pub(super) fn refused(
    app: &App,
    owner: &Owner,
    proof: Proof,
    why: ReauthenticationRefusal,
) -> ReauthenticationError {
    let event = Event::ReauthenticationFailed(&owner.user, owner.session.as_ref(), why);
    audit_log::refused(app, &event, &owner.caller);
    ReauthenticationError::Required(proof)
}

/// The account, and whether the session still stands. In this order: whatever ends sessions because the credentials have
/// changed is seen in the one or in the other.
async fn look(app: &App, owner: &Owner) -> Result<(Option<User>, bool), StoreError> {
    app.db
        .read((owner.user.clone(), owner.session.clone()), |tx, (user, session)| {
            Box::pin(async move {
                let found = tx.user(user).await?;
                let is_alive = match session {
                    Some(session) => tx.has_session(user, session).await?,
                    None => false,
                };
                Ok((found, is_alive))
            })
        })
        .await
}

fn is_active(user: &User) -> bool {
    user.disabled_at.is_none()
}

/// The account, if the password is its own.
async fn check(
    app: &App,
    owner: &Owner,
    session: &SessionId,
    password: Password,
) -> Result<Option<User>, ReauthenticationError> {
    let (candidate, subject, counter) = app
        .db
        .read((owner.user.clone(), Subject::session(session)), |tx, (user, subject)| {
            Box::pin(async move {
                let [counter, ..] = tx.throttles([subject, subject, subject]).await?;
                Ok((tx.credential(user).await?, subject.clone(), counter))
            })
        })
        .await?;
    let candidate = candidate.filter(|candidate| is_active(&candidate.user));
    let SignInCandidate { user, password: stored } = candidate.ok_or(ReauthenticationError::AccountGone)?;

    let rule = Rule::session(&app.config.throttle, app.config.tokens.refresh_life);
    let limit = Limit { subject, rule, reason: ThrottleReason::Session };
    let throttled = |throttled: Throttled| {
        let event = Event::ReauthenticationThrottled(&user.id, Some(session), throttled.reason);
        audit_log::refused(app, &event, &owner.caller);
        throttled
    };
    throttle::check(&[(limit.clone(), counter)], app.clock.now()).map_err(throttled)?;
    // Whoever has a token is no stranger: not even in a storm of sign-ins.
    let place = app.hasher.reserve_kept()?;
    let charged = throttle::charge(app, vec![limit]).await?.map_err(throttled)?;

    let verdict = match place.verify(password, stored.as_deref()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            throttle::give_back(app, charged).await;
            return Err(error.into());
        }
    };
    match verdict {
        Verdict::Match { .. } => {
            forgive(app, charged).await?;
            return Ok(Some(user));
        }
        Verdict::Corrupt => audit_log::refused(app, &Event::CredentialCorrupt(&user.id), &owner.caller),
        Verdict::Mismatch => {}
    }
    Ok(None)
}

/// The password was right: the count begins anew.
async fn forgive(app: &App, charged: Charged) -> Result<(), StoreError> {
    app.db.write(charged, |tx, charged| Box::pin(async move { throttle::succeed(tx, charged).await })).await
}

/// A wrong guess with a good token is worth an entry: the token may be stolen. There are never many: the throttle bounds
/// them.
async fn note_failure(app: &App, owner: &Owner) -> Result<(), StoreError> {
    let why = ReauthenticationRefusal::WrongPassword;
    let event = Event::ReauthenticationFailed(&owner.user, owner.session.as_ref(), why);
    let row = audit::row(&event, Actor::Anybody, &owner.caller, app.clock.now());
    app.db.write(row, |tx, row| Box::pin(async move { tx.append_audit(row).await })).await?;
    audit::record(&event);
    Ok(())
}
