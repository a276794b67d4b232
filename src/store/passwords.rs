//! `passwords`: the stored hashes, and what a sign-in reads.

use std::fmt;

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_optional};
use super::users::{UserRow, user_columns, user_from_row};
use crate::account::{Email, User, UserId};

const SIGN_IN_CANDIDATE: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", p.phc FROM users u LEFT JOIN passwords p ON p.user_id = u.id WHERE u.email = $1"
);
const CREDENTIAL: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", p.phc FROM users u LEFT JOIN passwords p ON p.user_id = u.id WHERE u.id = $1"
);
const BUMP_CREDENTIAL_VERSION: &str =
    "UPDATE users SET credential_version = credential_version + 1 WHERE id = $1";
const PUT_PASSWORD: &str = "INSERT INTO passwords (user_id, phc, changed_at) VALUES ($1, $2, $3) \
     ON CONFLICT (user_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at";
const PASSWORD_CHANGED_AT: &str = "SELECT changed_at FROM passwords WHERE user_id = $1";
const REPLACE_OUTDATED_PASSWORD: &str = "UPDATE passwords SET phc = $3 WHERE user_id = $1 AND phc = $2";

/// The nil UUID (RFC 9562 §5.9), which no account has.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// What a sign-in with a password needs to know, read at once.
pub struct SignInCandidate {
    /// The account.
    pub user: User,
    /// The hash of its password as a PHC string, if it has one.
    pub password: Option<String>,
}

impl fmt::Debug for SignInCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInCandidate").field("user", &self.user.id).finish_non_exhaustive()
    }
}

/// The columns of a [`UserRow`], and the hash.
type CandidateRow =
    (String, String, Option<String>, i64, i64, Option<i64>, Option<i64>, Option<String>, Option<String>);

fn candidate(row: CandidateRow) -> Result<SignInCandidate, StoreError> {
    let (id, email, name, version, created_at, last_sign_in, disabled_at, roles, password) = row;
    let user: UserRow = (id, email, name, version, created_at, last_sign_in, disabled_at, roles);
    Ok(SignInCandidate { user: user_from_row(user)?, password })
}

impl Tx {
    /// The account with this address and the hash of its password.
    ///
    /// # Errors
    /// As [`Tx::user`].
    pub async fn sign_in_candidate(&mut self, email: &Email) -> Result<Option<SignInCandidate>, StoreError> {
        let row: Option<CandidateRow> =
            fetch_optional!(self, sqlx::query_as(SIGN_IN_CANDIDATE).bind(email.as_str()))?;
        let Some(row) = row else {
            // Reading an account's row takes time too, and nothing shall tell who has one: as much is read of nobody's.
            let nobody: UserRow =
                (NOBODY.to_owned(), email.as_str().to_owned(), None, 0, 0, Some(0), None, None);
            std::hint::black_box(user_from_row(nobody)?);
            return Ok(None);
        };
        candidate(row).map(Some)
    }

    /// The account with this id and the hash of its password.
    ///
    /// # Errors
    /// As [`Tx::user`].
    pub async fn credential(&mut self, id: &UserId) -> Result<Option<SignInCandidate>, StoreError> {
        let row: Option<CandidateRow> = fetch_optional!(self, sqlx::query_as(CREDENTIAL).bind(id.as_str()))?;
        row.map(candidate).transpose()
    }

    /// Gives an account a password and bumps its credential version, also when it is the account's first. `false`: no
    /// such account, and nothing was written.
    ///
    /// # Errors
    /// As every statement.
    pub async fn put_password(&mut self, id: &UserId, phc: &str, now: Timestamp) -> Result<bool, StoreError> {
        if execute!(self, sqlx::query(BUMP_CREDENTIAL_VERSION).bind(id.as_str()))? == 0 {
            return Ok(false);
        }
        execute!(self, sqlx::query(PUT_PASSWORD).bind(id.as_str()).bind(phc).bind(now.as_seconds()))?;
        Ok(true)
    }

    /// When the password of an account was set; `None`: it has none.
    ///
    /// # Errors
    /// As every statement.
    pub async fn password_changed_at(&mut self, id: &UserId) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<(i64,)> =
            fetch_optional!(self, sqlx::query_as(PASSWORD_CHANGED_AT).bind(id.as_str()))?;
        Ok(row.map(|(at,)| Timestamp::from_seconds(at)))
    }

    /// Replaces a hash by a costlier one of the same password. `false`: the password has changed meanwhile. The
    /// credential version stays.
    ///
    /// # Errors
    /// As every statement.
    pub async fn replace_outdated_password(
        &mut self,
        id: &UserId,
        old_phc: &str,
        new_phc: &str,
    ) -> Result<bool, StoreError> {
        let changed = execute!(
            self,
            sqlx::query(REPLACE_OUTDATED_PASSWORD).bind(id.as_str()).bind(old_phc).bind(new_phc)
        )?;
        Ok(changed == 1)
    }
}
