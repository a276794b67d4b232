//! Sealing: what was written cannot be changed unseen.

use crate::app::App;
use crate::audit::seal::{head_parts, seal_parts};
use crate::jose::{AuditKeys, SealCheck};
use crate::store::{AuditHead, AuditSeal, StoreError, StoredAudit};

/// Entries under one seal: little enough to be read, sealed and swept at once.
const ENTRIES_AT_ONCE: i64 = 500;

/// Seals made in one turn at most.
const SEALS_AT_ONCE: usize = 40;

/// Seals what is not sealed yet. Safe on several replicas at once: each seal is made by one of them.
pub async fn seal(app: &App) {
    for _ in 0..SEALS_AT_ONCE {
        match seal_once(app).await {
            Ok(true) => {}
            Ok(false) => {
                if app.replica.news("audit.seal", None).is_some() {
                    tracing::info!("the audit log is sealed again");
                }
                return;
            }
            // An entry was committed late: this round sees it.
            Err(StoreError::Overtaken) => {}
            Err(error) => {
                if app.replica.news("audit.seal", Some(&error.to_string())).is_some() {
                    let cause = std::error::Error::source(&error).map(tracing::field::display);
                    tracing::warn!(error = %error, cause, "the audit log was not sealed; it is tried again");
                }
                return;
            }
        }
    }
}

/// Both ends of the chain and the newest seal, or nothing, when they are not as they were left.
pub(super) async fn sound_head(
    app: &App,
    keys: &AuditKeys,
) -> Result<Option<(AuditHead, Vec<u8>)>, StoreError> {
    let (head, last) = app
        .db
        .read((), |tx, ()| {
            Box::pin(async move {
                let head = tx.audit_head().await?;
                let last = tx.audit_seal(head.seal).await?;
                Ok((head, last))
            })
        })
        .await?;
    let last = last.map(|seal| seal.mac).unwrap_or_default();
    match check_head(keys, &head, &last) {
        SealCheck::Holds => return Ok(Some((head, last))),
        SealCheck::UnknownKey => tracing::error!(
            root_key = head.root_key_id,
            "the audit log was sealed under a root key that is not in the root key file: put it back"
        ),
        // Going on would heal what somebody broke.
        SealCheck::Broken => tracing::error!(
            "the audit log is not as it was sealed: nothing more is sealed or removed; see `signet audit --verify`"
        ),
    }
    Ok(None)
}

/// Whether the head holds. An empty one is that of a database in which nothing was sealed yet.
pub(super) fn check_head(keys: &AuditKeys, head: &AuditHead, last: &[u8]) -> SealCheck {
    if head.seal == 0 && head.swept == 0 && head.root_key_id.is_empty() && head.mac.is_empty() {
        return SealCheck::Holds;
    }
    keys.check(&head_parts(head, last), &head.root_key_id, &head.mac)
}

/// The head moved to these ends; `None` when the crypto library refuses.
pub(super) fn moved(keys: &AuditKeys, seal: i64, swept: i64, last: &[u8]) -> Option<AuditHead> {
    let mut head = AuditHead { seal, swept, root_key_id: keys.active().to_string(), mac: Vec::new() };
    head.mac = keys.seal(&head_parts(&head, last))?.to_vec();
    Some(head)
}

/// Makes one seal. `false`: there was nothing to seal, or somebody else is at it.
async fn seal_once(app: &App) -> Result<bool, StoreError> {
    let Some(keys) = app.keyring.audit_keys() else { return Ok(false) };
    // Before the entries: if somebody else seals them meanwhile the head has moved, and nothing has to be rolled back.
    let Some((head, previous)) = sound_head(app, &keys).await? else { return Ok(false) };
    let entries =
        app.db.read((), |tx, ()| Box::pin(async move { tx.unsealed_audit(ENTRIES_AT_ONCE).await })).await?;
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(false) };
    let ids = [first.id, last.id];
    let Some((seal, to)) = make(app, &keys, &head, &previous, &entries) else { return Ok(false) };
    let made = app
        .db
        .write((seal, ids, head, to), |tx, (seal, ids, from, to)| {
            Box::pin(async move { tx.seal_audit(seal, *ids, [from, to]).await })
        })
        .await?;
    Ok(made)
}

fn make(
    app: &App,
    keys: &AuditKeys,
    head: &AuditHead,
    previous: &[u8],
    entries: &[StoredAudit],
) -> Option<(AuditSeal, AuditHead)> {
    let mut seal = AuditSeal {
        seal: head.seal.checked_add(1)?,
        at: app.clock.now(),
        entries: i64::try_from(entries.len()).ok()?,
        root_key_id: keys.active().to_string(),
        mac: Vec::new(),
    };
    seal.mac = keys.seal(&seal_parts(previous, &seal, entries))?.to_vec();
    let head = moved(keys, seal.seal, head.swept, &seal.mac)?;
    Some((seal, head))
}
