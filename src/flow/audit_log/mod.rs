//! The audit log beyond the entries that units of work carry: refusals, seals, age, and those who read it.

mod read;
mod refusals;
mod reseal;
mod seal;
mod sweep;
mod verify;

pub use read::{Follower, newest, page, resealed};
pub use refusals::{flush, flush_in_turn, flush_last, refused};
pub use reseal::{ResealError, Resealed, reseal};
pub use seal::seal;
pub use sweep::sweep;
pub use verify::{Fault, Known, Verified, verify};

use std::sync::Arc;

use crate::app::App;
use crate::jose::{AuditKeys, RootKeyError, RootKeys};

/// The keys of the audit log: those of the running server, or, on the command line, from the root keys. `None`: there is
/// no root key yet.
///
/// # Errors
/// When the root keys cannot be read.
pub fn keys(app: &App) -> Result<Option<Arc<AuditKeys>>, RootKeyError> {
    if let Some(keys) = app.keyring.audit_keys() {
        return Ok(Some(keys));
    }
    let roots = RootKeys::load(&app.config.keys.root_key)?;
    roots.map(|roots| AuditKeys::derive(&roots).map(Arc::new)).transpose()
}
