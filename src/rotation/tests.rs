use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const START: i64 = 1_767_225_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

fn policy() -> Policy {
    Policy {
        algorithms: vec![Algorithm::Rs256],
        rotate_every: 30 * DAY,
        publish_ahead: DAY,
        max_age: Duration::from_secs(300),
        longest_life: Duration::from_secs(600),
    }
}

fn key(kid: &str, status: KeyStatus) -> KeyLife {
    let active = (status != KeyStatus::Pending).then(|| at(0));
    KeyLife {
        kid: kid.to_owned(),
        algorithm: Algorithm::Rs256,
        status,
        published_at: at(0),
        ready_at: at(86_400),
        activated_at: active,
        retiring_at: matches!(status, KeyStatus::Retiring | KeyStatus::Retired).then(|| at(0)),
        rotation_requested_at: None,
        longest_life: Duration::from_secs(600),
    }
}

fn activate(kid: &str) -> Step {
    Step::Activate(kid.to_owned())
}

fn retire(kid: &str) -> Step {
    Step::Retire(kid.to_owned())
}

const PUBLISH: Step = Step::Publish(Algorithm::Rs256);

#[test]
fn what_is_to_be_done_case_by_case() {
    use KeyStatus::{Active, Pending, Retired, Retiring};
    let (days_30, dead) = (30 * 86_400, 600 + 60 + 120);
    let active = || key("a", Active);
    let asked = || KeyLife { rotation_requested_at: Some(at(5)), ..active() };
    for (name, seconds, keys, steps) in [
        ("nothing is there", 0, vec![], vec![PUBLISH]),
        ("a first key has no standby", 0, vec![active()], vec![PUBLISH]),
        ("all is well", 0, vec![active(), key("p", Pending)], vec![]),
        ("before its time", days_30 - 1, vec![active(), key("p", Pending)], vec![]),
        ("it is time", days_30, vec![active(), key("p", Pending)], vec![activate("p"), PUBLISH]),
        ("no standby when it is time", days_30, vec![active()], vec![PUBLISH]),
        ("the clock went back", -days_30, vec![active(), key("p", Pending)], vec![]),
        ("asked for, not ready", 86_399, vec![asked(), key("p", Pending)], vec![]),
        ("asked for and ready", 86_400, vec![asked(), key("p", Pending)], vec![activate("p"), PUBLISH]),
        ("none signs, one is ready", 86_400, vec![key("p", Pending)], vec![activate("p"), PUBLISH]),
        ("none signs, none is ready", 86_399, vec![key("p", Pending)], vec![]),
        ("two stand by", days_30, vec![active(), key("q", Pending), key("p", Pending)], vec![activate("p")]),
        ("its tokens may live", dead - 1, vec![active(), key("p", Pending), key("r", Retiring)], vec![]),
        (
            "its tokens are dead",
            dead,
            vec![active(), key("p", Pending), key("r", Retiring)],
            vec![retire("r")],
        ),
        ("a retired key stays", dead, vec![active(), key("p", Pending), key("r", Retired)], vec![]),
    ] {
        assert_eq!(plan(at(seconds), &keys, &policy()), steps, "{name}");
    }
}

#[test]
fn one_algorithm_does_not_wait_until_a_key_of_another_is_made() {
    let both = Policy { algorithms: vec![Algorithm::Rs256, Algorithm::Es256], ..policy() };
    let first = KeyLife { algorithm: Algorithm::Es256, ..key("e", KeyStatus::Pending) };
    let steps = plan(at(86_400), &[key("a", KeyStatus::Active), first], &both);
    assert_eq!(steps, [activate("e"), PUBLISH, Step::Publish(Algorithm::Es256)]);
}

#[test]
fn without_a_key_that_signs_the_next_one_does_ready_or_not() {
    use KeyStatus::{Pending, Retiring};
    let later = KeyLife { ready_at: at(90_000), ..key("a", Pending) };
    let es256 = KeyLife { algorithm: Algorithm::Es256, ..key("e", Pending) };
    assert_eq!(
        due(at(1), &[later.clone(), key("p", Pending), key("r", Retiring)], &policy()),
        [activate("p")]
    );
    assert_eq!(
        due(at(1), std::slice::from_ref(&es256), &policy()),
        [PUBLISH],
        "another algorithm waits for its time"
    );
    assert_eq!(due(at(1), &[key("s", KeyStatus::Active), later], &policy()), []);
}

#[test]
fn a_set_without_a_standby_is_not_kept_for_long() {
    let keys = [key("a", KeyStatus::Active), key("p", KeyStatus::Pending)];
    assert_eq!(cache_time(&keys, &policy()), Duration::from_secs(300));
    assert_eq!(cache_time(&keys[..1], &policy()), Duration::from_secs(10));
    let both = Policy { algorithms: vec![Algorithm::Rs256, Algorithm::Es256], ..policy() };
    assert_eq!(cache_time(&keys, &both), Duration::from_secs(10), "each has a standby");
}

#[test]
fn a_rotation_is_overdue_an_hour_after_it_could_have_happened() {
    let days_30 = 30 * 86_400;
    let keys = |ready| {
        [key("a", KeyStatus::Active), KeyLife { ready_at: at(ready), ..key("p", KeyStatus::Pending) }]
    };
    let overdue = |seconds, ready| outlook(at(seconds), &keys(ready), &policy()).overdue.is_some();
    assert!(!overdue(days_30 + 3_600, 0) && overdue(days_30 + 3_601, 0));
    assert!(!overdue(days_30 + 3_601, days_30 + 10), "it waits for its successor to be everywhere");
    let found = outlook(at(0), &keys(0), &policy());
    assert_eq!((found.next_rotation, found.last_rotation), (Some(at(days_30)), Some(at(0))));
}

#[test]
fn the_first_key_of_another_algorithm_is_waited_for_and_missed() {
    let both = Policy { algorithms: vec![Algorithm::Rs256, Algorithm::Es256], ..policy() };
    let first = KeyLife { algorithm: Algorithm::Es256, ..key("e", KeyStatus::Pending) };
    let keys = [key("a", KeyStatus::Active), key("p", KeyStatus::Pending), first];
    assert_eq!(outlook(at(0), &keys, &both).next_rotation, Some(at(86_400)));
    assert_eq!(outlook(at(0), &keys, &policy()).next_rotation, Some(at(30 * 86_400)), "nobody waits for it");
    let overdue = |seconds| outlook(at(seconds), &keys, &both).overdue;
    assert_eq!((overdue(86_400 + 3_600), overdue(86_400 + 3_601)), (None, Some("e".to_owned())));
}

#[test]
fn a_key_that_is_dated_in_the_future_does_not_stop_rotation_unnoticed() {
    use KeyStatus::{Active, Pending, Retired, Retiring};
    let misdated = |key: KeyLife, now| outlook(at(now), &[key], &policy()).misdated;
    for status in [Pending, Active, Retiring] {
        assert_eq!(misdated(key("k", status), -3_600), None, "{}", status.as_str());
        assert_eq!(misdated(key("k", status), -3_601), Some("k".to_owned()), "{}", status.as_str());
    }
    let published_ahead = KeyLife { published_at: at(100_000), ..key("k", Active) };
    assert_eq!(misdated(published_ahead, 0), None, "its turn comes in time");
    assert_eq!(misdated(key("k", Retired), -100_000), None, "it is past all that");
}

#[test]
fn sets_that_were_given_out_by_a_clock_that_was_ahead_are_not_waited_for_in_vain() {
    let day = |days: i64| at(days * 86_400);
    let announced = |cached_until| Announced { max_age: Duration::from_secs(300), cached_until };
    let hasty = Policy { publish_ahead: Duration::ZERO, ..policy() };
    let least = Duration::from_secs(600 + 300 + 60);
    assert_eq!(hasty.ready_at(at(0), announced(at(0))), at(300).plus(least));
    assert_eq!(hasty.ready_at(at(0), announced(at(70_000))), at(70_000).plus(least));
    assert_eq!(hasty.ready_at(at(0), announced(day(5_000))), day(1).plus(least));
}

#[test]
fn of_the_sets_that_were_given_out_the_one_that_is_kept_longest_counts() {
    let seconds = Duration::from_secs;
    let at_first = Announced { max_age: seconds(80_000), cached_until: at(0) };
    let lower = at_first.change(at(10), seconds(300));
    assert_eq!(lower, Announced { max_age: seconds(300), cached_until: at(80_010) });
    let lowest = lower.change(at(20), seconds(10));
    assert_eq!(lowest.cached_until, at(80_010), "not those that were given out last");
    assert_eq!(lowest.change(at(30), seconds(80_000)).cached_until, at(80_010), "longer from now on");
}

#[test]
fn what_signs_or_will_is_written_as_the_policy_has_it_and_never_less() {
    let wide = Policy { publish_ahead: 3 * DAY, longest_life: Duration::from_secs(3_600), ..policy() };
    let allowed = |status| wide.allowed_for(&key("k", status));
    assert_eq!(allowed(KeyStatus::Pending).ready_at, at(3 * 86_400));
    assert_eq!(allowed(KeyStatus::Active).longest_life, Duration::from_secs(3_600));
    assert_eq!(allowed(KeyStatus::Retiring), key("k", KeyStatus::Retiring), "it signs no more");
    for status in [KeyStatus::Pending, KeyStatus::Active] {
        let before = allowed(status);
        assert_eq!(policy().allowed_for(&before), before, "{}", status.as_str());
    }
}

#[test]
fn an_algorithm_that_nobody_wants_any_more_runs_out() {
    let of = |kid: &str, status| KeyLife { algorithm: Algorithm::Es256, ..key(kid, status) };
    let keys = [
        key("a", KeyStatus::Active),
        key("p", KeyStatus::Pending),
        of("e", KeyStatus::Active),
        of("f", KeyStatus::Pending),
    ];
    assert_eq!(plan(at(86_400), &keys, &policy()), []);
    let steps = plan(at(30 * 86_400), &keys, &policy());
    assert_eq!(steps, [activate("p"), Step::Stop("e".to_owned()), retire("f"), PUBLISH]);
}

#[test]
fn a_lead_is_never_shorter_than_is_safe() {
    let hasty = Policy { publish_ahead: Duration::ZERO, ..policy() };
    assert_eq!(hasty.lead(), Duration::from_secs(300 + 600 + 300 + 60));
    assert_eq!(policy().lead(), DAY);
}

/// What happens to a service in the course of the years.
#[derive(Debug, Clone)]
enum Event {
    /// The plan is carried out after so many seconds: as a rule soon, at times after a long outage.
    Tick(u32),
    /// It is asked again in the same second: another server, or one that was killed half-way.
    Again,
    /// It is killed after so many steps of what is due.
    Killed(usize),
    /// Another policy: seconds of rotation, lead, cache and life.
    Policy([u32; 4]),
    /// The operator asks for a rotation.
    Request,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..90_000u32).prop_map(Event::Tick),
        2 => (90_000..8_000_000u32).prop_map(Event::Tick),
        4 => (1..700u32).prop_map(Event::Tick),
        2 => Just(Event::Again),
        2 => (0..3usize).prop_map(Event::Killed),
        2 => [3_600..4_000_000u32, 0..200_000u32, 10..86_400u32, 60..3_600u32].prop_map(Event::Policy),
        1 => Just(Event::Request),
    ]
}

/// The world as verifiers see it.
struct World {
    now: i64,
    policy: Policy,
    announced: Announced,
    keys: Vec<KeyLife>,
    /// Since when which cache time is announced, the last one first.
    cache_times: Vec<(i64, Duration)>,
    /// Of each key: when it was taken out of the set.
    gone: Vec<(String, i64)>,
    made: usize,
}

impl World {
    fn new() -> Self {
        let policy = policy();
        let announced = Announced { max_age: policy.max_age, cached_until: at(0) };
        let first = key("0", KeyStatus::Active);
        let cache_times = vec![(0, policy.max_age)];
        Self { now: 0, policy, announced, keys: vec![first], cache_times, gone: Vec::new(), made: 1 }
    }

    fn steps(&mut self, at_most: usize) -> Result<(), TestCaseError> {
        let steps = plan(at(self.now), &self.keys, &self.policy);
        for step in steps.into_iter().take(at_most) {
            match step {
                Step::Publish(algorithm) => self.publish(algorithm),
                Step::Activate(kid) => self.activate(&kid)?,
                Step::Stop(_) => return Err(TestCaseError::fail("there is no such algorithm here")),
                Step::Retire(kid) => self.retire(&kid)?,
            }
        }
        Ok(())
    }

    fn publish(&mut self, algorithm: Algorithm) {
        let now = at(self.now);
        self.keys.push(KeyLife {
            kid: self.made.to_string(),
            algorithm,
            status: KeyStatus::Pending,
            published_at: now,
            ready_at: self.policy.ready_at(now, self.announced),
            activated_at: None,
            retiring_at: None,
            rotation_requested_at: None,
            longest_life: self.policy.longest_life,
        });
        self.made += 1;
    }

    /// No honest cache may lack it: neither one that was filled just before it was published, nor one that a server
    /// filled which did not know of it yet.
    fn activate(&mut self, kid: &str) -> Result<(), TestCaseError> {
        let now = at(self.now);
        let next = self.keys.iter().position(|key| key.kid == kid).unwrap();
        let unknown_until = self.keys[next].published_at.as_seconds() - START + seconds(PUBLISHED_UNREAD);
        let mut until = i64::MAX;
        for (since, max_age) in &self.cache_times {
            if *since < unknown_until {
                let held = unknown_until.min(until) + seconds(*max_age + GUARD_REFRESH);
                prop_assert!(held <= self.now, "a cache lacks key {kid} for {} s", held - self.now);
            }
            until = *since;
        }
        for key in self.keys.iter_mut().filter(|key| key.status == KeyStatus::Active) {
            (key.status, key.retiring_at) = (KeyStatus::Retiring, Some(now));
        }
        let next = &mut self.keys[next];
        (next.status, next.activated_at) = (KeyStatus::Active, Some(now));
        next.longest_life = next.longest_life.max(self.policy.longest_life);
        Ok(())
    }

    /// No token of it may be alive. The last was signed by a server that did not know better for a minute.
    fn retire(&mut self, kid: &str) -> Result<(), TestCaseError> {
        let key = self.keys.iter_mut().find(|key| key.kid == kid).unwrap();
        prop_assert_eq!(key.status, KeyStatus::Retiring);
        let stopped = key.retiring_at.unwrap().as_seconds() - START;
        let alive_until = stopped + seconds(key.longest_life + SIGNED_UNREAD + SKEW);
        prop_assert!(alive_until < self.now, "key {kid} went too early");
        key.status = KeyStatus::Retired;
        self.gone.push((kid.to_owned(), self.now));
        Ok(())
    }

    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Tick(seconds) => {
                self.now += i64::from(*seconds);
                self.steps(usize::MAX)
            }
            Event::Again => self.steps(usize::MAX),
            Event::Killed(after) => self.steps(*after),
            Event::Policy(values) => {
                let [rotate_every, publish_ahead, max_age, longest_life] =
                    values.map(|seconds| Duration::from_secs(u64::from(seconds)));
                let algorithms = self.policy.algorithms.clone();
                self.policy = Policy { algorithms, rotate_every, publish_ahead, max_age, longest_life };
                self.announced = self.announced.change(at(self.now), max_age);
                self.keys = self.keys.iter().map(|key| self.policy.allowed_for(key)).collect();
                self.cache_times.insert(0, (self.now, max_age));
                Ok(())
            }
            Event::Request => {
                let now = at(self.now);
                let active = self.keys.iter_mut().filter(|key| key.status == KeyStatus::Active);
                active.for_each(|key| key.rotation_requested_at = Some(now));
                Ok(())
            }
        }
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap()
}

proptest! {
    #[test]
    fn property_a077_no_honest_cache_lacks_a_key_that_signs_and_no_live_token_loses_its_key(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new();
        for event in &events {
            world.happen(event)?;
            let count = |status| world.keys.iter().filter(|key| key.status == status).count();
            prop_assert_eq!(count(KeyStatus::Active), 1);
            prop_assert!(count(KeyStatus::Pending) <= 1);
        }
        // Left in peace it comes to rest: a standby is there, and nothing is overdue for long.
        world.now += seconds(world.policy.lead() + world.policy.rotate_every + 3 * DAY);
        world.steps(usize::MAX)?;
        prop_assert!(world.keys.iter().any(|key| key.status == KeyStatus::Pending));
        prop_assert_eq!(plan(at(world.now), &world.keys, &world.policy), []);
    }

    #[test]
    fn property_what_is_planned_is_done_when_it_is_done(seconds in 0..10_000_000i64) {
        let mut world = World::new();
        world.now = seconds;
        world.steps(usize::MAX)?;
        prop_assert_eq!(plan(at(world.now), &world.keys, &world.policy), []);
    }
}
