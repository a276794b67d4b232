//! Extractors for actix-web (feature `actix`).
//!
//! Put a [`Verifier`](crate::Verifier) into the application's data, plain or as `web::Data`; then a handler that
//! takes an [`AccessToken`] is reached by proven tokens only.

mod access_token;
mod extraction;
mod response;

use std::sync::Arc;

pub use access_token::{AccessToken, MaybeAccessToken};

/// The id of a request. A service that has one puts it into the request's extensions; problem documents then
/// carry it as `instance`, so that a caller can name the line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);
