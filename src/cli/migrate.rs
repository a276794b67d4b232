//! `signet migrate`.

use super::{Failure, say};
use crate::config::Config;
use crate::store;

/// Applies what is missing; on SQLite a server does the same by itself.
pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let migrated = store::migrate(&config.database).await.map_err(Failure::of)?;
    match migrated.applied {
        0 => say(format_args!("The database is up to date (schema version {}).", migrated.version)),
        n => say(format_args!("Applied {n} migrations; the schema version is now {}.", migrated.version)),
    }
}
