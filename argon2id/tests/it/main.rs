//! The public interface, against RFC 9106 and against the `argon2` crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod equality;
mod limits;
mod memory;
mod vectors;
