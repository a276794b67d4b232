//! Argon2id: every kernel gives the bytes of the `argon2` crate, or all refuse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet_argon2id::{Argon2id, Block, Inputs, Kernel, Params};

fuzz_target!(|data: &[u8]| {
    let Some((costs, data)) = data.split_first_chunk::<7>() else { return };
    let [memory, passes, lanes, length, salt, secret, associated] = costs.map(u32::from);
    let Ok(params) = Params::new(memory, passes % 5, lanes % 6) else { return };
    // What is left of the data is the password.
    let mut rest = data;
    let mut take = |most: u32| {
        let (part, other) = rest.split_at(rest.len().min(most as usize));
        rest = other;
        part
    };
    let (salt, secret, associated_data) = (take(salt % 40), take(secret % 40), take(associated % 40));
    let inputs = Inputs { password: rest, salt, secret, associated_data };
    let hash = |kernel| {
        let argon2id = Argon2id::with_kernel(params, kernel).expect("it runs everywhere");
        let mut memory = vec![Block::new(); params.block_count()];
        let mut out = vec![0; length as usize];
        argon2id.hash_into(&inputs, &mut memory, &mut out).map(|()| out)
    };
    // The portable kernel is the crate.
    assert_eq!(hash(Kernel::Auto), hash(Kernel::Portable), "{params:?}");
});
