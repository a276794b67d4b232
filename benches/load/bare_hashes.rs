//! What the `argon2` crate can do with nothing around it, its memory kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use signet::config::HashCost;

use super::{PASSWORD, clocks};

const SALT: [u8; 16] = [7; 16];

/// One hashing thread a core, each with memory of its own.
pub struct BareHashes {
    params: Params,
    memory: Vec<Vec<Block>>,
}

impl BareHashes {
    /// Takes the memory.
    pub fn new(cost: HashCost) -> Self {
        let threads = std::thread::available_parallelism().unwrap().get();
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(32)).unwrap();
        let memory = (0..threads).map(|_| vec![Block::new(); params.block_count()]).collect();
        Self { params, memory }
    }

    /// How many hash at once.
    pub fn threads(&self) -> usize {
        self.memory.len()
    }

    /// So many hashes: the wall time, and the CPU of all threads but the caller's.
    pub fn measure(&mut self, count: usize) -> (Duration, Duration) {
        // Shared out one by one: with a part for each, all would wait for the thread that had neighbours.
        let begun = AtomicUsize::new(0);
        let (before, started) = (clocks::others(), Instant::now());
        std::thread::scope(|scope| {
            for blocks in &mut self.memory {
                let (params, begun) = (self.params.clone(), &begun);
                scope.spawn(move || {
                    // The pool's priority: otherwise the neighbours on the machine would decide the ratio.
                    clocks::nice(10);
                    while begun.fetch_add(1, Ordering::Relaxed) < count {
                        std::hint::black_box(hash(&params, blocks));
                    }
                });
            }
        });
        (started.elapsed(), clocks::others().saturating_sub(before))
    }

    /// The PHC string of the password that all accounts have.
    pub fn phc(&mut self) -> String {
        let text = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        let (m, t, p) = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let hash = hash(&self.params, &mut self.memory[0]);
        format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", text(&SALT), text(&hash))
    }
}

fn hash(params: &Params, blocks: &mut [Block]) -> [u8; 32] {
    let mut output = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(PASSWORD.as_bytes(), &SALT, &mut output, blocks)
        .unwrap();
    output
}
