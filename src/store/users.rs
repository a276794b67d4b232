//! `users` and `user_roles`.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};
use crate::account::{DisplayName, Email, Role, User, UserId};

/// The columns of a [`UserRow`], in its order, of `users` as `u`. A role holds no space.
macro_rules! user_columns {
    () => {
        "u.id, u.email, u.name, u.credential_version, u.created_at, u.last_sign_in, u.disabled_at, \
         (SELECT string_agg(r.role, ' ') FROM user_roles r WHERE r.user_id = u.id)"
    };
}
pub(super) use user_columns;

const INSERT_USER: &str = "INSERT INTO users (id, email, name, credential_version, created_at, last_sign_in, \
     disabled_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING";
const INSERT_ROLE: &str = "INSERT INTO user_roles (user_id, role) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const DELETE_ROLES: &str = "DELETE FROM user_roles WHERE user_id = $1";
const LOCK_USER: &str = "UPDATE users SET email = email WHERE id = $1";
const USER: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = $1");
const USER_BY_EMAIL: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.email = $1");
const USERS: &str = concat!("SELECT ", user_columns!(), " FROM users u ORDER BY u.email LIMIT $1");
const USERS_AFTER: &str =
    concat!("SELECT ", user_columns!(), " FROM users u WHERE u.email > $1 ORDER BY u.email LIMIT $2");
const DISABLE_USER: &str = "UPDATE users SET disabled_at = COALESCE(disabled_at, $2), \
     credential_version = credential_version + 1 WHERE id = $1";
const ENABLE_USER: &str =
    "UPDATE users SET disabled_at = NULL, credential_version = credential_version + 1 WHERE id = $1";
const HOLD_USER: &str =
    "UPDATE users SET email = email WHERE id = $1 AND disabled_at IS NULL AND credential_version = $2";
const SET_NAME: &str = "UPDATE users SET name = $2 WHERE id = $1";
// Password and roles go with it, by reference.
const DELETE_USER: &str = "DELETE FROM users WHERE id = $1";
// The unique index has the last word where two transactions take one address at once.
const SET_EMAIL: &str = "UPDATE users SET email = $2 \
     WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM users taken WHERE taken.email = $2 AND taken.id <> $1)";
const RECORD_SIGN_IN: &str = "UPDATE users SET last_sign_in = $3 \
     WHERE id = $1 AND disabled_at IS NULL AND credential_version = $2 AND email = $4";

pub(super) type UserRow =
    (String, String, Option<String>, i64, i64, Option<i64>, Option<i64>, Option<String>);

pub(super) fn user_from_row(row: UserRow) -> Result<User, StoreError> {
    let corrupt = |what| StoreError::Corrupt { table: "users", what };
    let (id, email, name, credential_version, created_at, last_sign_in, disabled_at, roles) = row;
    let mut roles = roles
        .iter()
        .flat_map(|roles| roles.split(' '))
        .map(Role::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| StoreError::Corrupt { table: "user_roles", what: "a role is not one" })?;
    roles.sort();
    Ok(User {
        id: UserId::parse(&id).map_err(|_| corrupt("an id is not a UUID"))?,
        email: Email::parse(&email)
            .ok()
            .filter(|parsed| parsed.as_str() == email)
            .ok_or_else(|| corrupt("an e-mail address is not one"))?,
        name: name
            .map(|name| DisplayName::parse(&name))
            .transpose()
            .map_err(|_| corrupt("a display name is not one"))?,
        roles,
        credential_version,
        created_at: Timestamp::from_seconds(created_at),
        last_sign_in: last_sign_in.map(Timestamp::from_seconds),
        disabled_at: disabled_at.map(Timestamp::from_seconds),
    })
}

impl Tx {
    /// Makes an account with its roles. `false`: the address is taken, and nothing was written.
    ///
    /// # Errors
    /// As every statement: see [`StoreError`].
    pub async fn insert_user(&mut self, user: &User) -> Result<bool, StoreError> {
        let inserted = execute!(
            self,
            sqlx::query(INSERT_USER)
                .bind(user.id.as_str())
                .bind(user.email.as_str())
                .bind(user.name.as_ref().map(DisplayName::as_str))
                .bind(user.credential_version)
                .bind(user.created_at.as_seconds())
                .bind(user.last_sign_in.map(Timestamp::as_seconds))
                .bind(user.disabled_at.map(Timestamp::as_seconds))
        )?;
        if inserted == 0 {
            return Ok(false);
        }
        self.insert_roles(&user.id, &user.roles).await?;
        Ok(true)
    }

    async fn insert_roles(&mut self, id: &UserId, roles: &[Role]) -> Result<(), StoreError> {
        for role in roles {
            execute!(self, sqlx::query(INSERT_ROLE).bind(id.as_str()).bind(role.as_str()))?;
        }
        Ok(())
    }

    /// The account with this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the row holds what no account has; otherwise as every statement.
    pub async fn user(&mut self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = fetch_optional!(self, sqlx::query_as(USER).bind(id.as_str()))?;
        row.map(user_from_row).transpose()
    }

    /// The account with this address.
    ///
    /// # Errors
    /// As [`Tx::user`].
    pub async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = fetch_optional!(self, sqlx::query_as(USER_BY_EMAIL).bind(email.as_str()))?;
        row.map(user_from_row).transpose()
    }

    /// At most `limit` accounts in the order of their addresses, beginning behind `after`.
    ///
    /// # Errors
    /// As [`Tx::user`].
    pub async fn users(&mut self, after: Option<&Email>, limit: u32) -> Result<Vec<User>, StoreError> {
        let limit = i64::from(limit);
        let rows: Vec<UserRow> = match after {
            None => fetch_all!(self, sqlx::query_as(USERS).bind(limit))?,
            Some(email) => fetch_all!(self, sqlx::query_as(USERS_AFTER).bind(email.as_str()).bind(limit))?,
        };
        rows.into_iter().map(user_from_row).collect()
    }

    /// Gives an account these roles and no others. `false`: no such account.
    ///
    /// # Errors
    /// As every statement.
    pub async fn set_roles(&mut self, id: &UserId, roles: &[Role]) -> Result<bool, StoreError> {
        // Changes nothing, but holds the row: of two who set roles at once, one set remains, not a mixture.
        if execute!(self, sqlx::query(LOCK_USER).bind(id.as_str()))? == 0 {
            return Ok(false);
        }
        execute!(self, sqlx::query(DELETE_ROLES).bind(id.as_str()))?;
        self.insert_roles(id, roles).await?;
        Ok(true)
    }

    /// Gives an account another address. `false`: no such account, or another one has the address.
    ///
    /// # Errors
    /// As every statement.
    pub async fn set_email(&mut self, id: &UserId, email: &Email) -> Result<bool, StoreError> {
        let set = execute!(self, sqlx::query(SET_EMAIL).bind(id.as_str()).bind(email.as_str()));
        Ok(set.map_err(StoreError::or_taken_meanwhile)? == 1)
    }

    /// Disables an account and bumps its credential version. A disabled account keeps the time it was disabled at.
    /// `false`: no such account.
    ///
    /// # Errors
    /// As every statement.
    pub async fn disable_user(&mut self, id: &UserId, now: Timestamp) -> Result<bool, StoreError> {
        let changed = execute!(self, sqlx::query(DISABLE_USER).bind(id.as_str()).bind(now.as_seconds()))?;
        Ok(changed == 1)
    }

    /// Enables an account and bumps its credential version. `false`: no such account.
    ///
    /// # Errors
    /// As every statement.
    pub async fn enable_user(&mut self, id: &UserId) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(ENABLE_USER).bind(id.as_str()))? == 1)
    }

    /// Notes a sign-in, if the account is enabled and its address and its credentials are still those that were verified.
    /// `false`: they are not, and the sign-in must fail.
    ///
    /// # Errors
    /// As every statement.
    pub async fn record_sign_in(
        &mut self,
        id: &UserId,
        email: &Email,
        credential_version: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = execute!(
            self,
            sqlx::query(RECORD_SIGN_IN)
                .bind(id.as_str())
                .bind(credential_version)
                .bind(now.as_seconds())
                .bind(email.as_str())
        )?;
        Ok(changed == 1)
    }

    /// Holds an account until the unit ends, if it is enabled and its credentials are still those that were verified.
    /// `false`: they are not, and what was asked for must not be done.
    ///
    /// # Errors
    /// As every statement.
    pub async fn hold_user(&mut self, id: &UserId, credential_version: i64) -> Result<bool, StoreError> {
        let held = execute!(self, sqlx::query(HOLD_USER).bind(id.as_str()).bind(credential_version))?;
        Ok(held == 1)
    }

    /// Calls an account something else, or nothing. `false`: no such account.
    ///
    /// # Errors
    /// As every statement.
    pub async fn set_name(&mut self, id: &UserId, name: Option<&DisplayName>) -> Result<bool, StoreError> {
        let name = name.map(DisplayName::as_str);
        Ok(execute!(self, sqlx::query(SET_NAME).bind(id.as_str()).bind(name))? == 1)
    }

    /// Deletes an account with its password and its roles. `false`: no such account. Its grants are the caller's to end.
    ///
    /// # Errors
    /// As every statement.
    pub async fn delete_user(&mut self, id: &UserId) -> Result<bool, StoreError> {
        Ok(execute!(self, sqlx::query(DELETE_USER).bind(id.as_str()))? == 1)
    }
}
