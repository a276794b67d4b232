//! One issuer's keys and the thread that keeps them: whoever asks, it alone decides when to fetch.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(feature = "status")]
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::fetch::{Fetcher, Tag};
use super::freshness::MOST_LIFE;
use super::issuer_url::{IssuerUrl, JwksHost};
use super::pulse::{Moment, Pulse};
use super::report::KeysReport;
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::key_set::KeySet;

/// Shared by all clones of a source, and by the threads that work for them.
pub(super) struct Source {
    pub(super) fetcher: Fetcher,
    pub(super) current: ArcSwapOption<Loaded>,
    state: Mutex<State>,
    /// Wakes the keeper, and threads that wait for a key.
    pub(super) changed: Condvar,
    /// Wakes requests that wait for a key.
    told: watch::Sender<()>,
    /// Whether the keeper runs.
    pub(super) running: AtomicBool,
    pub(super) fetches: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) not_modified: AtomicU64,
}

pub(super) struct State {
    pub(super) schedule: Schedule,
    pub(super) pulse: Pulse,
    pub(super) max_age: Duration,
    pub(super) hosts: Vec<JwksHost>,
    pub(super) copy: Option<PathBuf>,
    /// What the issuer calls the set in use.
    pub(super) tag: Option<Tag>,
    /// The set in use as the issuer wrote it, where there is to be a copy.
    pub(super) published: Option<Arc<[u8]>>,
    /// Why the last fetch failed, if it did.
    pub(super) error: Option<&'static str>,
    /// Nobody is interested any more.
    pub(super) ended: bool,
}

/// A set, and when it has to be looked at again: side by side, so that a request whose key is known takes no lock.
pub(super) struct Loaded {
    pub(super) keys: Arc<KeySet>,
    clock: Clock,
    /// In seconds since 1970.
    look_again: AtomicI64,
}

impl Source {
    pub(super) fn new(issuer: IssuerUrl) -> Self {
        Self {
            fetcher: Fetcher::new(issuer),
            current: ArcSwapOption::empty(),
            state: Mutex::new(State {
                schedule: Schedule::default(),
                pulse: Pulse::new(Clock::System),
                max_age: MOST_LIFE,
                hosts: Vec::new(),
                copy: None,
                tag: None,
                published: None,
                error: None,
                ended: false,
            }),
            changed: Condvar::new(),
            told: watch::Sender::new(()),
            running: AtomicBool::new(false),
            fetches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            not_modified: AtomicU64::new(0),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        self.fetcher.issuer().as_str()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits for something.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
        self.told.send_replace(());
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.tell();
    }

    /// The set in use, unless it has become too old.
    pub(super) fn usable(&self) -> Option<Arc<KeySet>> {
        let current = self.current.load();
        let loaded = current.as_ref()?;
        self.is_usable(loaded).then(|| Arc::clone(&loaded.keys))
    }

    /// The set in use, if it has this key.
    pub(super) fn at_hand(&self, kid: &str) -> Option<Arc<KeySet>> {
        let current = self.current.load();
        let loaded = current.as_ref().filter(|loaded| loaded.keys.contains(kid))?;
        self.is_usable(loaded).then(|| Arc::clone(&loaded.keys))
    }

    fn is_usable(&self, loaded: &Loaded) -> bool {
        loaded.clock.now().as_seconds() < loaded.look_again.load(Ordering::Relaxed) || self.look(loaded)
    }

    /// Looks closer at a set that is due for something: for its refresh, which a machine that slept is late for, or for its
    /// end.
    #[cold]
    fn look(&self, loaded: &Loaded) -> bool {
        let mut state = self.state();
        let now = state.pulse.now();
        let is_kept = self.keep_or_let_go(&mut state, now);
        if is_kept {
            loaded.look_again_at(&state, now);
        }
        if state.schedule.is_due(now) {
            self.changed.notify_all();
        }
        is_kept
    }

    /// Lets a set go that has become too old. Whether there is one.
    pub(super) fn keep_or_let_go(&self, state: &mut State, now: Moment) -> bool {
        let is_kept = state.schedule.keep(now);
        if !is_kept && self.current.load().is_some() {
            self.current.store(None);
            state.tag = None;
            state.published = None;
            let issuer = self.issuer();
            tracing::error!(issuer, "the issuer's keys were not confirmed for too long: no longer used");
        }
        is_kept
    }

    /// Uses this set from now on, which the schedule knows of already.
    pub(super) fn put(&self, state: &State, now: Moment, keys: KeySet) {
        let (keys, clock) = (Arc::new(keys), state.pulse.clock().clone());
        let loaded = Loaded { keys, clock, look_again: AtomicI64::new(i64::MIN) };
        loaded.look_again_at(state, now);
        self.current.store(Some(Arc::new(loaded)));
    }

    /// The set, after a fetch if it lacks this key and a fetch is due or under way.
    pub(super) async fn fetched_for(self: &Arc<Self>, kid: &str) -> Option<Arc<KeySet>> {
        if let Some(keys) = self.at_hand(kid) {
            return Some(keys);
        }
        if let Some(mut told) = self.want() {
            while self.at_hand(kid).is_none() && self.is_awaited() {
                // An error would mean that the sender is gone, which `self` holds.
                let _ = told.changed().await;
            }
        }
        self.answer_for(kid)
    }

    /// The same on a thread that may block, for at most `time`.
    #[cfg(feature = "status")]
    pub(super) fn fetched_here(self: &Arc<Self>, kid: &str, time: Duration) -> Option<Arc<KeySet>> {
        if self.at_hand(kid).is_none() && self.want().is_some() {
            let deadline = Instant::now() + time;
            while self.at_hand(kid).is_none() {
                let mut state = self.state();
                let now = state.pulse.now();
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || !state.schedule.is_awaited(now) {
                    break;
                }
                drop(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner));
            }
        }
        self.answer_for(kid)
    }

    /// The set in which this key is to be looked up now. A copy from the disk may be older than the key: until the issuer is
    /// heard, it cannot say that there is no such key.
    fn answer_for(&self, kid: &str) -> Option<Arc<KeySet>> {
        let keys = self.usable()?;
        (keys.contains(kid) || self.state().schedule.is_heard()).then_some(keys)
    }

    /// Asks for a fetch, because a key is not known. Answers something to wait on when that may help.
    fn want(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        self.start();
        let mut state = self.state();
        let now = state.pulse.now();
        let is_awaited = state.schedule.want(now) && self.running.load(Ordering::Acquire);
        if state.schedule.is_due(now) {
            self.changed.notify_all();
        }
        // Before the lock is gone, or its end might be missed.
        is_awaited.then(|| self.told.subscribe())
    }

    fn is_awaited(&self) -> bool {
        let mut state = self.state();
        let now = state.pulse.now();
        state.schedule.is_awaited(now) && self.running.load(Ordering::Acquire)
    }

    pub(super) fn report(&self) -> KeysReport {
        let keys = self.usable().map_or(0, |keys| keys.len());
        let mut state = self.state();
        let now = state.pulse.now();
        let age = state.schedule.age(now);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        KeysReport {
            age: age.map(|age| Duration::from_millis(age.unsigned_abs())),
            keys,
            is_confirmed: state.schedule.is_heard(),
            fetches: read(&self.fetches),
            failures: read(&self.failures),
            not_modified: read(&self.not_modified),
            last_error: state.error,
        }
    }
}

impl Loaded {
    /// Looks at the set again when its schedule says so.
    pub(super) fn look_again_at(&self, state: &State, now: Moment) {
        if let Some(moment) = state.schedule.look_again(now) {
            let left = moment.saturating_sub(now).max(0) / 1000;
            self.look_again.store(self.clock.now().as_seconds().saturating_add(left), Ordering::Relaxed);
        }
    }
}
