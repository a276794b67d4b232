//! The end of a session, by whoever holds one of its refresh tokens.

use signet_guard::Timestamp;

use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::caller::Caller;
use crate::grant::{Grant, Revocation};
use crate::jose::RefreshKeys;
use crate::store::{StoreError, Tx};

/// Nobody can say that the session has ended.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// The keys are not there yet.
    #[error("there are no keys yet to recognise the token with")]
    NoKeys,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends the grant of a refresh token. Any token that was made for it will do, also one that was replaced: there is no
/// harm in ending what a thief may hold. What is no token, or of a grant that has ended, leaves nothing to do, and that is
/// well (RFC 7009 §2.2).
///
/// # Errors
/// When it is not known whether the session has ended: never a silent success.
pub async fn logout(app: &App, token: &str, caller: Caller) -> Result<(), LogoutError> {
    let keys = app.keyring.refresh_keys().ok_or(LogoutError::NoKeys)?;
    let found = find(app, &keys, token).await?;
    let Some(grant) = found.filter(|grant| grant.revoked_at.is_none()) else { return Ok(()) };
    let event = Event::SessionEnded(&grant.user, &grant.session, Revocation::Logout);
    let end = End { grant: grant.clone(), caller, now: app.clock.now() };
    if app.db.write(end, |tx, end| Box::pin(async move { end.commit(tx).await })).await? {
        audit::record(&event);
    }
    Ok(())
}

/// Whether this is a token of a session that was ended. `false` also when nobody can say.
pub async fn has_ended(app: &App, token: &str) -> bool {
    let Some(keys) = app.keyring.refresh_keys() else { return false };
    let found = find(app, &keys, token).await.ok().flatten();
    found.is_some_and(|grant| grant.revoked_at.is_some())
}

/// The grant that a token was made for.
async fn find(app: &App, keys: &RefreshKeys, token: &str) -> Result<Option<Grant>, StoreError> {
    let Some(presented) = keys.read(token) else { return Ok(None) };
    let id = *presented.claimed_grant();
    let found = app.db.read(id, |tx, id| Box::pin(async move { tx.grant(id).await })).await?;
    Ok(found.filter(|grant| keys.verify(&presented, grant)))
}

/// The one write of a logout.
struct End {
    grant: Grant,
    caller: Caller,
    now: Timestamp,
}

impl End {
    /// `false`: somebody else has ended it meanwhile.
    async fn commit(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let Grant { id, user, session, .. } = &self.grant;
        if !tx.revoke_grant(id, Revocation::Logout, self.now).await? {
            return Ok(false);
        }
        let event = Event::SessionEnded(user, session, Revocation::Logout);
        tx.append_audit(&audit::row(&event, Actor::User, &self.caller, self.now)).await?;
        Ok(true)
    }
}
