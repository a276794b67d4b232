//! Where a verifier's keys come from.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::key_set::KeySet;
#[cfg(feature = "fetch")]
use crate::{error::ConfigError, remote::RemoteKeys};

/// A key set that its owner may replace while verifiers use it. Cloning shares it.
#[derive(Clone)]
pub struct SharedKeys(Arc<ArcSwap<KeySet>>);

impl SharedKeys {
    /// Shares `keys`.
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys)))
    }

    /// From now on these keys are used, by every clone.
    pub fn replace(&self, keys: KeySet) {
        self.0.store(Arc::new(keys));
    }

    /// The keys of this moment.
    pub fn load(&self) -> Arc<KeySet> {
        self.0.load_full()
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedKeys").field(&self.load()).finish()
    }
}

/// Where a verifier's keys come from. Cloning shares the keys and, for remote ones, the fetching of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeySource {
    /// Keys that never change.
    Fixed(Arc<KeySet>),
    /// Keys that this process replaces by itself.
    Shared(SharedKeys),
    /// Keys fetched from the issuer.
    #[cfg(feature = "fetch")]
    Remote(RemoteKeys),
}

impl KeySource {
    /// Keys that never change.
    pub fn fixed(keys: KeySet) -> Self {
        Self::Fixed(Arc::new(keys))
    }

    /// Keys that this process replaces by itself.
    pub const fn shared(keys: SharedKeys) -> Self {
        Self::Shared(keys)
    }

    /// Keys fetched from `issuer` when first needed; see [`RemoteKeys`].
    ///
    /// # Errors
    /// [`ConfigError::IssuerUrl`] unless the issuer is an `https` URL, or an `http` one on a loopback host.
    #[cfg(feature = "fetch")]
    pub fn remote(issuer: &str) -> Result<Self, ConfigError> {
        RemoteKeys::new(issuer).map(Self::Remote)
    }

    /// The keys in which `kid` should be looked up, if that can be said without waiting: always, but for remote
    /// keys that do not know it.
    #[cfg_attr(not(feature = "fetch"), expect(unused_variables, reason = "only remote keys depend on it"))]
    pub(crate) fn at_hand(&self, kid: &str) -> Option<Arc<KeySet>> {
        match self {
            Self::Fixed(keys) => Some(Arc::clone(keys)),
            Self::Shared(keys) => Some(keys.load()),
            #[cfg(feature = "fetch")]
            Self::Remote(keys) => keys.at_hand(kid),
        }
    }

    /// The same, after a fetch if it takes one. `None` when there are no keys to be had.
    #[cfg_attr(
        not(feature = "fetch"),
        expect(clippy::unused_async, reason = "only remote keys are waited for")
    )]
    pub(crate) async fn fetched_for(&self, kid: &str) -> Option<Arc<KeySet>> {
        match self {
            #[cfg(feature = "fetch")]
            Self::Remote(keys) => keys.fetched_for(kid).await,
            _ => self.at_hand(kid),
        }
    }

    /// The same on a thread that may block, for at most `time`.
    #[cfg(feature = "status")]
    pub(crate) fn fetched_here(&self, kid: &str, time: std::time::Duration) -> Option<Arc<KeySet>> {
        match self {
            Self::Remote(keys) => keys.fetched_here(kid, time),
            _ => self.at_hand(kid),
        }
    }
}
