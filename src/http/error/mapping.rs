//! From the errors of the flows to problem documents. What the operator needs goes to the log here, once.

use std::time::Duration;

use super::Problem;
use crate::flow::accounts::AccountError;
use crate::flow::logout::LogoutError;
use crate::flow::own_account::OwnAccountError;
use crate::flow::readiness::NotReady;
use crate::flow::reauthentication::{Proof, ReauthenticationError};
use crate::flow::refresh::RefreshError;
use crate::flow::registration::RegistrationError;
use crate::flow::sessions::OwnSessionsError;
use crate::flow::sign_in::SignInError;
use crate::flow::status::StatusError;
use crate::http::extract::FieldFault;
use crate::jose::SignError;
use crate::password::{HashError, PolicyFault};
use crate::store::StoreError;

/// When to try again what failed for a reason that passes by itself.
const SOON: Duration = Duration::from_secs(1);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(tracing::field::display);
        tracing::error!(error = %error, cause, "the database failed");
        if error.is_temporary() { Self::unavailable(SOON) } else { Self::internal() }
    }
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::unavailable(retry_after),
            error => {
                tracing::error!(error = %error, "hashing failed");
                if error == HashError::OutOfMemory { Self::unavailable(SOON) } else { Self::internal() }
            }
        }
    }
}

impl From<SignError> for Problem {
    fn from(error: SignError) -> Self {
        tracing::error!(error = %error, "signing failed");
        match error {
            SignError::NoActiveKey | SignError::KeysUnread | SignError::Busy { .. } => {
                Self::unavailable(SOON)
            }
            _ => Self::internal(),
        }
    }
}

impl From<StatusError> for Problem {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::Unread => Self::unavailable(SOON),
            StatusError::Sign(error) => error.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::sign_in_refused(),
            SignInError::InvalidScope => Self::invalid(vec![FieldFault {
                field: "scope".to_owned(),
                code: "invalid-scope",
                detail: "asks for more than this service offers; leave it out to get all of it".to_owned(),
            }]),
            SignInError::Throttled(throttled) => Self::too_many_sign_ins(throttled.retry_after),
            SignInError::Hash(error) => error.into(),
            SignInError::Sign(error) => error.into(),
            SignInError::Store(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Refused => Self::invalid_grant(),
            RefreshError::WiderScope => Self::invalid(vec![FieldFault {
                field: "scope".to_owned(),
                code: "invalid-scope",
                detail: "asks for more than was granted at sign-in; leave it out to get all of that"
                    .to_owned(),
            }]),
            RefreshError::Contended => Self::unavailable(SOON),
            RefreshError::Sign(error) => error.into(),
            RefreshError::Store(error) => error.into(),
        }
    }
}

/// Whatever the reason, the caller must not take the session for ended, and should try again (RFC 7009 §2.2.1).
impl From<LogoutError> for Problem {
    fn from(error: LogoutError) -> Self {
        match error {
            LogoutError::NoKeys => Self::unavailable(SOON),
            LogoutError::Store(error) => {
                let cause = std::error::Error::source(&error).map(tracing::field::display);
                tracing::error!(error = %error, cause, "the database failed");
                Self::unavailable(SOON)
            }
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::AddressTaken => Self::address_taken(),
            AccountError::NoSuchUser => Self::not_found(),
            AccountError::TooManyRoles => Self::invalid(vec![FieldFault {
                field: "roles".to_owned(),
                code: "invalid",
                detail: error.to_string(),
            }]),
            AccountError::PasswordRefused(faults) => {
                Self::invalid(faults.iter().map(|fault| password_fault("password", fault)).collect())
            }
            AccountError::Hash(error) => error.into(),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Closed => Self::registration_closed(),
            RegistrationError::Throttled(throttled) => Self::too_many_registrations(throttled.retry_after),
            RegistrationError::Account(error) => error.into(),
        }
    }
}

impl From<ReauthenticationError> for Problem {
    fn from(error: ReauthenticationError) -> Self {
        match error {
            ReauthenticationError::AccountGone => Self::account_gone(),
            ReauthenticationError::Required(Proof::Password) => Self::current_password_required(),
            ReauthenticationError::Required(Proof::PasswordOrRecentSignIn) => {
                Self::reauthentication_required()
            }
            ReauthenticationError::Throttled(throttled) => Self::too_many_proofs(throttled.retry_after),
            ReauthenticationError::Hash(error) => error.into(),
            ReauthenticationError::Store(error) => error.into(),
        }
    }
}

impl From<OwnAccountError> for Problem {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::Reauthentication(error) => error.into(),
            OwnAccountError::PasswordRefused(faults) => {
                Self::invalid(faults.iter().map(|fault| password_fault("new_password", fault)).collect())
            }
            OwnAccountError::AddressTaken => Self::address_taken(),
            OwnAccountError::TooManyAddresses(throttled) => {
                Self::too_many_registrations(throttled.retry_after)
            }
            OwnAccountError::Hash(error) => error.into(),
            OwnAccountError::Store(error) => error.into(),
        }
    }
}

impl From<OwnSessionsError> for Problem {
    fn from(error: OwnSessionsError) -> Self {
        match error {
            OwnSessionsError::AccountGone => Self::account_gone(),
            OwnSessionsError::NoSuchSession => Self::no_such_session(),
            OwnSessionsError::Store(error) => error.into(),
        }
    }
}

impl From<NotReady> for Problem {
    fn from(_: NotReady) -> Self {
        Self::unavailable(SOON)
    }
}

fn password_fault(field: &str, fault: &PolicyFault) -> FieldFault {
    FieldFault { field: field.to_owned(), code: fault.code(), detail: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_not_called_our_fault() {
        let busy = HashError::Busy { retry_after: SOON };
        assert_eq!([busy, HashError::OutOfMemory].map(|error| Problem::from(error).status), [503, 503]);
        assert_eq!(Problem::from(HashError::Engine).status, 500);
    }
}
