//! What a person does to their own account. Each act is one durable unit, and ends what hung on the old state.

use std::net::IpAddr;

use crate::account::{DisplayName, Email, User};
use crate::app::App;
use crate::audit::{self, Actor, Event, ReauthenticationRefusal, ThrottleReason};
use crate::flow::reauthentication::{
    self, Owner, Proof, Reauthenticated, ReauthenticationError, reauthenticate,
};
use crate::flow::sessions::{self, By};
use crate::flow::throttle::{self, Charged, Limit, Throttled};
use crate::flow::{accounts, audit_log, deletion};
use crate::grant::{Revocation, SessionId};
use crate::password::{Context, HashError, Password, PolicyFault};
use crate::store::{StoreError, Tx};
use crate::throttle::{Rule, Subject};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OwnAccountError {
    /// The owner has not proven to be the owner.
    #[error(transparent)]
    Reauthentication(#[from] ReauthenticationError),
    /// The new password is refused; every reason is listed.
    #[error("the password is refused")]
    PasswordRefused(Vec<PolicyFault>),
    /// The new address has an account.
    #[error("an account with this e-mail address exists already")]
    AddressTaken,
    /// Too many addresses were asked for from one network address.
    #[error(transparent)]
    TooManyAddresses(Throttled),
    /// The new password could not be hashed now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account itself.
///
/// # Errors
/// When it is not active, or the database fails.
pub async fn read(app: &App, owner: &Owner) -> Result<User, OwnAccountError> {
    let user = accounts::by_id(app, owner.user.clone()).await?;
    let active = user.filter(|user| user.disabled_at.is_none());
    active.ok_or(OwnAccountError::Reauthentication(ReauthenticationError::AccountGone))
}

/// Replaces the password, for whoever knows the current one, and ends every other session.
///
/// # Errors
/// See [`OwnAccountError`].
pub async fn change_password(
    app: &App,
    owner: &Owner,
    current: Option<Password>,
    new: Password,
) -> Result<(), OwnAccountError> {
    // Before the proof: a password that is refused shall cost neither a try nor a hash.
    let user = read(app, owner).await?;
    let context = Context { email: Some(&user.email), name: user.name.as_ref() };
    app.password_policy.check(&new, &context).map_err(OwnAccountError::PasswordRefused)?;
    let Reauthenticated(user) = reauthenticate(app, owner, current, Proof::Password).await?;
    let phc = app.hasher.reserve_kept()?.hash(new).await?;

    let by = by(app, owner, Revocation::CredentialChanged);
    let ended = app
        .db
        .write((user, phc, owner.session.clone(), by), |tx, (user, phc, session, by)| {
            Box::pin(async move {
                if !tx.hold_user(&user.id, user.credential_version).await? {
                    return Ok(None);
                }
                tx.put_password(&user.id, phc.as_str(), by.at).await?;
                // What strangers guessed at is no more.
                tx.delete_throttle(&Subject::strangers(&user.email)).await?;
                append(tx, &Event::PasswordChanged(&user.id), by).await?;
                sessions::end_all(tx, &user.id, session.as_ref(), by).await.map(Some)
            })
        })
        .await?
        .ok_or_else(|| superseded(app, owner, Proof::Password))?;
    audit::record(&Event::PasswordChanged(&owner.user));
    sessions::record_all(&owner.user, Revocation::CredentialChanged, ended);
    Ok(())
}

/// What shall be different.
#[derive(Default)]
pub struct Changes {
    /// What to be called; nothing inside: nothing any more.
    pub name: Option<Option<DisplayName>>,
    /// The address to sign in with.
    pub email: Option<Email>,
}

/// Changes what the account is called, and the address to sign in with; answers the account as it is then.
///
/// Another address needs a proof, ends every other session and, as a registration, counts against the network address it
/// comes from, because the answer tells whether somebody has it. A name needs none.
///
/// # Errors
/// See [`OwnAccountError`].
pub async fn update(
    app: &App,
    owner: &Owner,
    changes: Changes,
    current: Option<Password>,
    address: IpAddr,
) -> Result<User, OwnAccountError> {
    let user = read(app, owner).await?;
    let Changes { name, email } = changes;
    let Some(email) = email.filter(|email| *email != user.email) else {
        return rename(app, owner, user, name).await;
    };
    let proof = Proof::PasswordOrRecentSignIn;
    let Reauthenticated(user) = reauthenticate(app, owner, current, proof).await?;
    let charged = charge(app, owner, address).await?;

    let by = by(app, owner, Revocation::CredentialChanged);
    let moving = Moving { user, email, name, session: owner.session.clone(), by };
    let moved = app.db.write(moving, |tx, moving| Box::pin(async move { moving.carry_out(tx).await })).await;
    match moved {
        Ok(Moved::Done { user, is_renamed, ended }) => {
            audit::record(&Event::EmailChanged(&user.id));
            if is_renamed {
                audit::record(&Event::NameChanged(&user.id));
            }
            sessions::record_all(&user.id, Revocation::CredentialChanged, ended);
            Ok(*user)
        }
        Ok(Moved::Taken) => Err(OwnAccountError::AddressTaken),
        Ok(Moved::Superseded) => Err(superseded(app, owner, proof)),
        Err(error) => {
            throttle::give_back(app, charged).await;
            Err(error.into())
        }
    }
}

/// Deletes the account and ends its sessions, the present one too.
///
/// # Errors
/// See [`OwnAccountError`].
pub async fn delete(app: &App, owner: &Owner, current: Option<Password>) -> Result<(), OwnAccountError> {
    let proof = Proof::PasswordOrRecentSignIn;
    let Reauthenticated(user) = reauthenticate(app, owner, current, proof).await?;
    let by = by(app, owner, Revocation::AccountDeleted);
    let ended = app
        .db
        .write((user, by), |tx, (user, by)| {
            Box::pin(async move {
                if !tx.hold_user(&user.id, user.credential_version).await? {
                    return Ok(None);
                }
                deletion::delete_in(tx, user, by).await
            })
        })
        .await?
        .ok_or_else(|| superseded(app, owner, proof))?;
    deletion::record(&owner.user, ended);
    Ok(())
}

async fn rename(
    app: &App,
    owner: &Owner,
    user: User,
    name: Option<Option<DisplayName>>,
) -> Result<User, OwnAccountError> {
    let Some(name) = name.filter(|name| *name != user.name) else { return Ok(user) };
    let by = by(app, owner, Revocation::CredentialChanged);
    let user = app
        .db
        .write((user.id, name, by), |tx, (id, name, by)| {
            Box::pin(async move {
                if !tx.set_name(id, name.as_ref()).await? {
                    return Ok(None);
                }
                append(tx, &Event::NameChanged(id), by).await?;
                tx.user(id).await
            })
        })
        .await?
        .ok_or(OwnAccountError::Reauthentication(ReauthenticationError::AccountGone))?;
    audit::record(&Event::NameChanged(&user.id));
    Ok(user)
}

/// An account on its way to another address.
struct Moving {
    user: User,
    email: Email,
    name: Option<Option<DisplayName>>,
    session: Option<SessionId>,
    by: By,
}

enum Moved {
    Done { user: Box<User>, is_renamed: bool, ended: usize },
    Taken,
    Superseded,
}

impl Moving {
    async fn carry_out(&self, tx: &mut Tx) -> Result<Moved, StoreError> {
        let id = &self.user.id;
        if !tx.hold_user(id, self.user.credential_version).await? {
            return Ok(Moved::Superseded);
        }
        if !tx.set_email(id, &self.email).await? {
            return Ok(Moved::Taken);
        }
        // As for a new account.
        tx.delete_throttle(&Subject::strangers(&self.email)).await?;
        append(tx, &Event::EmailChanged(id), &self.by).await?;
        let renamed = self.name.as_ref().filter(|name| **name != self.user.name);
        if let Some(name) = renamed {
            tx.set_name(id, name.as_ref()).await?;
            append(tx, &Event::NameChanged(id), &self.by).await?;
        }
        let Some(user) = tx.user(id).await? else { return Ok(Moved::Superseded) };
        let ended = sessions::end_all(tx, id, self.session.as_ref(), &self.by).await?;
        Ok(Moved::Done { user: Box::new(user), is_renamed: renamed.is_some(), ended })
    }
}

/// Counts a question about an address as a registration is counted.
async fn charge(app: &App, owner: &Owner, address: IpAddr) -> Result<Charged, OwnAccountError> {
    let limit = Limit {
        subject: Subject::registration_address(address),
        rule: Rule::registration_address(&app.config.throttle),
        reason: ThrottleReason::Address,
    };
    throttle::charge(app, vec![limit]).await?.map_err(|throttled| {
        audit_log::refused(app, &Event::RegistrationThrottled, &owner.caller);
        OwnAccountError::TooManyAddresses(throttled)
    })
}

fn by(app: &App, owner: &Owner, why: Revocation) -> By {
    By { actor: Actor::User, caller: owner.caller.clone(), why, at: app.clock.now() }
}

async fn append(tx: &mut Tx, event: &Event<'_>, by: &By) -> Result<(), StoreError> {
    tx.append_audit(&audit::row(event, by.actor, &by.caller, by.at)).await
}

/// The credentials are no longer those that the proof was about: it proves nothing.
fn superseded(app: &App, owner: &Owner, proof: Proof) -> OwnAccountError {
    reauthentication::refused(app, owner, proof, ReauthenticationRefusal::Superseded).into()
}
