//! The compression function G (RFC 9106 §3.5) on 256-bit vectors.
//!
//! # Safety
//!
//! Six expressions here are `unsafe`; everything they rely on is in this file.
//!
//! * **Instructions.** The vector functions are `#[target_feature(enable = "avx2")]`: safe to call from each other, and
//!   from elsewhere only when the machine has AVX2. The one call from elsewhere is a method of [`Avx2`], which is made
//!   by [`Avx2::detect`] alone.
//! * **Alignment and size.** [`vectors`] and [`vectors_mut`] read a block as 32 vectors. A block is at least as aligned
//!   as a vector and of the same size as 32 of them; both are asserted when this is compiled. It has no padding, and
//!   every bit pattern is both a block and vectors.
//! * **Aliasing.** A reference to vectors borrows what the reference to the block borrowed. The blocks that are read are
//!   done with before the one that is written is borrowed: what is still needed of them is in [`Scratch`]. So the
//!   borrow checker sees to it, also when two indices are the same.
//! * **Indices.** The memory is an ordinary slice. An index outside it would be a panic, never a wild read.
//! * **Prefetching** is a hint to the processor: it reads nothing, and is given the address of a block in the memory.
//! * **Streaming** writes whole vectors of a block that is borrowed for writing, and ends with the fence that its stores
//!   need before anybody may look.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_add_epi64, _mm256_alignr_epi8, _mm256_extract_epi64,
    _mm256_mul_epu32, _mm256_permute2x128_si256, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_shuffle_epi32,
    _mm256_srli_epi64, _mm256_xor_si256,
};

use argon2::Block;
use zeroize::Zeroize;

/// Vectors in a block.
const VECTORS: usize = 32;
type Vectors = [__m256i; VECTORS];

const _: () =
    assert!(size_of::<Block>() == size_of::<Vectors>() && align_of::<Block>() >= align_of::<Vectors>());

/// Proof that this machine has AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// Which block is made from which: indices into the memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) previous: usize,
    pub(crate) reference: usize,
    pub(crate) current: usize,
    /// Whether the new block is XORed with what stands in its place (passes after the first).
    pub(crate) over_old: bool,
}

/// Blocks on the way, which are wiped when dropped.
pub(crate) struct Scratch {
    /// What the result is XORed with.
    input: Block,
    /// After the permutation of the rows.
    rows: Block,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self { input: Block::new(), rows: Block::new() }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.input.zeroize();
        self.rows.zeroize();
    }
}

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Makes one block. Whatever the indices, only `memory` is touched; one outside it is a panic. `next` is told the first
    /// word of it as soon as it is known, and says which block will be referred to next: it is on its way from the memory
    /// before this one is finished.
    pub(crate) fn fill_block(
        self,
        memory: &mut [Block],
        step: Step,
        scratch: &mut Scratch,
        next: impl FnOnce(u64) -> usize,
    ) -> usize {
        // SAFETY: a value of `Avx2` exists only where AVX2 was detected.
        unsafe { fill_block(memory, step, scratch, next) }
    }

    /// Overwrites all blocks with zeros, past the caches: what is wiped is not read first. The stores are inline assembly
    /// to the compiler, which cannot leave them out.
    #[cfg(not(miri))] // which knows no such store
    pub(crate) fn wipe(self, memory: &mut [Block]) {
        // SAFETY: a value of `Avx2` exists only where AVX2 was detected.
        unsafe { wipe(memory) }
    }
}

#[cfg(not(miri))]
#[target_feature(enable = "avx2")]
fn wipe(memory: &mut [Block]) {
    use std::arch::x86_64::{_mm_sfence, _mm256_setzero_si256, _mm256_stream_si256};
    let zero = _mm256_setzero_si256();
    for block in memory {
        for vector in vectors_mut(block) {
            // SAFETY: a vector that is borrowed for writing, and aligned as one.
            unsafe { _mm256_stream_si256(vector, zero) }
        }
    }
    _mm_sfence();
}

#[target_feature(enable = "avx2")]
fn fill_block(
    memory: &mut [Block],
    step: Step,
    scratch: &mut Scratch,
    next: impl FnOnce(u64) -> usize,
) -> usize {
    let (previous, reference) = (vectors(&memory[step.previous]), vectors(&memory[step.reference]));
    if step.over_old {
        let old = vectors(&memory[step.current]);
        permute_rows(previous, reference, scratch, |i, v| _mm256_xor_si256(v, old[i]));
    } else {
        permute_rows(previous, reference, scratch, |_, v| v);
    }
    let (input, rows) = (vectors(&scratch.input), vectors(&scratch.rows));
    let current = vectors_mut(&mut memory[step.current]);
    permute_columns(input, rows, current, 0);
    let next = next(_mm256_extract_epi64::<0>(current[0]).cast_unsigned());
    if let Some(block) = memory.get(next) {
        prefetch(block);
    }
    let current = vectors_mut(&mut memory[step.current]);
    for i in 1..4 {
        permute_columns(input, rows, current, i);
    }
    next
}

/// The rows of R (RFC 9106 §3.5), two at a time, into `scratch.rows`. `over` says what the result will be XORed with: R
/// itself, or that and the old block.
#[inline]
#[target_feature(enable = "avx2")]
fn permute_rows(
    previous: &Vectors,
    reference: &Vectors,
    scratch: &mut Scratch,
    over: impl Fn(usize, __m256i) -> __m256i,
) {
    let inputs = vectors_mut(&mut scratch.input).as_chunks_mut::<8>().0;
    let rows = vectors_mut(&mut scratch.rows).as_chunks_mut::<8>().0;
    let read = previous.as_chunks::<8>().0.iter().zip(reference.as_chunks::<8>().0);
    for (pair, ((input, rows), (previous, reference))) in inputs.iter_mut().zip(rows).zip(read).enumerate() {
        let r: [_; 8] = std::array::from_fn(|i| _mm256_xor_si256(previous[i], reference[i]));
        *input = std::array::from_fn(|i| over(8 * pair + i, r[i]));
        let [a, b, c, d, e, f, g, h] = r;
        let ((a, e), (b, f), (c, g), (d, h)) =
            (swap_halves(a, e), swap_halves(b, f), swap_halves(c, g), swap_halves(d, h));
        let [a, e, b, f, c, g, d, h] = permute([a, e, b, f, c, g, d, h]);
        let ((a, e), (b, f), (c, g), (d, h)) =
            (swap_halves(a, e), swap_halves(b, f), swap_halves(c, g), swap_halves(d, h));
        *rows = [a, b, c, d, e, f, g, h];
    }
}

/// The lower halves of both in one, and the upper ones in the other: two rows side by side. Its own inverse.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_halves(x: __m256i, y: __m256i) -> (__m256i, __m256i) {
    (_mm256_permute2x128_si256::<0x20>(x, y), _mm256_permute2x128_si256::<0x31>(x, y))
}

/// Two columns, one in each half of every fourth vector, and the last XOR of G.
#[inline]
#[target_feature(enable = "avx2")]
fn permute_columns(input: &Vectors, rows: &Vectors, current: &mut Vectors, first: usize) {
    let column = permute(std::array::from_fn(|i| rows[first + 4 * i]));
    for (i, v) in column.into_iter().enumerate() {
        current[first + 4 * i] = _mm256_xor_si256(v, input[first + 4 * i]);
    }
}

/// P (RFC 9106 §3.6) on 16 words in each half: v0 and v1 in the half of the first vector, v2 and v3 in that of the
/// second, and so on.
#[inline]
#[target_feature(enable = "avx2")]
fn permute(v: [__m256i; 8]) -> [__m256i; 8] {
    let [mut a0, mut a1, mut b0, mut b1, mut c0, mut c1, mut d0, mut d1] = v;
    quarter(&mut a0, &mut b0, &mut c0, &mut d0);
    quarter(&mut a1, &mut b1, &mut c1, &mut d1);
    (b0, b1) = (_mm256_alignr_epi8::<8>(b1, b0), _mm256_alignr_epi8::<8>(b0, b1));
    (c0, c1) = (c1, c0);
    (d0, d1) = (_mm256_alignr_epi8::<8>(d0, d1), _mm256_alignr_epi8::<8>(d1, d0));
    quarter(&mut a0, &mut b0, &mut c0, &mut d0);
    quarter(&mut a1, &mut b1, &mut c1, &mut d1);
    (b0, b1) = (_mm256_alignr_epi8::<8>(b0, b1), _mm256_alignr_epi8::<8>(b1, b0));
    (c0, c1) = (c1, c0);
    (d0, d1) = (_mm256_alignr_epi8::<8>(d1, d0), _mm256_alignr_epi8::<8>(d0, d1));
    [a0, a1, b0, b1, c0, c1, d0, d1]
}

/// G of BLAKE2b with multiplications (RFC 9106 §3.6), four words at a time.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter(a: &mut __m256i, b: &mut __m256i, c: &mut __m256i, d: &mut __m256i) {
    *a = multiply_add(*a, *b);
    *d = _mm256_shuffle_epi32::<0xB1>(_mm256_xor_si256(*d, *a));
    *c = multiply_add(*c, *d);
    *b = rotate_right_24(_mm256_xor_si256(*b, *c));
    *a = multiply_add(*a, *b);
    *d = rotate_right_16(_mm256_xor_si256(*d, *a));
    *c = multiply_add(*c, *d);
    *b = rotate_right_63(_mm256_xor_si256(*b, *c));
}

/// x + y + 2 · lo32(x) · lo32(y).
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_add(x: __m256i, y: __m256i) -> __m256i {
    let product = _mm256_mul_epu32(x, y);
    _mm256_add_epi64(_mm256_add_epi64(x, y), _mm256_add_epi64(product, product))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_right_24(x: __m256i) -> __m256i {
    let order = _mm256_setr_epi8(
        3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8,
        9, 10,
    );
    _mm256_shuffle_epi8(x, order)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_right_16(x: __m256i) -> __m256i {
    let order = _mm256_setr_epi8(
        2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15,
        8, 9,
    );
    _mm256_shuffle_epi8(x, order)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_right_63(x: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_srli_epi64::<63>(x), _mm256_add_epi64(x, x))
}

/// Asks for all 16 cache lines of a block.
#[inline]
fn prefetch(block: &Block) {
    for line in block.as_ref().as_chunks::<8>().0 {
        // SAFETY: a hint, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
}

#[inline]
fn vectors(block: &Block) -> &Vectors {
    // SAFETY: a block is its 128 words and nothing else: size and alignment are asserted above.
    unsafe { &*std::ptr::from_ref(block).cast() }
}

#[inline]
fn vectors_mut(block: &mut Block) -> &mut Vectors {
    // SAFETY: as above; every bit pattern is valid on both sides.
    unsafe { &mut *std::ptr::from_mut(block).cast() }
}
