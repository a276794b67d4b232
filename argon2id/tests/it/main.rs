//! The public interface, against RFC 9106 and against the `argon2` crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use signet_argon2id::{Argon2id, Kernel, Params};

mod equality;
mod limits;
mod memory;
mod vectors;

/// The kernels that this machine can run; says which it cannot.
fn kernels() -> Vec<Kernel> {
    let params = Params::new(8, 1, 1).unwrap();
    let (can, cannot): (Vec<_>, Vec<_>) = [Kernel::Portable, Kernel::Avx2]
        .into_iter()
        .partition(|kernel| Argon2id::with_kernel(params, *kernel).is_ok());
    if !cannot.is_empty() {
        println!("not run, for this machine cannot: {cannot:?}");
    }
    can
}
