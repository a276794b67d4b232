//! The memory of one owner, kept from hash to hash.

// Miri has no system calls.
#[cfg(any(not(target_os = "linux"), miri))]
mod heap;
#[cfg(all(target_os = "linux", not(miri)))]
mod mapping;

use argon2::Block;

use crate::kernel;
#[cfg(any(not(target_os = "linux"), miri))]
use heap::Mapping;
#[cfg(all(target_os = "linux", not(miri)))]
use mapping::Mapping;

/// The machine did not give that much memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is not enough memory for {blocks} blocks of 1 KiB")]
pub struct OutOfMemory {
    /// Blocks of 1 KiB that were asked for.
    pub blocks: usize,
}

/// The size of the pages that are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pages {
    /// As large as the system gives: on Linux `MADV_HUGEPAGE`, which it may ignore.
    #[default]
    Huge,
    /// What the system does by itself.
    Ordinary,
}

/// Blocks for one hash at a time, in pages of their own: no other allocation shares them, and given back they return to
/// the system at once. Touching fresh pages takes a good part of a hash, so keep one for each thread that hashes.
///
/// Elsewhere than on Linux it is memory of the global allocator.
///
/// It is wiped before it is given back, not between hashes.
///
/// ```
/// use signet_argon2id::Memory;
///
/// let mut memory = Memory::new();
/// assert_eq!(memory.at_least(64)?.len(), 64);
/// assert_eq!(memory.at_least(8)?.len(), 64, "kept");
/// memory.release();
/// assert_eq!(memory.block_count(), 0);
/// # Ok::<(), signet_argon2id::OutOfMemory>(())
/// ```
#[derive(Default)]
pub struct Memory {
    mapping: Option<Mapping>,
    pages: Pages,
}

impl Memory {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_pages(Pages::Huge)
    }

    /// None yet, with pages of the caller's choice.
    #[must_use]
    pub const fn with_pages(pages: Pages) -> Self {
        Self { mapping: None, pages }
    }

    /// Blocks that are held.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.mapping.as_ref().map_or(0, Mapping::block_count)
    }

    /// All blocks that are held, `count` at least, of whatever content. When there were fewer, they are given back
    /// first.
    ///
    /// # Errors
    /// [`OutOfMemory`]; nothing is held then.
    pub fn at_least(&mut self, count: usize) -> Result<&mut [Block], OutOfMemory> {
        if self.block_count() < count {
            self.release();
        }
        let mapping = match self.mapping.take() {
            Some(mapping) => mapping,
            None => Mapping::new(count, self.pages).ok_or(OutOfMemory { blocks: count })?,
        };
        Ok(self.mapping.insert(mapping).blocks_mut())
    }

    /// Overwrites all blocks with zeros and keeps them. With AVX2 it takes a sixteenth of a hash of two passes over
    /// 19 MiB, and a tenth of one of one pass over 46 MiB.
    pub fn wipe(&mut self) {
        if let Some(mapping) = &mut self.mapping {
            kernel::wipe(mapping.blocks_mut());
        }
    }

    /// Wipes the blocks and gives them back to the system.
    pub fn release(&mut self) {
        self.wipe();
        self.mapping = None;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.release();
    }
}

/// What it holds was derived from a password.
impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("block_count", &self.block_count())
            .field("pages", &self.pages)
            .finish_non_exhaustive()
    }
}
