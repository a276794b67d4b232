//! [`App`]: everything a request may need, built once.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use signet_guard::{Clock, KeySource, Timestamp, Verifier};

use crate::audit::Buffer;
use crate::config::Config;
use crate::grant::Serial;
use crate::jose::{KeyMaker, Keyring};
use crate::password::{Hasher, HasherError, Policy};
use crate::replica::Replica;
use crate::rotation::Known;
use crate::status_board::StatusBoard;
use crate::store::{Db, StoreError};

/// Everything a flow may need. Built once, shared by all requests.
pub struct App {
    /// The settings in force.
    pub config: Config,
    /// The only source of time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// The password hashing threads.
    pub hasher: Hasher,
    /// What a new password must be.
    pub password_policy: Policy,
    /// The signing key in use and the JWK Set as published. Empty until
    /// [`flow::signing_keys::load_or_create`](crate::flow::signing_keys::load_or_create) has filled it.
    pub keyring: Keyring,
    /// The lives of the keys in use. Empty until the keyring is filled.
    pub(crate) known_keys: ArcSwapOption<Known>,
    /// Held while the keys are read and put to use: what was read earlier must not be put to use later.
    pub(crate) key_work: tokio::sync::Mutex<()>,
    /// Makes the next signing key.
    pub(crate) key_maker: KeyMaker,
    /// Held while the state of the keys folder is read and written anew.
    pub(crate) state_file: tokio::sync::Mutex<()>,
    /// Which grants are revoked. Empty until [`flow::status::load`](crate::flow::status::load) has filled it.
    pub status_board: Arc<StatusBoard>,
    /// How far the sweep has come.
    pub(crate) walk: Mutex<Walk>,
    /// The guard of our own routes: the same code that every other API uses.
    pub verifier: Verifier,
    /// Entries of the audit log that wait to be written.
    pub audit_buffer: Buffer,
    /// What this process knows about itself.
    pub replica: Replica,
}

/// How far [`flow::sweep`](crate::flow::sweep) of this process has come in walking through all grants.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The last row it has seen.
    pub(crate) after: Serial,
    /// How many rows there are, as far as is known: at least those seen in this round.
    pub(crate) rows: i64,
    /// When the bits of revoked grants were cleared last.
    pub(crate) cleared_at: Option<Timestamp>,
    seen: i64,
}

impl Default for Walk {
    fn default() -> Self {
        Self { after: Serial::from_number(0), rows: 0, cleared_at: None, seen: 0 }
    }
}

impl Walk {
    /// So many rows further.
    pub(crate) fn come_to(&mut self, last: Serial, rows: i64) {
        self.after = last;
        self.seen += rows;
        self.rows = self.rows.max(self.seen);
    }

    /// At the end: now it is known how many rows there are.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self { rows: self.seen, cleared_at: self.cleared_at, ..Self::default() };
    }
}

/// Why the parts did not come together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database did not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hashing threads did not start.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The signing threads did not start.
    #[error("the system refuses the threads that sign tokens: {0}")]
    Threads(#[source] std::io::Error),
    /// Issuer or audience cannot be verified against.
    #[error(transparent)]
    Verifier(#[from] signet_guard::ConfigError),
}

impl App {
    /// Opens the database and starts the threads that hash and sign. There is no key yet to sign with.
    ///
    /// # Errors
    /// See [`BuildError`]; each prints as one line that names the cure.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        let db = Db::open(&config.database).await?;
        let hasher = Hasher::start(&config.passwords)?;
        let password_policy = Policy::new(config.passwords.min_length, config.passwords.max_length);
        let keyring = Keyring::start().map_err(BuildError::Threads)?;
        let status_board = Arc::new(StatusBoard::new(config.issuer.join("/status/")));
        let board = status_board.clone();
        let verifier = Verifier::builder(
            config.issuer.as_str(),
            &config.tokens.audience,
            KeySource::shared(keyring.shared_keys()),
        )
        .clock(clock.clone())
        .check("revoked", move |claims| !board.is_revoked(claims.status.as_ref()))
        .build()?;
        Ok(Self {
            config,
            clock,
            db,
            hasher,
            password_policy,
            keyring,
            known_keys: ArcSwapOption::empty(),
            key_work: tokio::sync::Mutex::default(),
            key_maker: KeyMaker::default(),
            state_file: tokio::sync::Mutex::default(),
            status_board,
            walk: Mutex::default(),
            verifier,
            audit_buffer: Buffer::default(),
            replica: Replica::new(),
        })
    }
}
