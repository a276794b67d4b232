//! [`App`]: everything a request may need, built once.

use signet_guard::{Clock, KeySource, Verifier};

use crate::config::Config;
use crate::jose::Keyring;
use crate::password::{Hasher, HasherError, Policy};
use crate::replica::Replica;
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
    /// The guard of our own routes: the same code that every other API uses.
    pub verifier: Verifier,
    /// What this process knows about itself.
    pub replica: Replica,
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
        let verifier = Verifier::builder(
            config.issuer.as_str(),
            &config.tokens.audience,
            KeySource::shared(keyring.shared_keys()),
        )
        .clock(clock.clone())
        .build()?;
        let replica = Replica::new();
        Ok(Self { config, clock, db, hasher, password_policy, keyring, verifier, replica })
    }
}
