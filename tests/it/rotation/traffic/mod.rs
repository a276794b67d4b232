//! Ten rotations, and withdrawals, while tokens are issued and used all the time.
//!
//! Two replicas stand behind one address. One of them does what is due; the other publishes what it knew ten minutes ago,
//! which is as long as it may. The operator asks for each rotation as soon as the last is done, so that each key signs at the
//! first moment at which it may. Time moves from one event to the next: a guard's fetch, a key's change, minutes.

mod api;
mod balancer;
mod callers;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use signet::config::Config;
use signet::flow::key_rotation::{self, Rotated};
use signet::rotation::{GUARD_REFRESH, KeyStatus, PUBLISHED_UNREAD, least_lead};
use signet_guard::Timestamp;
use tokio::task::JoinSet;

use self::api::Api;
use self::balancer::Balancer;
use self::callers::Traffic;
use super::{kids, settle};
use crate::helpers::app::TestApp;

const ROTATIONS: usize = 10;
const WITHDRAWALS: usize = 2;
/// How long tokens live, unless they are to outlive the bound of a withdrawal.
const LIFE: Duration = Duration::from_secs(600);
const LONG_LIFE: Duration = Duration::from_secs(1_800);
/// The longest step of time.
const STEP: Duration = Duration::from_secs(300);
/// Between the first fetches of two guards.
const APART: Duration = Duration::from_secs(280);
/// The API with the guard as it comes.
const SHIPPED: usize = 0;
/// One of those that hold a set to the limit.
const HELD: usize = 1;
const PATIENCE: Duration = Duration::from_secs(60);

fn shortest(config: &mut Config, life: Duration) {
    config.tokens.access_token_life = life;
    config.keys.publish_ahead = least_lead(config.tokens.jwks_max_age);
}

/// Everybody in a story.
struct Story {
    leader: TestApp,
    behind: TestApp,
    followed: Timestamp,
    is_late: bool,
    /// The key whose successor was asked for last.
    asked: Option<String>,
    is_hasty: bool,
    apis: Vec<Api>,
    traffic: Arc<Traffic>,
    callers: JoinSet<()>,
}

impl Story {
    async fn begin(life: Duration) -> Self {
        let balancer = Balancer::bind();
        let issuer = balancer.url.clone();
        let settings = [("SIGNET_ISSUER", issuer.as_str())];
        let mut leader = TestApp::spawn_with_env_and(&settings, |config| shortest(config, life)).await;
        leader.stop_background().await;
        let name = leader.app.config.issuer.clone();
        let mut behind = leader
            .replica(|config| {
                shortest(config, life);
                config.issuer = name;
            })
            .await;
        behind.stop_background().await;
        balancer.serve([&leader.url, &behind.url]);
        leader.register("ann@example.com").await;
        let max_age = leader.app.config.tokens.jwks_max_age;
        let traffic = Traffic::new(leader.clock.clone(), max_age + GUARD_REFRESH);
        let mut callers = JoinSet::new();
        callers.spawn(traffic.clone().sign_in(leader.url.clone()));
        callers.spawn(traffic.clone().refresh(leader.url.clone()));
        let followed = leader.clock.now();
        let mut story = Self {
            leader,
            behind,
            followed,
            is_late: true,
            asked: None,
            is_hasty: true,
            apis: Vec::new(),
            traffic,
            callers,
        };
        // Each begins at another moment, and so fetches at others.
        for number in [SHIPPED, HELD, HELD + 1] {
            let clock = &story.leader.clock;
            let api = match number {
                SHIPPED => Api::as_shipped(&issuer, clock, max_age),
                _ => Api::at_the_limit(&issuer, clock, max_age),
            };
            until("its first set", || api.age().is_some()).await;
            story.callers.spawn(story.traffic.clone().call(api.url()));
            story.apis.push(api);
            story.go_to(story.now().plus(APART)).await;
        }
        story
    }

    fn now(&self) -> Timestamp {
        self.leader.clock.now()
    }

    /// Lets time pass until then, event by event.
    async fn go_to(&mut self, then: Timestamp) {
        while self.now() < then {
            let now = self.now();
            // A guard's clock counts a second when it is over.
            let second = Duration::from_secs(1);
            let due = self.apis.iter().map(|api| now.minus(api.age().unwrap()).plus(api.holds + second));
            let mut next = due.min().unwrap_or(then).min(then).min(now.plus(STEP));
            let change = key_rotation::outlook(&self.leader.app).next_rotation;
            next = change.filter(|change| *change > now).map_or(next, |change| next.min(change));
            if self.is_late {
                next = next.min(self.followed.plus(PUBLISHED_UNREAD));
            }
            self.step_to(next.max(now.plus(second))).await;
        }
    }

    /// Moves time, lets what is due be done, and then everybody ask again.
    async fn step_to(&mut self, next: Timestamp) {
        self.behind.clock.set(next);
        self.leader.clock.set(next);
        settle(&self.leader).await;
        let signer = self.leader.app.keyring.active_kid();
        if self.is_hasty && self.asked != signer {
            let rotated = key_rotation::rotate(&self.leader.app, false).await.unwrap();
            assert!(matches!(rotated[..], [Rotated::Later { at: Some(_), .. }]), "{rotated:?}");
            self.asked = signer;
        }
        if !self.is_late || next >= self.followed.plus(PUBLISHED_UNREAD) {
            key_rotation::follow(&self.behind.app).await.unwrap();
            self.followed = next;
        }
        // A fetch takes none of this time.
        for api in &self.apis {
            until("a fetch", || api.age().is_some_and(|age| age < api.holds)).await;
        }
        let issued = self.issued();
        self.traffic.forget_passes();
        until("a pass of every caller", || {
            self.traffic.has_passed() && self.issued().iter().zip(&issued).all(|(now, before)| now > before)
        })
        .await;
        assert_eq!(kids(&self.leader, KeyStatus::Active).await.len(), 1);
        assert_eq!(self.traffic.wrong(), Vec::<String>::new());
    }

    fn issued(&self) -> [u64; 2] {
        let traffic = &self.traffic;
        [&traffic.signed_in, &traffic.refreshed].map(|count| count.load(Ordering::Relaxed))
    }

    /// Ends it and tells what was counted.
    async fn end(mut self) {
        self.traffic.end();
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        assert_eq!(self.traffic.wrong(), Vec::<String>::new());
        let [signed_in, refreshed] = self.issued();
        eprintln!(
            "{signed_in} sign-ins, {refreshed} refreshes, {} keys signed",
            self.traffic.signers().len()
        );
        for (number, (tally, api)) in self.traffic.tallies().iter().zip(&self.apis).enumerate() {
            eprintln!("API {number}: {tally:?}, {} fetches", api.fetches());
            assert!(tally.taken > 0);
        }
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await; // poll: other threads must do it
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a077_ten_rotations_under_traffic_cost_no_good_token() {
    let mut story = Story::begin(LIFE).await;
    while story.traffic.signers().len() <= ROTATIONS {
        story.go_to(story.now().plus(STEP)).await;
    }
    // What the last but one signed lives on.
    story.go_to(story.now().plus(LIFE)).await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a078_under_traffic_no_token_of_a_withdrawn_key_is_taken_after_the_stated_bound() {
    let mut story = Story::begin(LONG_LIFE).await;
    // Nobody may be without the database now, and no key goes before its time.
    (story.is_late, story.is_hasty) = (false, false);
    let bound = story.leader.app.config.tokens.jwks_max_age + GUARD_REFRESH;
    for _ in 0..WITHDRAWALS {
        // One that was asked for is over, the standby is everywhere, and all that lives is of the key that goes.
        let lead = story.leader.app.config.keys.publish_ahead;
        story.go_to(story.now().plus(lead + LONG_LIFE.max(lead))).await;
        // A guard has just fetched the set and will hold it for as long as it may.
        let lately = story.apis[HELD].age().unwrap();
        story.go_to(story.now().minus(lately).plus(story.apis[HELD].holds + Duration::from_secs(1))).await;
        let stolen = story.leader.app.keyring.active_kid().unwrap();
        story.traffic.withdraw(&stolen);
        key_rotation::withdraw(&story.leader.app, &stolen).await.unwrap();
        key_rotation::follow(&story.behind.app).await.unwrap();
        let (at, tallies) = (story.now(), story.traffic.tallies());
        story.step_to(at).await;
        let now = story.traffic.tallies();
        for (api, before) in tallies.iter().enumerate() {
            assert!(now[api].taken_early > before.taken_early || api == SHIPPED, "{api} knew at once");
        }
        let nearly = at.plus(bound).minus(Duration::from_secs(20));
        story.go_to(nearly.minus(Duration::from_secs(1))).await;
        let before = story.traffic.tallies()[HELD].taken_early;
        story.go_to(nearly).await;
        assert!(story.traffic.tallies()[HELD].taken_early > before, "the set was not held to the limit");
        story.go_to(at.plus(bound)).await;
        let before = story.traffic.tallies();
        story.go_to(at.plus(bound + GUARD_REFRESH)).await;
        for (now, before) in story.traffic.tallies().iter().zip(&before) {
            assert!(now.withdrawn_refused > before.withdrawn_refused, "none was tried after the bound");
        }
    }
    story.end().await;
}
