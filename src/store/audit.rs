//! `audit`: what happened, kept.

use signet_guard::Timestamp;
use sqlx::QueryBuilder;

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};

/// Rows per statement of [`Tx::append_audits`]: a statement is a trip to another thread or machine.
const ROWS_AT_ONCE: usize = 32;

macro_rules! columns {
    () => {
        "at, event, actor, user_id, session_id, client_id, kid, reason, count, address, user_agent, request_id, detail"
    };
}

macro_rules! select_stored {
    ($rest:literal) => {
        concat!("SELECT id, seal, ", columns!(), " FROM audit ", $rest)
    };
}

const APPEND: &str = concat!("INSERT INTO audit (", columns!(), ") ");
const UNSEALED: &str = select_stored!("WHERE seal IS NULL ORDER BY id LIMIT $1");
const OF_SEAL: &str = select_stored!("WHERE seal = $1 ORDER BY id LIMIT $2");
// Two statements for each direction: what an account is asked for has an index of its own.
const AFTER: &str =
    select_stored!("WHERE id > $1 AND at >= $2 AND (event = $3 OR $3 = '') ORDER BY id LIMIT $4");
const AFTER_OF_USER: &str = select_stored!(
    "WHERE id > $1 AND at >= $2 AND (event = $3 OR $3 = '') AND user_id = $5 ORDER BY id LIMIT $4"
);
const NEWEST: &str =
    select_stored!("WHERE id > $1 AND at >= $2 AND (event = $3 OR $3 = '') ORDER BY id DESC LIMIT $4");
const NEWEST_OF_USER: &str = select_stored!(
    "WHERE id > $1 AND at >= $2 AND (event = $3 OR $3 = '') AND user_id = $5 ORDER BY id DESC LIMIT $4"
);
const FIRST_SINCE: &str = "SELECT id FROM audit WHERE at >= $1 ORDER BY at, id LIMIT 1";
const HIGHEST: &str = "SELECT COALESCE(MAX(id), 0) FROM audit";
const UNSEALED_COUNT: &str = "SELECT COUNT(*) FROM audit WHERE seal IS NULL";

/// An entry of the audit log: who, what, when, from where. Never a secret, an e-mail address or a name somebody typed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAudit {
    /// Its number. Entries that are written at once may be seen out of the order of their numbers.
    pub id: i64,
    /// The seal that covers it.
    pub seal: Option<i64>,
    /// What it says.
    pub row: AuditRow,
}

/// Which entries somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before this instant.
    pub since: Timestamp,
    /// Of this account.
    pub user_id: Option<String>,
    /// With this name.
    pub event: Option<String>,
}

type Text = Option<String>;
type Read =
    (i64, Option<i64>, i64, String, String, Text, Text, Text, Text, Text, i64, Text, Text, Text, Text);

fn stored(row: Read) -> StoredAudit {
    let (id, seal, at, event, actor, user_id, session_id, client_id, kid, reason, count, ..) = row;
    let (address, user_agent, request_id, detail) = (row.11, row.12, row.13, row.14);
    let at = Timestamp::from_seconds(at);
    let row = AuditRow {
        at,
        event,
        actor,
        user_id,
        session_id,
        client_id,
        kid,
        reason,
        count,
        address,
        user_agent,
        request_id,
        detail,
    };
    StoredAudit { id, seal, row }
}

impl Tx {
    /// Adds an entry. In the unit of the change it tells of: neither happens without the other.
    ///
    /// # Errors
    /// As every statement.
    pub async fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        self.append_audits(std::slice::from_ref(row)).await
    }

    /// Adds entries, in their order.
    ///
    /// # Errors
    /// As every statement.
    pub async fn append_audits(&mut self, rows: &[AuditRow]) -> Result<(), StoreError> {
        for rows in rows.chunks(ROWS_AT_ONCE) {
            execute!(
                self,
                QueryBuilder::new(APPEND)
                    .push_values(rows, |mut values, row| {
                        values
                            .push_bind(row.at.as_seconds())
                            .push_bind(row.event.as_str())
                            .push_bind(row.actor.as_str())
                            .push_bind(row.user_id.as_deref())
                            .push_bind(row.session_id.as_deref())
                            .push_bind(row.client_id.as_deref())
                            .push_bind(row.kid.as_deref())
                            .push_bind(row.reason.as_deref())
                            .push_bind(row.count)
                            .push_bind(row.address.as_deref())
                            .push_bind(row.user_agent.as_deref())
                            .push_bind(row.request_id.as_deref())
                            .push_bind(row.detail.as_deref());
                    })
                    .build()
            )?;
        }
        Ok(())
    }

    /// Entries that no seal covers yet, by number.
    ///
    /// # Errors
    /// As every statement.
    pub async fn unsealed_audit(&mut self, limit: i64) -> Result<Vec<StoredAudit>, StoreError> {
        let rows: Vec<Read> = fetch_all!(self, sqlx::query_as(UNSEALED).bind(limit))?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// How many entries no seal covers yet.
    ///
    /// # Errors
    /// As every statement.
    pub async fn unsealed_audit_count(&mut self) -> Result<i64, StoreError> {
        let row: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(UNSEALED_COUNT))?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// The entries that say a seal covers them, by number.
    ///
    /// # Errors
    /// As every statement.
    pub async fn audit_of_seal(&mut self, seal: i64, limit: i64) -> Result<Vec<StoredAudit>, StoreError> {
        let rows: Vec<Read> = fetch_all!(self, sqlx::query_as(OF_SEAL).bind(seal).bind(limit))?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// The oldest entries with a number above `after`, oldest first.
    ///
    /// # Errors
    /// As every statement.
    pub async fn audit_after(
        &mut self,
        after: i64,
        filter: &AuditFilter,
        limit: i64,
    ) -> Result<Vec<StoredAudit>, StoreError> {
        self.filtered([AFTER, AFTER_OF_USER], after, filter, limit).await
    }

    /// The newest entries with a number above `after`, oldest first.
    ///
    /// # Errors
    /// As every statement.
    pub async fn newest_audit(
        &mut self,
        after: i64,
        filter: &AuditFilter,
        limit: i64,
    ) -> Result<Vec<StoredAudit>, StoreError> {
        let mut rows = self.filtered([NEWEST, NEWEST_OF_USER], after, filter, limit).await?;
        rows.reverse();
        Ok(rows)
    }

    async fn filtered(
        &mut self,
        [of_all, of_user]: [&'static str; 2],
        after: i64,
        filter: &AuditFilter,
        limit: i64,
    ) -> Result<Vec<StoredAudit>, StoreError> {
        let statement = if filter.user_id.is_some() { of_user } else { of_all };
        let rows: Vec<Read> = fetch_all!(self, {
            let query = sqlx::query_as(statement)
                .bind(after)
                .bind(filter.since.as_seconds())
                .bind(filter.event.as_deref().unwrap_or_default())
                .bind(limit);
            match &filter.user_id {
                Some(user) => query.bind(user.as_str()),
                None => query,
            }
        })?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// The highest number of an entry; 0: there is none.
    ///
    /// # Errors
    /// As every statement.
    pub async fn highest_audit(&mut self) -> Result<i64, StoreError> {
        let row: Option<(i64,)> = fetch_optional!(self, sqlx::query_as(HIGHEST))?;
        Ok(row.map_or(0, |(id,)| id))
    }

    /// The number of the first entry of an instant or later.
    ///
    /// # Errors
    /// As every statement.
    pub async fn first_audit_since(&mut self, since: Timestamp) -> Result<Option<i64>, StoreError> {
        let row: Option<(i64,)> =
            fetch_optional!(self, sqlx::query_as(FIRST_SINCE).bind(since.as_seconds()))?;
        Ok(row.map(|(id,)| id))
    }
}
