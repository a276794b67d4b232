//! Making an account of one's own.

use crate::account::{DisplayName, Email, User};
use crate::app::App;
use crate::audit::{self, Event};
use crate::config::Registration as Setting;
use crate::flow::accounts::{self, AccountError, NewAccount};
use crate::password::Password;

/// What somebody says of the account they want. Nothing here can name a role or an id.
pub struct Registration {
    /// The sign-in name.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// What to be called.
    pub name: Option<DisplayName>,
}

/// Why the account was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Accounts are made by the operator only.
    #[error("registration is closed")]
    Closed,
    /// The account could not be made.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// Makes an account if registration is open.
///
/// An address that has an account is told so: until addresses are verified by mail there is no other way to tell its
/// owner.
///
/// # Errors
/// When registration is closed, the address is taken, the password is refused, or hashing or storing fails.
pub async fn register(app: &App, registration: Registration) -> Result<User, RegistrationError> {
    if app.config.registration == Setting::Closed {
        return Err(RegistrationError::Closed);
    }
    let Registration { email, password, name } = registration;
    let user = accounts::insert(app, NewAccount { email, password, name, roles: Vec::new() }).await?;
    audit::record(&Event::UserRegistered(&user.id));
    Ok(user)
}
