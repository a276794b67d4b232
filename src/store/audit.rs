//! `audit`: what happened, kept.

use signet_guard::Timestamp;

use super::error::StoreError;
use super::tx::{Tx, execute};

const APPEND_AUDIT: &str = "INSERT INTO audit (at, event, actor, user_id, session_id, client_id, kid, reason, count, \
     address, user_agent, request_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// An entry of the audit log: who, what, when, from where. Never a secret, an e-mail address or a name somebody typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// What: one of the words in `docs/logging.md`.
    pub event: String,
    /// Who did it: `user`, `operator`, `signet`, `anybody`.
    pub actor: String,
    /// The account it is about.
    pub user_id: Option<String>,
    /// The session it is about.
    pub session_id: Option<String>,
    /// The client it is about.
    pub client_id: Option<String>,
    /// The key it is about.
    pub kid: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How many like it.
    pub count: i64,
    /// From where.
    pub address: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// What changed, as JSON.
    pub detail: Option<String>,
}

impl Tx {
    /// Adds an entry. In the unit of the change it tells of: neither happens without the other.
    ///
    /// # Errors
    /// As every statement.
    pub async fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        execute!(
            self,
            sqlx::query(APPEND_AUDIT)
                .bind(row.at.as_seconds())
                .bind(row.event.as_str())
                .bind(row.actor.as_str())
                .bind(row.user_id.as_deref())
                .bind(row.session_id.as_deref())
                .bind(row.client_id.as_deref())
                .bind(row.kid.as_deref())
                .bind(row.reason.as_deref())
                .bind(row.count)
                .bind(row.address.as_deref())
                .bind(row.user_agent.as_deref())
                .bind(row.request_id.as_deref())
                .bind(row.detail.as_deref())
        )
        .map(drop)
    }
}
