//! Our kernel against the `argon2` crate and the reference implementation in C:
//!
//! ```text
//! cd argon2id/benches/with_c
//! ARGON2_KDF_C_COMPILER_FLAGS=-mavx2 cargo run --release
//! ```
//!
//! The C code asks `malloc` for its memory each time and wipes it each time, and its pages are ordinary ones: it is to be
//! compared with our line of that kind. So that it need not touch fresh pages, as the others need not, this program starts
//! itself again with a glibc that keeps what is freed.
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

#[path = "../contest/mod.rs"]
mod contest;

use std::process::{Command, exit};

use argon2_kdf::{Algorithm, Hasher};

const KEEPING: [(&str, &str); 2] = [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "1000000000")];

fn main() {
    if KEEPING.iter().any(|(name, value)| std::env::var(name).as_deref() != Ok(value)) {
        let program = std::env::current_exe().unwrap();
        exit(Command::new(program).envs(KEEPING).status().unwrap().code().unwrap_or(1));
    }
    contest::run(&[("C, ordinary pages, wiped", in_c)]);
}

fn in_c(memory_kib: u32, passes: u32) -> contest::Hash {
    Box::new(move || {
        let hasher = Hasher::new()
            .algorithm(Algorithm::Argon2id)
            .custom_salt(contest::SALT)
            .hash_length(32)
            .memory_cost_kib(memory_kib)
            .iterations(passes)
            .threads(1);
        hasher.hash(contest::PASSWORD).unwrap().as_bytes().try_into().unwrap()
    })
}
