//! What still needs root keys that are gone.

use crate::app::App;
use crate::store::{RootKeyUse, StoreError};

/// Tells of what needs a root key that is not here, once after the start and after each change of the file: without the
/// key a session ends with its access token, and nobody would know why.
pub(super) async fn weigh(app: &App, ids: Vec<String>) -> Result<(), StoreError> {
    if !app.replica.must_weigh_root_keys(&ids) {
        return Ok(());
    }
    let now = app.clock.now();
    let RootKeyUse { grants, audit_seals, .. } =
        app.db.read(now, |tx, now| Box::pin(tx.root_key_use(*now))).await?;
    for (id, count) in grants.iter().filter(|(id, _)| !ids.contains(id)) {
        tracing::error!(
            root_key = id,
            sessions = count,
            "root_keys.needed: these sessions cannot be refreshed without a root key that is not in the file: put it back"
        );
    }
    for (id, count) in audit_seals.iter().filter(|(id, _)| !ids.contains(id)) {
        tracing::warn!(
            root_key = id,
            audit_seals = count,
            "root_keys.needed: these seals of the audit log cannot be checked without a root key that is not in the file"
        );
    }
    app.replica.weighed_root_keys(ids);
    Ok(())
}
