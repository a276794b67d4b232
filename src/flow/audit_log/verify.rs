//! Verifying: whether the audit log is as it was sealed.

use std::fmt;

use crate::app::App;
use crate::audit::seal::seal_parts;
use crate::flow::audit_log::seal::check_head;
use crate::jose::{AuditKeys, SealCheck};
use crate::store::{AuditHead, AuditSeal, StoreError, StoredAudit};

/// Seals read at once.
const SEALS_AT_ONCE: i64 = 100;

/// A seal that somebody noted elsewhere: its number, and the beginning of its MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    seal: i64,
    tag: String,
}

impl Known {
    /// Hexadecimal digits of the MAC: too many to be met by chance.
    const DIGITS: usize = 16;

    /// Reads `41:9f86d081884c7d65`. `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (seal, tag) = text.split_once(':')?;
        let is_tag = tag.len() == Self::DIGITS && tag.bytes().all(|digit| digit.is_ascii_hexdigit());
        let seal = seal.parse().ok().filter(|seal| *seal > 0 && is_tag)?;
        Some(Self { seal, tag: tag.to_ascii_lowercase() })
    }

    /// The number of the seal.
    pub fn number(&self) -> i64 {
        self.seal
    }

    pub(super) fn of(seal: i64, mac: &[u8]) -> Self {
        let tag = mac.iter().take(Self::DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        Self { seal, tag }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seal, self.tag)
    }
}

/// What a look at the whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Both ends of the chain as they were found; `None`: their record is missing.
    pub head: Option<AuditHead>,
    /// The newest seal; 0: none.
    pub newest: i64,
    /// The newest one that holds, to be noted elsewhere.
    pub known: Option<Known>,
    /// The newest seal whose entries were removed because of their age; 0: none.
    pub swept: i64,
    /// How many entries hold.
    pub entries: i64,
    /// How many entries no seal covers yet.
    pub unsealed: i64,
    /// The first thing that does not hold.
    pub fault: Option<Fault>,
    /// The first and the last entry that are there under the seal which does not hold: one of them, or one that was between
    /// them, breaks the chain.
    pub suspects: Option<(i64, i64)>,
}

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A seal of the chain is not there.
    SealMissing(i64),
    /// Entries under this seal were removed: so many.
    EntriesRemoved(i64, i64),
    /// Entries under this seal were added: so many.
    EntriesAdded(i64, i64),
    /// An entry under this seal, or the seal itself, was changed.
    Changed(i64),
    /// This seal, or the head (0), was made under a root key that is not at hand.
    UnknownKey(i64, String),
    /// The entry of this number says that a seal covers it which is not there.
    Stray(i64),
    /// There is a seal beyond the ends of the chain.
    SealAdded(i64),
    /// The seal that was noted elsewhere is not in the chain.
    Forgotten(i64),
    /// The seal that was noted elsewhere is so old that its entries were removed: it tells nothing any more.
    Outlived(i64),
    /// The record of where the chain begins and ends was changed: seals at its end may have been removed.
    HeadChanged,
    /// That record is gone.
    HeadMissing,
}

impl Fault {
    /// What the entry of a resealed log says of it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SealMissing(_) => "seal-missing",
            Self::EntriesRemoved(..) => "entries-removed",
            Self::EntriesAdded(..) => "entries-added",
            Self::Changed(_) => "changed",
            Self::UnknownKey(..) => "unknown-root-key",
            Self::Stray(_) => "stray-entry",
            Self::SealAdded(_) => "seal-added",
            Self::Forgotten(_) => "forgotten",
            Self::Outlived(_) => "outlived",
            Self::HeadChanged => "head-changed",
            Self::HeadMissing => "head-missing",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SealMissing(seal) => write!(f, "seal {seal} is missing"),
            Self::EntriesRemoved(seal, count) => {
                write!(f, "seal {seal} does not hold: {count} of its entries were removed")
            }
            Self::EntriesAdded(seal, count) => {
                write!(f, "seal {seal} does not hold: {count} entries were added")
            }
            Self::Changed(seal) => {
                write!(f, "seal {seal} does not hold: an entry it covers, or the seal itself, was changed")
            }
            Self::UnknownKey(0, root) => {
                write!(
                    f,
                    "the end of the chain cannot be checked: root key {root} is not in the root key file"
                )
            }
            Self::UnknownKey(seal, root) => {
                write!(f, "seal {seal} cannot be checked: root key {root} is not in the root key file")
            }
            Self::Stray(id) => write!(f, "entry {id} names a seal that is not there: it was added"),
            Self::SealAdded(seal) => write!(f, "seal {seal} is beyond the ends of the chain: it was added"),
            Self::Forgotten(seal) => {
                write!(f, "seal {seal} is not the one that is expected: the log was set back or begun anew")
            }
            Self::Outlived(seal) => {
                write!(f, "seal {seal} is expected, but was removed because of its age: expect a newer one")
            }
            Self::HeadMissing => f.write_str("the record of where the chain begins and ends is missing"),
            Self::HeadChanged => {
                f.write_str("the end of the chain does not hold: it was changed, or seals were removed there")
            }
        }
    }
}

/// Walks the whole chain, and looks for a seal that was noted elsewhere. Servers may go on sealing and sweeping meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn verify(app: &App, keys: &AuditKeys, expected: Option<&Known>) -> Result<Verified, StoreError> {
    loop {
        let (head, unsealed) = read_head(app).await?;
        let Some(head) = head else { return Ok(headless(unsealed)) };
        let verified = walk(app, keys, (&head, unsealed), expected).await?;
        // Entries that were swept under our hands are not missing.
        let is_swept = |now: Option<AuditHead>| now.is_some_and(|now| now.swept != head.swept);
        if verified.fault.is_some() && is_swept(read_head(app).await?.0) {
            continue;
        }
        return Ok(verified);
    }
}

fn headless(unsealed: i64) -> Verified {
    let fault = Some(Fault::HeadMissing);
    Verified { head: None, newest: 0, known: None, swept: 0, entries: 0, unsealed, fault, suspects: None }
}

async fn read_head(app: &App) -> Result<(Option<AuditHead>, i64), StoreError> {
    app.db
        .read((), |tx, ()| {
            Box::pin(async move { Ok((tx.audit_head().await?, tx.unsealed_audit_count().await?)) })
        })
        .await
}

async fn walk(
    app: &App,
    keys: &AuditKeys,
    (head, unsealed): (&AuditHead, i64),
    expected: Option<&Known>,
) -> Result<Verified, StoreError> {
    let mut found = Verified {
        head: Some(head.clone()),
        newest: head.seal,
        swept: head.swept,
        fault: None,
        ..headless(unsealed)
    };
    let mut is_met = false;
    let mut previous = Vec::new();
    // The last swept seal still stands: the first one that is checked builds on it.
    let mut next = head.swept.max(1);
    while next <= head.seal {
        let seals = app
            .db
            .read(next, |tx, from| Box::pin(async move { tx.audit_seals(*from, SEALS_AT_ONCE).await }))
            .await?;
        let first = next;
        for seal in seals.iter().take_while(|seal| seal.seal <= head.seal) {
            if seal.seal != next {
                break;
            }
            if seal.seal > head.swept {
                let entries = entries_of(app, seal).await?;
                found.fault = fault_of(keys, &previous, seal, &entries);
                if found.fault.is_some() {
                    found.suspects =
                        entries.first().zip(entries.last()).map(|(one, other)| (one.id, other.id));
                    return Ok(found);
                }
                found.entries += seal.entries;
            }
            let known = Known::of(seal.seal, &seal.mac);
            is_met |= expected == Some(&known);
            found.known = Some(known);
            previous.clone_from(&seal.mac);
            next += 1;
        }
        if next == first {
            found.fault = Some(Fault::SealMissing(next));
            return Ok(found);
        }
    }
    found.fault = match check_head(keys, head, &previous) {
        SealCheck::Holds => beyond(app).await?.or_else(|| match expected.filter(|_| !is_met) {
            Some(known) if known.seal < head.swept => Some(Fault::Outlived(known.seal)),
            Some(known) => Some(Fault::Forgotten(known.seal)),
            None => None,
        }),
        SealCheck::Broken => Some(Fault::HeadChanged),
        SealCheck::UnknownKey => Some(Fault::UnknownKey(0, head.root_key_id.clone())),
    };
    Ok(found)
}

/// Up to twice as many as there should be: enough to see that there are more.
async fn entries_of(app: &App, seal: &AuditSeal) -> Result<Vec<StoredAudit>, StoreError> {
    let question = (seal.seal, seal.entries.saturating_mul(2).clamp(1, 100_000));
    app.db
        .read(question, |tx, (seal, limit)| Box::pin(async move { tx.audit_of_seal(*seal, *limit).await }))
        .await
}

fn fault_of(keys: &AuditKeys, previous: &[u8], seal: &AuditSeal, entries: &[StoredAudit]) -> Option<Fault> {
    let parts = seal_parts(previous, seal, entries);
    match keys.check(&parts, &seal.root_key_id, &seal.mac) {
        SealCheck::Holds => None,
        SealCheck::UnknownKey => Some(Fault::UnknownKey(seal.seal, seal.root_key_id.clone())),
        SealCheck::Broken => {
            let more = i64::try_from(entries.len()).unwrap_or(i64::MAX).saturating_sub(seal.entries);
            Some(match more {
                0 => Fault::Changed(seal.seal),
                1.. => Fault::EntriesAdded(seal.seal, more),
                _ => Fault::EntriesRemoved(seal.seal, -more),
            })
        }
    }
}

/// What the chain does not reach: entries of seals that are not there, and seals outside of its ends.
async fn beyond(app: &App) -> Result<Option<Fault>, StoreError> {
    let (entry, seal) = app
        .db
        .read((), |tx, ()| {
            Box::pin(async move { Ok((tx.stray_audit().await?, tx.stray_audit_seal().await?)) })
        })
        .await?;
    Ok(entry.map(Fault::Stray).or(seal.map(Fault::SealAdded)))
}
