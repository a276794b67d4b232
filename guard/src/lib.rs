#![doc = include_str!("../README.md")]

#[cfg(feature = "actix")]
pub mod actix;
mod algorithm;
mod audience;
mod authorization;
mod builder;
mod challenge;
mod claims;
mod clock;
mod compact_jws;
mod dialect;
mod error;
mod jose_header;
mod jwk;
mod key_set;
mod key_source;
mod profile;
mod reason;
mod refusals;
#[cfg(feature = "fetch")]
mod remote;
mod scope;
#[cfg(feature = "status")]
mod status;
mod strict_json;
#[cfg(test)]
mod vectors;
mod verdicts;
mod verifier;
mod verifying_key;

pub use algorithm::Algorithm;
pub use audience::Audience;
pub use authorization::bearer_token;
pub use builder::VerifierBuilder;
pub use challenge::{Challenge, Problem};
pub use claims::{AccessTokenClaims, StatusReference};
pub use clock::{Clock, FixedClock, Timestamp};
pub use error::{ConfigError, Refusal};
pub use jwk::SkipReason;
pub use key_set::{KeySet, KeySetError, SkippedKey};
pub use key_source::{KeySource, SharedKeys};
pub use profile::{Profile, Relaxation};
pub use reason::Reason;
#[cfg(feature = "fetch")]
pub use remote::{KeysReport, RemoteKeys};
pub use scope::{InvalidScope, Scope, ScopeToken};
#[cfg(feature = "status")]
pub use status::{StalePolicy, StatusList, StatusListError, StatusReport, StatusSource};
pub use verifier::Verifier;
