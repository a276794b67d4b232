//! Which tokens were revoked (feature `status`): the issuer's Token Status List (draft-ietf-oauth-status-list), followed
//! in the background.

mod follower;
mod held;
mod list;
mod pace;
mod poll;
mod proof;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use list::{StatusList, StatusListError};

use crate::claims::StatusReference;
use crate::clock::Timestamp;
use crate::error::{ConfigError, Refusal};
use crate::reason::Reason;
use crate::remote::issuer_url::IssuerUrl;
use follower::Follower;
use held::HeldList;
pub(crate) use proof::Proof;

const DEFAULT_BOUND: Duration = Duration::from_secs(30);
const LEAST_BOUND: Duration = Duration::from_secs(2);

/// What becomes of tokens whose status could not be confirmed for longer than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StalePolicy {
    /// They are accepted, unless the issuer called them revoked when it was last heard. An issuer that is down takes no
    /// API with it; what it revokes meanwhile is noticed late. [`StatusReport::age`] says how late.
    #[default]
    FailOpen,
    /// They are refused with 503 and `Retry-After` until the issuer is heard again: for an API that would rather stand
    /// still than serve somebody who was logged out.
    FailClosed,
}

/// The status of one issuer's tokens. Cloning shares what is known and the asking for it, and so do all verifiers that
/// were built with a clone; each may have a policy and a bound of its own.
///
/// - Nothing happens before the first token comes that has a status. Then one background thread keeps one request
///   waiting at `ISSUER/status` (`Prefer: wait=25`), whose answer names the lists that changed; at most five such
///   requests a second, whatever the answers. It ends once the last clone and the last verifier are gone.
/// - A list is fetched when a token names it for the first time, when it has changed, and before it expires. It must be
///   below the issuer's URL, and signed, typed and dated like a token. An older list never replaces a newer one.
/// - A request waits for nothing, save for a list that was never seen before: a second at most, then the policy applies.
/// - At most 256 lists of 128 KiB are held; those go first that no token names.
/// - Lists are checked with the keys, algorithms, clock and leeway of the verifier that was built first.
#[derive(Clone)]
pub struct StatusSource {
    interest: Arc<Interest>,
    policy: StalePolicy,
    bound: Duration,
}

/// Held by all who want to know; with the last of them the following ends.
struct Interest(Arc<Follower>);

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How well the status of an issuer's tokens is known, for gauges and alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusReport {
    /// How long revocations may have gone unnoticed: the time since the issuer was last heard, or since it announced a
    /// change that could not be fetched yet. Stays below half a minute while all is well.
    pub age: Duration,
    /// Whether that is beyond the bound.
    pub is_stale: bool,
    /// The version of the issuer's status that was heard last; 0 when it was never heard.
    pub version: u64,
    /// How many lists are held.
    pub lists: usize,
    /// How many of them are known to be outdated.
    pub outdated: usize,
    /// How often the issuer was asked what changed.
    pub polls: u64,
    /// How many lists were asked for.
    pub fetches: u64,
    /// How many requests were refused because their token was revoked.
    pub refused: u64,
}

/// Where the status of one proven token is looked up on every request.
#[derive(Clone)]
pub(crate) struct Entry {
    list: Arc<HeldList>,
    index: u64,
}

/// What is known of a token's status.
pub(crate) enum Standing {
    Good,
    Bad(Refusal),
    /// Its list is on the way for the first time.
    Unseen,
}

impl StatusSource {
    /// The status of `issuer`'s tokens, to be followed once it is needed. Tokens are accepted when it is not known
    /// lately enough ([`StalePolicy::FailOpen`], 30 s).
    ///
    /// # Errors
    /// [`ConfigError::IssuerUrl`] unless the issuer is an `https` URL, or an `http` one on a loopback host, without
    /// query, fragment or user name.
    pub fn remote(issuer: &str) -> Result<Self, ConfigError> {
        let url = IssuerUrl::parse(issuer)
            .map_err(|problem| ConfigError::IssuerUrl { issuer: issuer.to_owned(), problem })?;
        let interest = Arc::new(Interest(Arc::new(Follower::new(url))));
        Ok(Self { interest, policy: StalePolicy::default(), bound: DEFAULT_BOUND })
    }

    /// What becomes of tokens whose status was not confirmed for longer than `bound`, at least two seconds. A list that
    /// has expired counts as not confirmed either.
    #[must_use]
    pub const fn when_stale(mut self, policy: StalePolicy, bound: Duration) -> Self {
        self.policy = policy;
        self.bound = bound;
        self
    }

    /// The issuer whose tokens these are.
    pub fn issuer(&self) -> &str {
        self.follower().issuer()
    }

    /// How well the status is known; `None` before a token came that has one.
    pub fn report(&self) -> Option<StatusReport> {
        let follower = self.follower();
        let age = Duration::from_millis(follower.age()?);
        let lists = follower.lists();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Some(StatusReport {
            age,
            is_stale: age > self.bound,
            version: read(&follower.version),
            lists: lists.iter().filter(|list| list.is_held()).count(),
            outdated: lists.iter().filter(|list| list.is_held() && list.behind().is_some()).count(),
            polls: read(&follower.polls),
            fetches: read(&follower.fetches),
            refused: read(&follower.refused),
        })
    }

    /// Says what lists are checked with, and that `tokens` is the issuer that is meant.
    pub(crate) fn prove_with(&self, proof: Proof, tokens: &str) -> Result<(), ConfigError> {
        if self.issuer() != tokens {
            let (status, tokens) = (self.issuer().to_owned(), tokens.to_owned());
            return Err(ConfigError::StatusOfAnotherIssuer { status, tokens });
        }
        if self.bound < LEAST_BOUND {
            return Err(ConfigError::BoundTooShort(self.bound));
        }
        self.follower().prove_with(proof, self.bound);
        Ok(())
    }

    /// Where to look up the status of a token that has one.
    pub(crate) fn entry(&self, reference: &StatusReference) -> Result<Entry, Refusal> {
        Ok(Entry { list: self.follower().list(&reference.uri)?, index: reference.idx })
    }

    /// What is known now. A list that expires at `expired` or before does not count.
    pub(crate) fn standing(&self, entry: &Entry, expired: impl FnOnce() -> Timestamp) -> Standing {
        let list = &entry.list;
        list.use_it();
        let kept = list.kept();
        let Some(kept) = kept.as_ref() else { return self.unseen(list) };
        match kept.list.get(entry.index) {
            Some(0) => {}
            Some(_) => {
                self.follower().refused.fetch_add(1, Ordering::Relaxed);
                return Standing::Bad(Refusal::new(Reason::Revoked));
            }
            // The token must be rejected (§8.3).
            None => return Standing::Bad(Refusal::about(Reason::InvalidClaim, "status")),
        }
        if self.policy == StalePolicy::FailClosed
            && (kept.list.expires_at() <= expired()
                || u128::from(self.follower().age_of(list)) > self.bound.as_millis())
        {
            return Standing::Bad(Refusal::new(Reason::StatusUnavailable));
        }
        Standing::Good
    }

    #[cold]
    fn unseen(&self, list: &Arc<HeldList>) -> Standing {
        if list.is_gone() {
            // Let go since the token was recalled: it has to be looked up anew.
            return Standing::Unseen;
        }
        self.follower().fetch_for_request(list);
        match self.policy {
            _ if !list.is_settled() => Standing::Unseen,
            StalePolicy::FailOpen => Standing::Good,
            StalePolicy::FailClosed => Standing::Bad(Refusal::new(Reason::StatusUnavailable)),
        }
    }

    fn follower(&self) -> &Arc<Follower> {
        &self.interest.0
    }
}

impl Entry {
    /// Whether the list is still held.
    pub(crate) fn is_held(&self) -> bool {
        !self.list.is_gone()
    }

    /// Waits until the list was seen, or could not be.
    pub(crate) async fn seen(&self) {
        self.list.settled().await;
    }
}

impl fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusSource")
            .field("issuer", &self.issuer())
            .field("policy", &self.policy)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn until(what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(5)); // poll: another thread must do it
        }
    }

    #[test]
    fn the_following_ends_with_the_last_who_is_interested() {
        let source = StatusSource::remote("http://127.0.0.1:9").unwrap();
        let follower = Arc::downgrade(source.follower());
        let polls = || follower.upgrade().unwrap().polls.load(Ordering::Relaxed);
        let uri = "http://127.0.0.1:9/status/0".to_owned();
        let entry = source.entry(&StatusReference { idx: 0, uri }).unwrap();
        until("the first poll", || polls() > 0);
        let other = source.clone();
        drop(source);
        let so_far = polls();
        until("another poll", || polls() > so_far);
        drop(other);
        until("the end", || follower.upgrade().is_none());
        assert!(entry.is_held(), "what verdicts remember does not keep it up");
    }
}
