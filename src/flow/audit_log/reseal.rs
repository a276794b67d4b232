//! Resealing: a new chain behind the last seal that holds, at the operator's word alone.

use crate::app::App;
use crate::audit::{self, BrokenChain, Detail, Event};
use crate::flow::audit_log::seal::{ChainError, moved, seal_once};
use crate::flow::audit_log::verify::{Fault, Known, Verified, verify};
use crate::jose::AuditKeys;
use crate::store::{AuditHead, StoreError};

/// How often it is begun again because servers seal and sweep meanwhile.
const ATTEMPTS: usize = 10;

/// Why no new chain was begun.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// Nothing is broken.
    #[error("the audit log is as it was written: there is nothing to mend")]
    Sound,
    /// What cannot be checked need not be broken.
    #[error(
        "{fault}: put it back; if it is lost for good, say so with --lost-root-key {root_key}, and what was sealed \
         under it is proven by nothing any more"
    )]
    UnknownKey {
        /// What does not hold.
        fault: Fault,
        /// The root key it takes.
        root_key: String,
    },
    /// The crypto library refuses.
    #[error("no seal can be made")]
    Refused,
    /// The database fails, or servers were always quicker.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A chain that was begun anew.
#[derive(Debug)]
pub struct Resealed {
    /// What did not hold.
    pub was: Verified,
    /// The newest of the seals that were left as they are; 0: none.
    pub kept: i64,
    /// What there is now.
    pub now: Verified,
}

/// Begins a new chain behind the last seal that holds. No entry is removed: those behind it are sealed anew, as they are,
/// with one that says what was broken. `lost` names a root key that is gone for good.
///
/// # Errors
/// See [`ResealError`].
pub async fn reseal(app: &App, keys: &AuditKeys, lost: Option<&str>) -> Result<Resealed, ResealError> {
    for _ in 0..ATTEMPTS {
        let was = verify(app, keys, None).await?;
        let fault = was.fault.clone().ok_or(ResealError::Sound)?;
        if let Fault::UnknownKey(_, root_key) = &fault
            && lost != Some(root_key.as_str())
        {
            return Err(ResealError::UnknownKey { root_key: root_key.clone(), fault });
        }
        let Some(to) = new_head(app, keys, &was).await? else { continue };
        let kept = to.seal;
        let event = Event::AuditResealed(fault.code());
        let detail =
            Detail::of_operator().broken_chain(BrokenChain::of(fault.to_string(), was.head.as_ref()));
        let row = audit::operator_row(&event, app.clock.now(), &detail);
        let change = (was.head.clone(), to, row);
        let is_done = app
            .db
            .write(change, |tx, (from, to, row)| {
                Box::pin(async move {
                    Ok(tx.reseal_audit(from.as_ref(), to).await?
                        && tx.append_audit(row).await.map(|()| true)?)
                })
            })
            .await?;
        if !is_done {
            continue;
        }
        audit::record(&event);
        seal_all(app, keys).await?;
        return Ok(Resealed { was, kept, now: verify(app, keys, None).await? });
    }
    Err(StoreError::Overtaken.into())
}

/// The head of the new chain. `None`: the log has changed since it was verified.
async fn new_head(app: &App, keys: &AuditKeys, was: &Verified) -> Result<Option<AuditHead>, ResealError> {
    let swept = was.head.as_ref().map_or(0, |head| head.swept.max(0));
    let mut last = Vec::new();
    // Without the seal that it builds on nothing behind it holds either.
    let kept = was.known.as_ref().filter(|known| known.number() >= swept);
    if let Some(known) = kept {
        let number = known.number();
        let seal =
            app.db.read(number, |tx, number| Box::pin(async move { tx.audit_seal(*number).await })).await?;
        let Some(seal) = seal.filter(|seal| Known::of(seal.seal, &seal.mac) == *known) else {
            return Ok(None);
        };
        last = seal.mac;
    }
    let (number, swept) = kept.map_or((0, 0), |known| (known.number(), swept));
    moved(keys, number, swept, &last).map(Some).ok_or(ResealError::Refused)
}

async fn seal_all(app: &App, keys: &AuditKeys) -> Result<(), ResealError> {
    loop {
        match seal_once(app, keys).await {
            Ok(true) | Err(ChainError::Store(StoreError::Overtaken)) => {}
            // Somebody is breaking it again, which the check that follows says better.
            Ok(false) | Err(ChainError::Missing | ChainError::Broken | ChainError::UnknownKey(_)) => {
                return Ok(());
            }
            Err(ChainError::Store(error)) => return Err(error.into()),
        }
    }
}
