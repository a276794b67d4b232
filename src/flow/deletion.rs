//! Deleting an account.

use crate::account::{Email, User, UserId};
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::caller::Caller;
use crate::flow::accounts::AccountError;
use crate::flow::sessions::{self, By};
use crate::grant::Revocation;
use crate::store::{StoreError, Tx};
use crate::throttle::Subject;

/// On the operator's word: deletes an account with its password and its roles, and ends its sessions. Whoever makes an
/// account with the same address later is somebody else, with another id.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn delete(app: &App, email: Email) -> Result<User, AccountError> {
    let why = Revocation::AccountDeleted;
    let by = By { actor: Actor::Operator, caller: Caller::default(), why, at: app.clock.now() };
    let (user, ended) = app
        .db
        .write((email, by), |tx, (email, by)| {
            Box::pin(async move {
                let Some(user) = tx.user_by_email(email).await? else { return Ok(None) };
                Ok(delete_in(tx, &user, by).await?.map(|ended| (user, ended)))
            })
        })
        .await?
        .ok_or(AccountError::NoSuchUser)?;
    record(&user.id, ended);
    Ok(user)
}

/// The unit of a deletion. Answers how many sessions have ended; `None`: there is no such account any more.
///
/// The rows of its grants stay until no access token of them can be alive, so that they go on saying that they are
/// revoked; where they were used from is forgotten at once.
pub(super) async fn delete_in(tx: &mut Tx, user: &User, by: &By) -> Result<Option<usize>, StoreError> {
    if !tx.delete_user(&user.id).await? {
        return Ok(None);
    }
    tx.delete_throttle(&Subject::strangers(&user.email)).await?;
    tx.forget_callers(&user.id).await?;
    tx.append_audit(&audit::row(&Event::UserDeleted(&user.id), by.actor, &by.caller, by.at)).await?;
    sessions::end_all(tx, &user.id, None, by).await.map(Some)
}

/// The log lines of [`delete_in`], once its unit is durable.
pub(super) fn record(user: &UserId, ended: usize) {
    audit::record(&Event::UserDeleted(user));
    sessions::record_all(user, Revocation::AccountDeleted, ended);
}
