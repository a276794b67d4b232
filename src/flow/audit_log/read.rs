//! Reading the audit log, and following it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::store::{AuditFilter, StoreError, StoredAudit};

/// Entries read at once.
const PAGE: i64 = 500;

/// How long an entry may be seen behind others with higher numbers. On PostgreSQL a number is given when a unit writes its
/// entry, and the entry is seen when the unit commits: later, by as long as the unit waits for locks.
const LATE: Duration = Duration::from_secs(60);

/// The first entries with a number above `after`, in order; an empty page: there are no more.
///
/// # Errors
/// When the database fails.
pub async fn page(app: &App, after: i64, filter: &AuditFilter) -> Result<Vec<StoredAudit>, StoreError> {
    app.db
        .read((after, filter.clone()), |tx, (after, filter)| {
            Box::pin(async move {
                let mut after = *after;
                if after == 0 {
                    // Most of the log is older than what is asked for.
                    let Some(first) = tx.first_audit_since(filter.since).await? else {
                        return Ok(Vec::new());
                    };
                    after = first - 1;
                }
                tx.audit_after(after, filter, PAGE).await
            })
        })
        .await
}

/// The newest entries, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn newest(app: &App, filter: &AuditFilter, count: u32) -> Result<Vec<StoredAudit>, StoreError> {
    app.db
        .read((filter.clone(), i64::from(count)), |tx, (filter, count)| {
            Box::pin(async move { tx.newest_audit(0, filter, *count).await })
        })
        .await
}

/// Follows the log from now on.
#[derive(Debug)]
pub struct Follower {
    filter: AuditFilter,
    /// Nothing new is expected at or below this number.
    floor: i64,
    /// What was seen above it, and when.
    seen: BTreeMap<i64, Instant>,
}

impl Follower {
    /// Takes all that is there as seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(app: &App, filter: AuditFilter) -> Result<Self, StoreError> {
        let known = newest(app, &filter, u32::try_from(PAGE).unwrap_or(u32::MAX)).await?;
        let is_all = known.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let floor = known.first().filter(|_| !is_all).map_or(0, |oldest| oldest.id - 1);
        let now = Instant::now();
        Ok(Self { filter, floor, seen: known.iter().map(|entry| (entry.id, now)).collect() })
    }

    /// Takes these as seen too.
    pub fn saw(&mut self, entries: &[StoredAudit]) {
        let now = Instant::now();
        let above = entries.iter().filter(|entry| entry.id > self.floor);
        self.seen.extend(above.map(|entry| (entry.id, now)));
    }

    /// What came since the last look. Looks again at what came lately, so that an entry that was committed late is shown
    /// too, behind those that were seen before it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self, app: &App) -> Result<Vec<StoredAudit>, StoreError> {
        let now = Instant::now();
        let mut fresh = Vec::new();
        let mut after = self.floor;
        loop {
            let question = (after, self.filter.clone());
            let entries = app
                .db
                .read(question, |tx, (after, filter)| {
                    Box::pin(async move { tx.audit_after(*after, filter, PAGE).await })
                })
                .await?;
            let Some(last) = entries.last() else { break };
            after = last.id;
            fresh.extend(entries.into_iter().filter(|entry| !self.seen.contains_key(&entry.id)));
        }
        self.seen.extend(fresh.iter().map(|entry| (entry.id, now)));
        while let Some(first) = self.seen.first_entry() {
            if now.duration_since(*first.get()) < LATE {
                break;
            }
            self.floor = *first.key();
            first.remove();
        }
        Ok(fresh)
    }
}
