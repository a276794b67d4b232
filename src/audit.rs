//! What happened to accounts and keys, one structured log event each, under the log target `signet::audit`.
//!
//! The event names are a contract with whoever alerts on them: `docs/logging.md` lists them. An event carries ids and
//! reasons; never a password, a token, an e-mail address or a name somebody typed.

use crate::account::UserId;

/// Something worth remembering.
#[derive(Debug)]
pub enum Event<'a> {
    /// `user.registered`: somebody made an account of their own.
    UserRegistered(&'a UserId),
    /// `user.created`: the operator made an account.
    UserCreated(&'a UserId),
    /// `user.disabled`: the account may not sign in any more.
    UserDisabled(&'a UserId),
    /// `user.enabled`: the account may sign in again.
    UserEnabled(&'a UserId),
    /// `user.roles`: the operator changed the roles.
    RolesChanged(&'a UserId),
    /// `password.changed`: the account has a new password.
    PasswordChanged(&'a UserId),
    /// `login.success`: a token was issued.
    SignedIn(&'a UserId),
    /// `login.fail`: no token was issued. The caller was told nothing of the reason.
    SignInRefused {
        /// The account, when there is one.
        user: Option<&'a UserId>,
        /// Why.
        reason: SignInRefusal,
    },
    /// `login.throttled`: a sign-in was turned away before its password was looked at.
    SignInThrottled {
        /// The account, when there is one.
        user: Option<&'a UserId>,
        /// What was counted.
        reason: ThrottleReason,
    },
    /// `registration.throttled`: an address has made too many accounts, or tried to.
    RegistrationThrottled,
    /// `account.locked`: strangers have begun the last of their tries. If it fails, only known devices get in.
    AccountLocked(&'a UserId),
    /// `user.unlocked`: the operator forgave strangers their tries.
    UserUnlocked(&'a UserId),
    /// `user.email`: the operator changed the sign-in name.
    EmailChanged(&'a UserId),
    /// `credential.corrupt`: the stored password hash is not one that we wrote.
    CredentialCorrupt(&'a UserId),
    /// `key.created`: a signing key was made.
    KeyCreated(&'a str),
    /// `key.imported`: the operator brought a signing key.
    KeyImported(&'a str),
}

/// Why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInRefusal {
    /// No account has this address.
    UnknownUser,
    /// The password is not the account's.
    WrongPassword,
    /// The account is disabled.
    Disabled,
    /// The account was disabled, deleted or given a new password while the password was being checked.
    Superseded,
}

impl SignInRefusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown-user",
            Self::WrongPassword => "wrong-password",
            Self::Disabled => "disabled",
            Self::Superseded => "superseded",
        }
    }
}

/// What a sign-in that was turned away was counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleReason {
    /// The tries of all strangers at this account.
    Account,
    /// The tries of this known device.
    Device,
    /// The tries from this address.
    Address,
    /// Strangers have used the last of their tries at this account.
    Locked,
}

impl ThrottleReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Device => "device",
            Self::Address => "address",
            Self::Locked => "locked",
        }
    }
}

/// Writes the event to the log, within the span of the request that caused it.
pub fn record(event: &Event<'_>) {
    match event {
        Event::UserRegistered(user) => account("user.registered", user),
        Event::UserCreated(user) => account("user.created", user),
        Event::UserDisabled(user) => account("user.disabled", user),
        Event::UserEnabled(user) => account("user.enabled", user),
        Event::RolesChanged(user) => account("user.roles", user),
        Event::PasswordChanged(user) => account("password.changed", user),
        Event::SignedIn(user) => account("login.success", user),
        Event::SignInRefused { user, reason } => tracing::info!(
            target: "signet::audit",
            event = "login.fail",
            user.id = user.map(tracing::field::display),
            reason = reason.as_str(),
        ),
        Event::SignInThrottled { user, reason } => tracing::info!(
            target: "signet::audit",
            event = "login.throttled",
            user.id = user.map(tracing::field::display),
            reason = reason.as_str(),
        ),
        Event::RegistrationThrottled => {
            tracing::info!(target: "signet::audit", event = "registration.throttled");
        }
        Event::AccountLocked(user) => account("account.locked", user),
        Event::UserUnlocked(user) => account("user.unlocked", user),
        Event::EmailChanged(user) => account("user.email", user),
        Event::CredentialCorrupt(user) => {
            tracing::error!(target: "signet::audit", event = "credential.corrupt", user.id = %user);
        }
        Event::KeyCreated(kid) => tracing::info!(target: "signet::audit", event = "key.created", kid),
        Event::KeyImported(kid) => tracing::info!(target: "signet::audit", event = "key.imported", kid),
    }
}

fn account(event: &'static str, user: &UserId) {
    tracing::info!(target: "signet::audit", event, user.id = %user);
}
