//! Anonymous memory of the kernel: the one place beside the kernels that needs `unsafe`.
//!
//! # Safety
//!
//! A `Mapping` is the only owner of one anonymous private mapping, from `mmap` to `munmap` in `drop`. Nobody else
//! knows its address, so its blocks can be lent as ordinary references for as long as the `Mapping` is borrowed.
//!
//! * **Bounds.** `start` is the first multiple of [`HUGE_PAGE`] in the mapping, whose length is that of the blocks and
//!   one huge page more; so `start` and all blocks behind it are inside. The arithmetic is checked.
//! * **Alignment.** A multiple of 2 MiB is one of a block's 64 bytes (asserted).
//! * **Content.** The kernel hands out pages of zeros, which are blocks: arrays of `u64`.
//! * **Threads.** It may be sent and shared as a `Box<[Block]>` may: nothing in it belongs to a thread.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use argon2::Block;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::Pages;

/// The size of a transparent huge page on x86-64, and on most others. Where they are larger, these are just aligned
/// pages.
const HUGE_PAGE: usize = 2 << 20;

const _: () = assert!(HUGE_PAGE.is_multiple_of(align_of::<Block>()));

pub(super) struct Mapping {
    address: *mut c_void,
    length: usize,
    start: NonNull<Block>,
    count: usize,
}

// SAFETY: it owns its memory alone, and a block is `Send`.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference nothing can be reached but two numbers.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `count` blocks of zeros; `None` when there is no room for them.
    pub(super) fn new(count: usize, pages: Pages) -> Option<Self> {
        let blocks = count.checked_mul(size_of::<Block>())?.max(1).checked_next_multiple_of(HUGE_PAGE)?;
        let length = blocks.checked_add(HUGE_PAGE)?;
        // A slice must not be longer.
        isize::try_from(length).ok()?;
        // SAFETY: a new mapping at an address of the kernel's choice replaces none.
        let address = unsafe {
            mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }
        .ok()?;
        let ahead = address.addr().wrapping_neg() % HUGE_PAGE;
        let start = address.wrapping_byte_add(ahead);
        if pages == Pages::Huge {
            // SAFETY: all of it is in our mapping; the advice changes no content. An old kernel's refusal changes
            // nothing but the speed.
            let _ = unsafe { madvise(start, blocks, Advice::LinuxHugepage) };
        }
        Some(Self { address, length, start: NonNull::new(start.cast())?, count })
    }

    pub(super) const fn block_count(&self) -> usize {
        self.count
    }

    pub(super) const fn blocks_mut(&mut self) -> &mut [Block] {
        // SAFETY: see the module: in bounds, aligned, initialised, and borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped, unmapped once; no reference to it can be alive.
        let _ = unsafe { munmap(self.address, self.length) };
    }
}
