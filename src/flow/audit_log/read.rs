//! Reading the audit log, and following it.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use signet_guard::Timestamp;

use crate::app::App;
use crate::store::{AuditFilter, StoreError, StoredAudit};

/// Entries read at once.
const PAGE: i64 = 500;

/// How long an entry may be seen behind others with higher numbers. On PostgreSQL a number is given when a unit writes its
/// entry, and the entry is seen when the unit commits: later, by as long as the unit waits for locks.
const LATE: Duration = Duration::from_secs(60);

/// How many numbers behind the highest one are looked at again before that long has been watched.
const BEHIND: i64 = 5_000;

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

/// The newest entries that tell of a broken chain that was sealed anew, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn resealed(app: &App) -> Result<Vec<StoredAudit>, StoreError> {
    const MOST: u32 = 100;
    let since = Timestamp::from_seconds(i64::MIN);
    newest(app, &AuditFilter { since, user_id: None, event: Some("audit.resealed".to_owned()) }, MOST).await
}

/// Follows the log from now on.
#[derive(Debug)]
pub struct Follower {
    filter: AuditFilter,
    /// Nothing new is expected at or below this number.
    floor: i64,
    /// What was seen above it.
    seen: BTreeSet<i64>,
    /// The highest number there was, and when: the floors to come.
    heights: VecDeque<(Instant, i64)>,
}

impl Follower {
    /// Takes all that is there as seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(app: &App, filter: AuditFilter) -> Result<Self, StoreError> {
        let all = AuditFilter { since: Timestamp::from_seconds(i64::MIN), user_id: None, event: None };
        let floor = height(app).await?.saturating_sub(BEHIND).max(0);
        let mut follower = Self { filter: all, floor, seen: BTreeSet::new(), heights: VecDeque::new() };
        follower.next(app).await?;
        follower.filter = filter;
        Ok(follower)
    }

    /// Takes these as seen too.
    pub fn saw(&mut self, entries: &[StoredAudit]) {
        self.seen.extend(entries.iter().map(|entry| entry.id).filter(|id| *id > self.floor));
    }

    /// What came since the last look. Looks again at what came lately, so that an entry that was committed late is shown
    /// too, behind those that were seen before it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self, app: &App) -> Result<Vec<StoredAudit>, StoreError> {
        let now = Instant::now();
        // Before the entries are read: what is committed between the two is not below any floor yet.
        let height = height(app).await?;
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
            fresh.extend(entries.into_iter().filter(|entry| !self.seen.contains(&entry.id)));
        }
        self.saw(&fresh);
        self.heights.push_back((now, height));
        while let Some((_, height)) = self.heights.pop_front_if(|(at, _)| now.duration_since(*at) >= LATE) {
            self.floor = self.floor.max(height);
        }
        self.seen = self.seen.split_off(&self.floor.saturating_add(1));
        Ok(fresh)
    }
}

/// The highest number of an entry.
async fn height(app: &App) -> Result<i64, StoreError> {
    app.db.read((), |tx, ()| Box::pin(async move { tx.highest_audit().await })).await
}
