//! Lengths and costs outside the limits are errors, for every kernel the same.

use signet_argon2id::{
    Argon2id, Block, HashError, Inputs, Kernel, KernelUnavailable, MAX_ASSOCIATED_DATA_BYTES, Params,
    ParamsError,
};

use crate::kernels;

#[test]
fn costs_outside_the_limits_are_refused() {
    assert_eq!(Params::new(7, 1, 1), Err(ParamsError::Memory { least_kib: 8 }));
    assert_eq!(Params::new(8 * 300 - 1, 1, 300), Err(ParamsError::Memory { least_kib: 2400 }));
    assert_eq!(Params::new(8, 0, 1), Err(ParamsError::Passes));
    assert_eq!(Params::new(8, 1, 0), Err(ParamsError::Lanes));
    assert_eq!(Params::new(u32::MAX, 1, Params::MAX_LANES + 1), Err(ParamsError::Lanes));
    let most = Params::new(u32::MAX, u32::MAX, Params::MAX_LANES).unwrap();
    assert_eq!((most.memory_kib(), most.passes(), most.lanes()), (u32::MAX, u32::MAX, Params::MAX_LANES));
}

#[test]
fn memory_is_rounded_down_to_whole_slices() {
    let blocks = |memory_kib, lanes| Params::new(memory_kib, 1, lanes).unwrap().block_count();
    assert_eq!(
        [blocks(8, 1), blocks(11, 1), blocks(12, 1), blocks(47, 3), blocks(48, 3)],
        [8, 8, 12, 36, 48]
    );
}

#[test]
fn lengths_outside_the_limits_are_refused_and_nothing_is_written() {
    let params = Params::new(8, 1, 1).unwrap();
    let too_long = [0; MAX_ASSOCIATED_DATA_BYTES + 1];
    for kernel in kernels() {
        let argon2id = Argon2id::with_kernel(params, kernel).unwrap();
        let fault = |inputs: &Inputs<'_>, blocks: usize, length: usize| {
            let (mut memory, mut out) = (vec![Block::new(); blocks], vec![7; length]);
            let fault = argon2id.hash_into(inputs, &mut memory, &mut out).err();
            assert!(fault.is_none() || out.iter().all(|byte| *byte == 7), "{fault:?}");
            fault
        };
        let (short, fine) = (Inputs::new(b"", b"1234567"), Inputs::new(b"", b"12345678"));
        assert_eq!(fault(&short, 8, 32), Some(HashError::SaltTooShort), "{kernel:?}");
        let bound = Inputs { associated_data: &too_long, ..fine };
        assert_eq!(fault(&bound, 8, 32), Some(HashError::AssociatedDataTooLong));
        assert_eq!(fault(&fine, 7, 32), Some(HashError::MemoryTooSmall { needed: 8 }));
        assert_eq!(fault(&fine, 0, 32), Some(HashError::MemoryTooSmall { needed: 8 }));
        assert_eq!(fault(&fine, 8, 3), Some(HashError::OutputTooShort));
        assert_eq!(fault(&fine, 8, 0), Some(HashError::OutputTooShort));
        assert_eq!(fault(&fine, 8, 4), None);
    }
}

#[test]
fn auto_is_the_fastest_that_this_machine_can_run() {
    let params = Params::new(8, 1, 1).unwrap();
    let fastest = Argon2id::new(params);
    assert_eq!(Argon2id::with_kernel(params, Kernel::Auto), Ok(fastest));
    assert_eq!(Argon2id::with_kernel(params, Kernel::Portable).unwrap().kernel(), Kernel::Portable);
    match Argon2id::with_kernel(params, Kernel::Avx2) {
        Ok(avx2) => assert_eq!((avx2, avx2.kernel()), (fastest, Kernel::Avx2)),
        Err(fault) => {
            assert_eq!(fault, KernelUnavailable(Kernel::Avx2));
            assert_eq!(fastest.kernel(), Kernel::Portable);
        }
    }
}

#[test]
fn no_debug_output_shows_what_is_hashed() {
    let inputs = Inputs { secret: b"pepper", ..Inputs::new(b"password", b"saltsalt") };
    assert_eq!(format!("{inputs:?}"), "Inputs(***)");
}
