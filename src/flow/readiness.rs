//! Whether this process can do its work now.

use std::time::{Duration, Instant};

use super::key_rotation;
use crate::app::App;
use crate::rotation::Outlook;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The database does not answer.
    #[error("the database does not answer")]
    Database,
    /// There is no active signing key.
    #[error("there is no active signing key")]
    SigningKey,
    /// It is not known whether the signing keys here still sign.
    #[error("the signing keys have not been read for a minute")]
    KeysUnread,
    /// The root key that the other replicas make new secrets under is not here.
    #[error("the active root key is not here")]
    RootKey,
    /// The clocks of this process and the database are too far apart.
    #[error("the clock differs from the database's")]
    Clock,
}

/// How a process is that can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// When signing keys take turns.
    pub keys: Outlook,
    /// What somebody must look at before it becomes a trouble; empty when all is well.
    pub degraded: Vec<String>,
}

/// Asks the database, and looks for the keys and at the last comparison of the clocks.
///
/// # Errors
/// The first thing that is missing. The log has it too.
pub async fn check(app: &App) -> Result<Ready, NotReady> {
    if let Err(reason) = first_missing(app).await {
        tracing::warn!(reason = %reason, "not ready");
        return Err(reason);
    }
    let keys = key_rotation::outlook(app);
    let mut degraded = Vec::new();
    if keys.overdue.is_some() {
        degraded.push("the rotation of the signing keys is overdue".to_owned());
    } else if keys.misdated.is_some() {
        degraded.push("a signing key is dated in the future".to_owned());
    } else if app.replica.complaint(key_rotation::TASK).is_some() {
        // The log says why; this answer is for everybody.
        degraded.push("the last attempt to rotate the signing keys failed".to_owned());
    }
    Ok(Ready { keys, degraded })
}

async fn first_missing(app: &App) -> Result<(), NotReady> {
    match tokio::time::timeout(PATIENCE, app.db.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "database is not ready");
            return Err(NotReady::Database);
        }
        Err(_elapsed) => return Err(NotReady::Database),
    }
    if app.keyring.active_kid().is_none() {
        return Err(NotReady::SigningKey);
    }
    if !app.keyring.may_sign(Instant::now()) {
        return Err(NotReady::KeysUnread);
    }
    if !app.replica.has_active_root_key() {
        return Err(NotReady::RootKey);
    }
    if !app.replica.is_clock_right() {
        return Err(NotReady::Clock);
    }
    Ok(())
}
