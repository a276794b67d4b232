//! Noticing that an older backup was put in the place of the database.
//!
//! A restored database has forgotten what was revoked since the backup: grants, refresh tokens, signing keys. The database
//! counts epochs, one every few seconds, and `state` in the keys folder follows, never before the commit. A file that is
//! ahead of the database is therefore the sign. What the backup has forgotten cannot be known, so every grant ends.

mod state;

use std::path::PathBuf;
use std::time::Duration;

use signet_guard::Timestamp;

use self::state::State;
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::caller::Caller;
use crate::grant::{Revocation, Serial};
use crate::replica::News;
use crate::rotation::KeyStatus;
use crate::store::{AuditRow, Position, ReplicaRow, SigningKeyRow, StoreError};

use super::root_keys;
use super::signing_keys;

/// How long an epoch lasts, and so how much of a restore may go unnoticed.
pub const EPOCH: Duration = Duration::from_secs(10);

/// An epoch that began this far ahead of now began by a wrong clock.
const FAR_AHEAD: Duration = Duration::from_secs(60);

/// No access token lives longer past its last instant than guards tolerate, doubled.
const LEEWAY: Duration = Duration::from_secs(120);

/// More changes of status lists, or of signing keys, than can have been made since the file was last written.
const VERSION_MARGIN: i64 = 1_000_000;

/// Why the state of the keys folder stops the start.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder belongs to another database.
    #[error(
        "{} belongs to database {found}, and this is database {database}: restore that one, or name another keys.dir; if \
         this is a new database on purpose, run `signet keys adopt --new-database`", path.display()
    )]
    OtherDatabase {
        /// The file.
        path: PathBuf,
        /// The database it knows.
        found: String,
        /// The database that is there.
        database: String,
    },
    /// The file cannot be read.
    #[error(
        "{} cannot be read ({source}): give Signet's user the right to read it; if it is lost, run `signet keys adopt \
         --new-database`, upon which a restored backup goes unnoticed this once", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be written, and was to be.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that reads and writes the file died.
    #[error("the thread that reads and writes the keys folder died")]
    Interrupted,
}

/// What [`adopt`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// The folder belongs to this database now, no longer to that one, if it was known.
    Replaced(Option<String>),
    /// It belonged to this database before; nothing was changed.
    Already,
}

/// Compares database and keys folder before anything is served. A restored backup is dealt with; the start goes on.
///
/// # Errors
/// See [`RestoreError`].
pub async fn at_start(app: &App) -> Result<(), RestoreError> {
    compare(app).await?;
    tell(app, follow(app).await);
    Ok(())
}

/// Begins the next epoch when it is time, says that this replica is at work, and lets the file follow.
pub async fn run_once(app: &App) {
    tell(app, compare_and_follow(app).await);
}

async fn compare_and_follow(app: &App) -> Result<(), RestoreError> {
    match compare(app).await {
        Ok(false) => {}
        // What signed may have been retired since the backup.
        Ok(true) => {
            if let Err(error) = signing_keys::load_or_create(app).await {
                tracing::error!(error = %error, "restore.keys_not_read");
            }
        }
        Err(error) => {
            // No epoch may begin on a database that may be an older one; this replica is at work all the same.
            root_keys::beat(app).await?;
            return Err(error);
        }
    }
    follow(app).await
}

fn tell(app: &App, outcome: Result<(), RestoreError>) {
    let complaint = outcome.as_ref().err().map(ToString::to_string);
    match (app.replica.news("restore", complaint.as_deref()), outcome) {
        (Some(News::Wrong), Err(error @ RestoreError::Unwritable { .. })) => {
            tracing::warn!("{error}: an older backup of the database will not be noticed");
        }
        (Some(News::Wrong), Err(error)) => tracing::error!(error = %error, "restore.check_failed"),
        (Some(News::RightAgain), _) => tracing::info!("restore.checked_again"),
        _ => {}
    }
}

/// Gives the keys folder to the database that is there now.
///
/// # Errors
/// See [`RestoreError`].
pub async fn adopt(app: &App) -> Result<Adopted, RestoreError> {
    let position = app.db.read((), |tx, ()| Box::pin(tx.position())).await?;
    let found = match read(app).await {
        // Whoever restored a backup must not be able to hide it with this.
        Ok(Some(state)) if state.database == position.database => return Ok(Adopted::Already),
        Ok(state) => state.map(|state| state.database),
        Err(RestoreError::Unreadable { .. }) => None,
        Err(error) => return Err(error),
    };
    let row = audit::row(&Event::DatabaseAdopted, Actor::Operator, &Caller::default(), app.clock.now());
    app.db.write(row, |tx, row| Box::pin(tx.append_audit(row))).await?;
    write(app, State::of(&position)).await?;
    audit::record(&Event::DatabaseAdopted);
    Ok(Adopted::Replaced(found))
}

/// Whether a backup was restored; it is dealt with.
async fn compare(app: &App) -> Result<bool, RestoreError> {
    // The file first: it never was ahead of a database that is read after it.
    let Some(state) = read(app).await? else { return Ok(false) };
    let (position, is_revived) = app
        .db
        .read(state.retired.clone(), |tx, retired| {
            Box::pin(async move {
                let position = tx.position().await?;
                let keys = tx.signing_keys().await?;
                let is_back =
                    |key: &SigningKeyRow| key.status != KeyStatus::Retired && retired.contains(&key.kid);
                Ok((position, keys.iter().any(is_back)))
            })
        })
        .await?;
    if state.database != position.database {
        let (found, database) = (state.database, position.database);
        return Err(RestoreError::OtherDatabase { path: path(app), found, database });
    }
    // No key comes back to life by itself.
    if state.epoch <= position.epoch && !is_revived {
        return Ok(false);
    }
    let now = app.clock.now();
    let forgotten = Forgotten {
        now,
        // Of whatever was issued until this moment.
        dead: now.plus(app.config.tokens.access_token_life).plus(LEEWAY),
        row: audit::row(&Event::RestoreDetected, Actor::Signet, &Caller::default(), now),
        state,
    };
    let ended = app.db.write(forgotten, |tx, forgotten| Box::pin(forgotten.make_up_for(tx))).await?;
    if let Some(ended) = ended {
        audit::record(&Event::RestoreDetected);
        tracing::error!(
            sessions = ended,
            "the database is older than this server has seen it: a backup was restored; every session was ended"
        );
    }
    Ok(ended.is_some())
}

/// What the folder knows and the database has forgotten.
struct Forgotten {
    state: State,
    now: Timestamp,
    dead: Timestamp,
    row: AuditRow,
}

impl Forgotten {
    /// How many grants were ended. `None`: another replica was quicker.
    async fn make_up_for(&self, tx: &mut crate::store::Tx) -> Result<Option<u64>, StoreError> {
        let Self { state, now, dead, row } = self;
        let epoch = tx.hold_epoch().await?;
        // Further than any server has seen it: none may take the keys for those that it knows.
        tx.move_keyring(VERSION_MARGIN).await?;
        let mut is_older = epoch < state.epoch;
        for kid in &state.retired {
            if tx.retire_signing_key(kid, *now, false).await? {
                is_older = true;
                let entry = audit::row(&Event::KeyRetired(kid), Actor::Signet, &Caller::default(), *now);
                tx.append_audit(&entry).await?;
            }
        }
        if !is_older {
            return Ok(None);
        }
        let position = tx.position().await?;
        // Grants were given since the file was written, too: a whole list is left out for them. The new ones begin with a
        // list that no token names.
        let highest = Serial::from_number(state.serial).max(position.serial);
        let next = Serial::first_of(highest.list() + 2).number();
        let (first, last) = (position.serial.number() + 1, next - 1);
        let last = Serial::from_number(last);
        tx.skip_serials(last).await?;
        tx.add_status_gap((Serial::from_number(first), last), *dead).await?;
        tx.set_epoch(state.epoch.max(epoch) + 1, *now).await?;
        tx.append_audit(row).await?;
        let version = state.status_version.max(position.status_version) + VERSION_MARGIN;
        tx.revoke_all_grants(Revocation::Restored, *now, *dead, (last, version)).await.map(Some)
    }
}

/// Begins the next epoch when it is time, and lets the file follow.
async fn follow(app: &App) -> Result<(), RestoreError> {
    let report = app.replica.hold_report().await;
    let now = app.clock.now();
    let replica = root_keys::report_of(app, now);
    let position =
        app.db.write((now, replica), |tx, (now, replica)| Box::pin(turn(tx, *now, replica))).await?;
    drop(report);
    // A clock that was set back makes what has expired valid again.
    if now < position.epoch_at.minus(FAR_AHEAD) {
        tracing::warn!(
            now = now.as_seconds(),
            before = position.epoch_at.as_seconds(),
            "the clock went back"
        );
    }
    bring_up(app, &position).await
}

/// Writes down which signing keys are out of use, without waiting for the next epoch. Answers whether that was possible: a
/// server says at its next turn why it was not.
pub async fn remember(app: &App) -> bool {
    let outcome = remember_now(app).await;
    if let Err(error) = &outcome {
        tracing::debug!(error = %error, "restore.not_remembered");
    }
    outcome.is_ok()
}

async fn remember_now(app: &App) -> Result<(), RestoreError> {
    let position = app.db.read((), |tx, ()| Box::pin(tx.position())).await?;
    bring_up(app, &position).await
}

/// Lets the file come as far as the database, and forget nothing.
async fn bring_up(app: &App, position: &Position) -> Result<(), RestoreError> {
    let _held = app.state_file.lock().await;
    let mut state = State::of(position);
    match read(app).await? {
        Some(known) if known.database != position.database => {
            let (found, database) = (known.database, position.database.clone());
            return Err(RestoreError::OtherDatabase { path: path(app), found, database });
        }
        Some(known) => state.merge(known),
        None => {}
    }
    write(app, state).await
}

async fn turn(
    tx: &mut crate::store::Tx,
    now: Timestamp,
    replica: &ReplicaRow,
) -> Result<Position, StoreError> {
    let before = tx.position().await?;
    tx.next_epoch(now, now.minus(EPOCH), now.plus(FAR_AHEAD)).await?;
    // At the start there is nothing to report yet.
    if !replica.root_key_ids.is_empty() {
        tx.report_replica(replica).await?;
    }
    tx.forget_replicas_before(now.minus(root_keys::REPLICA_LIFE)).await?;
    tx.sweep_status_gaps(now).await?;
    let after = tx.position().await?;
    Ok(Position { epoch_at: before.epoch_at, ..after })
}

fn path(app: &App) -> PathBuf {
    app.config.keys.dir.join("state")
}

async fn read(app: &App) -> Result<Option<State>, RestoreError> {
    let path = path(app);
    tokio::task::spawn_blocking(move || {
        State::read(&path).map_err(|source| RestoreError::Unreadable { path, source })
    })
    .await
    .map_err(|_| RestoreError::Interrupted)?
}

async fn write(app: &App, state: State) -> Result<(), RestoreError> {
    let path = path(app);
    tokio::task::spawn_blocking(move || {
        state.write(&path).map_err(|source| RestoreError::Unwritable { path, source })
    })
    .await
    .map_err(|_| RestoreError::Interrupted)?
}
