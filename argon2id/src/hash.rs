//! What a caller gives, what it gets, and the way between.

use argon2::{Algorithm, Argon2, AssociatedData, Block, ParamsBuilder, Version};

#[cfg(target_arch = "x86_64")]
use crate::fill;
use crate::kernel::{Chosen, Kernel, KernelUnavailable};
use crate::params::Params;

/// The shortest salt, in bytes.
pub const MIN_SALT_BYTES: usize = 8;

/// The shortest output, in bytes (RFC 9106 §3.1).
pub const MIN_OUTPUT_BYTES: usize = 4;

/// The longest associated data, in bytes. RFC 9106 §3.1 allows 2^32 − 1; the portable kernel takes no more than this,
/// and a hash that is made on one machine must be computable on every other.
pub const MAX_ASSOCIATED_DATA_BYTES: usize = AssociatedData::MAX_LEN;

/// What is hashed (RFC 9106 §3.1).
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// P: the password. At most 2^32 − 1 bytes.
    pub password: &'a [u8],
    /// S: the salt. At least [`MIN_SALT_BYTES`]; 16 random bytes are recommended.
    pub salt: &'a [u8],
    /// K: a key that is kept elsewhere than the hashes ("pepper"). Mostly empty.
    pub secret: &'a [u8],
    /// X: whatever else the hash shall be bound to. Mostly empty, at most [`MAX_ASSOCIATED_DATA_BYTES`].
    pub associated_data: &'a [u8],
}

impl<'a> Inputs<'a> {
    /// A password and its salt, without secret and associated data.
    #[must_use]
    pub const fn new(password: &'a [u8], salt: &'a [u8]) -> Self {
        Self { password, salt, secret: &[], associated_data: &[] }
    }
}

/// Passwords must not reach a log.
impl std::fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inputs(***)")
    }
}

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The memory has fewer blocks than [`Params::block_count`].
    #[error("the memory has fewer than the {needed} blocks that the parameters ask for")]
    MemoryTooSmall {
        /// Blocks of 1 KiB that are needed.
        needed: usize,
    },
    /// The salt has fewer than [`MIN_SALT_BYTES`].
    #[error("the salt has fewer than {MIN_SALT_BYTES} bytes")]
    SaltTooShort,
    /// The associated data has more than [`MAX_ASSOCIATED_DATA_BYTES`].
    #[error("the associated data has more than {MAX_ASSOCIATED_DATA_BYTES} bytes")]
    AssociatedDataTooLong,
    /// An input has more than 2^32 − 1 bytes.
    #[error("an input has more than 2^32 - 1 bytes")]
    InputTooLong,
    /// The output has fewer than [`MIN_OUTPUT_BYTES`].
    #[error("the output has fewer than {MIN_OUTPUT_BYTES} bytes")]
    OutputTooShort,
    /// The output has more than 2^32 − 1 bytes.
    #[error("the output has more than 2^32 - 1 bytes")]
    OutputTooLong,
    /// The portable kernel refused what was checked before.
    #[error("the portable kernel refused to hash: {0}")]
    Portable(argon2::Error),
}

/// Argon2id, version 1.3, with its cost and its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2id {
    params: Params,
    chosen: Chosen,
}

impl Argon2id {
    /// With the fastest kernel this machine can run.
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self { params, chosen: Chosen::fastest() }
    }

    /// With a kernel of the caller's choice.
    ///
    /// # Errors
    /// [`KernelUnavailable`] when this machine cannot run it. [`Kernel::Auto`] and [`Kernel::Portable`] run everywhere.
    pub fn with_kernel(params: Params, kernel: Kernel) -> Result<Self, KernelUnavailable> {
        Ok(Self { params, chosen: Chosen::choose(kernel)? })
    }

    /// The cost.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.params
    }

    /// The kernel that computes; never [`Kernel::Auto`].
    #[must_use]
    pub const fn kernel(&self) -> Kernel {
        self.chosen.kernel()
    }

    /// Hashes `inputs` into the whole of `out`, in the first [`Params::block_count`] blocks of `memory`, whatever they
    /// hold. The length of `out` is part of what is hashed: a shorter output is no prefix of a longer one.
    ///
    /// What the function keeps to itself is wiped. `memory` is the caller's: it is left full of blocks that were
    /// derived from the password, and from its last block the output can be computed. The next hash overwrites them;
    /// [`Memory::wipe`](crate::Memory::wipe) and [`Memory::release`](crate::Memory::release) remove them.
    ///
    /// # Errors
    /// [`HashError`] when a length is outside its limits. `out` is unchanged then.
    ///
    /// ```
    /// use signet_argon2id::{Argon2id, Inputs, Memory, Params};
    ///
    /// let argon2id = Argon2id::new(Params::new(64, 3, 1)?);
    /// let mut memory = Memory::new();
    /// let mut hash = [0; 32];
    /// let inputs = Inputs::new(b"correct horse battery staple", b"0123456789abcdef");
    /// argon2id.hash_into(&inputs, memory.at_least(argon2id.params().block_count())?, &mut hash)?;
    /// memory.wipe();
    /// assert_eq!(hash[..4], [0xa3, 0x99, 0x6b, 0xf2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hash_into(
        &self,
        inputs: &Inputs<'_>,
        memory: &mut [Block],
        out: &mut [u8],
    ) -> Result<(), HashError> {
        self.check(inputs, out)?;
        let needed = self.params.block_count();
        let memory = memory.get_mut(..needed).ok_or(HashError::MemoryTooSmall { needed })?;
        match self.chosen {
            Chosen::Portable => self.hash_portably(inputs, memory, out),
            #[cfg(target_arch = "x86_64")]
            Chosen::Avx2(kernel) => fill::hash(kernel, self.params, inputs, memory, out),
        }
    }

    /// Whether all lengths are within their limits.
    fn check(&self, inputs: &Inputs<'_>, out: &[u8]) -> Result<(), HashError> {
        if inputs.salt.len() < MIN_SALT_BYTES {
            return Err(HashError::SaltTooShort);
        }
        if inputs.associated_data.len() > MAX_ASSOCIATED_DATA_BYTES {
            return Err(HashError::AssociatedDataTooLong);
        }
        if [inputs.password, inputs.salt, inputs.secret]
            .iter()
            .any(|input| u32::try_from(input.len()).is_err())
        {
            return Err(HashError::InputTooLong);
        }
        if out.len() < MIN_OUTPUT_BYTES {
            return Err(HashError::OutputTooShort);
        }
        u32::try_from(out.len()).map_err(|_| HashError::OutputTooLong)?;
        Ok(())
    }

    fn hash_portably(
        &self,
        inputs: &Inputs<'_>,
        memory: &mut [Block],
        out: &mut [u8],
    ) -> Result<(), HashError> {
        let data = AssociatedData::new(inputs.associated_data).map_err(HashError::Portable)?;
        let params = ParamsBuilder::new()
            .m_cost(self.params.memory_kib())
            .t_cost(self.params.passes())
            .p_cost(self.params.lanes())
            .data(data)
            .build()
            .map_err(HashError::Portable)?;
        Argon2::new_with_secret(inputs.secret, Algorithm::Argon2id, Version::V0x13, params)
            .and_then(|argon2| {
                argon2.hash_password_into_with_memory(inputs.password, inputs.salt, out, memory)
            })
            .map_err(HashError::Portable)
    }
}
