//! The cost of a hash.

/// Slices of a pass (RFC 9106 §3.4): lanes may look at each other only across their borders.
pub(crate) const SLICES: usize = 4;

/// Memory, passes and lanes of Argon2id (RFC 9106 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why these are no parameters of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// No lanes, or more than 2^24 − 1.
    #[error("the number of lanes must be between 1 and {}", Params::MAX_LANES)]
    Lanes,
    /// Less memory than two blocks for each slice of each lane.
    #[error("the memory must be at least {least_kib} KiB, 8 for each lane")]
    Memory {
        /// What these lanes need, in KiB.
        least_kib: u32,
    },
    /// No passes.
    #[error("there must be at least one pass over the memory")]
    Passes,
}

impl Params {
    /// The most lanes (RFC 9106 §3.1).
    pub const MAX_LANES: u32 = 0x00FF_FFFF;

    /// `memory_kib`: m, in KiB, at least 8 for each lane. `passes`: t, at least 1. `lanes`: p, at least 1; they are
    /// computed one after the other.
    ///
    /// # Errors
    /// [`ParamsError`] when one of them is outside the limits of RFC 9106 §3.1.
    ///
    /// ```
    /// use signet_argon2id::{Params, ParamsError};
    ///
    /// assert_eq!(Params::new(19_456, 2, 1)?.block_count(), 19_456);
    /// assert_eq!(Params::new(31, 2, 4), Err(ParamsError::Memory { least_kib: 32 }));
    /// # Ok::<(), ParamsError>(())
    /// ```
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParamsError> {
        if lanes == 0 || lanes > Self::MAX_LANES {
            return Err(ParamsError::Lanes);
        }
        // No overflow: lanes < 2^24.
        if memory_kib < 8 * lanes {
            return Err(ParamsError::Memory { least_kib: 8 * lanes });
        }
        if passes == 0 {
            return Err(ParamsError::Passes);
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// m, in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// t, the passes over the memory.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// p, the lanes.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        self.lanes
    }

    /// Blocks of 1 KiB that a hash takes: m rounded down to whole slices (m′ of RFC 9106 §3.2).
    #[must_use]
    pub const fn block_count(self) -> usize {
        self.segment_length() * SLICES * self.lanes as usize
    }

    /// Blocks in a segment, the part of a lane in one slice. At least 2.
    pub(crate) const fn segment_length(self) -> usize {
        self.memory_kib as usize / (SLICES * self.lanes as usize)
    }

    /// Blocks in a lane (q of RFC 9106 §3.2).
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn lane_length(self) -> usize {
        self.segment_length() * SLICES
    }
}
