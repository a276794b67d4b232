//! Changes of the signing keys: each a unit with its entries of the audit log, made only while the keys are as they were
//! when it was decided.

use std::time::Duration;

use signet_guard::Timestamp;

use crate::app::App;
use crate::audit::{self, Actor, Detail, Event};
use crate::caller::Caller;
use crate::rotation::{Announced, KeyLife};
use crate::store::{AuditRow, SigningKeyRow, StoreError, Tx};

/// Who wants a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow) enum Who {
    /// The plan.
    Signet,
    /// Somebody at the command line.
    Operator,
}

/// One thing to be done with the keys.
#[derive(Debug, Clone)]
pub(in crate::flow) enum Act {
    /// A key that was made here.
    Create(SigningKeyRow),
    /// A key that the operator brought.
    Import(SigningKeyRow),
    /// The key signs, and no longer the one that did; what it signs lives so long.
    Activate(String, Duration),
    /// The key signs no more.
    Stop(String),
    /// The key leaves the set.
    Retire(String),
    /// The same before its time.
    Withdraw(String),
    /// The operator wants its successor.
    Request(String),
    /// From when on the key may sign, and how long what it signs may live.
    Allow(KeyLife),
    /// For how long sets are given out.
    Announce(Announced),
}

impl Act {
    fn event(&self) -> Option<Event<'_>> {
        match self {
            Self::Create(row) => Some(Event::KeyCreated(&row.kid)),
            Self::Import(row) => Some(Event::KeyImported(&row.kid)),
            Self::Activate(kid, _) => Some(Event::KeyRotated(kid)),
            Self::Stop(kid) => Some(Event::KeyStopped(kid)),
            Self::Retire(kid) => Some(Event::KeyRetired(kid)),
            Self::Withdraw(kid) => Some(Event::KeyRevoked(kid)),
            Self::Request(kid) => Some(Event::KeyRotationRequested(kid)),
            Self::Allow(_) | Self::Announce(_) => None,
        }
    }

    /// `false`: the key is not as it was.
    async fn write(&self, tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
        match self {
            Self::Create(row) | Self::Import(row) => tx.insert_signing_key(row).await,
            Self::Activate(kid, life) => tx.activate_signing_key(kid, now, *life).await,
            Self::Stop(kid) => tx.stop_signing_key(kid, now).await,
            Self::Retire(kid) => tx.retire_signing_key(kid, now, false).await,
            Self::Withdraw(kid) => tx.retire_signing_key(kid, now, true).await,
            Self::Request(kid) => tx.request_key_rotation(kid, now).await,
            Self::Allow(life) => tx.allow_signing_key(life).await,
            Self::Announce(announced) => tx.announce_max_age(*announced).await.map(|()| true),
        }
    }
}

struct Change {
    version: i64,
    now: Timestamp,
    acts: Vec<Act>,
    entries: Vec<AuditRow>,
}

impl Change {
    async fn write(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        if !tx.change_keyring(self.version).await? {
            return Ok(false);
        }
        for act in &self.acts {
            if !act.write(tx, self.now).await? {
                return Err(StoreError::Overtaken);
            }
        }
        for entry in &self.entries {
            tx.append_audit(entry).await?;
        }
        Ok(true)
    }
}

/// Makes a change that was decided by what was read at that version. `false`: somebody has changed the keys since, and
/// nothing was done.
///
/// # Errors
/// When the database fails.
pub(in crate::flow) async fn make(
    app: &App,
    version: i64,
    who: Who,
    acts: Vec<Act>,
) -> Result<bool, StoreError> {
    let now = app.clock.now();
    let entry = |event: &Event<'_>| match who {
        Who::Signet => audit::row(event, Actor::Signet, &Caller::default(), now),
        Who::Operator => audit::operator_row(event, now, &Detail::of_operator()),
    };
    let entries = acts.iter().filter_map(Act::event).map(|event| entry(&event)).collect();
    let change = Change { version, now, acts: acts.clone(), entries };
    match app.db.write(change, |tx, change| Box::pin(change.write(tx))).await {
        Ok(true) => {
            acts.iter().filter_map(Act::event).for_each(|event| audit::record(&event));
            Ok(true)
        }
        Ok(false) | Err(StoreError::Overtaken) => Ok(false),
        Err(error) => Err(error),
    }
}
