//! Time: one type for an instant, one for where instants come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// An instant in whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted: the `NumericDate` of
/// RFC 7519 §2. Negative before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `seconds` after 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// This instant moved forward by whole seconds, stopping at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole_seconds(span)))
    }

    /// This instant moved back by whole seconds, stopping at the beginning of time.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(whole_seconds(span)))
    }
}

fn whole_seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// Where the time comes from. Cloning shares it: advancing one clone advances all.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is told to move; for tests.
    Fixed(FixedClock),
}

/// The hands of a [`Clock::Fixed`].
#[derive(Debug, Clone)]
pub struct FixedClock(Arc<AtomicI64>);

impl Clock {
    /// A clock that stands at `now`.
    pub fn fixed(now: Timestamp) -> Self {
        Self::Fixed(FixedClock(Arc::new(AtomicI64::new(now.0))))
    }

    /// The present instant. A machine whose clock stands before 1970 gets a negative one, never a panic.
    #[allow(clippy::disallowed_methods, reason = "the one caller of the system clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Fixed(hands) => Timestamp(hands.0.load(Ordering::Relaxed)),
            Self::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => Timestamp(whole_seconds(since)),
                Err(before) => Timestamp(-whole_seconds(before.duration())),
            },
        }
    }

    /// Puts a fixed clock to `now`, which may lie in its past. The machine's clock is not ours to set: nothing happens.
    pub fn set(&self, now: Timestamp) {
        if let Self::Fixed(hands) = self {
            hands.0.store(now.0, Ordering::Relaxed);
        }
    }

    /// Moves a fixed clock forward by whole seconds. The machine's clock is not ours to move: nothing happens.
    pub fn advance(&self, span: Duration) {
        if let Self::Fixed(hands) = self {
            hands.0.fetch_add(whole_seconds(span), Ordering::Relaxed);
        }
    }
}
