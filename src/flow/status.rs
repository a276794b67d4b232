//! Revocation as others see it: the status lists (draft-ietf-oauth-status-list), kept current beside the requests.

use std::time::{Duration, Instant};

use signet_guard::Timestamp;

use crate::app::App;
use crate::jose::{SignError, StatusListToken};
use crate::status_board::{Changes, Edition, SignedList, StatusList, StatusLists, Woken};
use crate::store::StoreError;

/// The longest that anybody may wait for a change.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Every replica signs the list of the same so many seconds: one key, one list and one time make the same bytes.
const EDITION: Duration = Duration::from_secs(30);

/// How long a signed list counts. Whoever cannot reach us works with the last one until then.
const LIFE: Duration = Duration::from_secs(300);

/// After how long it should be fetched again by whoever does not wait for changes.
const TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// How many lists that just changed are signed before anybody asks.
const SIGNED_AHEAD: usize = 64;

/// Reads every list. To be called before the server listens: until then nothing seems to be revoked.
///
/// # Errors
/// When the database fails.
pub async fn load(app: &App) -> Result<(), StoreError> {
    read(app).await.map(drop)
}

/// Takes over what changed. When the database cannot be read, the lists stay as they are: what was revoked stays revoked.
pub async fn run_once(app: &App) {
    match read(app).await {
        Ok(changed) => {
            if app.status_board.note_stale(false) {
                tracing::info!("the status lists are current again");
            }
            for list in changed.into_iter().take(SIGNED_AHEAD) {
                sign_ahead(app, list).await;
            }
        }
        Err(error) => {
            if app.status_board.note_stale(true) {
                tracing::warn!(error = %error, "the status lists cannot be read: revocations by others are not seen");
            }
        }
    }
}

/// Answers the lists that changed.
async fn read(app: &App) -> Result<Vec<i64>, StoreError> {
    let board = &app.status_board;
    let _alone = board.reading().await;
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

/// Finds a list, without making its token. `None`: no grant is in it.
///
/// # Errors
/// When there is no key to sign with.
pub fn find(app: &App, list: i64) -> Result<Option<Found>, SignError> {
    let Some(found) = app.status_board.current().list(list) else { return Ok(None) };
    let kid = app.keyring.active_kid().ok_or(SignError::NoActiveKey)?;
    let edition = Edition { list, version: found.version, issued_at: edition_time(app.clock.now()), kid };
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
    let outcome = match find(app, list) {
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
pub async fn changes(app: &App, since: Option<i64>, wait: Duration) -> Answered {
    let board = &app.status_board;
    let until = Instant::now() + wait.min(LONGEST_WAIT);
    // Taken before looking: what changes in between is noticed.
    let mut place = if since.is_some() && !wait.is_zero() { board.waiting.take_place() } else { None };
    let waited = place.is_some();
    loop {
        let changes = board.current().changes(since);
        let Some(place) = place.as_mut().filter(|_| changes.lists.is_empty() && !changes.restart) else {
            return Answered { changes, waited };
        };
        match tokio::time::timeout_at(until.into(), place.woken()).await {
            Ok(Woken::Changed) => {}
            Ok(Woken::Stopping) | Err(_) => return Answered { changes, waited },
        }
    }
}
