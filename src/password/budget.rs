//! What a time budget buys on this machine.

use std::time::{Duration, Instant};

use signet_argon2id::{Argon2id, HashError, Inputs, Kernel, Memory, OutOfMemory, Params};

use super::phc::{OUTPUT_BYTES, SALT_BYTES};
use crate::config::HashCost;

/// How often a cost is measured; the quickest time counts, since nothing makes a hash quicker than it is.
const TRIES: usize = 3;

/// Of the first guess, in KiB: more than most caches hold, as the final one will be.
const FIRST_MEMORY_KIB: u32 = 19_456;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The machine gave no memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The crypto library refused.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The parameters are none of Argon2id's.
    #[error(transparent)]
    Params(#[from] signet_argon2id::ParamsError),
    /// The kernel needs another machine.
    #[error(transparent)]
    Kernel(#[from] signet_argon2id::KernelUnavailable),
}

/// The most memory that so many iterations leave time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// What it costs: one lane.
    pub cost: HashCost,
    /// How long a hash took, with nothing else in its way.
    pub takes: Duration,
}

/// The kernel that `kernel` comes to on this machine.
///
/// # Errors
/// When it cannot run here.
pub fn kernel_of(kernel: Kernel) -> Result<Kernel, BudgetError> {
    Ok(Argon2id::with_kernel(Params::new(FIRST_MEMORY_KIB, 1, 1)?, kernel)?.kernel())
}

/// For each number of iterations what `target` buys, with one lane and a kernel. Keeps the calling thread busy for some
/// ten times `target` each, and holds up to a gibibyte. What buys less memory than Signet accepts is left out.
///
/// # Errors
/// [`BudgetError`].
pub fn offers(target: Duration, kernel: Kernel) -> Result<Vec<Offer>, BudgetError> {
    let mut memory = Memory::new();
    let mut offers = Vec::new();
    for iterations in 1..=4 {
        let mut cost = HashCost { memory_kib: FIRST_MEMORY_KIB, iterations, parallelism: 1 };
        let mut takes = measure(&cost, kernel, &mut memory)?;
        // The time is nearly in proportion to the memory; the second step mends what caches make of the first.
        for _ in 0..2 {
            cost.memory_kib = within_target(cost.memory_kib, takes, target);
            takes = measure(&cost, kernel, &mut memory)?;
        }
        if cost.memory_kib > HashCost::LEAST_MEMORY_KIB {
            offers.push(Offer { cost, takes });
        }
    }
    Ok(offers)
}

/// In whole mebibytes, within what the settings take.
fn within_target(memory_kib: u32, takes: Duration, target: Duration) -> u32 {
    let wanted = f64::from(memory_kib) * target.as_secs_f64() / takes.as_secs_f64().max(1e-9);
    let whole = (wanted / 1024.0).floor() * 1024.0;
    // Saturates: it is positive, and too large a number is cut to the largest setting.
    (whole as u32).clamp(HashCost::LEAST_MEMORY_KIB, HashCost::MOST_MEMORY_KIB)
}

fn measure(cost: &HashCost, kernel: Kernel, memory: &mut Memory) -> Result<Duration, BudgetError> {
    let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism)?;
    let argon2id = Argon2id::with_kernel(params, kernel)?;
    let inputs = Inputs::new(b"a password of an average length", &[0; SALT_BYTES]);
    let blocks = memory.at_least(params.block_count())?;
    let mut output = [0; OUTPUT_BYTES];
    // The first hash touches the pages.
    argon2id.hash_into(&inputs, blocks, &mut output)?;
    let mut quickest = Duration::MAX;
    for _ in 0..TRIES {
        let begun = Instant::now();
        argon2id.hash_into(&inputs, blocks, &mut output)?;
        quickest = quickest.min(begun.elapsed());
    }
    Ok(quickest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_the_time_within_the_settings() {
        let ms = Duration::from_millis;
        assert_eq!(within_target(19_456, ms(10), ms(20)), 38_912);
        assert_eq!(
            within_target(19_456, ms(10), ms(19)),
            36_864,
            "whole mebibytes, and no more than the target buys"
        );
        assert_eq!(within_target(19_456, ms(10), ms(1)), HashCost::LEAST_MEMORY_KIB);
        assert_eq!(within_target(19_456, Duration::ZERO, ms(1)), HashCost::MOST_MEMORY_KIB);
    }

    #[test]
    fn an_offer_is_a_cost_that_the_settings_take() {
        let offers_of = |target| offers(target, Kernel::Auto).unwrap();
        for Offer { cost, takes } in offers_of(Duration::from_millis(100)) {
            assert!(
                cost.memory_kib > HashCost::LEAST_MEMORY_KIB && cost.memory_kib <= HashCost::MOST_MEMORY_KIB
            );
            assert!(
                cost.memory_kib.is_multiple_of(1024) && cost.parallelism == 1 && !takes.is_zero(),
                "{cost:?}"
            );
        }
        assert_eq!(offers_of(Duration::from_nanos(1)), []);
    }
}
