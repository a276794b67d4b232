//! The same bytes as the `argon2` crate, whatever is hashed.

use argon2::{Algorithm, Argon2, AssociatedData, Block, ParamsBuilder, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use signet_argon2id::{Argon2id, Inputs, Kernel, Memory, Params};

use crate::kernels;

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
        for kernel in kernels() {
            let argon2id = Argon2id::with_kernel(params, kernel).unwrap();
            let memory = memory.at_least(params.block_count() + 1).unwrap();
            memory.iter_mut().for_each(|block| block.as_mut().fill(dirt));
            let mut out = vec![0; length];
            argon2id.hash_into(&inputs, memory, &mut out).unwrap();
            prop_assert_eq!(&out, &expected, "{:?}", kernel);
        }
    }
}

/// SplitMix64: the cases must be many and cheap, and the same on every machine.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, least: u32, most: u32) -> u32 {
        least + u32::try_from(self.word() % u64::from(most - least + 1)).unwrap()
    }

    fn bytes(&mut self, least: u32, most: u32) -> Vec<u8> {
        (0..self.between(least, most)).map(|_| self.word().to_le_bytes()[0]).collect()
    }
}

/// `SIGNET_TEST_ARGON2ID_CASES` many, at small m; scripts/prove asks for a million.
#[test]
fn many_random_cases_differ_in_nothing() {
    let cases = std::env::var("SIGNET_TEST_ARGON2ID_CASES").map_or(4000, |cases| cases.parse().unwrap());
    let threads = std::thread::available_parallelism().unwrap().get();
    let kernels = kernels();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let kernels = &kernels;
            scope.spawn(move || {
                for case in (thread..cases).step_by(threads) {
                    differs_in_nothing(case as u64, kernels);
                }
            });
        }
    });
    println!("{cases} cases, kernels {kernels:?}");
}

fn differs_in_nothing(case: u64, kernels: &[Kernel]) {
    let mut random = Random(case);
    let lanes = random.between(1, 3);
    let params = Params::new(8 * lanes + random.between(0, 40), random.between(1, 3), lanes).unwrap();
    let (password, salt) = (random.bytes(0, 80), random.bytes(8, 32));
    let (secret, associated_data) = (random.bytes(0, 32), random.bytes(0, 32));
    let inputs =
        Inputs { password: &password, salt: &salt, secret: &secret, associated_data: &associated_data };
    let mut expected = vec![0; random.between(4, 130) as usize];
    reference(params, &inputs, &mut expected);
    for kernel in kernels {
        let mut out = vec![0; expected.len()];
        let argon2id = Argon2id::with_kernel(params, *kernel).unwrap();
        // As long as it must be and no longer, so that a sanitizer sees a step beyond.
        let mut memory = vec![Block::new(); params.block_count()];
        argon2id.hash_into(&inputs, &mut memory, &mut out).unwrap();
        assert_eq!(out, expected, "case {case}, {kernel:?}, {params:?}");
    }
}
