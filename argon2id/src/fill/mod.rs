//! Argon2id by a kernel of our own: everything of RFC 9106 but the compression function.

mod blake;
mod position;

use argon2::Block;
use zeroize::{Zeroize, Zeroizing};

use crate::hash::{HashError, Inputs};
use crate::kernel::{Avx2, Scratch, Step};
use crate::params::{Params, SLICES};
use position::Segment;

/// Reference positions in an address block (RFC 9106 §3.4.1.2).
const ADDRESSES: usize = 128;

/// Hashes into `out`, whose length and those of the inputs were checked, in exactly [`Params::block_count`] blocks.
pub(crate) fn hash(
    kernel: Avx2,
    params: Params,
    inputs: &Inputs<'_>,
    memory: &mut [Block],
    out: &mut [u8],
) -> Result<(), HashError> {
    let output_length = u32::try_from(out.len()).map_err(|_| HashError::OutputTooLong)?;
    first_blocks(params, inputs, output_length, memory)?;
    all_passes(kernel, params, memory, |_, _| ());
    finish(params, memory, out)
}

/// Fills the memory behind the first two blocks of each lane, as often as there are passes (RFC 9106 §3.2, steps 5 and
/// 6). `observe` is told of each segment which blocks it refers to, in order.
fn all_passes(kernel: Avx2, params: Params, memory: &mut [Block], mut observe: impl FnMut(&Segment, usize)) {
    let mut scratch = Scratch::new();
    for pass in 0..params.passes() {
        for slice in 0..SLICES {
            // Within a slice no lane refers to what another one writes, so their order does not matter.
            for lane in 0..params.lanes() as usize {
                let segment = Segment::new(params, pass, slice, lane);
                let observe = |reference| observe(&segment, reference);
                if segment.is_data_independent() {
                    data_independent(kernel, &segment, memory, &mut scratch, observe);
                } else {
                    data_dependent(kernel, &segment, memory, &mut scratch, observe);
                }
            }
        }
    }
}

/// A segment whose references follow from its position alone (RFC 9106 §3.4.1.2), and so are known ahead.
fn data_independent(
    kernel: Avx2,
    segment: &Segment,
    memory: &mut [Block],
    scratch: &mut Scratch,
    mut observe: impl FnMut(usize),
) {
    let mut work = [Block::new(), segment.address_input(), Block::new()];
    let mut index = segment.first();
    while index < segment.length() {
        let [_, input, _] = &mut work;
        input.as_mut()[6] += 1;
        for reference in [1, 2] {
            let step = Step { previous: 0, reference, current: 2, over_old: false };
            kernel.fill_block(&mut work, step, scratch, |_| 0);
        }
        let [_, _, addresses] = &work;
        let end = segment.length().min(index - index % ADDRESSES + ADDRESSES);
        let at = |index: usize| segment.reference(index, addresses.as_ref()[index % ADDRESSES]);
        let mut reference = at(index);
        for index in index..end {
            observe(reference);
            let step = segment.step(index, reference);
            reference = kernel.fill_block(memory, step, scratch, |_| at(index + 1));
        }
        index = end;
    }
}

/// A segment each of whose references follows from the block before (RFC 9106 §3.4.1.1).
fn data_dependent(
    kernel: Avx2,
    segment: &Segment,
    memory: &mut [Block],
    scratch: &mut Scratch,
    mut observe: impl FnMut(usize),
) {
    let first = segment.first();
    let before = segment.step(first, 0).previous;
    let mut reference = segment.reference(first, memory[before].as_ref()[0]);
    for index in first..segment.length() {
        observe(reference);
        let step = segment.step(index, reference);
        reference = kernel.fill_block(memory, step, scratch, |word| segment.reference(index + 1, word));
    }
}

/// The first two blocks of each lane (RFC 9106 §3.2, steps 3 and 4).
fn first_blocks(
    params: Params,
    inputs: &Inputs<'_>,
    output_length: u32,
    memory: &mut [Block],
) -> Result<(), HashError> {
    let mut initial = Zeroizing::new([0; blake::LONGEST]);
    blake::initial_hash(params, inputs, output_length, &mut initial)?;
    let mut bytes = Zeroizing::new([0; Block::SIZE]);
    for (lane, blocks) in (0_u32..).zip(memory.chunks_exact_mut(params.lane_length())) {
        for (index, block) in (0_u32..2).zip(blocks) {
            blake::variable_hash([&*initial, &index.to_le_bytes(), &lane.to_le_bytes()], &mut *bytes)?;
            for (word, bytes) in block.as_mut().iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
        }
    }
    Ok(())
}

/// The output out of the last block of each lane (RFC 9106 §3.2, steps 7 and 8).
fn finish(params: Params, memory: &[Block], out: &mut [u8]) -> Result<(), HashError> {
    let mut last = Block::new();
    for lane in memory.chunks_exact(params.lane_length()) {
        if let Some(block) = lane.last() {
            last ^= block;
        }
    }
    let mut bytes = Zeroizing::new([0; Block::SIZE]);
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(last.as_ref()) {
        *bytes = word.to_le_bytes();
    }
    last.zeroize();
    blake::variable_hash([&*bytes, &[], &[]], out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
