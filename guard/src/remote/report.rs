//! How well an issuer's keys are known.

use std::time::Duration;

/// How well an issuer's keys are known, for gauges and alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysReport {
    /// How long ago the issuer last confirmed the set that is in use; `None` when no set is. Stays below five minutes
    /// ([`RemoteKeys::max_age`](crate::RemoteKeys::max_age)) while all is well.
    pub age: Option<Duration>,
    /// How many usable keys the set has; 0 when no set is in use.
    pub keys: usize,
    /// Whether the issuer confirmed the set to this process. A copy from the disk was confirmed to an earlier one.
    pub is_confirmed: bool,
    /// How often the keys were fetched, with or without success; one fetch takes two requests or three.
    pub fetches: u64,
    /// How many of the fetches brought no usable set.
    pub failures: u64,
    /// How many of them brought the word that nothing has changed.
    pub not_modified: u64,
    /// Why the last fetch failed, if it did: `unreachable`, `timeout`, `tls`, `protocol`, `status` (neither 200 nor a
    /// redirect), `redirect`, `too-large`, `html`, `metadata`, `other-issuer`, `jwks-uri`, `key-set` or `no-key`. Nothing that
    /// the issuer wrote is in it; the log has the details.
    pub last_error: Option<&'static str>,
}
