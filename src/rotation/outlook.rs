//! What follows from the lives of the keys beside the plan: how long a set may be kept, and whether all goes well.

use std::time::Duration;

use signet_guard::{Algorithm, Timestamp};

use super::{Announced, KeyLife, KeyStatus, Policy, Step, plan};

/// How long a set that lacks a standby may be kept.
const INCOMPLETE: Duration = Duration::from_secs(10);

/// A rotation that is late by so much does not happen by itself.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// The keys as a server has last read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The number of their last change.
    pub version: i64,
    /// For how long sets are given out.
    pub announced: Announced,
    /// Every key.
    pub keys: Vec<KeyLife>,
}

/// How the keys do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// When the next key takes over.
    pub next_rotation: Option<Timestamp>,
    /// When the last one did.
    pub last_rotation: Option<Timestamp>,
    /// A key that signs and should have been replaced more than an hour ago, or one that should have begun to sign.
    pub overdue: Option<String>,
    /// A key that is where it is since more than an hour ahead: a clock was wrong then, or is wrong now. It stays there for
    /// as much longer.
    pub misdated: Option<String>,
}

/// How long a set of these keys may be kept.
///
/// A key that is published in time is in every set before it signs, and one that leaves the set is missed by nobody, so
/// no planned change makes a set worth less before its time. What is not planned is a withdrawal, after which the standby
/// signs at once: a set without one would be worthless then, and is replaced within seconds anyway.
pub fn cache_time(keys: &[KeyLife], policy: &Policy) -> Duration {
    let stands_by = |algorithm: &Algorithm| {
        keys.iter().any(|key| key.algorithm == *algorithm && key.status == KeyStatus::Pending)
    };
    if policy.algorithms.iter().all(stands_by) { policy.max_age } else { policy.max_age.min(INCOMPLETE) }
}

/// The plan, and before it what cannot wait: without a key that signs RS256 there is no token at all, and one whose key a
/// verifier may not have yet is better than none.
pub fn due(now: Timestamp, keys: &[KeyLife], policy: &Policy) -> Vec<Step> {
    let rs256 = || keys.iter().filter(|key| key.algorithm == Algorithm::Rs256);
    let pending = rs256().filter(|key| key.status == KeyStatus::Pending);
    if !rs256().any(|key| key.status == KeyStatus::Active)
        && let Some(next) = pending.min_by_key(|key| (key.ready_at, key.published_at, key.kid.clone()))
    {
        return vec![Step::Activate(next.kid.clone())];
    }
    plan(now, keys, policy)
}

/// How the keys do at `now`.
pub fn outlook(now: Timestamp, keys: &[KeyLife], policy: &Policy) -> Outlook {
    let mut outlook = Outlook { misdated: misdated(now, keys), ..Outlook::default() };
    for key in keys.iter().filter(|key| key.status == KeyStatus::Active) {
        let Some(wanted) = key.rotation_due(policy) else { continue };
        let pending =
            keys.iter().filter(|next| next.algorithm == key.algorithm && next.status == KeyStatus::Pending);
        // One that was asked for too early waits for its successor to be everywhere.
        let due = pending.map(|next| next.ready_at).min().map_or(wanted, |ready| wanted.max(ready));
        outlook.last_rotation = outlook.last_rotation.max(key.activated_at);
        outlook.expect(due, key, now);
    }
    for key in first_of_their_algorithm(keys, policy) {
        outlook.expect(key.ready_at, key, now);
    }
    outlook
}

/// The keys that are to sign as soon as they are ready, for there is none of their algorithm yet.
fn first_of_their_algorithm<'a>(keys: &'a [KeyLife], policy: &Policy) -> impl Iterator<Item = &'a KeyLife> {
    let of = |algorithm, status| {
        keys.iter().filter(move |key: &&KeyLife| key.algorithm == algorithm && key.status == status)
    };
    let missing =
        policy.algorithms.iter().filter(move |wanted| of(**wanted, KeyStatus::Active).next().is_none());
    missing.filter_map(move |wanted| of(*wanted, KeyStatus::Pending).min_by_key(|key| key.ready_at))
}

impl Outlook {
    /// The key is concerned by a change at `due`.
    fn expect(&mut self, due: Timestamp, key: &KeyLife, now: Timestamp) {
        self.next_rotation = Some(self.next_rotation.map_or(due, |next| next.min(due)));
        if due.plus(PATIENCE) < now {
            self.overdue = Some(key.kid.clone());
        }
    }
}

fn misdated(now: Timestamp, keys: &[KeyLife]) -> Option<String> {
    let is_ahead = |key: &&KeyLife| {
        let since = match key.status {
            KeyStatus::Pending => Some(key.published_at),
            KeyStatus::Active => key.activated_at,
            KeyStatus::Retiring => key.retiring_at,
            KeyStatus::Retired => None,
        };
        since.is_some_and(|since| since > now.plus(PATIENCE))
    };
    keys.iter().find(is_ahead).map(|key| key.kid.clone())
}
