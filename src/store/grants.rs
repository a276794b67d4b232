//! `grants`.

use signet_guard::{Scope, Timestamp};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::error::StoreError;
use super::tx::{Tx, execute, fetch_all, fetch_optional};
use super::users::{UserRow, user_columns, user_from_row};
use crate::account::{User, UserId};
use crate::caller::{Caller, UserAgent};
use crate::grant::{Grant, GrantId, Revocation, Seed, Serial, SessionId};

/// The columns of a [`GrantRow`], in its order, of `grants` as `g`.
macro_rules! grant_columns {
    () => {
        "g.serial, g.id, g.session_id, g.user_id, g.client_id, g.scope, g.seed, g.root_key_id, g.generation, \
         g.rotated_at, g.created_at, g.authenticated_at, g.idle_until, g.expires_at, g.revoked_at, g.bit_until, \
         g.last_address, g.last_user_agent"
    };
}

// The database gives the serial.
const INSERT_GRANT: &str = "INSERT INTO grants (id, session_id, user_id, client_id, scope, seed, root_key_id, generation, \
     rotated_at, created_at, authenticated_at, idle_until, expires_at, bit_until, last_address, last_user_agent) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING serial";
const GRANT: &str = concat!("SELECT ", grant_columns!(), " FROM grants g WHERE g.id = $1");
const HELD_GRANT: &str = concat!(
    "SELECT ",
    grant_columns!(),
    ", ",
    user_columns!(),
    " FROM grants g LEFT JOIN users u ON u.id = g.user_id WHERE g.id = $1"
);
// Of those who come with the token of one generation, one finds the grant as it was.
const ROTATE_GRANT: &str = "UPDATE grants SET generation = $3, rotated_at = $4, idle_until = $5, bit_until = $6, \
     last_address = $7, last_user_agent = $8 \
     WHERE id = $1 AND generation = $2 AND revoked_at IS NULL AND idle_until > $4 AND expires_at > $4";
const REVOKE_GRANT: &str = "UPDATE grants SET revoked_at = $2, revoked_for = $3 \
     WHERE id = $1 AND revoked_at IS NULL RETURNING serial";
const REVOKE_JUDGED_GRANT: &str = "UPDATE grants SET revoked_at = $2, revoked_for = $3 \
     WHERE id = $1 AND revoked_at IS NULL AND generation = $4 RETURNING serial";
const REVOKE_GRANTS_OF_USER: &str = "UPDATE grants SET revoked_at = $2, revoked_for = $3 \
     WHERE user_id = $1 AND session_id <> $4 AND revoked_at IS NULL RETURNING serial";
// The first condition looks at an index alone, at so many entries and no more: for most accounts it is the last. Looking
// through all the grants of an account would make each sign-in of a flood slower than the one before: where there are very
// many, it is done at every 64th. The last condition is there twice because PostgreSQL judges a row that somebody else has
// just changed by the outer conditions alone.
const REVOKE_SURPLUS_GRANTS: &str = "UPDATE grants SET revoked_at = $2, revoked_for = $3 \
     WHERE EXISTS (SELECT 1 FROM grants WHERE user_id = $1 LIMIT 1 OFFSET $5) \
     AND ($7 = 0 OR NOT EXISTS (SELECT 1 FROM grants WHERE user_id = $1 LIMIT 1 OFFSET 1000)) \
     AND serial IN (SELECT serial FROM (SELECT serial, rotated_at FROM grants \
         WHERE user_id = $1 AND revoked_at IS NULL AND idle_until > $2 AND expires_at > $2 \
         ORDER BY rotated_at DESC, serial DESC LIMIT 1000000000 OFFSET $5) surplus \
         WHERE rotated_at < $4 ORDER BY rotated_at, serial LIMIT $6) \
     AND rotated_at < $4 AND revoked_at IS NULL \
     RETURNING serial, session_id";

/// A grant as it is read. Not a tuple: sqlx has none so long.
struct GrantRow(Grant);

impl<'r, R> FromRow<'r, R> for GrantRow
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let instant = |column: usize| row.try_get(column).map(Timestamp::from_seconds);
        let last_caller = Caller {
            address: row.try_get::<Option<String>, _>(16)?.and_then(|address| address.parse().ok()),
            user_agent: row
                .try_get::<Option<String>, _>(17)?
                .and_then(|agent| UserAgent::parse(agent.as_bytes())),
            request_id: None,
        };
        Ok(Self(Grant {
            serial: Serial::from_number(row.try_get(0)?),
            id: GrantId::from_bytes(array(row.try_get(1)?)?),
            session: SessionId::parse(&row.try_get::<String, _>(2)?).ok_or_else(corrupt)?,
            user: UserId::parse(&row.try_get::<String, _>(3)?).map_err(|_| corrupt())?,
            client_id: row.try_get(4)?,
            scope: row.try_get::<String, _>(5).and_then(|text| scope(&text))?,
            seed: Seed::from_bytes(array(row.try_get(6)?)?),
            root_key_id: row.try_get(7)?,
            generation: u64::try_from(row.try_get::<i64, _>(8)?).map_err(|_| corrupt())?,
            rotated_at: instant(9)?,
            created_at: instant(10)?,
            authenticated_at: instant(11)?,
            idle_until: instant(12)?,
            expires_at: instant(13)?,
            revoked_at: row.try_get::<Option<i64>, _>(14)?.map(Timestamp::from_seconds),
            bit_until: instant(15)?,
            last_caller,
        }))
    }
}

/// A grant and its holder as they are read.
struct HeldGrantRow(GrantRow, Option<UserRow>);

/// How many columns a [`GrantRow`] has.
const GRANT_COLUMNS: usize = 18;

impl<'r, R> FromRow<'r, R> for HeldGrantRow
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let column = |number: usize| GRANT_COLUMNS + number;
        let user = match row.try_get(column(0))? {
            None => None,
            Some(id) => Some((
                id,
                row.try_get(column(1))?,
                row.try_get(column(2))?,
                row.try_get(column(3))?,
                row.try_get(column(4))?,
                row.try_get(column(5))?,
                row.try_get(column(6))?,
                row.try_get(column(7))?,
            )),
        };
        Ok(Self(GrantRow::from_row(row)?, user))
    }
}

/// A grant and the account that gave it, read at once.
#[derive(Debug)]
pub struct HeldGrant {
    /// The grant.
    pub grant: Grant,
    /// The account, if it is still there.
    pub user: Option<User>,
}

fn corrupt() -> sqlx::Error {
    let fault = StoreError::Corrupt { table: "grants", what: "a column holds what no grant has" };
    sqlx::Error::Decode(Box::new(fault))
}

fn array<const N: usize>(bytes: Vec<u8>) -> sqlx::Result<[u8; N]> {
    bytes.try_into().map_err(|_| corrupt())
}

fn scope(text: &str) -> sqlx::Result<Scope> {
    if text.is_empty() { Ok(Scope::empty()) } else { Scope::parse(text).map_err(|_| corrupt()) }
}

impl Tx {
    /// Writes a new grant and answers the serial the database gave it; the one in `grant` is not looked at.
    ///
    /// # Errors
    /// As every statement.
    pub async fn insert_grant(&mut self, grant: &Grant) -> Result<Serial, StoreError> {
        self.must_be_write()?;
        let row: Option<(i64,)> = fetch_optional!(
            self,
            sqlx::query_as(INSERT_GRANT)
                .bind(grant.id.as_bytes().as_slice())
                .bind(grant.session.as_str())
                .bind(grant.user.as_str())
                .bind(grant.client_id.as_str())
                .bind(grant.scope.to_string())
                .bind(grant.seed.expose().as_slice())
                .bind(grant.root_key_id.as_str())
                .bind(i64::try_from(grant.generation).unwrap_or(i64::MAX))
                .bind(grant.rotated_at.as_seconds())
                .bind(grant.created_at.as_seconds())
                .bind(grant.authenticated_at.as_seconds())
                .bind(grant.idle_until.as_seconds())
                .bind(grant.expires_at.as_seconds())
                .bind(grant.bit_until.as_seconds())
                .bind(grant.last_caller.address.map(|address| address.to_string()))
                .bind(grant.last_caller.user_agent.as_ref().map(UserAgent::as_str))
        )?;
        let missing = StoreError::Corrupt { table: "grants", what: "an insert answered no row" };
        row.map(|(serial,)| Serial::from_number(serial)).ok_or(missing)
    }

    /// The grant of that name, revoked or not.
    ///
    /// # Errors
    /// When the row holds what no grant has; otherwise as every statement.
    pub async fn grant(&mut self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let row: Option<GrantRow> =
            fetch_optional!(self, sqlx::query_as(GRANT).bind(id.as_bytes().as_slice()))?;
        Ok(row.map(|GrantRow(grant)| grant))
    }

    /// The grant of that name, revoked or not, and its holder.
    ///
    /// # Errors
    /// As [`Tx::grant`] and [`Tx::user`].
    pub async fn held_grant(&mut self, id: &GrantId) -> Result<Option<HeldGrant>, StoreError> {
        let row: Option<HeldGrantRow> =
            fetch_optional!(self, sqlx::query_as(HELD_GRANT).bind(id.as_bytes().as_slice()))?;
        let Some(HeldGrantRow(GrantRow(grant), user)) = row else { return Ok(None) };
        Ok(Some(HeldGrant { grant, user: user.map(user_from_row).transpose()? }))
    }

    /// Writes a grant whose token was replaced ([`Grant::rotated`]), if it is still of the generation `from`, not revoked
    /// and within its deadlines. `false`: it is not, and nothing was written.
    ///
    /// # Errors
    /// As every statement.
    pub async fn rotate_grant(&mut self, from: u64, rotated: &Grant) -> Result<bool, StoreError> {
        let changed = execute!(
            self,
            sqlx::query(ROTATE_GRANT)
                .bind(rotated.id.as_bytes().as_slice())
                .bind(i64::try_from(from).unwrap_or(i64::MAX))
                .bind(i64::try_from(rotated.generation).unwrap_or(i64::MAX))
                .bind(rotated.rotated_at.as_seconds())
                .bind(rotated.idle_until.as_seconds())
                .bind(rotated.bit_until.as_seconds())
                .bind(rotated.last_caller.address.map(|address| address.to_string()))
                .bind(rotated.last_caller.user_agent.as_ref().map(UserAgent::as_str))
        )?;
        Ok(changed == 1)
    }

    /// Revokes a grant and sets its status bit. `false`: there is none, or it was revoked before.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke_grant(
        &mut self,
        id: &GrantId,
        why: Revocation,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.must_be_write()?;
        let row: Option<(i64,)> = fetch_optional!(
            self,
            sqlx::query_as(REVOKE_GRANT)
                .bind(id.as_bytes().as_slice())
                .bind(now.as_seconds())
                .bind(why.as_str())
        )?;
        self.set_status_bit(row).await
    }

    /// Does so if the grant is still of the generation in which it was judged: one that somebody refreshed meanwhile has
    /// another deadline, and may deserve another judgement.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke_judged_grant(
        &mut self,
        judged: &Grant,
        why: Revocation,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.must_be_write()?;
        let row: Option<(i64,)> = fetch_optional!(
            self,
            sqlx::query_as(REVOKE_JUDGED_GRANT)
                .bind(judged.id.as_bytes().as_slice())
                .bind(now.as_seconds())
                .bind(why.as_str())
                .bind(i64::try_from(judged.generation).unwrap_or(i64::MAX))
        )?;
        self.set_status_bit(row).await
    }

    /// Sets the status bit of the grant that was revoked, if one was.
    pub(super) async fn set_status_bit(&mut self, revoked: Option<(i64,)>) -> Result<bool, StoreError> {
        let Some((serial,)) = revoked else { return Ok(false) };
        self.status_lists_changed(&[Serial::from_number(serial)]).await?;
        Ok(true)
    }

    /// Revokes every grant of an account, but for one session if it is named, and sets their status bits. Answers how
    /// many.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke_grants_of_user(
        &mut self,
        user: &UserId,
        except: Option<&SessionId>,
        why: Revocation,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.must_be_write()?;
        let rows: Vec<(i64,)> = fetch_all!(
            self,
            sqlx::query_as(REVOKE_GRANTS_OF_USER)
                .bind(user.as_str())
                .bind(now.as_seconds())
                .bind(why.as_str())
                .bind(except.map_or("", SessionId::as_str))
        )?;
        let serials: Vec<Serial> = rows.into_iter().map(|(serial,)| Serial::from_number(serial)).collect();
        self.status_lists_changed(&serials).await?;
        Ok(serials.len())
    }

    /// Revokes the grants of the account of a `new` one beyond the `most` that were used last, unless they were used after
    /// `unused_since`, and sets their status bits. A thousand at once at most, and with more than that many grants not each
    /// time. Answers their sessions.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke_surplus_grants(
        &mut self,
        new: &Grant,
        most: u32,
        unused_since: Timestamp,
        why: Revocation,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.must_be_write()?;
        let rows: Vec<(i64, String)> = fetch_all!(
            self,
            sqlx::query_as(REVOKE_SURPLUS_GRANTS)
                .bind(new.user.as_str())
                .bind(now.as_seconds())
                .bind(why.as_str())
                .bind(unused_since.as_seconds())
                .bind(i64::from(most))
                .bind(1_000_i64)
                .bind(new.serial.number().rem_euclid(64))
        )?;
        let serials: Vec<Serial> = rows.iter().map(|(serial, _)| Serial::from_number(*serial)).collect();
        self.status_lists_changed(&serials).await?;
        rows.iter()
            .map(|(_, session)| SessionId::parse(session))
            .collect::<Option<_>>()
            .ok_or(StoreError::Corrupt { table: "grants", what: "a session id is none" })
    }
}
