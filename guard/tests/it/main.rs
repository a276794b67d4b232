//! The guard from outside: forged, broken and good tokens against a verifier, and against an API behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod algorithms;
mod api;
mod cache;
mod claims;
mod curve_keys;
mod forge;
mod header;
mod instants;
mod issuer;
mod keys;
mod own;
mod profiles;
mod property;
mod remote;
mod remote_copy;
mod remote_discovery;
mod remote_outage;
mod remote_refresh;
mod secrecy;
mod signature;
mod site;
mod stale;
mod status;
mod status_lists;
mod transport;
