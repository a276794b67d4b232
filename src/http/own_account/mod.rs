//! `/api/v1/me`: what a person reads and changes of their own account, guarded by our own guard.

pub(super) mod account;
pub(super) mod password;
pub(super) mod sessions;

use utoipa::ToSchema;

use super::extract::Fields;
use crate::password::Password;

/// The proof that goes with a change, unless the sign-in of the token is at most five minutes old.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `Fields` reads it")]
pub(crate) struct ReauthenticationRequest {
    /// The password as it is now.
    #[schema(format = "password", example = "a quiet walk by the sea")]
    current_password: Option<String>,
}

fn current_password(fields: &mut Fields) -> Option<Password> {
    fields.optional_secret("current_password").map(Password::new)
}
