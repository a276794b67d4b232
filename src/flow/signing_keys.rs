//! Signing keys made at the first start, brought by the operator, opened at every start and after each change. How they
//! take turns is in [`key_rotation`].

mod error;

pub use error::SigningKeysError;

use std::sync::Arc;
use std::time::Instant;

use signet_guard::{Algorithm, Timestamp};
use zeroize::Zeroizing;

use super::key_rotation::{self, Act, Who};
use super::root_keys;
use crate::app::App;
use crate::config::RootKeySource;
use crate::jose::{
    PrivateKey, PublicJwk, PublishedKeys, RootKeyError, RootKeyId, RootKeys, SealContext, SigningKey,
};
use crate::rotation::{self, Announced, KeyLife, KeyStatus, Known};
use crate::store::{KeyringRow, SigningKeyRow, StoreError};

/// What a start found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The keys were there.
    Existing,
    /// The database was new, and this process made the first keys.
    Created,
}

/// The signing keys as read.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// What is true of all of them.
    pub(super) keyring: KeyringRow,
    /// Each of them, oldest first.
    pub(super) rows: Vec<SigningKeyRow>,
    /// When the database was asked.
    asked: Instant,
}

/// Reads the signing keys, as they were at one moment.
pub(super) async fn read(app: &App) -> Result<Stored, StoreError> {
    let asked = Instant::now();
    app.db
        .snapshot(asked, |tx, asked| {
            Box::pin(async move {
                Ok(Stored { keyring: tx.keyring().await?, rows: tx.signing_keys().await?, asked: *asked })
            })
        })
        .await
}

/// Opens the signing keys of the database, or makes the first ones, and installs them in the keyring.
///
/// Safe when several replicas start at once: one of them makes the keys. The root key is on disk before the first row that it
/// seals. Without a key that signs, the one that stands by does at once.
///
/// # Errors
/// See [`SigningKeysError`]. Nothing is ever overwritten.
pub async fn load_or_create(app: &App) -> Result<Loaded, SigningKeysError> {
    let _work = app.key_work.lock().await;
    let mut stored = read(app).await?;
    let mut roots = root_keys_for(app, &stored.rows)?;
    root_keys::join(app, &mut roots).await?;
    let mut loaded = Loaded::Existing;
    while !signs(&stored.rows, Algorithm::Rs256) {
        let (version, life) = (stored.keyring.version, key_rotation::policy(&app.config).longest_life);
        // Not made: another replica was quicker; its key is read below.
        if let Some(next) = key_rotation::next_in_line(&stored, Algorithm::Rs256) {
            let act = Act::Activate(next.kid.clone(), life);
            key_rotation::make(app, version, Who::Signet, vec![act]).await?;
        } else {
            let acts = first_keys(app, &roots, &stored.rows).await?;
            if key_rotation::make(app, version, Who::Signet, acts).await? {
                loaded = Loaded::Created;
            }
        }
        stored = read(app).await?;
    }
    let stored = fit(app, stored).await?;
    install(app, &roots, &stored)?;
    root_keys::install(app, &roots)?;
    Ok(loaded)
}

/// A key that signs for each algorithm that is wanted and has none: nobody can have kept a set without them yet. Another
/// that is wanted later is published first.
async fn first_keys(
    app: &App,
    roots: &RootKeys,
    rows: &[SigningKeyRow],
) -> Result<Vec<Act>, SigningKeysError> {
    let mut acts = Vec::new();
    for algorithm in key_rotation::policy(&app.config).algorithms {
        if algorithm != Algorithm::Rs256 && !rows.is_empty() {
            continue;
        }
        let bits = app.config.keys.rsa_bits;
        let key = tokio::task::spawn_blocking(move || PrivateKey::generate(algorithm, bits))
            .await
            .map_err(|_| SigningKeysError::Interrupted)??;
        acts.push(Act::Create(sealed(app, roots, &key, KeyStatus::Active, app.clock.now())?));
    }
    Ok(acts)
}

/// Brings a key of the operator's own (PKCS#8 PEM). It becomes the active key of a database that has none, and stands by
/// otherwise. Running servers notice within seconds.
///
/// # Errors
/// When the key is not one in PKCS#8 PEM that is wanted here (RSA of 2048 to 4096 bits always is), is known already, or
/// cannot be stored.
pub async fn import(app: &App, pem: &str) -> Result<SigningKeyRow, SigningKeysError> {
    let key = PrivateKey::from_pkcs8_pem(pem)?;
    let (kid, algorithm) = (key.public_jwk().kid().to_owned(), key.public_jwk().algorithm());
    if !key_rotation::policy(&app.config).algorithms.contains(&algorithm) {
        let configured = app.config.tokens.signing_algorithm;
        return Err(SigningKeysError::OtherAlgorithm { key: algorithm, configured });
    }
    loop {
        let stored = read(app).await?;
        if stored.rows.iter().any(|row| row.kid == kid) {
            return Err(SigningKeysError::KnownKey(kid));
        }
        let is_first = if algorithm == Algorithm::Rs256 {
            !signs(&stored.rows, algorithm)
        } else {
            stored.rows.is_empty()
        };
        let acts = if !is_first {
            let (row, announced) = standby(app, &stored, &key).await?;
            vec![Act::Announce(announced), Act::Import(row)]
        } else {
            let roots = roots_for_sealing(app, &stored.rows).await?;
            vec![Act::Import(sealed(app, &roots, &key, KeyStatus::Active, app.clock.now())?)]
        };
        if key_rotation::make(app, stored.keyring.version, Who::Operator, acts).await? {
            key_rotation::follow(app).await?;
            let imported = self::stored(app).await?.into_iter().find(|row| row.kid == kid);
            return imported.ok_or(SigningKeysError::KnownKey(kid));
        }
    }
}

/// A key that is to stand by from now on, sealed, and for how long sets are given out then.
pub(super) async fn standby(
    app: &App,
    stored: &Stored,
    key: &PrivateKey,
) -> Result<(SigningKeyRow, Announced), SigningKeysError> {
    let (now, policy) = (app.clock.now(), key_rotation::policy(&app.config));
    let announced = stored.keyring.announced.change(now, policy.max_age);
    let roots = roots_for_sealing(app, &stored.rows).await?;
    let row = sealed(app, &roots, key, KeyStatus::Pending, policy.ready_at(now, announced))?;
    Ok((row, announced))
}

async fn roots_for_sealing(app: &App, rows: &[SigningKeyRow]) -> Result<RootKeys, SigningKeysError> {
    let mut roots = root_keys_for(app, rows)?;
    let active = app.db.read((), |tx, ()| Box::pin(tx.active_root_key())).await?;
    root_keys::activate_here(app, &mut roots, active.as_deref())?;
    Ok(roots)
}

/// Writes what must be written before these keys are used by the settings of this process: that sets are given out for
/// longer, that tokens live longer, that a key may sign later. Less than what stands there is written only with the next
/// key: two replicas of different settings must not take turns at it.
pub(super) async fn fit(app: &App, mut stored: Stored) -> Result<Stored, StoreError> {
    let policy = key_rotation::policy(&app.config);
    loop {
        let announced = stored.keyring.announced;
        let mut acts = Vec::new();
        if announced.max_age < policy.max_age {
            acts.push(Act::Announce(announced.change(app.clock.now(), policy.max_age)));
        }
        for life in stored.rows.iter().map(SigningKeyRow::life) {
            let allowed = policy.allowed_for(&life);
            if allowed != life {
                acts.push(Act::Allow(allowed));
            }
        }
        if acts.is_empty() {
            return Ok(stored);
        }
        key_rotation::make(app, stored.keyring.version, Who::Signet, acts).await?;
        stored = read(app).await?;
    }
}

/// All signing keys, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn stored(app: &App) -> Result<Vec<SigningKeyRow>, StoreError> {
    app.db.read((), |tx, ()| Box::pin(async move { tx.signing_keys().await })).await
}

/// Whether a key signs with that algorithm.
fn signs(rows: &[SigningKeyRow], algorithm: Algorithm) -> bool {
    rows.iter().any(|row| row.status == KeyStatus::Active && row.algorithm == algorithm)
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

/// A new row of a key.
fn sealed(
    app: &App,
    roots: &RootKeys,
    key: &PrivateKey,
    status: KeyStatus,
    ready_at: Timestamp,
) -> Result<SigningKeyRow, SigningKeysError> {
    let jwk = key.public_jwk();
    let kid = jwk.kid().to_owned();
    let (root, now) = (roots.active(), app.clock.now());
    Ok(SigningKeyRow {
        algorithm: jwk.algorithm(),
        public_jwk: jwk.to_json(),
        sealed: root.seal(&seal_context(&kid), &key.to_pkcs8_der()?)?,
        root_key_id: root.id().to_string(),
        status,
        created_at: now,
        ready_at,
        activated_at: (status == KeyStatus::Active).then_some(now),
        retiring_at: None,
        retired_at: None,
        withdrawn_at: None,
        rotation_requested_at: None,
        longest_life: key_rotation::policy(&app.config).longest_life,
        kid,
    })
}

/// Opens the active keys and publishes all that verifiers may need. The key of the configured algorithm signs; until there
/// is one, that of RS256 does.
pub(super) fn install(app: &App, roots: &RootKeys, stored: &Stored) -> Result<Arc<Known>, SigningKeysError> {
    let Stored { keyring: KeyringRow { version, announced }, rows, asked } = stored;
    // Another replica may have sealed a row since this one looked.
    require_all(roots, rows, &app.config.keys.root_key)?;
    let mut active = Vec::new();
    let mut published = Vec::new();
    for row in rows.iter().filter(|row| row.status != KeyStatus::Retired) {
        let damaged = |error: &dyn std::fmt::Display| SigningKeysError::Damaged {
            kid: row.kid.clone(),
            reason: error.to_string(),
        };
        published.push(PublicJwk::from_json(&row.public_jwk).map_err(|error| damaged(&error))?);
        if row.status == KeyStatus::Active {
            let der = open(roots, row)?;
            active.push(SigningKey::from_pkcs8_der(&row.kid, &der).map_err(|error| damaged(&error))?);
        }
    }
    let keys: Vec<KeyLife> = rows.iter().map(SigningKeyRow::life).collect();
    let max_age = rotation::cache_time(&keys, &key_rotation::policy(&app.config));
    let of = |algorithm| active.iter().position(|key| key.algorithm() == algorithm);
    let rs256 = of(Algorithm::Rs256);
    let first = rs256.map(|at| active[at].kid());
    let published = PublishedKeys::new(first, published)?.kept_for(max_age);
    let signer = of(app.config.tokens.signing_algorithm).or(rs256).map(|at| active.swap_remove(at));
    app.keyring.install(signer, published)?;
    app.keyring.note_read(*asked);
    let known = Arc::new(Known { version: *version, announced: *announced, keys });
    app.known_keys.store(Some(known.clone()));
    Ok(known)
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
