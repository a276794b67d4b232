//! `grants`, as the sessions that a person or an operator looks at and ends.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};
use crate::account::UserId;
use crate::caller::{Caller, UserAgent};
use crate::grant::{Revocation, SessionId};

/// The columns of a [`SessionRow`], in its order.
macro_rules! session_columns {
    () => {
        "session_id, client_id, scope, created_at, rotated_at, authenticated_at, idle_until, expires_at, revoked_at, \
         revoked_for, last_address, last_user_agent"
    };
}

const LIVE_SESSIONS: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM grants WHERE user_id = $1 AND revoked_at IS NULL AND idle_until > $2 AND expires_at > $2 \
     ORDER BY rotated_at DESC, serial DESC LIMIT $3"
);
const SESSIONS: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM grants WHERE user_id = $1 ORDER BY rotated_at DESC, serial DESC"
);
const HAS_SESSION: &str =
    "SELECT serial FROM grants WHERE user_id = $1 AND session_id = $2 AND revoked_at IS NULL";
const REVOKE_SESSION: &str = "UPDATE grants SET revoked_at = $3, revoked_for = $4 \
     WHERE user_id = $1 AND session_id = $2 AND revoked_at IS NULL RETURNING serial";
const FORGET_CALLERS: &str =
    "UPDATE grants SET last_address = NULL, last_user_agent = NULL WHERE user_id = $1";

/// A grant without what its tokens are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its public name.
    pub id: SessionId,
    /// To which client it was given.
    pub client_id: String,
    /// What it allows at most.
    pub scope: String,
    /// When it was given.
    pub created_at: Timestamp,
    /// When its refresh token was rotated last, or when it was given.
    pub last_used_at: Timestamp,
    /// When the person proved who they are.
    pub authenticated_at: Timestamp,
    /// When it ends, unless it is used before.
    pub ends_at: Timestamp,
    /// When it was ended, and the word for why.
    pub ended: Option<(Timestamp, String)>,
    /// From where it was used last.
    pub last_caller: Caller,
}

type SessionRow = (
    String,
    String,
    String,
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

fn session(row: SessionRow) -> Result<Session, StoreError> {
    let (
        id,
        client_id,
        scope,
        created,
        rotated,
        authenticated,
        idle,
        expires,
        revoked_at,
        why,
        address,
        agent,
    ) = row;
    let corrupt = StoreError::Corrupt { table: "grants", what: "a session id is not one" };
    Ok(Session {
        id: SessionId::parse(&id).ok_or(corrupt)?,
        client_id,
        scope,
        created_at: Timestamp::from_seconds(created),
        last_used_at: Timestamp::from_seconds(rotated.max(created)),
        authenticated_at: Timestamp::from_seconds(authenticated),
        ends_at: Timestamp::from_seconds(idle.min(expires)),
        ended: revoked_at.map(|at| (Timestamp::from_seconds(at), why.unwrap_or_default())),
        last_caller: Caller {
            address: address.and_then(|address| address.parse().ok()),
            user_agent: agent.and_then(|agent| UserAgent::parse(agent.as_bytes())),
            request_id: None,
        },
    })
}

impl Tx {
    /// The sessions of an account that can be used at `now`, last used first; of very many, the first `limit`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row holds what no session has; otherwise as every statement.
    pub async fn live_sessions(
        &mut self,
        user: &UserId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<SessionRow> = fetch_all!(
            self,
            sqlx::query_as(LIVE_SESSIONS).bind(user.as_str()).bind(now.as_seconds()).bind(i64::from(limit))
        )?;
        rows.into_iter().map(session).collect()
    }

    /// Whether an account has this session, and it was not ended. Its deadlines are not looked at.
    ///
    /// # Errors
    /// As every statement.
    pub async fn has_session(&mut self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        let row: Option<(i64,)> =
            fetch_optional!(self, sqlx::query_as(HAS_SESSION).bind(user.as_str()).bind(session.as_str()))?;
        Ok(row.is_some())
    }

    /// All that is stored of an account's sessions, also of those that have ended, last used first.
    ///
    /// # Errors
    /// As [`Tx::live_sessions`].
    pub async fn sessions(&mut self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<SessionRow> = fetch_all!(self, sqlx::query_as(SESSIONS).bind(user.as_str()))?;
        rows.into_iter().map(session).collect()
    }

    /// Revokes the grant of one session of an account and sets its status bit. `false`: the account has no such session,
    /// or it was ended before.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke_session(
        &mut self,
        user: &UserId,
        session: &SessionId,
        why: Revocation,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.must_be_write()?;
        let row: Option<(i64,)> = fetch_optional!(
            self,
            sqlx::query_as(REVOKE_SESSION)
                .bind(user.as_str())
                .bind(session.as_str())
                .bind(now.as_seconds())
                .bind(why.as_str())
        )?;
        self.set_status_bit(row).await
    }

    /// Forgets from where the grants of an account were used. The rows stay until no access token can be alive.
    ///
    /// # Errors
    /// As every statement.
    pub async fn forget_callers(&mut self, user: &UserId) -> Result<(), StoreError> {
        execute!(self, sqlx::query(FORGET_CALLERS).bind(user.as_str())).map(drop)
    }
}
