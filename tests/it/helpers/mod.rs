//! What the tests share.

pub mod app;
pub(crate) mod db;
pub mod mint;
pub mod process;
pub mod raw;
pub mod tls;
