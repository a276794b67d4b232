//! Making an account of one's own.

use std::net::IpAddr;

use crate::account::{DisplayName, Email, User};
use crate::app::App;
use crate::audit::{self, Event, ThrottleReason};
use crate::caller::Caller;
use crate::config::Registration as Setting;
use crate::flow::account_entry::Maker;
use crate::flow::accounts::{self, AccountError, NewAccount};
use crate::flow::audit_log;
use crate::flow::throttle::{self, Limit, Throttled};
use crate::password::Password;
use crate::throttle::{Rule, Subject};

/// What somebody says of the account they want. Nothing here can name a role or an id.
pub struct Registration {
    /// The sign-in name.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// What to be called.
    pub name: Option<DisplayName>,
    /// Where it comes from.
    pub address: IpAddr,
    /// The same and more, for the records.
    pub caller: Caller,
}

/// Why the account was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Accounts are made by the operator only.
    #[error("registration is closed")]
    Closed,
    /// Too many from one address.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The account could not be made.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// Makes an account if registration is open.
///
/// An address that has an account is told so: until addresses are verified by mail there is no other way to tell its
/// owner. So that nobody goes through a list of them, each registration that would be carried out counts against the
/// network address it comes from, whatever becomes of it; one that fails through a fault of ours does not.
///
/// # Errors
/// When registration is closed, the address is taken, the password is refused, too many come from one network address,
/// or hashing or storing fails.
pub async fn register(app: &App, registration: Registration) -> Result<User, RegistrationError> {
    if app.config.registration == Setting::Closed {
        return Err(RegistrationError::Closed);
    }
    let Registration { email, password, name, address, caller } = registration;
    let new = accounts::accept(app, NewAccount { email, password, name, roles: Vec::new() })?;

    let limit = Limit {
        subject: Subject::registration_address(address),
        rule: Rule::registration_address(&app.config.throttle),
        reason: ThrottleReason::Address,
    };
    let throttled = |throttled: Throttled| {
        audit_log::refused(app, &Event::RegistrationThrottled, &caller);
        throttled
    };
    let subject = limit.subject.clone();
    let [counter, ..] = app
        .db
        .read(subject, |tx, it| Box::pin(async move { tx.throttles([it, it, it]).await }))
        .await
        .map_err(AccountError::from)?;
    throttle::check(&[(limit.clone(), counter)], app.clock.now()).map_err(throttled)?;
    let place = app.hasher.reserve().map_err(AccountError::from)?;
    let charged = throttle::charge(app, vec![limit]).await.map_err(AccountError::from)?.map_err(throttled)?;

    match accounts::insert(app, new, place, Maker::Anybody(caller)).await {
        Ok(user) => {
            audit::record(&Event::UserRegistered(&user.id));
            Ok(user)
        }
        Err(error) => {
            if matches!(error, AccountError::Hash(_) | AccountError::Store(_)) {
                throttle::give_back(app, charged).await;
            }
            Err(error.into())
        }
    }
}
