//! Private keys: the root keys that seal secrets, the keys that sign tokens, the keys of message authentication codes, and
//! the public set that tokens are checked with.
//!
//! Nothing outside this module holds a private key. RSA keys are made and read by the `rsa` crate, which never signs, keys on
//! curves by aws-lc-rs; all signatures come from aws-lc-rs, with the parsed key kept.

mod audit_keys;
mod jwk;
mod key_maker;
mod keyring;
mod mac;
mod private_key;
mod published;
mod refresh_token;
mod root_key;
mod root_key_file;
mod seal;
mod signing_key;
mod status_token;

pub use audit_keys::{AuditKeys, SealCheck};
pub use jwk::{JwkError, PublicJwk};
pub use key_maker::KeyMaker;
pub use keyring::{Keyring, Signature};
pub use mac::{Mac, MacKeys, TAG_BYTES};
pub use private_key::{GenerateError, ImportError, PrivateKey};
pub use published::{PublishError, PublishedKeys};
pub use refresh_token::{PresentedRefreshToken, RefreshKeys, RefreshToken};
pub use root_key::{AddedRootKey, InvalidRootKeyId, RootKey, RootKeyError, RootKeyId, RootKeys};
pub use seal::{SealContext, SealError};
pub use signing_key::{SignError, SigningKey, SigningKeyError};
pub use status_token::{StatusBits, StatusListToken};

/// Keys made once for all tests: making one takes a third of a second.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod test_keys {
    use std::sync::OnceLock;

    use super::PrivateKey;

    /// One of two RSA-2048 keys, in PKCS#8.
    pub(crate) fn pkcs8(number: usize) -> &'static [u8] {
        static MADE: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
        MADE[number].get_or_init(|| PrivateKey::generate_rsa(2048).unwrap().to_pkcs8_der().unwrap().to_vec())
    }

    /// One of two RSA-2048 keys.
    pub(crate) fn key(number: usize) -> PrivateKey {
        PrivateKey::from_pkcs8_der(pkcs8(number)).unwrap()
    }
}
