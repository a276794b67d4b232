//! How often somebody may try: what is counted, under which rule, and what a count means now.
//!
//! Arithmetic only. The counts live in the database (`store`), so that they outlast a restart and hold for all replicas
//! together; who is counted against what is decided by `flow`.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use signet_guard::Timestamp;

use crate::account::Email;
use crate::config::Throttle;
use crate::grant::SessionId;

/// The first wait after the free tries; each further try doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// How long a count is kept after the last try.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// After how long an address regains one try.
const REFILL: Duration = Duration::from_secs(60);

/// What is counted: a SHA-256, so that neither a name that somebody typed nor an address is stored in clear.
///
/// A name without an account is counted like one with: whoever sees a refusal learns nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject([u8; SHA256_OUTPUT_LEN]);

impl Subject {
    /// Sign-ins to one account from devices that it does not know, all together.
    pub fn strangers(email: &Email) -> Self {
        Self::of("strangers", email.as_str().as_bytes())
    }

    /// Sign-ins from one known device.
    pub fn device(id: &[u8]) -> Self {
        Self::of("device", id)
    }

    /// Proofs of the password within one session.
    pub fn session(id: &SessionId) -> Self {
        Self::of("session", id.as_str().as_bytes())
    }

    /// Sign-ins from one network address.
    pub fn sign_in_address(address: IpAddr) -> Self {
        Self::of("sign-in", &network(address))
    }

    /// Registrations from one network address.
    pub fn registration_address(address: IpAddr) -> Self {
        Self::of("registration", &network(address))
    }

    /// The bytes it is stored as.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(kind: &str, name: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [b"signet/throttle", kind.as_bytes(), name] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(context.finish().as_ref());
        Self(digest)
    }
}

/// One subscriber has one IPv4 address, and at least a /64 of IPv6 (RFC 6177 §2).
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

/// How tries are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Some tries are free; after each further one the next must wait, twice as long each time; at the limit there is
    /// no next one. A success starts the count anew.
    Backoff {
        /// Tries before the first wait.
        free_tries: u32,
        /// The first wait.
        first_delay: Duration,
        /// The longest wait.
        longest_delay: Duration,
        /// Tries in all.
        limit: u32,
        /// How long the limit holds; `None`: until somebody lifts it.
        locked_for: Option<Duration>,
    },
    /// A store of tries that fills up again by itself (GCRA, the leaky bucket of ITU-T I.371 as a meter).
    Bucket {
        /// Tries of a full bucket.
        burst: u32,
        /// After how long one try comes back.
        refill: Duration,
    },
}

impl Rule {
    /// For [`Subject::strangers`].
    pub fn strangers(settings: &Throttle) -> Self {
        Self::Backoff {
            free_tries: settings.free_tries,
            first_delay: FIRST_DELAY,
            longest_delay: settings.longest_delay,
            limit: settings.account_limit,
            locked_for: None,
        }
    }

    /// For [`Subject::device`]. The device becomes a stranger at the limit, and `proof_life` later its proof is void, so
    /// that nothing needs to be remembered any more.
    pub fn device(settings: &Throttle, proof_life: Duration) -> Self {
        Self::Backoff {
            free_tries: settings.free_tries,
            first_delay: FIRST_DELAY,
            longest_delay: settings.longest_delay,
            limit: settings.account_limit,
            locked_for: Some(proof_life),
        }
    }

    /// For [`Subject::session`]. At the limit the session may prove nothing any more for as
    /// long as one may live; a new one may.
    pub fn session(settings: &Throttle, longest_life: Duration) -> Self {
        Self::device(settings, longest_life)
    }

    /// For [`Subject::sign_in_address`].
    pub fn sign_in_address(settings: &Throttle) -> Self {
        Self::Bucket { burst: settings.address_sign_ins, refill: REFILL }
    }

    /// For [`Subject::registration_address`].
    pub fn registration_address(settings: &Throttle) -> Self {
        Self::Bucket { burst: settings.address_registrations, refill: REFILL }
    }

    /// Whether a try may be made now.
    ///
    /// # Errors
    /// [`Refused`], with the wait.
    pub fn check(&self, counter: &Counter, now: Timestamp) -> Result<(), Refused> {
        let counter = self.current(counter, now);
        if let Self::Backoff { limit, longest_delay, .. } = self
            && counter.tries >= *limit
        {
            return Err(Refused { retry_after: *longest_delay, is_locked: true });
        }
        match between(now, counter.free_at) {
            Duration::ZERO => Ok(()),
            retry_after => Err(Refused { retry_after, is_locked: false }),
        }
    }

    /// Counts a try that is about to be made.
    ///
    /// # Errors
    /// [`Refused`]: the try must not be made, and nothing changes.
    pub fn charge(&self, counter: &Counter, now: Timestamp) -> Result<Counter, Refused> {
        self.check(counter, now)?;
        let counter = self.current(counter, now);
        Ok(match self {
            Self::Backoff { locked_for, limit, .. } => {
                let tries = counter.tries.saturating_add(1);
                let expires_at = match locked_for {
                    _ if tries < *limit => Some(now.plus(KEPT)),
                    Some(span) => Some(now.plus(*span)),
                    None => None,
                };
                Counter { tries, free_at: now.plus(self.delay_after(tries)), expires_at }
            }
            Self::Bucket { refill, .. } => self.bucket(counter.full_at(now).plus(*refill), now),
        })
    }

    /// A counter as it counts now. A wait of more than twice the longest there is was written under a clock that has been
    /// set back since, and could last for years: it is dropped, and the tries of a row stay. Twice, so that nobody gains
    /// from replicas whose clocks are apart.
    pub fn current(&self, counter: &Counter, now: Timestamp) -> Counter {
        let counter = counter.at(now);
        match self {
            Self::Backoff { longest_delay, .. } => {
                let is_possible = between(now, counter.free_at) <= longest_delay.saturating_mul(2);
                Counter { free_at: if is_possible { counter.free_at } else { now }, ..counter }
            }
            Self::Bucket { burst, refill } => {
                let empty = refill.saturating_mul(*burst);
                let is_possible = between(now, counter.full_at(now)) <= empty.saturating_mul(2);
                if is_possible { counter } else { Counter::none(now) }
            }
        }
    }

    /// The wait between this try and the next.
    fn delay_after(&self, tries: u32) -> Duration {
        match self {
            Self::Backoff { free_tries, first_delay, longest_delay, .. } => {
                tries.checked_sub(*free_tries).map_or(Duration::ZERO, |doublings| {
                    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                    first_delay.saturating_mul(factor).min(*longest_delay)
                })
            }
            Self::Bucket { .. } => Duration::ZERO,
        }
    }

    /// A bucket that is full again at `full_at`: the next try is free as soon as one has come back.
    fn bucket(&self, full_at: Timestamp, now: Timestamp) -> Counter {
        let Self::Bucket { burst, refill } = self else { return Counter::none(now) };
        let missing = between(now, full_at).as_secs().div_ceil(refill.as_secs().max(1));
        let all_but_one = refill.saturating_mul(burst.saturating_sub(1));
        Counter {
            tries: u32::try_from(missing).unwrap_or(u32::MAX),
            free_at: full_at.minus(all_but_one).max(now),
            expires_at: Some(full_at),
        }
    }
}

/// How often a [`Subject`] has tried, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Tries that count against it.
    pub tries: u32,
    /// From when on the next is free.
    pub free_at: Timestamp,
    /// When it is as if it had never tried; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Counter {
    /// Nobody has tried.
    pub fn none(now: Timestamp) -> Self {
        Self { tries: 0, free_at: now, expires_at: Some(now) }
    }

    /// What is left of it at `now`.
    pub fn at(&self, now: Timestamp) -> Self {
        if self.expires_at.is_some_and(|end| end <= now) { Self::none(now) } else { *self }
    }

    /// With one try taken back, for [`Rule::Backoff`]. `charged` is how the counter stood with that try: when others have
    /// tried since, their waits stay. `None`: there is nothing left to remember.
    pub fn less_one(&self, charged: &Self, now: Timestamp) -> Option<Self> {
        let counter = self.at(now);
        let tries = counter.tries.checked_sub(1).filter(|left| *left > 0)?;
        let free_at = if counter.tries == charged.tries { now } else { counter.free_at };
        Some(Self { tries, free_at, expires_at: Some(now.plus(KEPT)) })
    }

    /// A bucket's level is the moment at which it will be full.
    fn full_at(&self, now: Timestamp) -> Timestamp {
        self.expires_at.unwrap_or(now).max(now)
    }
}

/// A try that must not be made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// How long to wait, in whole seconds; never zero. When the limit is reached no wait helps: then it is always the
    /// longest.
    pub retry_after: Duration,
    /// Whether the limit is reached.
    pub is_locked: bool,
}

fn between(now: Timestamp, then: Timestamp) -> Duration {
    let seconds = then.as_seconds().saturating_sub(now.as_seconds());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
