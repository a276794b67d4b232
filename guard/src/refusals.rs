//! How often a verifier refused, by reason.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::reason::Reason;

/// One counter for each reason.
pub(crate) struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Default for Refusals {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Refusals {
    pub(crate) fn count(&self, reason: Reason) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().zip(&self.0).map(|(reason, counter)| (*reason, counter.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_of_its_own() {
        let refusals = Refusals::default();
        for (times, reason) in Reason::ALL.iter().enumerate() {
            (0..times).for_each(|_| refusals.count(*reason));
        }
        let counted: Vec<(Reason, u64)> = refusals.read().collect();
        let expected: Vec<_> = Reason::ALL.iter().copied().zip(0..).collect();
        assert_eq!(counted, expected);
    }
}
