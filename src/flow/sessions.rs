//! The sessions of an account: looked at and ended, by their owner or by the operator.

use signet_guard::Timestamp;

use crate::account::{Email, User, UserId};
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::caller::Caller;
use crate::flow::accounts::AccountError;
use crate::flow::reauthentication::Owner;
use crate::grant::{Revocation, SessionId};
use crate::store::{Session, StoreError, Tx};

/// The most sessions that are shown at once: those used last.
pub const MOST_SHOWN: u32 = 200;

/// Why the sessions of one's own account were not shown or not ended.
#[derive(Debug, thiserror::Error)]
pub enum OwnSessionsError {
    /// The account is disabled or gone.
    #[error("the account is not active")]
    AccountGone,
    /// The account has no such session, or it has ended.
    #[error("the account has no such session")]
    NoSuchSession,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sessions of one's own account that can be used, last used first.
///
/// # Errors
/// When the account is not active, or the database fails.
pub async fn own(app: &App, owner: &Owner) -> Result<Vec<Session>, OwnSessionsError> {
    let unit = (owner.user.clone(), app.clock.now());
    app.db
        .read(unit, |tx, (user, now)| {
            Box::pin(async move {
                if !is_active(tx, user).await? {
                    return Ok(None);
                }
                tx.live_sessions(user, *now, MOST_SHOWN).await.map(Some)
            })
        })
        .await?
        .ok_or(OwnSessionsError::AccountGone)
}

/// Which of one's own sessions shall end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(SessionId),
    /// All, also the one that asks.
    All,
    /// All but the one that asks.
    Others,
}

/// Ends sessions of one's own account.
///
/// # Errors
/// When the account is not active or has no such session, or the database fails: then nothing has ended.
pub async fn end_own(app: &App, owner: &Owner, which: Which) -> Result<(), OwnSessionsError> {
    let by = By {
        actor: Actor::User,
        caller: owner.caller.clone(),
        why: Revocation::EndedByUser,
        at: app.clock.now(),
    };
    let which = match (which, &owner.session) {
        (Which::Others, Some(session)) => Ending::AllBut(Some(session.clone())),
        (Which::Others | Which::All, _) => Ending::AllBut(None),
        (Which::One(session), _) => Ending::One(session),
    };
    let (which, ended) = app
        .db
        .write((owner.user.clone(), which, by), |tx, (user, which, by)| {
            Box::pin(async move {
                let is_active = is_active(tx, user).await?;
                let ended = if is_active { Some(which.carry_out(tx, user, by).await?) } else { None };
                Ok((which.clone(), ended))
            })
        })
        .await?;
    let ended = ended.ok_or(OwnSessionsError::AccountGone)?;
    which.record(&owner.user, Revocation::EndedByUser, ended);
    match which {
        Ending::One(_) if ended == 0 => Err(OwnSessionsError::NoSuchSession),
        _ => Ok(()),
    }
}

async fn is_active(tx: &mut Tx, user: &UserId) -> Result<bool, StoreError> {
    Ok(tx.user(user).await?.is_some_and(|user| user.disabled_at.is_none()))
}

/// For the operator: the sessions of the account with this address that can be used, last used first.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn of(app: &App, email: Email) -> Result<(User, Vec<Session>), AccountError> {
    app.db
        .read((email, app.clock.now()), |tx, (email, now)| {
            Box::pin(async move {
                let Some(user) = tx.user_by_email(email).await? else { return Ok(None) };
                let sessions = tx.live_sessions(&user.id, *now, u32::MAX).await?;
                Ok(Some((user, sessions)))
            })
        })
        .await?
        .ok_or(AccountError::NoSuchUser)
}

/// For the operator: ends one session of the account with this address, or all, and answers how many.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn end(app: &App, email: Email, session: Option<SessionId>) -> Result<(User, usize), AccountError> {
    let why = Revocation::EndedByOperator;
    let by = By { actor: Actor::Operator, caller: Caller::default(), why, at: app.clock.now() };
    let which = session.map_or(Ending::AllBut(None), Ending::One);
    let ((user, ended), which) = app
        .db
        .write((email, which, by), |tx, (email, which, by)| {
            Box::pin(async move {
                let Some(user) = tx.user_by_email(email).await? else { return Ok(None) };
                let ended = which.carry_out(tx, &user.id, by).await?;
                Ok(Some(((user, ended), which.clone())))
            })
        })
        .await?
        .ok_or(AccountError::NoSuchUser)?;
    which.record(&user.id, why, ended);
    Ok((user, ended))
}

/// Who ends sessions, and why.
#[derive(Clone)]
pub(super) struct By {
    /// Who.
    pub(super) actor: Actor,
    /// From where.
    pub(super) caller: Caller,
    /// Why.
    pub(super) why: Revocation,
    /// When.
    pub(super) at: Timestamp,
}

/// Which sessions of an account end.
#[derive(Clone)]
enum Ending {
    One(SessionId),
    AllBut(Option<SessionId>),
}

impl Ending {
    /// How many ended.
    async fn carry_out(&self, tx: &mut Tx, user: &UserId, by: &By) -> Result<usize, StoreError> {
        match self {
            Self::AllBut(except) => end_all(tx, user, except.as_ref(), by).await,
            Self::One(session) => {
                if !tx.revoke_session(user, session, by.why, by.at).await? {
                    return Ok(0);
                }
                let event = Event::SessionEnded(user, session, by.why);
                tx.append_audit(&audit::row(&event, by.actor, &by.caller, by.at)).await?;
                Ok(1)
            }
        }
    }

    fn record(&self, user: &UserId, why: Revocation, ended: usize) {
        match self {
            Self::One(session) if ended > 0 => audit::record(&Event::SessionEnded(user, session, why)),
            Self::AllBut(_) => record_all(user, why, ended),
            Self::One(_) => {}
        }
    }
}

/// The part of a unit that ends every session of an account but one, and writes so. Answers how many.
pub(super) async fn end_all(
    tx: &mut Tx,
    user: &UserId,
    except: Option<&SessionId>,
    by: &By,
) -> Result<usize, StoreError> {
    let ended = tx.revoke_grants_of_user(user, except, by.why, by.at).await?;
    if ended > 0 {
        let event = Event::SessionsEnded(user, by.why, ended);
        tx.append_audit(&audit::row(&event, by.actor, &by.caller, by.at)).await?;
    }
    Ok(ended)
}

/// The log line of [`end_all`], once its unit is durable.
pub(super) fn record_all(user: &UserId, why: Revocation, ended: usize) {
    if ended > 0 {
        audit::record(&Event::SessionsEnded(user, why, ended));
    }
}
