//! The thread that keeps one issuer's keys, and the fetches that it begins.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use super::fetch::{FetchError, Fetched};
use super::schedule::Outcome;
use super::source::Source;
use super::{cache_file, chance, freshness};
use crate::clock::Timestamp;

/// The longest time between two looks at the clock, which is further on than expected when the machine has slept.
const TICK: Duration = Duration::from_secs(1);

impl Source {
    /// Begins to keep the keys, unless that is done already.
    pub(super) fn start(self: &Arc<Self>) {
        if self.running.load(Ordering::Relaxed) || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        // Of its own: it belongs to no runtime, so that none waits for it and it outlives the one that began it.
        let running = Running(Arc::clone(self));
        let thread = thread::Builder::new().name("signet-keys".to_owned());
        if let Err(error) = thread.spawn(move || running.0.run()) {
            tracing::error!(issuer = self.issuer(), %error, "could not start to keep the issuer's keys");
        }
    }

    fn run(self: &Arc<Self>) {
        self.restore();
        let mut state = self.state();
        while !state.ended {
            let now = state.pulse.now();
            self.keep_or_let_go(&mut state, now);
            if state.schedule.is_due(now) {
                state.schedule.start(now);
                drop(state);
                self.begin_flight();
                state = self.state();
                continue;
            }
            let patience = state.schedule.patience();
            if patience.is_some_and(|patience| patience <= now) {
                self.tell();
            }
            let moments = [state.schedule.next(), patience, state.schedule.lapses()];
            let next = moments.into_iter().flatten().filter(|moment| *moment > now).min();
            let left = next.map_or(TICK, |next| Duration::from_millis(next.abs_diff(now)).min(TICK));
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the copy from the disk, if there is one to be trusted.
    fn restore(&self) {
        let (path, clock, max_stale) = {
            let state = self.state();
            let Some(path) = state.copy.clone().filter(|_| self.current.load().is_none()) else { return };
            (path, state.pulse.clock().clone(), state.schedule.max_stale() / 1000)
        };
        let issuer = self.issuer();
        match cache_file::read(&path, issuer, clock.now(), max_stale) {
            Ok(Some(restored)) => {
                let (keys, age) = (restored.keys.len(), restored.age);
                let mut state = self.state();
                let now = state.pulse.now();
                state.schedule.restore(now, age.saturating_mul(1000));
                self.put(&state, now, restored.keys);
                drop(state);
                self.tell();
                tracing::info!(issuer, path = %path.display(), keys, age, "took the issuer's keys from the disk");
            }
            Ok(None) => tracing::debug!(issuer, path = %path.display(), "no keys on the disk yet"),
            Err(error) => {
                tracing::warn!(issuer, path = %path.display(), %error, "the keys on the disk are not used");
            }
        }
    }

    /// On a thread of its own, so that the keeper can send those away who have waited long enough.
    fn begin_flight(self: &Arc<Self>) {
        let flight = Flight { source: Arc::clone(self), has_landed: false };
        let thread = thread::Builder::new().name("signet-keys-fetch".to_owned());
        if let Err(error) = thread.spawn(move || flight.run()) {
            tracing::error!(issuer = self.issuer(), %error, "could not start to fetch the issuer's keys");
        }
    }

    /// Takes over what a fetch brought.
    fn take(&self, fetched: Fetched, confirmed_at: Timestamp) {
        let issuer = self.issuer();
        let mut state = self.state();
        let now = state.pulse.now();
        let life = freshness::life(fetched.told, state.max_age);
        let confirmed = Outcome::Confirmed { life, chance: chance() };
        match (fetched.set, &*self.current.load()) {
            (Some(set), before) => {
                for skipped in set.keys.skipped() {
                    let (kid, reason) = (skipped.kid.as_deref(), skipped.reason);
                    tracing::debug!(issuer, kid, %reason, "a published key is not used");
                }
                if before.is_none() || state.error.is_some() {
                    tracing::info!(issuer, keys = set.keys.len(), "fetched the issuer's keys");
                } else {
                    tracing::debug!(issuer, keys = set.keys.len(), "fetched the issuer's keys anew");
                }
                state.schedule.end(now, confirmed);
                state.tag = set.tag;
                state.published = state.copy.is_some().then(|| set.body.into());
                self.put(&state, now, set.keys);
            }
            (None, Some(loaded)) => {
                tracing::debug!(issuer, "the issuer's keys have not changed");
                self.not_modified.fetch_add(1, Ordering::Relaxed);
                state.schedule.end(now, confirmed);
                loaded.look_again_at(&state, now);
            }
            // The set became too old while the issuer said that it is right.
            (None, None) => state.schedule.end(now, Outcome::Failed),
        }
        state.error = None;
        let copy = state.copy.clone().zip(state.published.clone());
        drop(state);
        self.tell();
        if let (Some((path, published)), Some(used)) = (copy, self.usable())
            && let Err(error) = cache_file::write(&path, issuer, confirmed_at, &published, &used)
        {
            tracing::warn!(issuer, path = %path.display(), %error, "could not keep the issuer's keys on the disk");
        }
    }

    fn fail(&self, error: &FetchError) {
        let (issuer, code) = (self.issuer(), error.code());
        let mut state = self.state();
        // Once for each kind: while the issuer is away this happens twice a second.
        if state.error == Some(code) {
            tracing::debug!(issuer, %error, "could not fetch the issuer's keys");
        } else {
            tracing::warn!(issuer, %error, "could not fetch the issuer's keys");
        }
        state.error = Some(code);
    }
}

/// That the keeper runs. If it ever panics, the next request starts another.
struct Running(Arc<Source>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
        self.0.tell();
    }
}

/// A fetch under way. It ends when this value is dropped: also when it cannot start, or panics.
struct Flight {
    source: Arc<Source>,
    has_landed: bool,
}

impl Flight {
    fn run(mut self) {
        let source = &self.source;
        source.fetches.fetch_add(1, Ordering::Relaxed);
        let (hosts, tag, confirmed_at) = {
            let state = source.state();
            (state.hosts.clone(), state.tag.clone(), state.pulse.clock().now())
        };
        match source.fetcher.fetch(&hosts, tag.as_ref()) {
            Ok(fetched) => {
                self.has_landed = true;
                self.source.take(fetched, confirmed_at);
            }
            Err(error) => source.fail(&error),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.has_landed {
            return;
        }
        self.source.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.source.state();
        let now = state.pulse.now();
        state.schedule.end(now, Outcome::Failed);
        drop(state);
        self.source.tell();
    }
}
