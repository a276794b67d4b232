//! The memory one hashing thread keeps from hash to hash.

use signet_argon2id::{Block, Memory, OutOfMemory};

use crate::cpu_pool::ThreadState;

/// Argon2's blocks, kept while hashes keep coming: touching 19 MiB of fresh pages costs a sixth of a hash, and
/// more than a whole one where the system gives no huge pages. They are wiped after each hash, and given back to the system
/// when none has come for a while.
#[derive(Default)]
pub(super) struct Blocks(Memory);

impl Blocks {
    /// At least `count` blocks, of whatever content.
    pub(super) fn at_least(&mut self, count: usize) -> Result<&mut [Block], OutOfMemory> {
        self.0.at_least(count)
    }

    /// A hash is done: nothing of it stays, and no more than `count` blocks, so that no stored row can make a thread keep
    /// what a costlier hash than the configured one took.
    pub(super) fn clear(&mut self, count: usize) {
        if self.0.block_count() > count {
            self.0.release();
        } else {
            self.0.wipe();
        }
    }
}

impl ThreadState for Blocks {
    fn rest(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_kept_wiped_and_given_back() {
        let mut blocks = Blocks::default();
        let first = blocks.at_least(64).unwrap().as_ptr();
        blocks.at_least(64).unwrap()[63].as_mut()[127] = 1;
        blocks.clear(64);
        let kept = blocks.at_least(32).unwrap();
        assert_eq!((kept.as_ptr(), kept[63].as_ref()[127]), (first, 0), "the same, wiped");
        blocks.at_least(1024).unwrap();
        blocks.clear(64);
        assert_eq!(blocks.0.block_count(), 0, "more than is kept");
        assert_eq!(blocks.at_least(64).unwrap().len(), 64);
        blocks.rest();
        assert_eq!(blocks.0.block_count(), 0);
    }

    #[test]
    fn impossible_amounts_are_an_error() {
        assert!(Blocks::default().at_least(usize::MAX / Block::SIZE / 2 + 1).is_err());
    }
}
