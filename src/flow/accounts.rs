//! The operator's work on accounts. Each act is one durable unit.

use signet_guard::Timestamp;

use crate::account::{DisplayName, Email, Role, User, UserId};
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::caller::Caller;
use crate::flow::sessions::{self, By};
use crate::grant::Revocation;
use crate::password::{Context, HashError, Password, PhcString, Place, PolicyFault};
use crate::store::{Session, StoreError, Tx};
use crate::throttle::{Counter, Rule, Subject};

/// An account to be made.
pub struct NewAccount {
    /// Its sign-in name.
    pub email: Email,
    /// Its password.
    pub password: Password,
    /// What it is called.
    pub name: Option<DisplayName>,
    /// Its roles.
    pub roles: Vec<Role>,
}

/// Why an account was not made or not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The address already has an account.
    #[error("an account with this e-mail address exists already")]
    AddressTaken,
    /// No account has this address.
    #[error("no account has this e-mail address")]
    NoSuchUser,
    /// More roles than a token has room for.
    #[error("an account may have at most {} roles: they travel in every token", Role::MOST)]
    TooManyRoles,
    /// The password is refused; every reason is listed.
    #[error("the password is refused")]
    PasswordRefused(Vec<PolicyFault>),
    /// The password could not be hashed now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an account on the operator's word.
///
/// # Errors
/// When the address is taken, the password is refused, the roles are too many, or hashing or storing fails: then nothing
/// was written.
pub async fn create(app: &App, new: NewAccount) -> Result<User, AccountError> {
    let new = accept(app, new)?;
    let user = insert(app, new, app.hasher.reserve()?).await?;
    audit::record(&Event::UserCreated(&user.id));
    Ok(user)
}

/// An account that may be made.
pub(super) struct Accepted(NewAccount);

/// Checks what can be checked without the database.
pub(super) fn accept(app: &App, mut new: NewAccount) -> Result<Accepted, AccountError> {
    new.roles = distinct(new.roles)?;
    let context = Context { email: Some(&new.email), name: new.name.as_ref() };
    app.password_policy.check(&new.password, &context).map_err(AccountError::PasswordRefused)?;
    Ok(Accepted(new))
}

/// Hashes the password, and writes account and credential in one unit.
pub(super) async fn insert(app: &App, new: Accepted, place: Place) -> Result<User, AccountError> {
    let Accepted(NewAccount { email, password, name, roles }) = new;
    let phc = place.hash(password).await?;

    let now = app.clock.now();
    let user = User {
        id: UserId::random(),
        email,
        name,
        roles,
        credential_version: 0,
        created_at: now,
        last_sign_in: None,
        disabled_at: None,
    };
    let (user, inserted) = app
        .db
        .write((user, phc, now), |tx, (user, phc, now)| {
            Box::pin(async move {
                let inserted = tx.insert_user(user).await?;
                if inserted {
                    tx.put_password(&user.id, phc.as_str(), *now).await?;
                    // Whoever guessed at the name before it had an owner must not have locked the owner out.
                    tx.delete_throttle(&Subject::strangers(&user.email)).await?;
                }
                Ok((user.clone(), inserted))
            })
        })
        .await?;
    if inserted { Ok(user) } else { Err(AccountError::AddressTaken) }
}

/// One page of accounts in the order of their addresses.
///
/// # Errors
/// When the database fails.
pub async fn list(app: &App, after: Option<Email>, limit: u32) -> Result<Vec<User>, StoreError> {
    app.db
        .read((after, limit), |tx, (after, limit)| {
            Box::pin(async move { tx.users(after.as_ref(), *limit).await })
        })
        .await
}

/// The account with this id, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn by_id(app: &App, id: UserId) -> Result<Option<User>, StoreError> {
    app.db.read(id, |tx, id| Box::pin(async move { tx.user(id).await })).await
}

/// Stops an account from signing in, also a sign-in that is under way, and ends its sessions.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn disable(app: &App, email: Email) -> Result<User, AccountError> {
    let user = change(app, email, Change::Disable).await?;
    audit::record(&Event::UserDisabled(&user.id));
    Ok(user)
}

/// Lets a disabled account sign in again.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn enable(app: &App, email: Email) -> Result<User, AccountError> {
    let user = change(app, email, Change::Enable).await?;
    audit::record(&Event::UserEnabled(&user.id));
    Ok(user)
}

/// Replaces the roles of an account. Tokens already issued keep theirs until they expire.
///
/// # Errors
/// When no account has the address, the roles are too many, or the database fails.
pub async fn set_roles(app: &App, email: Email, roles: Vec<Role>) -> Result<User, AccountError> {
    let user = change(app, email, Change::Roles(distinct(roles)?)).await?;
    audit::record(&Event::RolesChanged(&user.id));
    Ok(user)
}

/// Gives an account a new password, and ends its sessions; a sign-in under way with the old one fails.
///
/// # Errors
/// When no account has the address, the password is refused, or hashing or storing fails.
pub async fn set_password(app: &App, email: Email, password: Password) -> Result<User, AccountError> {
    let user = by_email(app, email.clone()).await?.ok_or(AccountError::NoSuchUser)?;
    let context = Context { email: Some(&user.email), name: user.name.as_ref() };
    app.password_policy.check(&password, &context).map_err(AccountError::PasswordRefused)?;
    let phc = app.hasher.hash(password).await?;
    let user = change(app, email, Change::Password(phc)).await?;
    audit::record(&Event::PasswordChanged(&user.id));
    Ok(user)
}

/// Lets strangers try to sign in again, as if none had failed. Known devices have counters of their own, and keep them.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn unlock(app: &App, email: Email) -> Result<User, AccountError> {
    let user = change(app, email, Change::Unlock).await?;
    audit::record(&Event::UserUnlocked(&user.id));
    Ok(user)
}

/// Gives an account another address to sign in with, and ends its sessions. Its password and its known devices stay.
///
/// # Errors
/// When no account has the first address, one has the second, or the database fails.
pub async fn set_email(app: &App, email: Email, new: Email) -> Result<User, AccountError> {
    let user = change(app, email, Change::Email(new.clone())).await?;
    if user.email != new {
        return Err(AccountError::AddressTaken);
    }
    audit::record(&Event::EmailChanged(&user.id));
    Ok(user)
}

/// The account with this address, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn by_email(app: &App, email: Email) -> Result<Option<User>, StoreError> {
    app.db.read(email, |tx, email| Box::pin(async move { tx.user_by_email(email).await })).await
}

/// All that is kept about an account, but for the hash of its password.
pub struct Record {
    /// The account.
    pub user: User,
    /// When its password was set; `None`: it has none.
    pub password_changed_at: Option<Timestamp>,
    /// Failed sign-ins in a row of devices it does not know.
    pub stranger_tries: u32,
    /// When strangers may try again; `None`: now, or, if they are locked out, never.
    pub strangers_free_at: Option<Timestamp>,
    /// Whether strangers have used all their tries.
    pub is_locked: bool,
    /// Its sessions, also those that have ended, as long as anything is stored of them.
    pub sessions: Vec<Session>,
}

/// Everything about the account with this address.
///
/// # Errors
/// When no account has the address, or the database fails.
pub async fn record(app: &App, email: Email) -> Result<Record, AccountError> {
    let (user, password_changed_at, counter, sessions) = app
        .db
        .read(email, |tx, email| {
            Box::pin(async move {
                let Some(user) = tx.user_by_email(email).await? else { return Ok(None) };
                let subject = Subject::strangers(&user.email);
                let [counter, ..] = tx.throttles([&subject, &subject, &subject]).await?;
                let changed_at = tx.password_changed_at(&user.id).await?;
                let sessions = tx.sessions(&user.id).await?;
                Ok(Some((user, changed_at, counter, sessions)))
            })
        })
        .await?
        .ok_or(AccountError::NoSuchUser)?;
    let now = app.clock.now();
    let rule = Rule::strangers(&app.config.throttle);
    let counter = rule.current(&counter.unwrap_or(Counter::none(now)), now);
    let refused = rule.check(&counter, now).err();
    let is_locked = refused.is_some_and(|refused| refused.is_locked);
    Ok(Record {
        user,
        password_changed_at,
        stranger_tries: counter.tries,
        strangers_free_at: refused.filter(|_| !is_locked).map(|_| counter.free_at),
        is_locked,
        sessions,
    })
}

/// Sorted, each once, and not too many.
fn distinct(mut roles: Vec<Role>) -> Result<Vec<Role>, AccountError> {
    roles.sort();
    roles.dedup();
    if roles.len() <= Role::MOST { Ok(roles) } else { Err(AccountError::TooManyRoles) }
}

/// What the operator may change of an account.
enum Change {
    Disable,
    Enable,
    Roles(Vec<Role>),
    Password(PhcString),
    Unlock,
    Email(Email),
}

impl Change {
    /// Answers why the sessions of the account must end with it, if they must.
    async fn apply(
        &self,
        tx: &mut Tx,
        user: &User,
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        match self {
            Self::Disable => {
                tx.disable_user(&user.id, now).await?;
                return Ok(Some(Revocation::AccountDisabled));
            }
            Self::Enable => tx.enable_user(&user.id).await.map(drop)?,
            Self::Roles(roles) => tx.set_roles(&user.id, roles).await.map(drop)?,
            Self::Password(phc) => {
                tx.put_password(&user.id, phc.as_str(), now).await?;
                tx.delete_throttle(&Subject::strangers(&user.email)).await?;
                return Ok(Some(Revocation::CredentialChanged));
            }
            Self::Unlock => tx.delete_throttle(&Subject::strangers(&user.email)).await.map(drop)?,
            Self::Email(new) if *new == user.email => {}
            Self::Email(new) => {
                if tx.set_email(&user.id, new).await? {
                    // As for a new account.
                    tx.delete_throttle(&Subject::strangers(new)).await?;
                    return Ok(Some(Revocation::CredentialChanged));
                }
            }
        }
        Ok(None)
    }
}

/// Changes the account with this address and answers how it stands afterwards.
async fn change(app: &App, email: Email, change: Change) -> Result<User, AccountError> {
    let unit = (email, change, app.clock.now());
    let (user, ended) = app
        .db
        .write(unit, |tx, (email, change, now)| {
            Box::pin(async move {
                let Some(user) = tx.user_by_email(email).await? else { return Ok(None) };
                let ended = match change.apply(tx, &user, *now).await? {
                    None => None,
                    Some(why) => {
                        let by = By { actor: Actor::Operator, caller: Caller::default(), why, at: *now };
                        Some((why, sessions::end_all(tx, &user.id, None, &by).await?))
                    }
                };
                Ok(tx.user(&user.id).await?.map(|user| (user, ended)))
            })
        })
        .await?
        .ok_or(AccountError::NoSuchUser)?;
    if let Some((why, ended)) = ended {
        sessions::record_all(&user.id, why, ended);
    }
    Ok(user)
}
