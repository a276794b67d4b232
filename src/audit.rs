//! What happened to accounts, sessions and keys: a row of the audit log in the unit of the change ([`row`]), and one
//! structured log event after its commit ([`record`]), under the log target `signet::audit`.
//!
//! The event names are a contract with whoever alerts on them: `docs/logging.md` lists them. An event carries ids and
//! reasons; never a password, a token, an e-mail address or a name somebody typed.

use signet_guard::Timestamp;

mod buffer;
mod detail;
pub mod seal;

pub use buffer::{Batch, Buffer, MOST};
pub use detail::{BrokenChain, Detail};

use crate::account::UserId;
use crate::caller::{Caller, UserAgent};
use crate::grant::{Revocation, SessionId};
use crate::store::AuditRow;

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
    /// `login.success`: a grant was given, and with it a session.
    SignedIn(&'a UserId, &'a SessionId),
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
    /// `user.email`: the sign-in name changed.
    EmailChanged(&'a UserId),
    /// `user.name`: the person changed what the account is called.
    NameChanged(&'a UserId),
    /// `user.deleted`: the account is gone, with its password, its roles and its sessions.
    UserDeleted(&'a UserId),
    /// `reauthentication.fail`: somebody with a good token did not prove to be the owner, and nothing was changed.
    ReauthenticationFailed(&'a UserId, Option<&'a SessionId>, ReauthenticationRefusal),
    /// `reauthentication.throttled`: a proof was turned away before its password was looked at.
    ReauthenticationThrottled(&'a UserId, Option<&'a SessionId>, ThrottleReason),
    /// `credential.corrupt`: the stored password hash is not one that we wrote.
    CredentialCorrupt(&'a UserId),
    /// `session.ended`: a grant was revoked.
    SessionEnded(&'a UserId, &'a SessionId, Revocation),
    /// `sessions.ended`: every grant of an account was revoked, or every other one: so many.
    SessionsEnded(&'a UserId, Revocation, usize),
    /// `refresh.success`: a new access token for a refresh token.
    Refreshed(&'a UserId, &'a SessionId, Refresh),
    /// `refresh.fail`: none. The caller was told nothing of the reason.
    RefreshRefused {
        /// The account and the session, when the token is one of ours.
        grant: Option<(&'a UserId, &'a SessionId)>,
        /// Why.
        reason: RefreshRefusal,
    },
    /// `csrf.reject`: a browser was sent here by a page of another site.
    CsrfRejected,
    /// `key.created`: a signing key was made.
    KeyCreated(&'a str),
    /// `key.imported`: the operator brought a signing key.
    KeyImported(&'a str),
    /// `key.rotated`: this key signs from now on.
    KeyRotated(&'a str),
    /// `key.rotation_requested`: the operator wants another key in the place of this one.
    KeyRotationRequested(&'a str),
    /// `key.stopped`: this key signs no more, and has no successor.
    KeyStopped(&'a str),
    /// `key.retired`: the key left the set, and its private half is gone: nothing that it signed is alive.
    KeyRetired(&'a str),
    /// `key.revoked`: the same before its time, with everything that it signed.
    KeyRevoked(&'a str),
    /// `audit.dropped`: so many entries of refusals found no room, and are in the log alone.
    EntriesDropped(i64),
    /// `audit.resealed`: the operator began a new chain of seals where the one before it was broken, in this way.
    AuditResealed(&'static str),
    /// `root_key.added`: the operator added a root key to the file.
    RootKeyAdded(&'a str),
    /// `root_key.activated`: new secrets are made under another root key.
    RootKeyActivated(&'a str),
    /// `restore.detected`: an older backup was put in the place of the database; every session was ended.
    RestoreDetected,
    /// `database.adopted`: the operator gave the keys folder to another database.
    DatabaseAdopted,
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

/// Why somebody with a good token did not prove to be the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReauthenticationRefusal {
    /// No password was sent, and the sign-in is too long ago or the password is needed in any case.
    NoProof,
    /// The password is not the account's.
    WrongPassword,
    /// The account was disabled or given a new password meanwhile.
    Superseded,
}

impl ReauthenticationRefusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::NoProof => "no-proof",
            Self::WrongPassword => "wrong-password",
            Self::Superseded => "superseded",
        }
    }
}

/// What a try that was turned away was counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleReason {
    /// The tries of all strangers at this account.
    Account,
    /// The tries of this known device.
    Device,
    /// The tries from this address.
    Address,
    /// The proofs of the password within this session.
    Session,
    /// Strangers, or this session, have used the last of their tries at this account.
    Locked,
}

impl ThrottleReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Device => "device",
            Self::Address => "address",
            Self::Session => "session",
            Self::Locked => "locked",
        }
    }
}

/// How a refresh went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// The token was replaced by its successor.
    Rotated,
    /// The token is younger than the grace, and stays.
    Kept,
    /// The same successor again: a racer, or an answer that was lost.
    Retried,
}

impl Refresh {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Kept => "kept",
            Self::Retried => "retried",
        }
    }
}

/// Why a refresh was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// Not a token of ours, or of a grant that is long gone.
    Unknown,
    /// An older token came after the grace: its grant was revoked.
    Replayed,
    /// A token of a generation that has not been issued: the database was set back.
    FromFuture,
    /// The grant has reached one of its deadlines.
    Expired,
    /// The grant was revoked before.
    Revoked,
    /// The account is disabled or gone.
    AccountInactive,
    /// Nothing of what was granted is offered any more.
    ScopeWithdrawn,
}

impl RefreshRefusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Replayed => "replayed",
            Self::FromFuture => "from-future",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::AccountInactive => "account-inactive",
            Self::ScopeWithdrawn => "scope-withdrawn",
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The person whose account it is, proven.
    User,
    /// Somebody who proved nothing.
    Anybody,
    /// Whoever may run the command line.
    Operator,
    /// Signet itself.
    Signet,
}

impl Actor {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Anybody => "anybody",
            Self::Operator => "operator",
            Self::Signet => "signet",
        }
    }
}

/// What an event says, taken apart.
struct Parts<'a> {
    name: &'static str,
    user: Option<&'a UserId>,
    session: Option<&'a SessionId>,
    kid: Option<&'a str>,
    reason: Option<&'static str>,
    count: i64,
    /// Something is broken that an operator must look at.
    is_fault: bool,
}

impl<'a> Event<'a> {
    fn parts(&self) -> Parts<'a> {
        let of = |name| Parts {
            name,
            user: None,
            session: None,
            kid: None,
            reason: None,
            count: 1,
            is_fault: false,
        };
        let account = |name, user| Parts { user: Some(user), ..of(name) };
        let key = |name, kid| Parts { kid: Some(kid), ..of(name) };
        match *self {
            Self::UserRegistered(user) => account("user.registered", user),
            Self::UserCreated(user) => account("user.created", user),
            Self::UserDisabled(user) => account("user.disabled", user),
            Self::UserEnabled(user) => account("user.enabled", user),
            Self::RolesChanged(user) => account("user.roles", user),
            Self::PasswordChanged(user) => account("password.changed", user),
            Self::SignedIn(user, session) => {
                Parts { session: Some(session), ..account("login.success", user) }
            }
            Self::SignInRefused { user, reason } => {
                Parts { user, reason: Some(reason.as_str()), ..of("login.fail") }
            }
            Self::SignInThrottled { user, reason } => {
                Parts { user, reason: Some(reason.as_str()), ..of("login.throttled") }
            }
            Self::RegistrationThrottled => of("registration.throttled"),
            Self::AccountLocked(user) => account("account.locked", user),
            Self::UserUnlocked(user) => account("user.unlocked", user),
            Self::EmailChanged(user) => account("user.email", user),
            Self::NameChanged(user) => account("user.name", user),
            Self::UserDeleted(user) => account("user.deleted", user),
            Self::ReauthenticationFailed(user, session, why) => {
                Parts { session, reason: Some(why.as_str()), ..account("reauthentication.fail", user) }
            }
            Self::ReauthenticationThrottled(user, session, why) => {
                Parts { session, reason: Some(why.as_str()), ..account("reauthentication.throttled", user) }
            }
            Self::CredentialCorrupt(user) => Parts { is_fault: true, ..account("credential.corrupt", user) },
            Self::SessionEnded(user, session, why) => {
                Parts { session: Some(session), reason: Some(why.as_str()), ..account("session.ended", user) }
            }
            Self::SessionsEnded(user, why, count) => Parts {
                reason: Some(why.as_str()),
                count: i64::try_from(count).unwrap_or(i64::MAX),
                ..account("sessions.ended", user)
            },
            Self::Refreshed(user, session, how) => Parts {
                session: Some(session),
                reason: Some(how.as_str()),
                ..account("refresh.success", user)
            },
            Self::RefreshRefused { grant, reason } => Parts {
                user: grant.map(|(user, _)| user),
                session: grant.map(|(_, session)| session),
                reason: Some(reason.as_str()),
                ..of("refresh.fail")
            },
            Self::CsrfRejected => of("csrf.reject"),
            Self::KeyCreated(kid) => key("key.created", kid),
            Self::KeyImported(kid) => key("key.imported", kid),
            Self::KeyRotated(kid) => key("key.rotated", kid),
            Self::KeyRotationRequested(kid) => key("key.rotation_requested", kid),
            Self::KeyStopped(kid) => key("key.stopped", kid),
            Self::KeyRetired(kid) => key("key.retired", kid),
            Self::KeyRevoked(kid) => key("key.revoked", kid),
            Self::EntriesDropped(count) => Parts { count, is_fault: true, ..of("audit.dropped") },
            Self::AuditResealed(fault) => {
                Parts { reason: Some(fault), is_fault: true, ..of("audit.resealed") }
            }
            Self::RootKeyAdded(id) => key("root_key.added", id),
            Self::RootKeyActivated(id) => key("root_key.activated", id),
            Self::RestoreDetected => Parts { is_fault: true, ..of("restore.detected") },
            Self::DatabaseAdopted => of("database.adopted"),
        }
    }
}

/// The event as an entry of the audit log, to be written in the unit of the change it tells of.
pub fn row(event: &Event<'_>, actor: Actor, caller: &Caller, at: Timestamp) -> AuditRow {
    let Parts { name, user, session, kid, reason, count, .. } = event.parts();
    AuditRow {
        at,
        event: name.to_owned(),
        actor: actor.as_str().to_owned(),
        user_id: user.map(ToString::to_string),
        session_id: session.map(ToString::to_string),
        client_id: None,
        kid: kid.map(str::to_owned),
        reason: reason.map(str::to_owned),
        count,
        address: caller.address.map(|address| address.to_string()),
        user_agent: caller.user_agent.as_ref().map(UserAgent::as_str).map(str::to_owned),
        request_id: caller.request_id.clone(),
        detail: None,
    }
}

/// The same of something that was done on the command line.
pub fn operator_row(event: &Event<'_>, at: Timestamp, detail: &Detail) -> AuditRow {
    AuditRow { detail: detail.to_json(), ..row(event, Actor::Operator, &Caller::default(), at) }
}

/// Writes the event to the log, within the span of the request that caused it.
pub fn record(event: &Event<'_>) {
    let Parts { name, user, session, kid, reason, count, is_fault } = event.parts();
    let (user, session) = (user.map(tracing::field::display), session.map(tracing::field::display));
    let count = (count != 1).then_some(count);
    if is_fault {
        tracing::error!(target: "signet::audit", event = name, user.id = user, session.id = session, kid, reason, count);
    } else {
        tracing::info!(target: "signet::audit", event = name, user.id = user, session.id = session, kid, reason, count);
    }
}
