//! How long request threads are kept by one poll, in their own CPU time: what somebody else's request waits for.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use super::clocks;

/// The polls noted so far.
#[derive(Clone, Default)]
pub struct Polls(Arc<Mutex<Vec<Duration>>>);

impl Polls {
    /// Watches a future.
    pub fn watch<F: Future>(&self, future: F) -> Watched<F> {
        Watched { future: Box::pin(future), polls: self.clone() }
    }

    /// Takes what was noted, sorted.
    pub fn take(&self) -> Vec<Duration> {
        let mut polls = std::mem::take(&mut *self.0.lock().unwrap());
        polls.sort();
        polls
    }
}

/// A future whose every poll is noted.
pub struct Watched<F> {
    future: Pin<Box<F>>,
    polls: Polls,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = clocks::thread();
        let outcome = self.future.as_mut().poll(context);
        self.polls.0.lock().unwrap().push(clocks::thread().saturating_sub(before));
        outcome
    }
}
