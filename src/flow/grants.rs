//! What sign-in and refresh decide alike about grants.

use std::time::Duration;

use signet_guard::{Scope, ScopeToken};

use crate::account::UserId;
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::flow::access_token::ACCOUNT_SCOPE;
use crate::grant::{Grant, Revocation, SessionId};
use crate::store::{StoreError, Tx};

/// Most sessions of one account, but for those in use.
const MOST_SESSIONS: u32 = 100;

/// All that a first-party grant may allow now.
pub(super) fn offered_scope(app: &App) -> Scope {
    let own = ScopeToken::parse(ACCOUNT_SCOPE).ok();
    app.config.tokens.scopes.iter().cloned().chain(own).collect()
}

/// Ends the sessions of an account that has too many with the new one: those that were unused the longest. One that was
/// used within the life of an access token stays, so that nobody who has the password can push out who is there.
pub(super) async fn end_surplus(
    tx: &mut Tx,
    new: &Grant,
    access_token_life: Duration,
) -> Result<Vec<SessionId>, StoreError> {
    let (user, now, why) = (&new.user, new.created_at, Revocation::TooManySessions);
    let unused_since = now.minus(access_token_life);
    let ended = tx.revoke_surplus_grants(new, MOST_SESSIONS, unused_since, why, now).await?;
    if let Some(event) = surplus_ended(user, &ended) {
        tx.append_audit(&audit::row(&event, Actor::Signet, &new.last_caller, now)).await?;
    }
    Ok(ended)
}

/// What is to be told of it. Several make one event, or a flood of sign-ins would end in one of events.
pub(super) fn surplus_ended<'a>(user: &'a UserId, ended: &'a [SessionId]) -> Option<Event<'a>> {
    match ended {
        [] => None,
        [only] => Some(Event::SessionEnded(user, only, Revocation::TooManySessions)),
        _ => Some(Event::SessionsEnded(user, Revocation::TooManySessions, ended.len())),
    }
}
