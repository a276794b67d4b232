//! When to fetch: pure, so that it can be tested without waiting.

use std::time::{Duration, Instant};

const COOL_DOWN: Duration = Duration::from_secs(10);
/// Between attempts while there is no set at all: a guard that starts before its issuer should not be shut for ten
/// seconds.
const FIRST_LOAD_SPACING: Duration = Duration::from_millis(500);
const STALE_AFTER: Duration = Duration::from_secs(5 * 60);

/// Whether a set that came at `loaded` is so old that a withdrawn key might still be in it.
pub(super) fn is_stale(loaded: Instant, now: Instant) -> bool {
    now.saturating_duration_since(loaded) >= STALE_AFTER
}

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With a set that holds a usable key.
    Loaded,
    /// Without one.
    Failed,
}

#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) cool_down: Duration,
    running: bool,
    /// When the last fetch ended, however it ended.
    ended: Option<Instant>,
    /// Whether a good set ever came.
    has_set: bool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { cool_down: COOL_DOWN, running: false, ended: None, has_set: false }
    }
}

impl Schedule {
    pub(super) const fn is_running(&self) -> bool {
        self.running
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        let spacing = if self.has_set { self.cool_down } else { FIRST_LOAD_SPACING.min(self.cool_down) };
        !self.running && self.ended.is_none_or(|ended| now.saturating_duration_since(ended) >= spacing)
    }

    pub(super) const fn start(&mut self) {
        self.running = true;
    }

    pub(super) const fn end(&mut self, now: Instant, outcome: Outcome) {
        self.running = false;
        self.ended = Some(now);
        self.has_set |= matches!(outcome, Outcome::Loaded);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_first_fetch_is_due_at_once_and_only_one_runs() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        assert!(schedule.is_due(start));
        schedule.start();
        assert!(schedule.is_running());
        assert!(!schedule.is_due(start + ms(60_000)));
    }

    #[test]
    fn without_a_set_the_next_attempt_follows_after_half_a_second() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.start();
        schedule.end(start, Outcome::Failed);
        assert!(!schedule.is_due(start + ms(499)));
        assert!(schedule.is_due(start + ms(500)));
    }

    #[test]
    fn with_a_set_a_failure_cools_down_as_long_as_a_success() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.end(start, Outcome::Loaded);
        assert!(!schedule.is_due(start + ms(9_999)));
        assert!(schedule.is_due(start + ms(10_000)));
        schedule.end(start + ms(10_000), Outcome::Failed);
        assert!(!schedule.is_due(start + ms(19_999)));
        assert!(schedule.is_due(start + ms(20_000)));
    }

    #[test]
    fn a_set_is_stale_after_five_minutes() {
        let start = Instant::now();
        assert!(!is_stale(start, start));
        assert!(!is_stale(start, start + ms(299_999)));
        assert!(is_stale(start, start + ms(300_000)));
        assert!(!is_stale(start + ms(300_000), start));
    }
}
