//! Whether this process can do its work now.

use std::time::Duration;

use crate::app::App;

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
    /// The root key that the other replicas make new secrets under is not here.
    #[error("the active root key is not here")]
    RootKey,
    /// The clocks of this process and the database are too far apart.
    #[error("the clock differs from the database's")]
    Clock,
}

/// Asks the database, and looks for the keys and at the last comparison of the clocks.
///
/// # Errors
/// The first thing that is missing. The log has it too.
pub async fn check(app: &App) -> Result<(), NotReady> {
    let outcome = first_missing(app).await;
    if let Err(reason) = outcome {
        tracing::warn!(reason = %reason, "not ready");
    }
    outcome
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
    if !app.replica.has_active_root_key() {
        return Err(NotReady::RootKey);
    }
    if !app.replica.is_clock_right() {
        return Err(NotReady::Clock);
    }
    Ok(())
}
