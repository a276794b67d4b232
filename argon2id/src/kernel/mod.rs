//! Which code computes.

#[cfg(target_arch = "x86_64")]
mod avx2;

use argon2::Block;
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{Avx2, Scratch, Step};

/// Overwrites all blocks with zeros.
pub(crate) fn wipe(memory: &mut [Block]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if let Some(avx2) = Avx2::detect() {
        return avx2.wipe(memory);
    }
    memory.iter_mut().for_each(Zeroize::zeroize);
}

/// The code that computes a hash. All give the same bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// The fastest this machine can run, found out at run time.
    #[default]
    Auto,
    /// The `argon2` crate. Runs everywhere; contains no `unsafe` code of ours.
    Portable,
    /// 256-bit vectors, on x86-64 machines that have AVX2.
    Avx2,
}

/// This machine cannot run that kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this machine cannot run the kernel {0:?}")]
pub struct KernelUnavailable(pub Kernel);

/// A kernel that this machine was found to be able to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Chosen {
    pub(crate) fn fastest() -> Self {
        Self::avx2().unwrap_or(Self::Portable)
    }

    pub(crate) fn choose(kernel: Kernel) -> Result<Self, KernelUnavailable> {
        match kernel {
            Kernel::Auto => Ok(Self::fastest()),
            Kernel::Portable => Ok(Self::Portable),
            Kernel::Avx2 => Self::avx2().ok_or(KernelUnavailable(kernel)),
        }
    }

    pub(crate) const fn kernel(self) -> Kernel {
        match self {
            Self::Portable => Kernel::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Kernel::Avx2,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2() -> Option<Self> {
        Avx2::detect().map(Self::Avx2)
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn avx2() -> Option<Self> {
        None
    }
}
