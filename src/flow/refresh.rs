//! A refresh token for a new access token, and for its successor.

use signet_guard::{Scope, Timestamp};
use zeroize::Zeroizing;

use crate::app::App;
use crate::audit::{self, Actor, Event, Refresh, RefreshRefusal};
use crate::caller::Caller;
use crate::config::Tokens;
use crate::flow::access_token::{self, Issue, Issued};
use crate::flow::audit_log;
use crate::flow::grants;
use crate::grant::{Grant, GrantId, Judgement, Revocation, judge};
use crate::jose::{RefreshToken, SignError};
use crate::store::{HeldGrant, StoreError, Tx};

/// How often a rotation that others came before is judged again. After one of theirs it is not ours to rotate any more.
const ROUNDS: u32 = 4;

/// One try to refresh.
pub struct Attempt {
    /// The token as presented.
    pub token: Zeroizing<String>,
    /// What the access token shall allow; all of the grant when absent. The grant stays as it is (RFC 6749 §6).
    pub scope: Option<Scope>,
    /// Where it comes from.
    pub caller: Caller,
}

/// What a successful refresh gets.
pub struct Refreshed {
    /// The access token.
    pub issued: Issued,
    /// The refresh token to use from now on: the successor of the one presented, or that very one.
    pub refresh_token: RefreshToken,
    /// The grant that both rest on.
    pub grant: Grant,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token does not count, whatever the reason: the caller learns no more than this.
    #[error("the refresh token does not count")]
    Refused,
    /// More was asked for than was granted.
    #[error("the scope is wider than what was granted")]
    WiderScope,
    /// Others changed the grant each time it was looked at.
    #[error("the grant is being changed by too many at once")]
    Contended,
    /// The token could not be signed now.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Judges a refresh token, rotates it if it is time to, and issues an access token with the roles of now.
///
/// What was made up is refused without a look into the database. A racer, and whoever lost an answer, gets the same
/// successor as the first within the grace, and nothing is written for it. A replay after the grace revokes the grant; so
/// does a token that comes after a deadline, or a clock that is set back would revive it. That stays, although the answer is
/// a refusal. All refusals look alike.
///
/// # Errors
/// See [`RefreshError`].
///
/// # Source
/// RFC 6749 §6; RFC 9700 §4.14.2 (rotation and the detection of replay).
pub async fn refresh(app: &App, attempt: Attempt) -> Result<Refreshed, RefreshError> {
    let Attempt { token, scope, caller } = attempt;
    let keys = app.keyring.refresh_keys().ok_or(SignError::NoActiveKey)?;
    let presented = keys.read(&token).ok_or_else(|| refused(app, &caller, None, RefreshRefusal::Unknown))?;
    let found = find(app, *presented.claimed_grant()).await?;
    let Some(HeldGrant { grant, user }) = found.filter(|found| keys.verify(&presented, &found.grant)) else {
        return Err(refused(app, &caller, None, RefreshRefusal::Unknown));
    };

    let now = app.clock.now();
    let judgement = judge(&grant, presented.generation(), now, app.config.tokens.refresh_grace);
    let act =
        Act { grant, generation: presented.generation(), caller, tokens: app.config.tokens.clone(), now };
    if let Some(reason) = refusal(judgement) {
        return Err(refused(app, &act.caller, Some(&act.grant), reason));
    }
    let caller = act.caller.clone();
    let settled = match judgement {
        Judgement::Current => Some((act.grant.clone(), Refresh::Kept)),
        Judgement::Retry => Some((act.grant.clone(), Refresh::Retried)),
        // Revokes the grant, unless somebody refreshed it first: a replica whose clock is ahead may be too early.
        Judgement::Replay | Judgement::Expired => Some(settle(app, act.clone()).await?),
        Judgement::Rotate | Judgement::FromFuture | Judgement::Revoked => None,
    };
    let Some(user) = user.filter(|user| user.disabled_at.is_none()) else {
        return Err(refused(app, &caller, Some(&act.grant), RefreshRefusal::AccountInactive));
    };
    // Before anything is written: a request that is refused for what it asks must not use up a token.
    let scope = allowed_scope(app, &caller, &act.grant, scope)?;
    // Nor may one for which nothing can be signed now: whoever comes back after the grace would be taken for a thief.
    let signature = app.keyring.reserve_signature()?;
    let (grant, how) = match settled {
        Some(settled) => settled,
        None => settle(app, act).await?,
    };
    // The same keys that recognised the token: others may have come since, and the one of the grant's birth have gone.
    let refresh_token = keys.mint(&grant, grant.generation).ok_or(SignError::NoActiveKey)?;
    let issued =
        access_token::issue(app, signature, Issue { user: &user, grant: &grant, scope, now }).await?;
    let event = Event::Refreshed(&grant.user, &grant.session, how);
    audit::record(&event);
    // Worth an entry: it may be a thief who is as quick as the owner.
    if how == Refresh::Retried {
        app.audit_buffer.push(audit::row(&event, Actor::User, &caller, now));
    }
    Ok(Refreshed { issued, refresh_token, grant })
}

async fn find(app: &App, id: GrantId) -> Result<Option<HeldGrant>, StoreError> {
    app.db.read(id, |tx, id| Box::pin(async move { tx.held_grant(id).await })).await
}

/// All of the grant that is still offered, or the part of it that was asked for.
fn allowed_scope(
    app: &App,
    caller: &Caller,
    grant: &Grant,
    asked: Option<Scope>,
) -> Result<Scope, RefreshError> {
    let asked = asked.unwrap_or_else(|| grant.scope.clone());
    if !asked.iter().all(|token| grant.scope.contains(token.as_str())) {
        return Err(RefreshError::WiderScope);
    }
    let offered = grants::offered_scope(app);
    let left: Scope = asked.iter().filter(|token| offered.contains(token.as_str())).cloned().collect();
    if left.is_empty() {
        return Err(refused(app, caller, Some(grant), RefreshRefusal::ScopeWithdrawn));
    }
    Ok(left)
}

/// What there is to write for a token: a rotation or a revocation.
#[derive(Clone)]
struct Act {
    /// As it was read.
    grant: Grant,
    /// Of the token.
    generation: u64,
    caller: Caller,
    tokens: Tokens,
    now: Timestamp,
}

/// What came of it.
enum Outcome {
    /// The grant with the token that counts now.
    Stands(Grant, Refresh),
    Refused(Grant, RefreshRefusal),
    Contended,
}

/// Writes what there is to write. Answers with the grant whose token counts now, if there is one for the token presented.
async fn settle(app: &App, act: Act) -> Result<(Grant, Refresh), RefreshError> {
    let caller = act.caller.clone();
    match app.db.write(act, |tx, act| Box::pin(async move { act.commit(tx).await })).await? {
        Outcome::Stands(grant, how) => Ok((grant, how)),
        Outcome::Refused(grant, reason) => Err(refused(app, &caller, Some(&grant), reason)),
        Outcome::Contended => Err(RefreshError::Contended),
    }
}

impl Act {
    /// Each write succeeds only while the grant is as it was judged; where others were quicker it is read and judged again.
    async fn commit(&self, tx: &mut Tx) -> Result<Outcome, StoreError> {
        let mut grant = self.grant.clone();
        for _ in 0..ROUNDS {
            match judge(&grant, self.generation, self.now, self.tokens.refresh_grace) {
                Judgement::Current => return Ok(Outcome::Stands(grant, Refresh::Kept)),
                Judgement::Retry => return Ok(Outcome::Stands(grant, Refresh::Retried)),
                Judgement::Rotate => {
                    let next = grant.rotated(&self.tokens, self.caller.clone(), self.now);
                    if tx.rotate_grant(grant.generation, &next).await? {
                        return Ok(Outcome::Stands(next, Refresh::Rotated));
                    }
                }
                Judgement::Replay => {
                    if self.revoke(tx, &grant, Revocation::Replay, RefreshRefusal::Replayed).await? {
                        return Ok(Outcome::Refused(grant, RefreshRefusal::Replayed));
                    }
                }
                Judgement::Expired => {
                    if self.revoke(tx, &grant, Revocation::Expired, RefreshRefusal::Expired).await? {
                        return Ok(Outcome::Refused(grant, RefreshRefusal::Expired));
                    }
                }
                judgement @ (Judgement::FromFuture | Judgement::Revoked) => {
                    let reason = refusal(judgement).unwrap_or(RefreshRefusal::Unknown);
                    return Ok(Outcome::Refused(grant, reason));
                }
            }
            match tx.grant(&grant.id).await? {
                Some(found) => grant = found,
                None => return Ok(Outcome::Refused(grant, RefreshRefusal::Unknown)),
            }
        }
        Ok(Outcome::Contended)
    }

    /// Ends the grant, with its entry in the audit log. `false`: it is not what it was any more.
    async fn revoke(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        why: Revocation,
        reason: RefreshRefusal,
    ) -> Result<bool, StoreError> {
        if !tx.revoke_judged_grant(grant, why, self.now).await? {
            return Ok(false);
        }
        let event = Event::RefreshRefused { grant: Some((&grant.user, &grant.session)), reason };
        tx.append_audit(&audit::row(&event, Actor::Anybody, &self.caller, self.now)).await?;
        Ok(true)
    }
}

/// Why there is nothing more to do for a token, if so.
fn refusal(judgement: Judgement) -> Option<RefreshRefusal> {
    match judgement {
        Judgement::FromFuture => Some(RefreshRefusal::FromFuture),
        Judgement::Revoked => Some(RefreshRefusal::Revoked),
        Judgement::Current
        | Judgement::Rotate
        | Judgement::Retry
        | Judgement::Replay
        | Judgement::Expired => None,
    }
}

fn refused(app: &App, caller: &Caller, grant: Option<&Grant>, reason: RefreshRefusal) -> RefreshError {
    let grant = grant.map(|grant| (&grant.user, &grant.session));
    let event = Event::RefreshRefused { grant, reason };
    // These have their entry from the unit that revoked the grant.
    if matches!(reason, RefreshRefusal::Replayed | RefreshRefusal::Expired) {
        audit::record(&event);
    } else {
        audit_log::refused(app, &event, caller);
    }
    RefreshError::Refused
}
