//! Which grants are revoked, as this process knows it: all of it in memory, so that neither a guarded call nor whoever
//! fetches a status list costs a question to the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use signet_guard::{StatusReference, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use crate::jose::StatusBits;
use crate::store::{StatusListRow, StatusState};

mod signed;
mod waiting;

pub use signed::{Edition, SignedList, SignedLists, Slot};
pub use waiting::{Place, Waiting, Woken};

/// A list at one version.
#[derive(Debug, Clone)]
pub struct StatusList {
    /// The version at which it changed last; 0 when it never did.
    pub version: i64,
    /// Its bits.
    pub bits: Arc<StatusBits>,
}

/// Every list, as they were at one moment or a little after it.
#[derive(Debug, Clone)]
pub struct StatusLists {
    version: i64,
    highest: i64,
    lists: BTreeMap<i64, StatusList>,
    by_version: BTreeSet<(i64, i64)>,
    /// Shared by all lists in which nothing is revoked, which are most of them.
    empty: Arc<StatusBits>,
}

/// What changed after some version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Ask for what changed after this one next.
    pub version: i64,
    /// The lists to be fetched again.
    pub lists: Vec<i64>,
    /// There never was such a version here: nothing known of these lists is to be relied on.
    pub restart: bool,
}

impl StatusLists {
    /// The most lists that are named at once, unless more changed in one unit.
    pub const NAMED_AT_ONCE: usize = 1000;

    /// Before anything was read.
    pub fn unread() -> Self {
        Self {
            version: 0,
            highest: 0,
            lists: BTreeMap::new(),
            by_version: BTreeSet::new(),
            empty: Arc::new(StatusBits::of([])),
        }
    }

    /// All changes up to this version are in here.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whether the database has come no further.
    pub fn is_at(&self, state: StatusState) -> bool {
        self.version == state.version && self.highest >= state.highest.list()
    }

    /// Puts a list as it was read in the place of the one that is here.
    pub fn put(&mut self, row: StatusListRow) {
        let bits =
            if row.revoked.is_empty() { self.empty.clone() } else { Arc::new(StatusBits::of(row.revoked)) };
        let list = StatusList { version: row.version, bits };
        if let Some(before) = self.lists.insert(row.list, list) {
            self.by_version.remove(&(before.version, row.list));
        }
        self.by_version.insert((row.version, row.list));
    }

    /// Notes that all changes up to here have been put. Versions are committed in their order: whoever has read a list of
    /// a later version than `state` has read all lists before it.
    pub fn complete(&mut self, state: StatusState) {
        let last = self.by_version.last().map_or(0, |(version, _)| *version);
        self.version = state.version.max(last);
        // A list may hold what was lost when a backup was restored, and no grant that has a row.
        let furthest = self.lists.last_key_value().map_or(0, |(list, _)| *list);
        self.highest = self.highest.max(state.highest.list()).max(furthest);
    }

    /// A list, changed or not. `None`: no grant is in it, and none will be soon. One beyond the highest is answered,
    /// because the first grant of a list may be a moment ahead of us.
    pub fn list(&self, number: i64) -> Option<StatusList> {
        if !(0..=self.highest.saturating_add(1)).contains(&number) {
            return None;
        }
        let untouched = || StatusList { version: 0, bits: self.empty.clone() };
        Some(self.lists.get(&number).cloned().unwrap_or_else(untouched))
    }

    /// What changed after a version; with `None` the version of now alone. Of more than can be named at once the earliest
    /// changes come first, and the version is that of the last of them.
    pub fn changes(&self, since: Option<i64>) -> Changes {
        let nothing = Changes { version: self.version, lists: Vec::new(), restart: false };
        let Some(since) = since else { return nothing };
        if since > self.version {
            return Changes { restart: true, ..nothing };
        }
        let mut changes = nothing;
        for &(version, list) in self.by_version.range((since, i64::MAX)..) {
            let named = changes.lists.len();
            // A version that several lists share is not torn apart.
            if named >= Self::NAMED_AT_ONCE && changes.version < version {
                return changes;
            }
            if named + 1 >= Self::NAMED_AT_ONCE {
                changes.version = version;
            }
            changes.lists.push(list);
        }
        Changes { version: self.version, ..changes }
    }
}

/// The lists of now, who waits for them to change, and their tokens as far as anybody has asked for them.
pub struct StatusBoard {
    /// What the `uri` of our own tokens' `status` begins with.
    prefix: String,
    current: ArcSwap<StatusLists>,
    reading: Mutex<()>,
    stale_since: ArcSwapOption<Timestamp>,
    /// Who waits for a change.
    pub waiting: Waiting,
    /// The tokens.
    pub signed: SignedLists,
}

impl StatusBoard {
    /// An empty one, for lists that are served under `prefix` and their number.
    pub fn new(prefix: String) -> Self {
        Self {
            prefix,
            current: ArcSwap::from_pointee(StatusLists::unread()),
            reading: Mutex::new(()),
            stale_since: ArcSwapOption::empty(),
            waiting: Waiting::default(),
            signed: SignedLists::default(),
        }
    }

    /// The lists as they are known now.
    pub fn current(&self) -> Arc<StatusLists> {
        self.current.load_full()
    }

    /// Where a list is served.
    pub fn uri(&self, list: i64) -> String {
        format!("{}{list}", self.prefix)
    }

    /// To be held from reading [`StatusBoard::current`] to [`StatusBoard::replace`], or an older state could take the place
    /// of a newer one.
    pub async fn reading(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().await
    }

    /// Puts newer lists in the place of the present ones, and wakes who waits.
    pub fn replace(&self, lists: StatusLists) {
        let before = self.current.swap(Arc::new(lists)).version;
        let now = self.current.load().version;
        if now < before {
            self.signed.clear();
        }
        if now != before {
            self.waiting.wake();
        }
    }

    /// Notes since when the lists cannot be read, or that they can; answers whether that is news. Whoever waits is told when
    /// they cannot.
    pub fn note_stale(&self, since: Option<Timestamp>) -> bool {
        let is_news = self.is_stale() != since.is_some();
        if is_news {
            self.stale_since.store(since.map(Arc::new));
        }
        if is_news && since.is_some() {
            self.waiting.wake();
        }
        is_news
    }

    /// Since when the lists cannot be read; `None`: they are current.
    pub fn stale_since(&self) -> Option<Timestamp> {
        self.stale_since.load().as_deref().copied()
    }

    /// Whether the lists could not be read when that was last tried: others may have revoked what is not known here.
    pub fn is_stale(&self) -> bool {
        self.stale_since.load().is_some()
    }

    /// Whether the grant of one of our own tokens is revoked. A reference that is not one of ours cannot be looked up, and
    /// counts as revoked; a token without one has no grant.
    pub fn is_revoked(&self, status: Option<&StatusReference>) -> bool {
        let Some(status) = status else { return false };
        let number = status.uri.strip_prefix(&self.prefix).and_then(|number| number.parse().ok());
        let Some(number) = number else { return true };
        let lists = self.current.load();
        // A list that is not known yet is new: nothing in it was revoked when we looked last.
        lists.lists.get(&number).is_some_and(|list| list.bits.is_set(status.idx).unwrap_or(true))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
