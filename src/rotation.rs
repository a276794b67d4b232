//! When signing keys take turns: arithmetic over their times, without a clock or a database.
//!
//! A key is published long before it signs and long after, so that no verifier ever meets a token whose key it does not
//! have. One key of each algorithm stands by at any time: whatever happens to the one that signs, every verifier already
//! has the next.

use std::time::Duration;

use signet_guard::{Algorithm, Timestamp};

mod outlook;

pub use outlook::{Known, Outlook, cache_time, due, outlook};

/// How much longer than it is allowed to, a verifier may hold a set: our guard looks for a new one this often.
pub const GUARD_REFRESH: Duration = Duration::from_secs(300);

/// How long a server that cannot read the database goes on publishing the set it has.
pub const PUBLISHED_UNREAD: Duration = Duration::from_secs(600);

/// How long such a server goes on signing.
pub const SIGNED_UNREAD: Duration = Duration::from_secs(60);

/// The longest time for which sets may be given out.
pub const LONGEST_MAX_AGE: Duration = Duration::from_secs(86_400);

/// How far clocks may be apart: those of two servers, and those of a server and a verifier.
pub const SKEW: Duration = Duration::from_secs(60);

/// Where a signing key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// Published, not signing yet.
    Pending,
    /// Published and signing.
    Active,
    /// Published, no longer signing.
    Retiring,
    /// Neither; its private part is gone.
    Retired,
}

impl KeyStatus {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Retiring, Self::Retired];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// What the plan must know of a signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLife {
    /// Its name.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it is.
    pub status: KeyStatus,
    /// Since when it is in the set.
    pub published_at: Timestamp,
    /// From when on nobody may hold a set without it.
    pub ready_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retiring_at: Option<Timestamp>,
    /// When the operator asked for its successor.
    pub rotation_requested_at: Option<Timestamp>,
    /// The longest life of anything that it signs, in whole seconds.
    pub longest_life: Duration,
}

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What keys there must be, RS256 among them.
    pub algorithms: Vec<Algorithm>,
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// How long verifiers are told that they may keep the set.
    pub max_age: Duration,
    /// The longest life of anything that is signed now.
    pub longest_life: Duration,
}

/// One change of the keys. Each leaves a set that every verifier can go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a key and publish it. It does not sign yet.
    Publish(Algorithm),
    /// Let this one sign, and no longer the one of the same algorithm that does, if one does.
    Activate(String),
    /// Let this one sign no more, without a successor: nobody wants its algorithm any longer.
    Stop(String),
    /// Take this one out of the set and destroy its private part.
    Retire(String),
}

/// The least time between publishing a key and signing with it, if sets may be kept for `max_age`.
pub fn least_lead(max_age: Duration) -> Duration {
    max_age + PUBLISHED_UNREAD + GUARD_REFRESH + SKEW
}

/// For how long sets are given out, and were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// How long verifiers are told that they may keep a set.
    pub max_age: Duration,
    /// Until when one that was given out for longer than that may be kept.
    pub cached_until: Timestamp,
}

impl Announced {
    /// From `now` on it is `max_age`.
    #[must_use]
    pub fn change(self, now: Timestamp, max_age: Duration) -> Self {
        let cached_until = if max_age < self.max_age {
            self.cached_until.max(now.plus(self.max_age))
        } else {
            self.cached_until
        };
        Self { max_age, cached_until }
    }
}

impl Policy {
    /// How long a key is published before it signs: never less than is safe.
    pub fn lead(&self) -> Duration {
        self.publish_ahead.max(least_lead(self.max_age))
    }

    /// From when on a key that is published now may sign.
    pub fn ready_at(&self, now: Timestamp, announced: Announced) -> Timestamp {
        // Later than the last one it was written by a clock that was ahead.
        let cached_until = announced.cached_until.min(now.plus(LONGEST_MAX_AGE));
        let held = cached_until.max(now.plus(announced.max_age));
        now.plus(self.lead()).max(held.plus(least_lead(Duration::ZERO)))
    }

    /// The key as it must be written before this policy is followed: what it signs from now on may live longer, and a set
    /// without it may have been given out for longer.
    #[must_use]
    pub fn allowed_for(&self, key: &KeyLife) -> KeyLife {
        let mut key = key.clone();
        match key.status {
            KeyStatus::Pending => key.ready_at = key.ready_at.max(key.published_at.plus(self.lead())),
            KeyStatus::Active => key.longest_life = key.longest_life.max(self.longest_life),
            KeyStatus::Retiring | KeyStatus::Retired => {}
        }
        key
    }

    fn wants(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

impl KeyLife {
    /// When another should take its place, unless the operator asked for it before.
    pub fn rotation_due(&self, policy: &Policy) -> Option<Timestamp> {
        let due = self.activated_at?.plus(policy.rotate_every);
        Some(self.rotation_requested_at.map_or(due, |asked| asked.min(due)))
    }

    /// From when on nothing that it signed can be alive anywhere. `None`: it still signs, or will.
    pub fn dead_at(&self) -> Option<Timestamp> {
        Some(self.retiring_at?.plus(self.longest_life + SIGNED_UNREAD + SKEW + SKEW))
    }
}

/// What is to be done now, in this order. Carried out or not, in part or twice, it may be asked again at any time.
///
/// A clock that was set back makes nothing due.
pub fn plan(now: Timestamp, keys: &[KeyLife], policy: &Policy) -> Vec<Step> {
    let mut steps = Vec::new();
    for &algorithm in Algorithm::ALL {
        let of = |status| keys.iter().filter(move |key| key.algorithm == algorithm && key.status == status);
        let active = of(KeyStatus::Active).next();
        let next = of(KeyStatus::Pending).min_by_key(|key| (key.ready_at, key.published_at, key.kid.clone()));
        let is_due = active.and_then(|key| key.rotation_due(policy)).is_some_and(|due| due <= now);
        if policy.wants(algorithm) {
            let mut standby = of(KeyStatus::Pending).count();
            if let Some(next) = next
                && next.ready_at <= now
                && (is_due || active.is_none())
            {
                steps.push(Step::Activate(next.kid.clone()));
                standby -= 1;
            }
            if standby == 0 {
                steps.push(Step::Publish(algorithm));
            }
        } else {
            // Another server may still want it: its keys go only as they would have gone anyway.
            let waited = |key: &KeyLife| key.published_at.plus(policy.rotate_every) <= now;
            steps.extend(active.filter(|_| is_due).map(|key| Step::Stop(key.kid.clone())));
            steps.extend(
                of(KeyStatus::Pending).filter(|key| waited(key)).map(|key| Step::Retire(key.kid.clone())),
            );
        }
        let dead = of(KeyStatus::Retiring).filter(|key| key.dead_at().is_some_and(|dead| dead <= now));
        steps.extend(dead.map(|key| Step::Retire(key.kid.clone())));
    }
    // A key takes its time to be made, or cannot be made: nothing else waits for it.
    steps.sort_by_key(|step| matches!(step, Step::Publish(_)));
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
