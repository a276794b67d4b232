//! Signet: a self-hosted login service.
//!
//! It checks Argon2id password hashes, signs access tokens (RFC 9068) with RS256, ES256 or EdDSA, publishes its public keys as a JWK Set
//! (RFC 7517), and protects its own routes with the guard it offers to everybody, [`signet_guard`].
//!
//! The modules stand in the order in which they may depend on each other: each uses only those above it.
//!
//! # Non-features
//! Symmetric signing, unsigned tokens, the OAuth password grant, the implicit grant, `plain` PKCE and wildcard
//! redirect URIs do not exist here and will not.

pub mod account;
pub mod caller;
pub mod cpu_pool;
pub mod durable_file;

pub mod config;

pub mod grant;
pub mod rotation;

pub mod throttle;

pub mod jose;
pub mod password;
pub mod store;

pub mod audit;
pub mod replica;
pub mod status_board;
pub mod telemetry;

pub mod app;

pub mod flow;

pub mod background;

pub mod http;

pub mod server;

pub mod cli;
