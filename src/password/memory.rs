//! The memory one hashing thread keeps from hash to hash.

use std::collections::TryReserveError;

use argon2::Block;
use zeroize::Zeroize;

use crate::cpu_pool::ThreadState;

/// Larger than glibc's `DEFAULT_MMAP_THRESHOLD_MAX` (32 MiB on 64-bit machines), so that the block is always a mapping
/// of its own, which the free returns to the kernel at once.
///
/// A smaller block would be one only the first time: freeing a mapping raises the threshold to its size, the next
/// block of 19 MiB comes out of the thread's heap, and the heap keeps it after the free. Measured with glibc 2.36 and two
/// threads (`the_memory_goes_back_to_the_kernel`): at rest 6 MiB, busy 44 MiB, a second after the last hash 6 MiB; with
/// blocks of just the size needed, 44 MiB for as long as one cared to wait. The room beyond what the cost needs is
/// address space that is never touched, so it takes no memory.
const LEAST_ROOM: usize = 33 * 1024 * 1024 / Block::SIZE;

/// Argon2's blocks, kept while hashes keep coming: touching 19 MiB of fresh pages costs up to a third of a hash.
///
/// They are wiped when given up, not between hashes: the next hash overwrites them, and wiping would cost a tenth of
/// it. What remains in between is derived from a salted password through the whole first pass.
#[derive(Default)]
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    /// At least `count` blocks, of whatever content.
    pub(super) fn at_least(&mut self, count: usize) -> Result<&mut [Block], TryReserveError> {
        if self.0.len() < count {
            if self.0.capacity() < count {
                // Not grown in place: the old content would be copied for nothing.
                self.release();
                self.0.try_reserve_exact(count.max(LEAST_ROOM))?;
            }
            self.0.resize(count, Block::new());
        }
        Ok(&mut self.0)
    }

    /// Gives back what a costlier hash than the configured one took, so that no stored row can make a thread keep it.
    pub(super) fn keep_at_most(&mut self, count: usize) {
        if self.0.len() > count {
            self.release();
        }
    }

    fn release(&mut self) {
        // Block by block: wiping the vector would touch its unused room as well.
        self.0.iter_mut().for_each(Zeroize::zeroize);
        self.0 = Vec::new();
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.release();
    }
}

impl ThreadState for Blocks {
    fn rest(&mut self) {
        self.release();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_kept_grown_and_given_back() {
        let mut blocks = Blocks::default();
        let first = blocks.at_least(64).unwrap().as_ptr();
        assert_eq!(blocks.at_least(32).unwrap().as_ptr(), first);
        assert_eq!(blocks.at_least(1024).unwrap().as_ptr(), first, "grown within the room reserved");
        blocks.keep_at_most(1024);
        assert_eq!(blocks.0.len(), 1024);
        blocks.keep_at_most(64);
        assert_eq!(blocks.0.capacity(), 0);
        assert_eq!(blocks.at_least(64).unwrap().len(), 64);
        blocks.rest();
        assert_eq!(blocks.0.capacity(), 0);
    }

    #[test]
    fn impossible_amounts_are_an_error() {
        assert!(Blocks::default().at_least(usize::MAX / Block::SIZE / 2 + 1).is_err());
    }
}
