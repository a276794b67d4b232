//! The same bytes as the `argon2` crate, whatever is hashed.

use argon2::{Algorithm, Argon2, AssociatedData, Block, ParamsBuilder, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use signet_argon2id::{Argon2id, Inputs, Kernel, Memory, Params};

/// What the crate says, with memory of its own.
fn reference(params: Params, inputs: &Inputs<'_>, out: &mut [u8]) {
    let params = ParamsBuilder::new()
        .m_cost(params.memory_kib())
        .t_cost(params.passes())
        .p_cost(params.lanes())
        .data(AssociatedData::new(inputs.associated_data).unwrap())
        .build()
        .unwrap();
    let argon2 = Argon2::new_with_secret(inputs.secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let memory = vec![Block::new(); argon2.params().block_count()];
    argon2.hash_password_into_with_memory(inputs.password, inputs.salt, out, memory).unwrap();
}

proptest! {
    #[test]
    fn every_kernel_gives_the_bytes_of_the_crate(
        lanes in 1_u32..=5, extra in 0_u32..600, passes in 1_u32..=4, length in 4_usize..=200,
        password in vec(any::<u8>(), 0..300), salt in vec(any::<u8>(), 8..100),
        secret in vec(any::<u8>(), 0..100), associated_data in vec(any::<u8>(), 0..=32),
        dirt in any::<u64>(),
    ) {
        let params = Params::new(8 * lanes + extra, passes, lanes).unwrap();
        let inputs = Inputs {
            password: &password, salt: &salt, secret: &secret, associated_data: &associated_data,
        };
        let mut expected = vec![0; length];
        reference(params, &inputs, &mut expected);
        let mut memory = Memory::new();
        for kernel in [Kernel::Auto, Kernel::Portable] {
            let argon2id = Argon2id::with_kernel(params, kernel).unwrap();
            let memory = memory.at_least(params.block_count() + 1).unwrap();
            memory.iter_mut().for_each(|block| block.as_mut().fill(dirt));
            let mut out = vec![0; length];
            argon2id.hash_into(&inputs, memory, &mut out).unwrap();
            prop_assert_eq!(&out, &expected, "{:?}", kernel);
        }
    }
}
