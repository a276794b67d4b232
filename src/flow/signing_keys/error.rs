//! Why signing keys cannot be used.

use signet_guard::Algorithm;

use crate::jose::{GenerateError, ImportError, PublishError, RootKeyError, SealError};
use crate::store::StoreError;

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
    /// No server here would ever sign with it.
    #[error("this is a key for {key}, and tokens.signing_algorithm is {configured}: set that to {key} first")]
    OtherAlgorithm {
        /// What the key signs with.
        key: Algorithm,
        /// What is signed with here, besides RS256.
        configured: Algorithm,
    },
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
