#![doc = include_str!("../README.md")]

#[cfg(feature = "actix")]
pub mod actix;
mod authorization;
mod challenge;
mod claims;
mod clock;
mod error;
mod jose_header;
mod jwk;
mod key_set;
mod key_source;
mod reason;
#[cfg(feature = "fetch")]
mod remote;
mod scope;
mod strict_json;
mod verifier;

pub use authorization::bearer_token;
pub use challenge::{Challenge, Problem};
pub use claims::{AccessTokenClaims, Audience};
pub use clock::{Clock, FixedClock, Timestamp};
pub use error::{ConfigError, Refusal};
pub use jwk::{Algorithm, SkipReason};
pub use key_set::{KeySet, KeySetError, SkippedKey};
pub use key_source::{KeySource, SharedKeys};
pub use reason::Reason;
#[cfg(feature = "fetch")]
pub use remote::RemoteKeys;
pub use scope::{InvalidScope, Scope, ScopeToken};
pub use verifier::{Verifier, VerifierBuilder};
