//! Blocks of the global allocator, where the system has no mappings that we use.

use argon2::Block;

use super::Pages;

pub(super) struct Mapping(Vec<Block>);

impl Mapping {
    pub(super) fn new(count: usize, _: Pages) -> Option<Self> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).ok()?;
        blocks.resize(count, Block::new());
        Some(Self(blocks))
    }

    pub(super) fn block_count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
        &mut self.0
    }
}
