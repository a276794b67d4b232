//! Age: entries go when they are older than `audit.keep`.

use crate::app::App;
use crate::flow::audit_log::seal::{ChainError, moved, sound_head};

/// Seals swept in one turn at most.
const SEALS_AT_ONCE: usize = 40;

/// Removes the entries of the oldest seals, one seal a unit, as long as they are older than `audit.keep`. What is not
/// sealed is not removed. Safe on several replicas at once: each seal is swept by one of them.
pub async fn sweep(app: &App) {
    for _ in 0..SEALS_AT_ONCE {
        match sweep_once(app).await {
            Ok(true) => {}
            Ok(false) => {
                if app.replica.news("audit.sweep", None).is_some() {
                    tracing::info!("old entries of the audit log are removed again");
                }
                return;
            }
            Err(ChainError::Store(error)) => {
                if app.replica.news("audit.sweep", Some(&error.to_string())).is_some() {
                    let cause = std::error::Error::source(&error).map(tracing::field::display);
                    tracing::warn!(error = %error, cause, "old entries of the audit log were not removed");
                }
                return;
            }
            // Whoever seals says so.
            Err(ChainError::Missing | ChainError::Broken | ChainError::UnknownKey(_)) => return,
        }
    }
}

/// `false`: there was nothing to remove, or somebody else is at it.
async fn sweep_once(app: &App) -> Result<bool, ChainError> {
    let Some(keys) = app.keyring.audit_keys() else { return Ok(false) };
    let (head, last) = sound_head(app, &keys).await?;
    let Some(oldest) = head.swept.checked_add(1) else { return Ok(false) };
    let seal =
        app.db.read(oldest, |tx, oldest| Box::pin(async move { tx.audit_seal(*oldest).await })).await?;
    // Everything under a seal is older than the seal.
    let until = app.clock.now().minus(app.config.audit.keep);
    if seal.is_none_or(|seal| seal.at >= until) {
        return Ok(false);
    }
    let Some(to) = moved(&keys, head.seal, oldest, &last) else { return Ok(false) };
    let write =
        app.db.write((head, to), |tx, (from, to)| Box::pin(async move { tx.sweep_audit(from, to).await }));
    Ok(write.await?)
}
