//! Callers who wait for a change: how many there may be, and what ends their waiting.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Who waits for the lists to change.
pub struct Waiting {
    state: watch::Sender<State>,
    taken: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    is_stopping: bool,
}

/// The way back from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something changed.
    Changed,
    /// The server stops.
    Stopping,
}

impl Default for Waiting {
    /// With a single place, until it is known how many connections there may be.
    fn default() -> Self {
        Self { state: watch::Sender::default(), taken: AtomicUsize::new(0), most: AtomicUsize::new(1) }
    }
}

impl Waiting {
    /// Sets how many may wait at once.
    pub fn allow(&self, most: usize) {
        self.most.store(most.max(1), Ordering::Relaxed);
    }

    /// How many wait now.
    pub fn count(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes a place, from which every later change is noticed. `None`: all are taken, or the server stops.
    pub fn take_place(&self) -> Option<Place<'_>> {
        let most = self.most.load(Ordering::Relaxed);
        let one_more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        let place = Place { changes: self.state.subscribe(), taken: &self.taken };
        (!self.state.borrow().is_stopping).then_some(place)
    }

    /// Sends everybody back and lets nobody wait any more: a stop is not held up by those who wait for nothing to happen.
    pub fn stop(&self) {
        self.state.send_modify(|state| state.is_stopping = true);
    }

    pub(super) fn wake(&self) {
        self.state.send_modify(|_| ());
    }
}

/// A place among those who wait; dropping it, as happens when the caller hangs up, gives it back.
#[derive(Debug)]
#[must_use = "a place that is dropped is given back"]
pub struct Place<'a> {
    changes: watch::Receiver<State>,
    taken: &'a AtomicUsize,
}

impl Place<'_> {
    /// Waits for something to change.
    pub async fn woken(&mut self) -> Woken {
        let ended = self.changes.changed().await.is_err();
        if ended || self.changes.borrow().is_stopping { Woken::Stopping } else { Woken::Changed }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
