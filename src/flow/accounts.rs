//! The operator's work on accounts. Each act is one durable unit.

use crate::account::{DisplayName, Email, Role, User, UserId};
use crate::app::App;
use crate::audit::{self, Event};
use crate::password::{Context, HashError, Password, PhcString, PolicyFault};
use crate::store::StoreError;

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
    let user = insert(app, new).await?;
    audit::record(&Event::UserCreated(&user.id));
    Ok(user)
}

/// Checks the password, hashes it, and writes account and credential in one unit.
pub(super) async fn insert(app: &App, new: NewAccount) -> Result<User, AccountError> {
    let roles = distinct(new.roles)?;
    let context = Context { email: Some(&new.email), name: new.name.as_ref() };
    app.password_policy.check(&new.password, &context).map_err(AccountError::PasswordRefused)?;
    let phc = app.hasher.hash(new.password).await?;

    let now = app.clock.now();
    let user = User {
        id: UserId::random(),
        email: new.email,
        name: new.name,
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

/// Stops an account from signing in; also a sign-in that is under way.
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

/// Gives an account a new password; a sign-in under way with the old one fails.
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

/// The account with this address, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn by_email(app: &App, email: Email) -> Result<Option<User>, StoreError> {
    app.db.read(email, |tx, email| Box::pin(async move { tx.user_by_email(email).await })).await
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
}

/// Changes the account with this address and answers how it stands afterwards.
async fn change(app: &App, email: Email, change: Change) -> Result<User, AccountError> {
    let unit = (email, change, app.clock.now());
    app.db
        .write(unit, |tx, (email, change, now)| {
            Box::pin(async move {
                let Some(user) = tx.user_by_email(email).await? else { return Ok(None) };
                match change {
                    Change::Disable => tx.disable_user(&user.id, *now).await.map(drop)?,
                    Change::Enable => tx.enable_user(&user.id).await.map(drop)?,
                    Change::Roles(roles) => tx.set_roles(&user.id, roles).await.map(drop)?,
                    Change::Password(phc) => tx.put_password(&user.id, phc.as_str(), *now).await.map(drop)?,
                }
                tx.user(&user.id).await
            })
        })
        .await?
        .ok_or(AccountError::NoSuchUser)
}
