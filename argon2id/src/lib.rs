#![doc = include_str!("../README.md")]

#[cfg(target_arch = "x86_64")]
mod fill;
mod hash;
mod kernel;
mod memory;
mod params;

pub use argon2::Block;
pub use hash::{Argon2id, HashError, Inputs, MAX_ASSOCIATED_DATA_BYTES, MIN_OUTPUT_BYTES, MIN_SALT_BYTES};
pub use kernel::{Kernel, KernelUnavailable};
pub use memory::{Memory, OutOfMemory, Pages};
pub use params::{Params, ParamsError};
