//! What happens, in the order in which it happens.
//!
//! A flow takes [`App`](crate::app::App) and typed input and returns typed output or a typed error. It knows neither
//! HTTP nor SQL text. It decides what is atomic: one `db.write` is one unit.

pub mod access_token;
mod account_entry;
pub mod accounts;
pub mod audit_log;
pub mod clock_check;
pub mod deletion;
pub mod device;
pub mod grants;
pub mod key_rotation;
pub mod logout;
pub mod own_account;
pub mod readiness;
pub mod reauthentication;
pub mod refresh;
pub mod registration;
pub mod restore;
mod root_key_use;
pub mod root_keys;
pub mod self_check;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod status;
pub mod sweep;
pub mod throttle;
