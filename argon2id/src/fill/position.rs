//! Which block a block is made from.

use argon2::Block;

use super::blake::ARGON2ID;
use crate::kernel::Step;
use crate::params::{Params, SLICES};

/// A part of a lane: the blocks of one slice, in one pass.
pub(super) struct Segment {
    pass: u32,
    slice: usize,
    lane: usize,
    length: usize,
    params: Params,
}

impl Segment {
    pub(super) const fn new(params: Params, pass: u32, slice: usize, lane: usize) -> Self {
        Self { pass, slice, lane, length: params.segment_length(), params }
    }

    /// Pass, slice and lane.
    #[cfg(test)]
    pub(super) const fn name(&self) -> (u32, usize, usize) {
        (self.pass, self.slice, self.lane)
    }

    /// Whether the references must not depend on the password: the first half of the first pass (RFC 9106 §3.4.1.3).
    pub(super) const fn is_data_independent(&self) -> bool {
        self.pass == 0 && self.slice < SLICES / 2
    }

    /// The first block that is not made from H0 directly.
    pub(super) const fn first(&self) -> usize {
        if self.pass == 0 && self.slice == 0 { 2 } else { 0 }
    }

    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Z ‖ 0 of RFC 9106 §3.4.1.2, with the counter before its first increment.
    pub(super) fn address_input(&self) -> Block {
        let mut input = Block::new();
        let values = [
            u64::from(self.pass),
            self.lane as u64,
            self.slice as u64,
            self.params.block_count() as u64,
            u64::from(self.params.passes()),
            u64::from(ARGON2ID),
        ];
        for (word, value) in input.as_mut().iter_mut().zip(values) {
            *word = value;
        }
        input
    }

    /// What is computed at `index` of this segment.
    pub(super) const fn step(&self, index: usize, reference: usize) -> Step {
        let lane_length = self.length * SLICES;
        let in_lane = self.slice * self.length + index;
        let before = if in_lane == 0 { lane_length - 1 } else { in_lane - 1 };
        let start = self.lane * lane_length;
        Step { previous: start + before, reference, current: start + in_lane, over_old: self.pass > 0 }
    }

    /// The block that the pseudo-random `word`, J2 ‖ J1, means for `index` (RFC 9106 §3.4.2).
    #[inline]
    pub(super) fn reference(&self, index: usize, word: u64) -> usize {
        let lane_length = self.length * SLICES;
        let (j1, j2) = (word & 0xFFFF_FFFF, word >> 32);
        let lane = if self.pass == 0 && self.slice == 0 {
            self.lane
        } else {
            // Less than 2^24.
            (j2 % u64::from(self.params.lanes())) as usize
        };
        // W is what is finished of the lane: in the first pass from its beginning, later the other three slices, which
        // begin with the next one; in our own lane also this segment, without the block before.
        let finished = if self.pass == 0 { self.slice } else { SLICES - 1 } * self.length;
        let size =
            if lane == self.lane { finished + index - 1 } else { finished - usize::from(index == 0) } as u64;
        let x = (j1 * j1) >> 32;
        let z = size - 1 - ((size * x) >> 32);
        let start =
            if self.pass == 0 || self.slice == SLICES - 1 { 0 } else { (self.slice + 1) * self.length };
        // z < size < lane_length, so that one subtraction is the remainder.
        let in_lane = start + z as usize;
        let in_lane = if in_lane < lane_length { in_lane } else { in_lane - lane_length };
        lane * lane_length + in_lane
    }
}
