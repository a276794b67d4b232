//! When to ask again: pure, so that it can be tested without waiting.

use std::time::Duration;

/// Between the beginnings of two questions, whatever the answers: five a second.
const LEAST: Duration = Duration::from_millis(200);
/// After an answer that came at once and said nothing: the issuer has no room for another who waits.
const CROWDED: Duration = Duration::from_millis(500);
/// Between two attempts while the issuer does not answer: it is missed for a second at most once it is back.
const MOST: Duration = Duration::from_secs(1);

/// How the last question went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something changed, or nothing did in all the time that was asked for.
    Answered,
    /// Nothing changed, and the answer did not wait.
    AnsweredEarly,
    /// No answer, or none that could be used.
    Failed,
}

#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Outcome>,
    failures: u32,
}

impl Pace {
    pub(super) fn note(&mut self, outcome: Outcome) {
        self.last = Some(outcome);
        self.failures = if outcome == Outcome::Failed { self.failures.saturating_add(1) } else { 0 };
    }

    /// Whether the last question failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// How long after the beginning of the last question the next one may begin. `chance`, from 0 to 1, keeps verifiers
    /// apart that lost the issuer at the same moment.
    pub(super) fn spacing(&self, chance: f64) -> Duration {
        match self.last {
            None => Duration::ZERO,
            Some(Outcome::Answered) => LEAST,
            Some(Outcome::AnsweredEarly) => CROWDED,
            Some(Outcome::Failed) => {
                let longest = LEAST.saturating_mul(1 << self.failures.min(8)).min(MOST);
                longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0).max(LEAST)
            }
        }
    }
}

/// How long the issuer may hold its answer: so that the next comes well before what is known is older than `bound`, and
/// not beyond `due`, when something else has to be asked for.
pub(super) fn wait(bound: Duration, due: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(25);
    const SLACK: Duration = Duration::from_secs(5);
    let held = bound.saturating_sub(SLACK).max(bound / 2).min(LONGEST);
    let seconds = held.min(due.unwrap_or(LONGEST)).as_secs().max(1);
    Duration::from_secs(seconds)
}

/// How long after a failure a list is asked for again.
pub(super) fn retry(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(5))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a139_no_answer_makes_the_pace_quicker_than_five_a_second_or_slower_than_one() {
        let mut pace = Pace::default();
        assert_eq!(pace.spacing(1.0), Duration::ZERO, "the first question needs no leave");
        for outcome in [Outcome::Failed, Outcome::Answered, Outcome::AnsweredEarly] {
            for _ in 0..100 {
                pace.note(outcome);
                for chance in [-1.0, 0.0, 0.3, 1.0, 7.0, f64::NAN] {
                    let chance = if chance.is_nan() { 0.0 } else { chance };
                    assert!((ms(200)..=ms(1000)).contains(&pace.spacing(chance)), "{outcome:?} {chance}");
                }
            }
        }
    }

    #[test]
    fn failures_space_out_and_one_answer_ends_that() {
        let mut pace = Pace::default();
        let spacings: Vec<_> = (0..4)
            .map(|_| {
                pace.note(Outcome::Failed);
                pace.spacing(1.0)
            })
            .collect();
        assert_eq!(spacings, [ms(400), ms(800), ms(1000), ms(1000)]);
        assert!(pace.has_failed() && pace.spacing(0.0) == ms(500));
        pace.note(Outcome::Answered);
        assert!(!pace.has_failed() && pace.spacing(1.0) == ms(200));
    }

    #[test]
    fn the_issuer_may_hold_its_answer_for_less_than_the_bound() {
        let seconds = Duration::from_secs;
        for (bound, due, expected) in [
            (30, None, 25),
            (3600, None, 25),
            (30, Some(7), 7),
            (30, Some(0), 1),
            (30, Some(900), 25),
            (12, None, 7),
            (4, None, 2),
            (2, None, 1),
        ] {
            assert_eq!(wait(seconds(bound), due.map(seconds)), seconds(expected), "{bound} {due:?}");
        }
    }

    #[test]
    fn a_list_that_fails_is_asked_for_less_and_less() {
        let seconds: Vec<_> = [1, 2, 3, 6, 7, u32::MAX].map(|failures| retry(failures).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 32, 32, 32]);
    }
}
