//! Those who wait for SQLite's only writer: in the order in which they came, none longer than it should.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::StoreError;
use super::tx::Tx;

/// A unit of work with its input, and the caller who waits for its answer.
pub(super) trait Unit: Send {
    /// Runs it, and keeps its answer. May be called again after a roll-back.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>>;

    /// Gives the caller the answer that was kept.
    fn committed(self: Box<Self>);

    /// Tells the caller that nothing of it was kept, or that nobody knows.
    fn failed(self: Box<Self>, error: StoreError);
}

/// A unit in the queue.
pub(super) struct Waiting {
    pub(super) unit: Box<dyn Unit>,
    /// When its caller is told that it was in vain.
    until: Instant,
    /// It shared a transaction with one that failed: this time it gets its own.
    pub(super) is_alone: bool,
}

/// The queue. Whoever finds it without a leader leads.
pub(super) struct WriteQueue {
    state: Mutex<State>,
    /// Nobody waits longer than this for its turn to begin.
    longest_wait: Duration,
    has_no_leader: Notify,
}

#[derive(Default)]
struct State {
    /// The oldest first, also by `until`.
    waiting: VecDeque<Waiting>,
    has_leader: bool,
    is_closed: bool,
}

impl WriteQueue {
    pub(super) fn new(longest_wait: Duration) -> Self {
        Self { state: Mutex::default(), longest_wait, has_no_leader: Notify::new() }
    }

    /// Adds a unit. `Some`: the caller must see to it that somebody leads.
    pub(super) fn push(self: &Arc<Self>, unit: Box<dyn Unit>) -> Result<Option<Leadership>, StoreError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(StoreError::Stopping);
        }
        let until = Instant::now() + self.longest_wait;
        state.waiting.push_back(Waiting { unit, until, is_alone: false });
        let leads = !std::mem::replace(&mut state.has_leader, true);
        Ok(leads.then(|| Leadership { queue: self.clone(), has_ended: false }))
    }

    /// Takes no more units, and waits until those it has are done.
    pub(super) async fn close(&self) {
        self.state().is_closed = true;
        loop {
            let ended = self.has_no_leader.notified();
            if !self.state().has_leader {
                return;
            }
            ended.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right, and the duty, to carry out what is in the queue until nothing is.
pub(super) struct Leadership {
    queue: Arc<WriteQueue>,
    has_ended: bool,
}

impl Leadership {
    /// Ends it when the queue is empty.
    pub(super) fn ends(&mut self) -> bool {
        let mut state = self.queue.state();
        self.has_ended = state.waiting.is_empty();
        if self.has_ended {
            state.has_leader = false;
            drop(state);
            self.queue.has_no_leader.notify_waiters();
        }
        self.has_ended
    }

    /// The next unit whose time is not up.
    pub(super) fn next(&self) -> Option<Waiting> {
        self.tell_the_late();
        self.queue.state().waiting.pop_front()
    }

    /// Whether the next unit wants no company.
    pub(super) fn next_is_alone(&self) -> bool {
        self.queue.state().waiting.front().is_some_and(|waiting| waiting.is_alone)
    }

    /// Puts units of a lost batch back where they were, each to be run alone.
    pub(super) fn put_back(&self, batch: Vec<Waiting>) {
        let mut state = self.queue.state();
        for waiting in batch.into_iter().rev() {
            state.waiting.push_front(Waiting { is_alone: true, ..waiting });
        }
    }

    /// Tells callers whose unit was not begun in time, for as long as it is polled.
    pub(super) async fn keep_telling_the_late(&self) {
        // A batch that was put back may have less time left than whoever was first before.
        let often = self.queue.longest_wait / 8;
        loop {
            let next = self.tell_the_late();
            let soon = Instant::now() + often;
            tokio::time::sleep_until(next.map_or(soon, |next| next.min(soon))).await;
        }
    }

    /// Answers when the next caller will be late.
    fn tell_the_late(&self) -> Option<Instant> {
        let now = Instant::now();
        loop {
            let late = {
                let mut state = self.queue.state();
                match state.waiting.front().map(|waiting| waiting.until) {
                    Some(until) if until <= now => state.waiting.pop_front(),
                    next => return next,
                }
            };
            if let Some(late) = late {
                late.unit.failed(StoreError::turn_did_not_come());
            }
        }
    }
}

/// A leader that stops otherwise (its runtime is shutting down) takes the queue with it: the callers are told at once that
/// the service is stopping.
impl Drop for Leadership {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let abandoned = {
            let mut state = self.queue.state();
            state.has_leader = false;
            std::mem::take(&mut state.waiting)
        };
        self.queue.has_no_leader.notify_waiters();
        drop(abandoned);
    }
}
