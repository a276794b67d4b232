use proptest::prelude::*;

use super::*;

const HOUR: Moment = 60 * 60 * 1000;
const LIFE: Duration = Duration::from_secs(300);
const CONFIRMED: Outcome = Outcome::Confirmed { life: LIFE, chance: 0.0 };

/// A schedule whose first set came at 0.
fn with_a_set() -> Schedule {
    let mut schedule = Schedule::default();
    schedule.start(0);
    schedule.end(0, CONFIRMED);
    schedule
}

#[test]
fn the_first_fetch_is_due_at_once_and_only_one_runs() {
    let mut schedule = Schedule::default();
    assert!(schedule.is_due(0));
    schedule.start(0);
    assert_eq!(schedule.next(), None);
    assert!(!schedule.is_due(HOUR));
}

#[test]
fn a099_until_the_issuer_is_heard_attempts_are_half_a_second_apart_whoever_asks() {
    let mut schedule = Schedule::default();
    schedule.set_cool_down(Duration::ZERO);
    for attempt in 0..5 {
        schedule.start(attempt * 600);
        schedule.end(attempt * 600 + 100, Outcome::Failed);
        assert!(!schedule.want(attempt * 600 + 599) && !schedule.is_due(attempt * 600 + 599));
        assert!(schedule.is_due(attempt * 600 + 600));
    }
}

#[test]
fn a099_a_failure_cools_down_as_long_as_a_success() {
    let mut schedule = with_a_set();
    assert!(!schedule.want(9_999) && !schedule.is_due(9_999));
    assert!(schedule.want(10_000) && schedule.is_due(10_000));
    schedule.start(10_000);
    schedule.end(12_000, Outcome::Failed);
    assert!(!schedule.want(21_999));
    assert!(!schedule.is_due(22_000), "who asked too early is forgotten");
    assert!(schedule.want(22_000) && schedule.is_due(22_000));
}

#[test]
fn requests_wait_for_the_first_fetch_and_for_new_keys_two_seconds_long() {
    let mut schedule = Schedule::default();
    assert!(schedule.want(0));
    schedule.start(0);
    assert!(schedule.is_awaited(1999) && !schedule.is_awaited(2000));
    assert_eq!(schedule.patience(), Some(2000));
    schedule.end(5000, Outcome::Failed);
    assert!(!schedule.want(5000) && !schedule.want(5500));
    schedule.start(5500);
    assert!(!schedule.is_awaited(5500), "nobody waits for the second attempt");
    schedule.end(5600, CONFIRMED);
    assert!(!schedule.is_awaited(5600) && schedule.want(15_600));
    schedule.start(15_600);
    assert!(schedule.want(17_599) && !schedule.want(17_600));
}

#[test]
fn a_set_is_fetched_anew_after_seven_or_eight_tenths_of_its_life() {
    for (chance, due) in [(0.0, 210_000), (0.5, 225_000), (1.0, 240_000), (7.0, 240_000), (f64::NAN, 210_000)]
    {
        let mut schedule = Schedule::default();
        schedule.start(0);
        schedule.end(1000, Outcome::Confirmed { life: LIFE, chance });
        assert_eq!(schedule.next(), Some(due), "{chance}");
        schedule.start(due);
        schedule.end(due, Outcome::Failed);
        assert_eq!(schedule.next(), Some(due + 10_000), "after a failure");
    }
}

#[test]
fn a_set_that_ends_before_its_life_does_is_fetched_anew_in_time() {
    let mut schedule = Schedule::default();
    schedule.set_max_stale(Duration::from_secs(60));
    schedule.start(0);
    schedule.end(100, CONFIRMED);
    assert_eq!((schedule.next(), schedule.lapses()), (Some(42_000), Some(60_000)));
}

#[test]
fn a_set_ends_when_it_was_not_confirmed_for_too_long() {
    let mut schedule = with_a_set();
    assert!(schedule.keep(24 * HOUR - 1) && schedule.is_heard());
    assert_eq!(schedule.age(24 * HOUR - 1), Some(24 * HOUR - 1));
    assert!(!schedule.keep(24 * HOUR) && !schedule.is_heard());
    assert_eq!(schedule.age(24 * HOUR), None);
    assert!(schedule.is_due(24 * HOUR), "and every half a second from then on");
    schedule.set_max_stale(Duration::ZERO);
    schedule.start(24 * HOUR);
    schedule.end(24 * HOUR, CONFIRMED);
    assert!(schedule.keep(24 * HOUR + 59_999) && !schedule.keep(24 * HOUR + 60_000));
}

#[test]
fn a_set_from_the_disk_has_the_age_it_has_and_the_issuer_is_asked_at_once() {
    let mut schedule = Schedule::default();
    schedule.restore(1000, 23 * HOUR);
    assert!(schedule.keep(1000) && !schedule.is_heard() && schedule.is_due(1000));
    assert_eq!(schedule.age(1000), Some(23 * HOUR));
    schedule.start(1000);
    schedule.end(1100, Outcome::Failed);
    assert_eq!(schedule.next(), Some(1600));
    assert!(!schedule.keep(HOUR + 1000));
}

#[derive(Debug, Clone)]
enum Event {
    /// Time passes.
    Pass(Moment),
    /// A request comes with a key that is not known.
    Want,
    /// The next fetch takes so long and ends so.
    Answer(Moment, Option<(u64, f64)>),
    MaxStale(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..400_000_i64).prop_map(Event::Pass),
        (0..2_000_i64).prop_map(Event::Pass),
        (0..30 * HOUR).prop_map(Event::Pass),
        Just(Event::Want),
        (0..5_000_i64, prop::option::of((30..300_u64, 0.0..=1.0_f64)))
            .prop_map(|(time, end)| Event::Answer(time, end)),
        (0..200_000_u64).prop_map(Event::MaxStale),
    ]
}

/// A keeper that is never late, and an issuer.
struct World {
    schedule: Schedule,
    now: Moment,
    answer: (Moment, Option<(u64, f64)>),
    /// When the fetch under way ends.
    landing: Option<Moment>,
    last_end: Option<Moment>,
    /// When the set in use was confirmed, and its life.
    confirmed: Option<(Moment, Moment)>,
    cool_down: Moment,
}

impl World {
    fn turn(&mut self) {
        let kept = self.schedule.keep(self.now);
        if kept {
            let age = self.schedule.age(self.now).unwrap();
            assert!(age < self.schedule.max_stale(), "a set of {age} ms is used");
            assert_eq!(age, self.now - self.confirmed.unwrap().0);
        }
        assert!(!kept || self.schedule.look_again(self.now) <= self.schedule.lapses());
        if self.landing == Some(self.now) {
            self.landing = None;
            let began = self.now - self.answer.0;
            let outcome = match self.answer.1 {
                Some((life, chance)) => {
                    self.confirmed = Some((began, moments(Duration::from_secs(life))));
                    Outcome::Confirmed { life: Duration::from_secs(life), chance }
                }
                None => Outcome::Failed,
            };
            self.schedule.end(self.now, outcome);
            self.last_end = Some(self.now);
        }
        if self.schedule.is_due(self.now) {
            assert_eq!(self.landing, None, "two fetches at a time");
            let least = if self.schedule.is_heard() { self.cool_down } else { SPACING };
            if let Some(last) = self.last_end {
                assert!(self.now - last >= least, "{} ms after the last, {least} expected", self.now - last);
            }
            self.schedule.start(self.now);
            self.landing = Some(self.now + self.answer.0);
            if self.answer.0 == 0 {
                self.turn();
            }
        }
    }

    fn pass(&mut self, span: Moment) {
        let until = self.now + span;
        // An issuer that fails for a day would be asked 200,000 times: some of them will do.
        for _ in 0..2000 {
            let events = [self.landing, self.schedule.next(), self.schedule.lapses()];
            match events.into_iter().flatten().filter(|event| *event > self.now).min() {
                Some(event) if event <= until => self.now = event,
                _ => {
                    self.now = until;
                    self.turn();
                    return;
                }
            }
            self.turn();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a099_whatever_happens_no_two_fetches_are_closer_than_the_cool_down_and_no_set_is_too_old(
        cool_down in prop_oneof![Just(0_u64), 1..20_000_u64, 20_000..400_000_u64],
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut schedule = Schedule::default();
        schedule.set_cool_down(Duration::from_millis(cool_down));
        let mut world = World {
            schedule, now: 0, answer: (100, None), landing: None, last_end: None, confirmed: None,
            cool_down: cool_down.try_into().unwrap(),
        };
        for event in events {
            match event {
                Event::Pass(span) => world.pass(span),
                Event::Want => drop(world.schedule.want(world.now)),
                Event::Answer(time, end) if world.landing.is_none() => world.answer = (time, end),
                Event::Answer(..) => {}
                Event::MaxStale(seconds) => world.schedule.set_max_stale(Duration::from_secs(seconds)),
            }
            world.turn();
        }
    }

    #[test]
    fn while_the_issuer_answers_a_set_is_confirmed_anew_before_its_life_ends(
        cool_down in 0..20_000_u64,
        answers in prop::collection::vec((0..=5_000_i64, 30..=300_u64, 0.0..=1.0_f64), 1..40),
        wants in prop::collection::vec(0..40_usize, 0..10),
    ) {
        let mut schedule = Schedule::default();
        schedule.set_cool_down(Duration::from_millis(cool_down));
        let (mut now, mut confirmed): (Moment, Option<(Moment, Moment)>) = (0, None);
        for (index, (time, life, chance)) in answers.into_iter().enumerate() {
            if wants.contains(&index) {
                now += 11_000.min(schedule.next().unwrap_or(now).saturating_sub(now).max(0));
                schedule.want(now);
            }
            now = now.max(schedule.next().unwrap());
            schedule.start(now);
            let began = now;
            now += time;
            if let Some((before, life)) = confirmed {
                prop_assert!(now < before + life, "came {} ms late", now - before - life);
            }
            schedule.end(now, Outcome::Confirmed { life: Duration::from_secs(life), chance });
            confirmed = Some((began, moments(Duration::from_secs(life))));
        }
    }
}
