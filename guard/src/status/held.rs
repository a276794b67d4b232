//! One list as it is held: read by every request without a lock, replaced by whoever fetches it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::list::StatusList;
use super::pace;

/// How much earlier than what is kept a later version may have been signed: clocks of replicas differ, and a list is
/// dated with the beginning of its half minute.
const SKEW: Duration = Duration::from_secs(60);

/// A list, and the version it came with.
pub(super) struct Kept {
    pub(super) list: StatusList,
    pub(super) version: Option<u64>,
}

pub(crate) struct HeldList {
    uri: String,
    kept: ArcSwapOption<Kept>,
    /// Whether a token named it since room was last made.
    used: AtomicBool,
    /// Whether it was let go to make room.
    gone: AtomicBool,
    /// Since when what is kept is known to be outdated, in milliseconds of the follower; 0 if it is not.
    behind: AtomicU64,
    fetching: Mutex<Fetching>,
    /// Whether a fetch for a request is under way.
    under_way: AtomicBool,
    /// Whether the first fetch is over, however it ended; who waits for a first sight waits for this.
    settled: watch::Sender<bool>,
}

/// What only those care for who fetch. Locked for the whole of a fetch: one at a time.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    /// Not before this, after a failure.
    retry: Option<Instant>,
    failures: u32,
    demand: Demand,
}

/// What the next list must be to replace the one that is kept.
#[derive(Debug, Default, Clone, Copy)]
struct Demand {
    /// A list of an older version lacks the change that was announced.
    version: u64,
    /// The issuer's database was set back: what is kept is no measure any more.
    anew: bool,
}

/// What to make of a list that was fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Replace,
    /// What is kept is the same and signed later.
    Keep,
    /// It is older than what is kept or what was announced: a replica that lags, or a cache.
    TooOld,
}

impl Demand {
    fn judge(self, kept: Option<&Kept>, new: &Kept) -> Step {
        if new.version.is_some_and(|version| version < self.version) {
            return Step::TooOld;
        }
        let Some(kept) = kept.filter(|_| !self.anew) else { return Step::Replace };
        let is_earlier = new.list.issued_at() < kept.list.issued_at();
        let is_a_little_earlier = kept.list.issued_at() <= new.list.issued_at().plus(SKEW);
        match (new.version, kept.version) {
            (Some(new), Some(kept)) if new < kept => Step::TooOld,
            (Some(new), Some(kept)) if new == kept && is_earlier => Step::Keep,
            (Some(new), Some(kept)) if new > kept && is_a_little_earlier => Step::Replace,
            _ if is_earlier => Step::TooOld,
            _ => Step::Replace,
        }
    }
}

impl HeldList {
    pub(super) fn new(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            kept: ArcSwapOption::empty(),
            used: AtomicBool::new(true),
            gone: AtomicBool::new(false),
            behind: AtomicU64::new(0),
            fetching: Mutex::default(),
            under_way: AtomicBool::new(false),
            settled: watch::Sender::new(false),
        }
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn kept(&self) -> arc_swap::Guard<Option<Arc<Kept>>> {
        self.kept.load()
    }

    pub(super) fn is_held(&self) -> bool {
        self.kept.load().is_some()
    }

    pub(super) fn use_it(&self) {
        // Nearly always so already; a store on every request would pass the line between processors.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was last asked.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn let_go(&self) {
        self.gone.store(true, Ordering::Release);
        self.kept.store(None);
    }

    pub(super) fn behind(&self) -> Option<u64> {
        Some(self.behind.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    pub(super) fn is_settled(&self) -> bool {
        *self.settled.borrow()
    }

    /// Begins a fetch for a request. `false`: one is under way.
    pub(super) fn begin(&self) -> bool {
        !self.under_way.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end(&self) {
        self.under_way.store(false, Ordering::Release);
        self.settled.send_replace(true);
    }

    /// Waits for the end of the first fetch.
    pub(super) async fn settled(&self) {
        // An error would mean that the sender is gone, which `self` holds.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    /// For a fetch; waits for the end of one under way.
    pub(super) fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a fetch may begin now: none is under way, and it is not too soon after one that failed.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match self.fetching.try_lock() {
            Ok(fetching) => fetching.retry.is_none_or(|retry| retry <= now),
            Err(TryLockError::Poisoned(_)) => true,
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// A change was announced: from `at` on, what is kept is outdated until a list of this version has come.
    pub(super) fn announce(&self, at: u64, version: u64, anew: bool) {
        let mut fetching = self.fetching();
        let demand = fetching.demand;
        fetching.demand = if anew {
            Demand { version, anew }
        } else {
            Demand { version: demand.version.max(version), anew: demand.anew }
        };
        fetching.retry = None;
        let _ = self.behind.compare_exchange(0, at.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Takes what a fetch brought. `false`: it is too old to count.
    pub(super) fn take(&self, fetching: &mut Fetching, new: Kept) -> bool {
        let step = fetching.demand.judge(self.kept().as_deref(), &new);
        if step == Step::TooOld {
            return false;
        }
        if step == Step::Replace && !self.is_gone() {
            self.kept.store(Some(Arc::new(new)));
            if self.is_gone() {
                self.kept.store(None);
            }
        }
        let demand = Demand { anew: false, ..fetching.demand };
        *fetching = Fetching { demand, ..Fetching::default() };
        self.behind.store(0, Ordering::Relaxed);
        true
    }

    /// The issuer is heard again after a silence: nothing that failed meanwhile need be put off.
    pub(super) fn hurry(&self) {
        self.fetching().retry = None;
    }

    /// A fetch brought nothing.
    pub(super) fn fail(&self, fetching: &mut Fetching) {
        fetching.failures = fetching.failures.saturating_add(1);
        fetching.retry = Some(Instant::now() + pace::retry(fetching.failures));
    }

    /// How long until it should be fetched, though nobody asks: at once when it is outdated or could not be had before,
    /// and before it expires. `now` is the time on the verifiers' clock. `None` while its first fetch is under way.
    pub(super) fn due(&self, now: i64) -> Option<Duration> {
        let at = match self.kept().as_deref() {
            Some(kept) if self.behind().is_none() => renewal(&kept.list),
            Some(_) => now,
            None if self.is_settled() => now,
            None => return None,
        };
        let due = Duration::from_secs(u64::try_from(at.saturating_sub(now)).unwrap_or(0));
        let retry = self.fetching().retry;
        Some(due.max(retry.map_or(Duration::ZERO, |retry| retry.saturating_duration_since(Instant::now()))))
    }
}

/// When to fetch a list anew that nobody changed: a minute before it expires, or after half of a shorter life.
fn renewal(list: &StatusList) -> i64 {
    const BEFORE: i64 = 60;
    let (from, until) = (list.issued_at().as_seconds(), list.expires_at().as_seconds());
    until.saturating_sub(BEFORE.min(until.saturating_sub(from) / 2))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn kept(iat: i64, version: Option<u64>) -> Kept {
        let claims = serde_json::json!({
            "iss": "i", "sub": "s", "iat": iat, "exp": iat + 300,
            "status_list": { "bits": 1, "lst": "eNrbuRgAAhcBXQ" },
        });
        Kept { list: StatusList::from_json(claims.to_string().as_bytes()).unwrap(), version }
    }

    #[test]
    fn a139_an_older_list_never_replaces_a_newer_one() {
        use Step::{Keep, Replace, TooOld};
        for (held, new, expected) in [
            ((60, Some(5)), (60, Some(5)), Replace),
            ((60, Some(5)), (60, Some(6)), Replace),
            ((60, Some(5)), (90, Some(5)), Replace),
            ((60, Some(5)), (30, Some(5)), Keep),
            ((60, Some(5)), (60, Some(4)), TooOld),
            ((60, Some(5)), (90, Some(4)), TooOld),
            ((90, Some(5)), (30, Some(6)), Replace),
            ((91, Some(5)), (30, Some(6)), TooOld),
            ((60, None), (60, None), Replace),
            ((60, None), (90, None), Replace),
            ((60, None), (30, None), TooOld),
            ((60, Some(5)), (30, None), TooOld),
            ((60, None), (30, Some(9)), TooOld),
            ((60, None), (60, Some(1)), Replace),
        ] {
            let step = Demand::default().judge(Some(&kept(held.0, held.1)), &kept(new.0, new.1));
            assert_eq!(step, expected, "{held:?} then {new:?}");
        }
    }

    #[test]
    fn a139_a_list_from_before_the_announced_change_is_too_old() {
        let demand = Demand { version: 7, anew: false };
        assert_eq!(demand.judge(Some(&kept(60, Some(5))), &kept(60, Some(6))), Step::TooOld);
        assert_eq!(demand.judge(None, &kept(60, Some(6))), Step::TooOld);
        assert_eq!(demand.judge(Some(&kept(60, Some(5))), &kept(60, Some(7))), Step::Replace);
        // Without a version nothing more can be said.
        assert_eq!(demand.judge(Some(&kept(60, Some(5))), &kept(60, None)), Step::Replace);
        let anew = Demand { version: 0, anew: true };
        assert_eq!(anew.judge(Some(&kept(60, Some(5))), &kept(30, Some(1))), Step::Replace);
    }

    #[test]
    fn what_was_demanded_counts_until_it_has_come() {
        let held = HeldList::new("s");
        let take = |iat, version| held.take(&mut held.fetching(), kept(iat, Some(version)));
        assert!(take(60, 5));
        held.announce(1000, 7, false);
        held.announce(2000, 6, false);
        assert!(!take(60, 6));
        assert_eq!(held.behind(), Some(1000));
        assert!(take(60, 7));
        assert_eq!(held.behind(), None);
        held.announce(3000, 0, true);
        held.announce(3500, 1, false);
        assert!(take(30, 2), "after the issuer was set back");
        assert!(!take(30, 1), "once only");
    }

    #[test]
    fn a_list_is_renewed_before_it_expires() {
        for (iat, exp, expected) in
            [(0, 300, 240), (0, 120, 60), (0, 60, 30), (0, 1, 1), (5, 5, 5), (9, 5, 7)]
        {
            let claims = format!(
                r#"{{"iss":"i","sub":"s","iat":{iat},"exp":{exp},"status_list":{{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}}}"#
            );
            assert_eq!(renewal(&StatusList::from_json(claims.as_bytes()).unwrap()), expected, "{iat} {exp}");
        }
    }

    #[test]
    fn what_was_let_go_holds_nothing_any_more() {
        let held = HeldList::new("s");
        held.let_go();
        assert!(held.take(&mut held.fetching(), kept(60, Some(5))));
        assert!(!held.is_held());
    }
}
