//! Revocation as others see it: the status lists (draft-ietf-oauth-status-list), kept current beside the requests.

use std::time::{Duration, Instant};

use signet_guard::Timestamp;
use tokio::sync::MutexGuard;

use crate::app::App;
use crate::jose::{SignError, StatusListToken};
use crate::status_board::{Changes, Edition, SignedList, StatusList, StatusLists, Woken};
use crate::store::StoreError;

/// The longest that anybody may wait for a change.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Every replica signs the list of the same so many seconds: one key, one list and one time make the same bytes.
const EDITION: Duration = Duration::from_secs(30);

/// How long a signed list counts. Whoever cannot reach us works with the last one until then.
pub(super) const LIFE: Duration = Duration::from_secs(300);

/// After how long it should be fetched again by whoever does not wait for changes.
const TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// How long reading what changed may take before the lists count as unread.
const READING: Duration = Duration::from_secs(10);

/// How many lists that just changed are signed before anybody asks.
const SIGNED_AHEAD: usize = 64;

/// Reads every list. To be called before the server listens: until then nothing seems to be revoked.
///
/// # Errors
/// When the database fails.
pub async fn load(app: &App) -> Result<(), StoreError> {
    read(app).await.map(drop)
}

/// Why the lists cannot be answered for.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The database could not be read: this process does not know what others have revoked.
    #[error("the status lists could not be read")]
    Unread,
    /// The list cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Takes over what changed. When the database cannot be read, the lists stay as they are: what was revoked stays revoked.
pub async fn run_once(app: &App) {
    let outcome = match tokio::time::timeout(READING, read(app)).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("the database does not answer".to_owned()),
    };
    match outcome {
        Ok(changed) => {
            if app.status_board.note_stale(None) {
                tracing::info!("the status lists are current again");
            }
            for list in changed.into_iter().take(SIGNED_AHEAD) {
                sign_ahead(app, list).await;
            }
        }
        Err(error) => {
            if app.status_board.note_stale(Some(app.clock.now())) {
                tracing::warn!(%error, "the status lists cannot be read: revocations by others are not seen");
            }
        }
    }
}

/// Answers the lists that changed.
async fn read(app: &App) -> Result<Vec<i64>, StoreError> {
    let alone = app.status_board.reading().await;
    read_alone(app, alone).await
}

/// Comes as far as the database, for a caller who was told of a version that is not known here: by another replica, a
/// moment ago. While the database cannot be read, nobody queues up for it.
async fn catch_up(app: &App) -> Result<(), StatusError> {
    let board = &app.status_board;
    let alone = board.reading().await;
    if board.is_stale() {
        return Err(StatusError::Unread);
    }
    match read_alone(app, alone).await {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "the status lists cannot be read for a caller");
            Err(StatusError::Unread)
        }
    }
}

async fn read_alone(app: &App, _alone: MutexGuard<'_, ()>) -> Result<Vec<i64>, StoreError> {
    let board = &app.status_board;
    let known = board.current();
    let state = app.db.read((), |tx, ()| Box::pin(tx.status_state())).await?;
    if known.is_at(state) {
        return Ok(Vec::new());
    }
    // A database that was set back: nothing of what is known need be true.
    let mut lists = if state.version < known.version() { StatusLists::unread() } else { (*known).clone() };
    let mut after = (lists.version(), i64::MAX);
    let mut changed = Vec::new();
    loop {
        let rows = app.db.read(after, |tx, after| Box::pin(tx.changed_status_lists(*after))).await?;
        let Some(last) = rows.last() else { break };
        after = (last.version, last.list);
        for row in rows {
            changed.push(row.list);
            lists.put(row);
        }
    }
    lists.complete(state);
    board.replace(lists);
    Ok(changed)
}

/// A list as it can be had now.
pub struct Found {
    edition: Edition,
    list: StatusList,
}

impl Found {
    /// The entity tag of the token that would be answered.
    pub fn etag(&self) -> String {
        self.edition.etag()
    }
}

/// Finds a list as it was at a version that its caller has heard of, or later, without making its token. `None`: no grant
/// is in it.
///
/// # Errors
/// When there is no key to sign with, or the database cannot be read and has come further than this process.
pub async fn find(app: &App, list: i64, heard: Option<i64>) -> Result<Option<Found>, StatusError> {
    if heard.is_some_and(|heard| heard > app.status_board.current().version()) {
        catch_up(app).await?;
    }
    Ok(find_now(app, list)?)
}

fn find_now(app: &App, list: i64) -> Result<Option<Found>, SignError> {
    let Some(found) = app.status_board.current().list(list) else { return Ok(None) };
    let kid = app.keyring.active_kid().ok_or(SignError::NoActiveKey)?;
    // A list that cannot be read any more is not dated later than it was known to be right.
    let now = app.clock.now();
    let known_at = app.status_board.stale_since().map_or(now, |since| since.min(now));
    let edition = Edition { list, version: found.version, issued_at: edition_time(known_at), kid };
    Ok(Some(Found { edition, list: found }))
}

/// The token of a list: signed now, unless somebody has asked for it or is asking.
///
/// # Errors
/// When it cannot be signed.
pub async fn token(app: &App, found: Found) -> Result<SignedList, SignError> {
    let slot = app.status_board.signed.slot(&found.edition);
    // Whoever hangs up while making it leaves that to the next.
    slot.get_or_try_init(|| sign(app, found)).await.cloned()
}

async fn sign(app: &App, Found { mut edition, list }: Found) -> Result<SignedList, SignError> {
    let token = StatusListToken {
        issuer: app.config.issuer.as_str().to_owned(),
        subject: app.status_board.uri(edition.list),
        issued_at: edition.issued_at,
        life: LIFE,
        time_to_live: TIME_TO_LIVE,
        bits: list.bits,
    };
    let (kid, token) = app.keyring.sign_status_list(token).await?;
    edition.kid = kid;
    Ok(SignedList { token: token.into(), etag: edition.etag().into() })
}

async fn sign_ahead(app: &App, list: i64) {
    let outcome = match find_now(app, list) {
        Ok(Some(found)) => token(app, found).await.map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::debug!(error = %error, list, "a status list was not signed ahead");
    }
}

fn edition_time(now: Timestamp) -> Timestamp {
    let span = i64::try_from(EDITION.as_secs()).unwrap_or(1);
    Timestamp::from_seconds(now.as_seconds().div_euclid(span) * span)
}

/// What changed after a version, and whether its caller was let wait for it.
pub struct Answered {
    /// What changed.
    pub changes: Changes,
    /// The caller had a place to wait in. Otherwise all were taken, and asking again at once would be no use.
    pub waited: bool,
}

/// The lists that changed after a version. When there is none yet, waits so long for one, if a place is free.
///
/// # Errors
/// [`StatusError::Unread`]: that nothing changed would be a guess, and whoever follows us must not take it for news.
pub async fn changes(app: &App, since: Option<i64>, wait: Duration) -> Result<Answered, StatusError> {
    let board = &app.status_board;
    let until = Instant::now() + wait.min(LONGEST_WAIT);
    // Taken before looking: what changes in between is noticed.
    let mut place = if since.is_some() && !wait.is_zero() { board.waiting.take_place() } else { None };
    let waited = place.is_some();
    loop {
        if board.is_stale() {
            return Err(StatusError::Unread);
        }
        let mut changes = board.current().changes(since);
        if changes.restart {
            // Only a database that has just been read says that there never was such a version.
            catch_up(app).await?;
            changes = board.current().changes(since);
        }
        let Some(place) = place.as_mut().filter(|_| changes.lists.is_empty() && !changes.restart) else {
            return Ok(Answered { changes, waited });
        };
        match tokio::time::timeout_at(until.into(), place.woken()).await {
            Ok(Woken::Changed) => {}
            Ok(Woken::Stopping) | Err(_) => return Ok(Answered { changes, waited }),
        }
    }
}
