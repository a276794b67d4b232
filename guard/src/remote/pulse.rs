//! The time that a source of keys lives by: it never goes back, and it does not stand still while the machine sleeps.

use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};

/// Milliseconds on the time of one source.
pub(super) type Moment = i64;

pub(super) const fn moments(span: Duration) -> Moment {
    let millis = span.as_millis();
    if millis > MOST as u128 { MOST } else { millis as Moment }
}

/// A thousand years: sums of a few of these stay numbers.
const MOST: Moment = 1000 * 366 * 24 * 60 * 60 * 1000;

/// The machine's steady time, moved on whenever the clock is seen to be further. The steady one of Linux stops while the
/// machine sleeps, and the clock may be set back; the later of the two is right in both cases, and a set that is thought
/// to be older than it is does no harm.
#[derive(Debug)]
pub(super) struct Pulse {
    clock: Clock,
    began: Instant,
    began_at: Timestamp,
    ahead: Moment,
}

impl Pulse {
    pub(super) fn new(clock: Clock) -> Self {
        Self { began: Instant::now(), began_at: clock.now(), clock, ahead: 0 }
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Goes on with another clock.
    pub(super) fn set_clock(&mut self, clock: Clock) {
        let now = self.now();
        self.ahead = now.saturating_sub(moments(self.began.elapsed()));
        self.began_at = clock.now().minus(Duration::from_millis(now.unsigned_abs()));
        self.clock = clock;
    }

    pub(super) fn now(&mut self) -> Moment {
        self.later_of(moments(self.began.elapsed()), self.clock.now())
    }

    fn later_of(&mut self, steady: Moment, told: Timestamp) -> Moment {
        // The clock has whole seconds: what it is ahead by less than one may be no difference at all.
        const ROUNDING: i64 = 1;
        let seconds = told.as_seconds().saturating_sub(self.began_at.as_seconds()).saturating_sub(ROUNDING);
        let told = seconds.saturating_mul(1000).min(MOST);
        self.ahead = self.ahead.max(told.saturating_sub(steady));
        steady.saturating_add(self.ahead)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_counts_and_a_clock_that_is_set_back_does_not() {
        let mut pulse = Pulse::new(Clock::fixed(Timestamp::from_seconds(1000)));
        for (steady, told, now) in [
            (0, 1000, 0),
            (900, 1001, 900), // only rounded differently
            (2000, 1002, 2000),
            (3000, 4603, 3_602_000), // asleep for an hour
            (4000, 4604, 3_603_000),
            (5000, 0, 3_604_000), // set back
            (6000, 1006, 3_605_000),
            (7000, 9_000_000_000_000_000, MOST),
            (8000, i64::MIN, MOST + 1000),
        ] {
            assert_eq!(pulse.later_of(steady, Timestamp::from_seconds(told)), now, "{steady} {told}");
        }
    }

    #[test]
    fn no_span_is_too_long() {
        assert_eq!(moments(Duration::MAX), MOST);
        assert_eq!(moments(Duration::from_millis(1500)), 1500);
    }
}
