//! Sealing: what was written cannot be changed unseen.

use crate::app::App;
use crate::audit::seal::{head_parts, seal_parts};
use crate::jose::{AuditKeys, SealCheck};
use crate::replica::News;
use crate::store::{AuditHead, AuditSeal, StoreError, StoredAudit};

/// Entries under one seal: little enough to be read, sealed and swept at once.
const ENTRIES_AT_ONCE: i64 = 500;

/// Seals made in one turn at most.
const SEALS_AT_ONCE: usize = 40;

/// Why the chain cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChainError {
    /// The row of both ends is gone.
    #[error("the record of where the chain of seals ends is missing")]
    Missing,
    /// Going on would heal what somebody broke.
    #[error("the end of the chain of seals does not hold")]
    Broken,
    /// It may hold.
    #[error("it was sealed under root key {0}, which is not in the root key file: put it back")]
    UnknownKey(String),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Seals what is not sealed yet. Safe on several replicas at once: each seal is made by one of them.
pub async fn seal(app: &App) {
    let Some(keys) = app.keyring.audit_keys() else { return };
    for _ in 0..SEALS_AT_ONCE {
        match seal_once(app, &keys).await {
            // An entry was committed late: the next round sees it.
            Ok(true) | Err(ChainError::Store(StoreError::Overtaken)) => {}
            outcome => return tell(app, outcome.err()),
        }
    }
}

/// What stays broken until somebody mends it is told again every hour, and not at every turn.
fn tell(app: &App, error: Option<ChainError>) {
    let complaint = error.as_ref().map(ToString::to_string);
    let news = app.replica.news_every_hour("audit.seal", complaint.as_deref(), app.clock.now());
    let cause = error.as_ref().and_then(std::error::Error::source).map(tracing::field::display);
    match (news, &error) {
        (Some(News::RightAgain), _) => tracing::info!("the audit log is sealed again"),
        (Some(News::Wrong), Some(ChainError::Store(error))) if error.is_temporary() => {
            tracing::warn!(error = %error, cause, "the audit log was not sealed; it is tried again");
        }
        (Some(News::Wrong), Some(error)) => tracing::error!(
            error = %error,
            cause,
            "the audit log cannot be sealed: nothing more is sealed or removed; see `signet audit --verify`"
        ),
        _ => {}
    }
}

/// Both ends of the chain and the MAC of the newest seal, when they are as they were left.
pub(super) async fn sound_head(app: &App, keys: &AuditKeys) -> Result<(AuditHead, Vec<u8>), ChainError> {
    let (head, last) = app
        .db
        .read((), |tx, ()| {
            Box::pin(async move {
                let head = tx.audit_head().await?;
                let newest = head.as_ref().map_or(0, |head| head.seal);
                let last = tx.audit_seal(newest).await?;
                Ok((head, last))
            })
        })
        .await?;
    let head = head.ok_or(ChainError::Missing)?;
    let last = last.map(|seal| seal.mac).unwrap_or_default();
    match check_head(keys, &head, &last) {
        SealCheck::Holds => Ok((head, last)),
        SealCheck::UnknownKey => Err(ChainError::UnknownKey(head.root_key_id)),
        SealCheck::Broken => Err(ChainError::Broken),
    }
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
pub(super) async fn seal_once(app: &App, keys: &AuditKeys) -> Result<bool, ChainError> {
    // Before the entries: if somebody else seals them meanwhile the head has moved, and nothing has to be rolled back.
    let (head, previous) = sound_head(app, keys).await?;
    let entries =
        app.db.read((), |tx, ()| Box::pin(async move { tx.unsealed_audit(ENTRIES_AT_ONCE).await })).await?;
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(false) };
    let ids = [first.id, last.id];
    let Some((seal, to)) = make(app, keys, &head, &previous, &entries) else { return Ok(false) };
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
