//! BLAKE2b as Argon2 uses it: the hash of all inputs, and the hash of variable length.

use blake2::Blake2bVarCore;
use blake2::digest::block_api::{UpdateCore, VariableOutputCore};
use blake2::digest::block_buffer::LazyBuffer;
use zeroize::{Zeroize, Zeroizing};

use crate::hash::{HashError, Inputs};
use crate::params::Params;

/// Argon2 version 1.3.
const VERSION: u32 = 0x13;

/// The type y of Argon2id.
pub(super) const ARGON2ID: u32 = 2;

/// The longest output of BLAKE2b, in bytes.
pub(super) const LONGEST: usize = 64;

/// H0 (RFC 9106 §3.2, step 1). Written in place, so that no copy of it is left on the stack.
pub(super) fn initial_hash(
    params: Params,
    inputs: &Inputs<'_>,
    output_length: u32,
    hash: &mut [u8; LONGEST],
) -> Result<(), HashError> {
    let number = u32::to_le_bytes;
    let length = |input: &[u8]| u32::try_from(input.len()).map(number).map_err(|_| HashError::InputTooLong);
    blake2b(
        &[
            &number(params.lanes()),
            &number(output_length),
            &number(params.memory_kib()),
            &number(params.passes()),
            &number(VERSION),
            &number(ARGON2ID),
            &length(inputs.password)?,
            inputs.password,
            &length(inputs.salt)?,
            inputs.salt,
            &length(inputs.secret)?,
            inputs.secret,
            &length(inputs.associated_data)?,
            inputs.associated_data,
        ],
        hash,
    )
}

/// H′ (RFC 9106 §3.3): hashes `parts` to as many bytes as `out` has.
pub(super) fn variable_hash(parts: [&[u8]; 3], out: &mut [u8]) -> Result<(), HashError> {
    let length = u32::try_from(out.len()).map_err(|_| HashError::OutputTooLong)?.to_le_bytes();
    let [first, second, third] = parts;
    let input = [&length, first, second, third];
    if out.len() <= LONGEST {
        return blake2b(&input, out);
    }
    let mut link = Zeroizing::new([0; LONGEST]);
    blake2b(&input, &mut *link)?;
    let mut rest = out;
    // Half of each link goes out, all of it into the next; the last link has the length of what is left.
    while rest.len() > LONGEST {
        let (half, tail) = rest.split_at_mut(LONGEST / 2);
        half.copy_from_slice(&link[..LONGEST / 2]);
        rest = tail;
        if rest.len() > LONGEST {
            let previous = Zeroizing::new(*link);
            blake2b(&[&*previous], &mut *link)?;
        }
    }
    blake2b(&[&*link], rest)
}

/// BLAKE2b without a key (RFC 7693), its output as long as `out`: 1 to 64 bytes.
fn blake2b(parts: &[&[u8]], out: &mut [u8]) -> Result<(), HashError> {
    let mut core = Blake2bVarCore::new(out.len()).map_err(|_| HashError::OutputTooShort)?;
    let mut buffer = LazyBuffer::default();
    for part in parts {
        buffer.digest_blocks(part, |blocks| core.update_blocks(blocks));
    }
    let mut full = Default::default();
    core.finalize_variable_core(&mut buffer, &mut full);
    // The core writes the whole state; it was told the length, so the beginning is the hash.
    out.copy_from_slice(&full[..out.len()]);
    full.as_mut_slice().zeroize();
    Ok(())
}
