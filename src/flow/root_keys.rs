//! Root keys at work: which one new secrets are made under, on all replicas at once, and how another takes its place
//! without anybody being signed out.
//!
//! A key is added to the file, each replica reads it and says so, and then the database names it as the active one. What
//! was made under an older key is recognised for as long as that key is in the file.

use std::time::Duration;

use signet_guard::Timestamp;

use super::root_key_use;
use super::signing_keys::{self, SigningKeysError};
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::caller::Caller;
use crate::config::RootKeySource;
use crate::jose::{AuditKeys, MacKeys, RefreshKeys, RootKeyError, RootKeys, SealError};
use crate::replica::News;
use crate::rotation::KeyStatus;
use crate::store::{AuditRow, ReplicaRow, RootKeyUse, SigningKeyRow, StoreError};

/// A replica that was not seen for so long has ended.
pub const REPLICA_LIFE: Duration = Duration::from_secs(60);

/// What the keys of device proofs are derived for. Another word here would make every known device a stranger.
const DEVICE_KEYS: &str = "device-proof";

/// Why the root keys are as they were.
#[derive(Debug, thiserror::Error)]
pub enum RootKeysError {
    /// The keys could not be read or opened.
    #[error(transparent)]
    SigningKeys(#[from] SigningKeysError),
    /// The file has no key of that number.
    #[error("there is no root key {number}, only {found}: add one with `signet keys root add`")]
    Unknown {
        /// The number.
        number: u32,
        /// The ids of those that are there.
        found: String,
    },
    /// Not every replica holds the key.
    #[error(
        "root key {id} is not everywhere yet: {}; put the root key file in place there (a server notices within seconds, \
         one that ended is forgotten after {} s), then try again; nothing was changed",
        replicas.join(", "), REPLICA_LIFE.as_secs()
    )]
    NotReported {
        /// The key.
        id: String,
        /// The replicas without it, each with the keys it has.
        replicas: Vec<String>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RootKeyError> for RootKeysError {
    fn from(error: RootKeyError) -> Self {
        Self::SigningKeys(error.into())
    }
}

/// A root key, and what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootKeyLine {
    /// Its id.
    pub id: String,
    /// Whether new secrets are made under it.
    pub is_active: bool,
    /// Whether it is in the file.
    pub is_in_file: bool,
    /// How many signing keys are sealed under it.
    pub signing_keys: i64,
    /// How many grants can still be refreshed by tokens derived from it.
    pub grants: i64,
    /// How many seals of the audit log were made under it.
    pub audit_seals: i64,
    /// The replicas that hold it.
    pub replicas: Vec<String>,
}

/// The root keys, and who is there to hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootKeyList {
    /// Those of the file in its order, then those that are only named.
    pub keys: Vec<RootKeyLine>,
    /// The replicas at work.
    pub replicas: Vec<String>,
}

/// What [`activate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// The root key that is active now.
    pub id: String,
    /// How many signing keys were sealed anew.
    pub resealed: usize,
}

/// Says that this replica starts with these keys, and makes the one active that the others have as active.
///
/// # Errors
/// When that one is missing here; the replica does not count then.
pub(super) async fn join(app: &App, roots: &mut RootKeys) -> Result<(), SigningKeysError> {
    let _report = app.replica.hold_report().await;
    let row = replica_row(app, app.clock.now(), roots.ids());
    let active = app.db.write(row, |tx, row| Box::pin(report(tx, row))).await?;
    activate_here(app, roots, active.as_deref())
}

/// In one unit with the look at the active key: whoever activates a key sees this replica, or this replica sees the key.
async fn report(tx: &mut crate::store::Tx, row: &ReplicaRow) -> Result<Option<String>, StoreError> {
    let active = tx.hold_active_root_key().await?;
    if active.as_ref().is_none_or(|active| row.root_key_ids.contains(active)) {
        tx.report_replica(row).await?;
    }
    Ok(active)
}

pub(super) fn activate_here(
    app: &App,
    roots: &mut RootKeys,
    active: Option<&str>,
) -> Result<(), SigningKeysError> {
    match active {
        Some(active) if !roots.activate(active) => {
            Err(signing_keys::missing(roots, active, &app.config.keys.root_key))
        }
        _ => Ok(()),
    }
}

/// Derives what is made and recognised under these keys, and puts it to use.
pub(super) fn install(app: &App, roots: &RootKeys) -> Result<(), RootKeyError> {
    app.keyring.install_device_keys(MacKeys::derive(roots, DEVICE_KEYS)?);
    app.keyring.install_refresh_keys(RefreshKeys::derive(roots)?);
    app.keyring.install_audit_keys(AuditKeys::derive(roots)?);
    app.replica.set_root_key_ids(roots.ids());
    app.replica.set_has_active_root_key(true);
    Ok(())
}

/// That this replica is at work, and what it holds; nothing before it has started.
pub(super) fn report_of(app: &App, now: Timestamp) -> ReplicaRow {
    replica_row(app, now, app.replica.root_key_ids().to_vec())
}

fn replica_row(app: &App, now: Timestamp, root_key_ids: Vec<String>) -> ReplicaRow {
    ReplicaRow { id: app.replica.id().to_owned(), seen_at: now, root_key_ids }
}

/// Says that this replica is at work.
///
/// # Errors
/// When the database fails.
pub(super) async fn beat(app: &App) -> Result<(), StoreError> {
    let _report = app.replica.hold_report().await;
    let row = report_of(app, app.clock.now());
    app.db.write(row, |tx, row| Box::pin(tx.report_replica(row))).await
}

/// Follows a change of the file or of the active key, without a restart. What is wrong is said once, and the keys that
/// were there stay in use.
pub async fn run_once(app: &App) {
    let complaint = follow(app).await.err().map(|error| error.to_string());
    match app.replica.news("root keys", complaint.as_deref()) {
        Some(News::Wrong) => tracing::error!(error = complaint, "root_keys.not_followed"),
        Some(News::RightAgain) => tracing::info!("root_keys.followed_again"),
        None => {}
    }
}

async fn follow(app: &App) -> Result<(), SigningKeysError> {
    let _report = app.replica.hold_report().await;
    let held = app.replica.root_key_ids();
    let active = app.db.read((), |tx, ()| Box::pin(tx.active_root_key())).await?;
    // Tokens of the others would be refused here for good: better no answer than that one.
    let has_active = active.as_ref().is_none_or(|active| held.contains(active));
    app.replica.set_has_active_root_key(has_active);
    let mut roots = read(app).await?;
    activate_here(app, &mut roots, active.as_deref())?;
    if *held == roots.ids() {
        return Ok(root_key_use::weigh(app, roots.ids()).await?);
    }
    signing_keys::require_all(&roots, &signing_keys::stored(app).await?, &app.config.keys.root_key)?;
    // Recognised here before anybody hears that it is.
    install(app, &roots)?;
    tracing::info!(root_keys = roots.ids().join(" "), "root_keys.followed");
    let row = report_of(app, app.clock.now());
    app.db.write(row, |tx, row| Box::pin(report(tx, row))).await.map(drop)?;
    Ok(root_key_use::weigh(app, roots.ids()).await?)
}

/// This replica ends.
///
/// # Errors
/// When the database fails. It is forgotten a little later then.
pub async fn leave(db: &crate::store::Db, replica: &str) -> Result<(), StoreError> {
    db.write(replica.to_owned(), |tx, id| Box::pin(tx.forget_replica(id))).await
}

/// Appends a new random key to the root key file. Nothing is made under it before [`activate`].
///
/// # Errors
/// When there is no file, or it cannot be changed, or the database fails.
pub async fn add(app: &App) -> Result<String, RootKeysError> {
    let prepared = match &app.config.keys.root_key {
        RootKeySource::File(path) => {
            let source = RootKeySource::File(path.clone());
            // It may have to wait for somebody else who adds one.
            tokio::task::spawn_blocking(move || RootKeys::prepare_addition(&source))
                .await
                .map_err(|_| SigningKeysError::Interrupted)??
        }
        value @ RootKeySource::Value(_) => RootKeys::prepare_addition(value)?,
    };
    let id = prepared.id().to_string();
    // The entry comes first: there is no unit that holds both, and no key without an entry.
    let row = operator_row(app, &Event::RootKeyAdded(&id));
    app.db.write(row, |tx, row| Box::pin(tx.append_audit(row))).await?;
    prepared.put()?;
    audit::record(&Event::RootKeyAdded(&id));
    Ok(id)
}

/// Makes a root key the one that all replicas make new secrets under, and seals the signing keys anew. Whatever was made
/// before stays valid.
///
/// # Errors
/// [`RootKeysError::NotReported`] while a replica has not read the key; otherwise see [`RootKeysError`].
pub async fn activate(app: &App, number: u32) -> Result<Activated, RootKeysError> {
    let mut roots = read(app).await?;
    let id = match roots.by_number(number) {
        Some(key) => key.id().to_string(),
        None => return Err(RootKeysError::Unknown { number, found: roots.ids().join(", ") }),
    };
    roots.activate(&id);
    loop {
        let stored = signing_keys::read(app).await?;
        signing_keys::require_all(&roots, &stored.rows, &app.config.keys.root_key)?;
        let change = Activation {
            now: app.clock.now(),
            id: id.clone(),
            version: stored.keyring.version,
            resealed: reseal(&roots, stored.rows)?,
            row: operator_row(app, &Event::RootKeyActivated(&id)),
        };
        let resealed = change.resealed.len();
        let is_new = match app.db.write(change, |tx, change| Box::pin(change.make(tx))).await {
            Err(StoreError::Overtaken) => continue,
            outcome => {
                outcome?.map_err(|replicas| RootKeysError::NotReported { id: id.clone(), replicas })?
            }
        };
        if is_new {
            audit::record(&Event::RootKeyActivated(&id));
        }
        return Ok(Activated { id, resealed });
    }
}

/// The signing keys that are sealed under an older root key: each sealed anew, and as it was.
fn reseal(
    roots: &RootKeys,
    rows: Vec<SigningKeyRow>,
) -> Result<Vec<(SigningKeyRow, Vec<u8>)>, SigningKeysError> {
    let root = roots.active();
    let id = root.id().to_string();
    let mut resealed = Vec::new();
    for row in rows.into_iter().filter(|row| row.status != KeyStatus::Retired && row.root_key_id != id) {
        let der = signing_keys::open(roots, &row)?;
        let context = signing_keys::seal_context(&row.kid);
        let sealed = root.seal(&context, &der)?;
        // Nothing replaces what was there before it has been seen to open.
        if root.open(&context, &sealed)? != der {
            return Err(SealError::Engine.into());
        }
        let before = row.sealed.clone();
        resealed.push((SigningKeyRow { sealed, root_key_id: id.clone(), ..row }, before));
    }
    Ok(resealed)
}

struct Activation {
    now: Timestamp,
    id: String,
    /// Of the keyring when it was read.
    version: i64,
    resealed: Vec<(SigningKeyRow, Vec<u8>)>,
    row: AuditRow,
}

impl Activation {
    /// Whether the key was not the active one. `Err`: the replicas that have not read it; nothing was written.
    async fn make(&self, tx: &mut crate::store::Tx) -> Result<Result<bool, Vec<String>>, StoreError> {
        let before = tx.hold_active_root_key().await?;
        let replicas = tx.replicas_since(self.now.minus(REPLICA_LIFE)).await?;
        let without: Vec<String> = replicas
            .iter()
            .filter(|replica| !replica.root_key_ids.contains(&self.id))
            .map(|ReplicaRow { id, root_key_ids, .. }| format!("replica {id} has {}", root_key_ids.join(" ")))
            .collect();
        if !without.is_empty() {
            return Ok(Err(without));
        }
        // A key that was made meanwhile is sealed under the older root key, and would be lost with it. Whoever is making
        // one now is overtaken by this, and seals it again.
        if !tx.change_keyring(self.version).await? {
            return Err(StoreError::Overtaken);
        }
        for (row, sealed) in &self.resealed {
            if !tx.reseal_signing_key(row, sealed).await? {
                return Err(StoreError::Overtaken);
            }
        }
        let is_new = before.as_deref() != Some(&self.id);
        if is_new {
            tx.set_active_root_key(&self.id).await?;
            tx.append_audit(&self.row).await?;
        }
        Ok(Ok(is_new))
    }
}

/// The root keys of the file and those that the database names.
///
/// # Errors
/// When the file cannot be read or the database fails.
pub async fn list(app: &App) -> Result<RootKeyList, RootKeysError> {
    let mut roots = read(app).await?;
    let in_file = roots.ids();
    let now = app.clock.now();
    let (active, used, replicas) = app
        .db
        .read(now, |tx, now| {
            Box::pin(async move {
                let active = tx.active_root_key().await?;
                Ok((active, tx.root_key_use(*now).await?, tx.replicas_since(now.minus(REPLICA_LIFE)).await?))
            })
        })
        .await?;
    let active = match active {
        Some(active) => active,
        None => roots.active().id().to_string(),
    };
    roots.activate(&active);
    let mut ids = in_file.clone();
    let RootKeyUse { signing_keys, grants, audit_seals } = &used;
    let named = [signing_keys, grants, audit_seals].into_iter().flatten().map(|(id, _)| id);
    for id in named.chain([&active]) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    let count = |rows: &[(String, i64)], id: &str| {
        rows.iter().find(|(named, _)| named == id).map_or(0, |(_, count)| *count)
    };
    let line = |id: String| RootKeyLine {
        is_active: id == active,
        is_in_file: in_file.contains(&id),
        signing_keys: count(signing_keys, &id),
        grants: count(grants, &id),
        audit_seals: count(audit_seals, &id),
        replicas: replicas
            .iter()
            .filter(|replica| replica.root_key_ids.contains(&id))
            .map(|replica| replica.id.clone())
            .collect(),
        id,
    };
    let keys = ids.into_iter().map(line).collect();
    Ok(RootKeyList { keys, replicas: replicas.iter().map(|replica| replica.id.clone()).collect() })
}

/// The keys of the file, or of the environment, in their order.
pub(super) async fn read(app: &App) -> Result<RootKeys, SigningKeysError> {
    let source = &app.config.keys.root_key;
    let found = match source {
        RootKeySource::File(path) => {
            let file = RootKeySource::File(path.clone());
            tokio::task::spawn_blocking(move || RootKeys::load(&file))
                .await
                .map_err(|_| SigningKeysError::Interrupted)??
        }
        RootKeySource::Value(_) => RootKeys::load(source)?,
    };
    found.ok_or_else(|| signing_keys::none_in(source))
}

fn operator_row(app: &App, event: &Event<'_>) -> AuditRow {
    audit::row(event, Actor::Operator, &Caller::default(), app.clock.now())
}
