//! The test vector of RFC 9106.

use signet_argon2id::{Argon2id, Inputs, Memory, Params};

use crate::kernels;

/// §5.3.
#[test]
fn every_kernel_gives_the_tag_of_the_rfc() {
    let params = Params::new(32, 3, 4).unwrap();
    let inputs = Inputs { password: &[1; 32], salt: &[2; 16], secret: &[3; 8], associated_data: &[4; 12] };
    let tag = [
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0,
        0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
    ];
    for kernel in kernels() {
        let mut out = [0; 32];
        let mut memory = Memory::new();
        let argon2id = Argon2id::with_kernel(params, kernel).unwrap();
        argon2id.hash_into(&inputs, memory.at_least(params.block_count()).unwrap(), &mut out).unwrap();
        assert_eq!(out, tag, "{kernel:?}");
    }
}
