//! The life of signing keys, as far as it goes yet: made at the first start, brought by the operator, opened at every
//! start.

use signet_guard::Timestamp;
use zeroize::Zeroizing;

use super::root_keys;
use crate::app::App;
use crate::audit::{self, Actor, Detail, Event};
use crate::caller::Caller;
use crate::config::RootKeySource;
use crate::jose::{
    GenerateError, ImportError, PrivateKey, PublicJwk, PublishError, PublishedKeys, RootKeyError, RootKeyId,
    RootKeys, SealContext, SealError, SigningKey,
};
use crate::store::{AuditRow, KeyStatus, SigningKeyRow, StoreError};

/// Why the keys could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeysError {
    /// The root key cannot be read or written.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The database holds signing keys, and there is no root key at all.
    #[error(
        "the signing keys in this database are sealed with root key {needed}, and {place} does not exist: put that root \
         key back from your backup, or from the keys folder of the replica that made it; nothing was changed"
    )]
    RootKeyLost {
        /// The root key that is needed.
        needed: String,
        /// Where it was looked for.
        place: String,
    },
    /// The database holds signing keys that were sealed with another root key.
    #[error(
        "the signing keys in this database are sealed with root key {needed}, and {place} holds {found}: put root key \
         {needed} there, from your backup or from the keys folder of the replica that made it; nothing was changed"
    )]
    OtherRootKey {
        /// The root key that is needed.
        needed: String,
        /// What is there instead.
        found: String,
        /// Where it was looked for.
        place: String,
    },
    /// A sealed key was altered.
    #[error(
        "signing key {kid} in the database does not open with its root key {root_key}: the row was altered; restore the \
         database from a backup"
    )]
    Unsealable {
        /// The key.
        kid: String,
        /// The root key it names.
        root_key: String,
    },
    /// A stored key is not one that we wrote.
    #[error("signing key {kid} in the database is damaged ({reason}): restore the database from a backup")]
    Damaged {
        /// The key.
        kid: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A new key could not be sealed.
    #[error("the new signing key could not be sealed: {0}")]
    Seal(#[from] SealError),
    /// The stored keys do not make a set that every verifier can use.
    #[error("{0}: restore the database from a backup")]
    Publish(#[from] PublishError),
    /// A key that was brought is not acceptable.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// No key could be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// This key is in the database already.
    #[error("signing key {0} is in the database already")]
    KnownKey(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that makes keys died.
    #[error("the thread that makes keys died")]
    Interrupted,
}

/// What a start found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The keys were there.
    Existing,
    /// The database was new, and this process made the first key.
    Created,
}

/// Opens the signing keys of the database, or makes the first one, and installs them in the keyring.
///
/// Safe when several replicas start at once: one key is made. The root key is on disk before the first row that it
/// seals.
///
/// # Errors
/// See [`SigningKeysError`]. Nothing is ever overwritten.
pub async fn load_or_create(app: &App) -> Result<Loaded, SigningKeysError> {
    let mut rows = stored(app).await?;
    let mut roots = root_keys_for(app, &rows)?;
    root_keys::join(app, &mut roots).await?;
    let mut loaded = Loaded::Existing;
    if !has_active(&rows) {
        let bits = app.config.keys.rsa_bits;
        let key = tokio::task::spawn_blocking(move || PrivateKey::generate_rsa(bits))
            .await
            .map_err(|_| SigningKeysError::Interrupted)??;
        // None: another replica was quicker; its key is read below.
        if let Some(kid) = insert(app, &roots, &key, KeyStatus::Active, Origin::Created).await? {
            audit::record(&Event::KeyCreated(&kid));
            loaded = Loaded::Created;
        }
        rows = stored(app).await?;
    }
    install(app, &roots, &rows)?;
    root_keys::install(app, &roots)?;
    Ok(loaded)
}

/// Brings a key of the operator's own (RSA, PKCS#8 PEM). It becomes the active key of a database that has none, and is
/// published as `pending` otherwise. Running servers see it when they start again.
///
/// # Errors
/// When the key is not an RSA key of at least 2048 bits in PKCS#8 PEM, is known already, or cannot be stored.
pub async fn import(app: &App, pem: &str) -> Result<SigningKeyRow, SigningKeysError> {
    let key = PrivateKey::from_pkcs8_pem(pem)?;
    let rows = stored(app).await?;
    let mut roots = root_keys_for(app, &rows)?;
    let active = app.db.read((), |tx, ()| Box::pin(tx.active_root_key())).await?;
    root_keys::activate_here(app, &mut roots, active.as_deref())?;
    let status = if has_active(&rows) { KeyStatus::Pending } else { KeyStatus::Active };
    let known = || SigningKeysError::KnownKey(key.public_jwk().kid().to_owned());
    let kid = insert(app, &roots, &key, status, Origin::Imported).await?.ok_or_else(known)?;
    audit::record(&Event::KeyImported(&kid));
    stored(app).await?.into_iter().find(|row| row.kid == kid).ok_or_else(known)
}

/// All signing keys, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn stored(app: &App) -> Result<Vec<SigningKeyRow>, StoreError> {
    app.db.read((), |tx, ()| Box::pin(async move { tx.signing_keys().await })).await
}

fn has_active(rows: &[SigningKeyRow]) -> bool {
    rows.iter().any(|row| row.status == KeyStatus::Active)
}

/// The root keys that these rows need; new ones when there is no row yet. A lost root key must never look like an
/// empty database.
fn root_keys_for(app: &App, rows: &[SigningKeyRow]) -> Result<RootKeys, SigningKeysError> {
    let source = &app.config.keys.root_key;
    let Some(roots) = RootKeys::load(source)? else {
        return match (rows.first(), source) {
            (None, RootKeySource::File(path)) => Ok(RootKeys::create(path)?),
            (Some(row), _) => {
                Err(SigningKeysError::RootKeyLost { needed: row.root_key_id.clone(), place: place(source) })
            }
            (None, RootKeySource::Value(_)) => Err(none_in(source)),
        };
    };
    require_all(&roots, rows, source)?;
    Ok(roots)
}

/// There is no root key where one should be.
pub(super) fn none_in(source: &RootKeySource) -> SigningKeysError {
    RootKeyError::Empty { origin: place(source) }.into()
}

/// A root key is needed that is not among these.
pub(super) fn missing(roots: &RootKeys, needed: &str, source: &RootKeySource) -> SigningKeysError {
    SigningKeysError::OtherRootKey {
        needed: needed.to_owned(),
        found: roots.active().id().to_string(),
        place: place(source),
    }
}

/// Where the operator finds, or puts, the root keys.
fn place(source: &RootKeySource) -> String {
    match source {
        RootKeySource::File(path) => path.display().to_string(),
        RootKeySource::Value(_) => "SIGNET_ROOT_KEY".to_owned(),
    }
}

/// Refuses root keys without one that a row needs. `source` is where they came from.
pub(super) fn require_all(
    roots: &RootKeys,
    rows: &[SigningKeyRow],
    source: &RootKeySource,
) -> Result<(), SigningKeysError> {
    let unknown = rows
        .iter()
        .filter(|row| row.status != KeyStatus::Retired)
        .find(|row| !row.root_key_id.parse::<RootKeyId>().is_ok_and(|id| roots.by_id(&id).is_some()));
    match unknown {
        None => Ok(()),
        Some(row) => Err(missing(roots, &row.root_key_id, source)),
    }
}

/// Where a key comes from.
#[derive(Clone, Copy)]
enum Origin {
    Created,
    Imported,
}

impl Origin {
    fn entry(self, kid: &str, at: Timestamp) -> AuditRow {
        match self {
            Self::Created => audit::row(&Event::KeyCreated(kid), Actor::Signet, &Caller::default(), at),
            Self::Imported => audit::operator_row(&Event::KeyImported(kid), at, &Detail::of_operator()),
        }
    }
}

/// Seals and writes a key, and the entry of the audit log with it. `None` when an active key stands already or the key is known.
async fn insert(
    app: &App,
    roots: &RootKeys,
    key: &PrivateKey,
    status: KeyStatus,
    origin: Origin,
) -> Result<Option<String>, SigningKeysError> {
    let jwk = key.public_jwk();
    let kid = jwk.kid().to_owned();
    let der = key.to_pkcs8_der()?;
    let (root, now) = (roots.active(), app.clock.now());
    let sealed = root.seal(&seal_context(&kid), &der)?;
    let row = SigningKeyRow {
        kid: kid.clone(),
        algorithm: jwk.algorithm().as_str().to_owned(),
        public_jwk: jwk.to_json(),
        sealed,
        root_key_id: root.id().to_string(),
        status,
        created_at: now,
        activated_at: (status == KeyStatus::Active).then_some(now),
    };
    let entry = origin.entry(&kid, now);
    let inserted = app
        .db
        .write((row, entry), |tx, (row, entry)| {
            Box::pin(async move {
                let inserted = tx.insert_signing_key(row).await?;
                if inserted {
                    tx.append_audit(entry).await?;
                }
                Ok(inserted)
            })
        })
        .await?;
    Ok(inserted.then_some(kid))
}

/// Opens the active key and publishes all that verifiers may need.
fn install(app: &App, roots: &RootKeys, rows: &[SigningKeyRow]) -> Result<(), SigningKeysError> {
    // Another replica may have sealed a row since this one looked.
    require_all(roots, rows, &app.config.keys.root_key)?;
    let mut active = None;
    let mut published = Vec::new();
    for row in rows.iter().filter(|row| row.status != KeyStatus::Retired) {
        let damaged = |error: &dyn std::fmt::Display| SigningKeysError::Damaged {
            kid: row.kid.clone(),
            reason: error.to_string(),
        };
        published.push(PublicJwk::from_json(&row.public_jwk).map_err(|error| damaged(&error))?);
        if row.status == KeyStatus::Active {
            let der = open(roots, row)?;
            active = Some(SigningKey::from_pkcs8_der(&row.kid, &der).map_err(|error| damaged(&error))?);
        }
    }
    let published = PublishedKeys::new(active.as_ref().map(SigningKey::kid), published)?;
    Ok(app.keyring.install(active, published)?)
}

pub(super) fn open(roots: &RootKeys, row: &SigningKeyRow) -> Result<Zeroizing<Vec<u8>>, SigningKeysError> {
    let unsealable =
        || SigningKeysError::Unsealable { kid: row.kid.clone(), root_key: row.root_key_id.clone() };
    let root = row.root_key_id.parse().ok().and_then(|id| roots.by_id(&id)).ok_or_else(unsealable)?;
    root.open(&seal_context(&row.kid), &row.sealed).map_err(|_| unsealable())
}

pub(super) fn seal_context(kid: &str) -> SealContext<'_> {
    SealContext { table: "signing_keys", row: kid, column: "sealed" }
}
