//! An account as the API shows it.

use serde::Serialize;
use signet_guard::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::account::User;

/// An account, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserDocument {
    /// The subject of its tokens.
    #[schema(format = "uuid")]
    id: String,
    /// The sign-in name, normalised.
    email: String,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Its roles.
    roles: Vec<String>,
    /// When it was made (RFC 3339).
    #[schema(format = "date-time")]
    created_at: String,
}

impl From<&User> for UserDocument {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.as_str().to_owned(),
            name: user.name.as_ref().map(|name| name.as_str().to_owned()),
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            created_at: rfc3339(user.created_at),
        }
    }
}

/// RFC 3339 in UTC. An instant beyond the year 9999 is one we never wrote.
pub(super) fn rfc3339(instant: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(instant.as_seconds())
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_default()
}
