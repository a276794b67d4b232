//! What happens around every handler.

pub mod caching;
pub mod host;
pub mod observe;
