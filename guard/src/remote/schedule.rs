//! When to fetch, and how long a set may be used: pure, so that it can be tested without waiting.

use std::time::Duration;

use super::pulse::{Moment, moments};

const COOL_DOWN: Duration = Duration::from_secs(10);
const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Sets of any life must have their time to be confirmed anew.
const LEAST_MAX_STALE: Duration = Duration::from_secs(60);
/// Between attempts while the issuer was not heard yet, and between any two that nobody asked for: a guard that starts
/// before its issuer should not be shut for ten seconds.
const SPACING: Moment = 500;
/// How long requests wait for a fetch, from its beginning: it goes on without them.
const PATIENCE: Moment = 2000;

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// With a set that holds a usable key, or the word that it is unchanged. `chance`, from 0 to 1, keeps verifiers apart
    /// that began together.
    Confirmed { life: Duration, chance: f64 },
    /// Without one.
    Failed,
}

#[derive(Debug)]
pub(super) struct Schedule {
    cool_down: Moment,
    max_stale: Moment,
    /// When the fetch under way began.
    running: Option<Moment>,
    /// When the last fetch ended, however it ended.
    ended: Option<Moment>,
    /// Whether the set in use was confirmed by the issuer itself.
    is_heard: bool,
    held: Option<Held>,
    /// Somebody waits for a key that the set lacks.
    is_wanted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    confirmed: Moment,
    refresh: Moment,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            cool_down: moments(COOL_DOWN),
            max_stale: moments(MAX_STALE),
            running: None,
            ended: None,
            is_heard: false,
            held: None,
            is_wanted: false,
        }
    }
}

impl Schedule {
    pub(super) const fn set_cool_down(&mut self, cool_down: Duration) {
        self.cool_down = moments(cool_down);
    }

    pub(super) fn set_max_stale(&mut self, max_stale: Duration) {
        self.max_stale = moments(max_stale.max(LEAST_MAX_STALE));
    }

    pub(super) const fn max_stale(&self) -> Moment {
        self.max_stale
    }

    /// A set is there that the issuer confirmed so long ago, and not to this process.
    pub(super) const fn restore(&mut self, now: Moment, age: Moment) {
        self.held = Some(Held { confirmed: now - age, refresh: now });
    }

    /// When the next fetch begins; `None` while one is under way.
    pub(super) fn next(&self) -> Option<Moment> {
        if self.running.is_some() {
            return None;
        }
        let Some(ended) = self.ended else { return Some(Moment::MIN) };
        Some(match self.held {
            Some(_) if self.is_heard && self.is_wanted => ended + self.cool_down,
            Some(held) if self.is_heard => held.refresh.max(ended + self.cool_down.max(SPACING)),
            _ => ended + SPACING,
        })
    }

    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.next().is_some_and(|next| next <= now)
    }

    pub(super) const fn start(&mut self, now: Moment) {
        self.running = Some(now);
        self.is_wanted = false;
    }

    pub(super) fn end(&mut self, now: Moment, outcome: Outcome) {
        let began = self.running.take().unwrap_or(now);
        self.ended = Some(now);
        if let Outcome::Confirmed { life, chance } = outcome {
            let life = moments(life).min(self.max_stale);
            // From 0.7 to 0.8 of it: a fetch that takes all its time is over before the end of the shortest life.
            let refresh = began + life / 10 * 7 + (life as f64 / 10.0 * chance.clamp(0.0, 1.0)) as Moment;
            self.held = Some(Held { confirmed: began, refresh });
            self.is_heard = true;
        }
    }

    /// A request needs a key that the set lacks. Whether it has something to wait for.
    pub(super) fn want(&mut self, now: Moment) -> bool {
        if self.is_heard && self.ended.is_some_and(|ended| ended + self.cool_down <= now) {
            self.is_wanted |= self.running.is_none();
        }
        self.is_awaited(now)
    }

    /// Whether a request should wait for the fetch that is under way or about to begin: for the first of all, and for those
    /// that look for a new key. While an issuer is not heard, nobody waits a second time.
    pub(super) fn is_awaited(&self, now: Moment) -> bool {
        match self.running {
            Some(began) => (self.is_heard || self.ended.is_none()) && now < began + PATIENCE,
            None => self.is_wanted || self.ended.is_none(),
        }
    }

    /// Until when requests wait for the fetch under way.
    pub(super) fn patience(&self) -> Option<Moment> {
        self.running.map(|began| began + PATIENCE)
    }

    /// How long ago the issuer confirmed the set.
    pub(super) fn age(&self, now: Moment) -> Option<Moment> {
        self.held.map(|held| now.saturating_sub(held.confirmed).max(0))
    }

    /// When the set becomes too old to be used.
    pub(super) fn lapses(&self) -> Option<Moment> {
        self.held.map(|held| held.confirmed + self.max_stale)
    }

    /// When the set has to be looked at again: for its refresh, or every second once that is due, or for its end.
    pub(super) fn look_again(&self, now: Moment) -> Option<Moment> {
        self.held.map(|held| {
            let refresh = if held.refresh > now { held.refresh } else { now + 1000 };
            refresh.min(held.confirmed + self.max_stale)
        })
    }

    /// Whether a set is held that may be used. One that is too old is let go.
    pub(super) fn keep(&mut self, now: Moment) -> bool {
        if self.lapses().is_some_and(|lapses| lapses <= now) {
            self.held = None;
            self.is_heard = false;
            self.is_wanted = false;
        }
        self.held.is_some()
    }

    /// Whether the issuer itself confirmed the set that is in use.
    pub(super) const fn is_heard(&self) -> bool {
        self.is_heard
    }
}

#[cfg(test)]
mod tests;
