//! `[passwords]`: what a password must be and what hashing one costs.

use std::time::Duration;

use signet_argon2id::Kernel;

use super::parse::{duration, integer, quote, show_duration, word};
use super::reader::Reader;

/// `[passwords]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passwords {
    /// Shortest password, in code points.
    pub min_length: usize,
    /// Longest password, in code points.
    pub max_length: usize,
    /// What one hash costs.
    pub cost: HashCost,
    /// Threads that hash; 0 means one per core.
    pub threads: usize,
    /// How many passwords may wait for each thread before more are turned away.
    pub queue_per_thread: usize,
    /// Which code computes: the fastest that the machine can run, or the one that runs everywhere. The hashes are the same.
    pub kernel: Kernel,
    /// After how much idle time a thread gives its memory back.
    pub idle_memory_after: Duration,
}

/// The cost of an Argon2id hash (RFC 9106 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB (`m`).
    pub memory_kib: u32,
    /// Passes over the memory (`t`).
    pub iterations: u32,
    /// Lanes (`p`).
    pub parallelism: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Passwords {
    /// The greatest `max_length` there may be: no account has a longer password, whatever the limit was when it was
    /// chosen.
    pub const LONGEST: usize = 1024;
}

impl HashCost {
    /// The least that the settings take, in KiB.
    pub const LEAST_MEMORY_KIB: u32 = 7_168;

    /// The most, in KiB: a gibibyte.
    pub const MOST_MEMORY_KIB: u32 = 1_048_576;

    /// The least memory, in KiB, that OWASP's password storage sheet recommends for so many iterations.
    pub fn memory_floor(iterations: u32) -> u32 {
        match iterations {
            0 | 1 => 47_104,
            2 => 19_456,
            3 => 12_288,
            4 => 9_216,
            _ => Self::LEAST_MEMORY_KIB,
        }
    }

    fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        let memory = reader.take(
            "passwords.cost.memory_kib",
            integer(Self::LEAST_MEMORY_KIB.into()..=Self::MOST_MEMORY_KIB.into()),
        );
        let iterations = reader.take("passwords.cost.iterations", integer(1..=16));
        let parallelism = reader.take("passwords.cost.parallelism", integer(1..=4));
        let cost = Self {
            memory_kib: memory.unwrap_or(default.memory_kib),
            iterations: iterations.unwrap_or(default.iterations),
            parallelism: parallelism.unwrap_or(default.parallelism),
        };
        let floor = Self::memory_floor(cost.iterations);
        let refused = memory.is_none() && reader.was_given("passwords.cost.memory_kib");
        if cost.memory_kib < floor && !refused {
            let problem = format!("is too little for {} iteration(s)", cost.iterations);
            let cure = format!("give at least {floor}, or more iterations");
            reader.fault("passwords.cost.memory_kib", problem, cure);
        }
        cost
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            min_length: 15,
            max_length: 256,
            cost: HashCost::default(),
            threads: 0,
            queue_per_thread: 40,
            kernel: Kernel::Auto,
            idle_memory_after: Duration::from_secs(5),
        }
    }
}

impl Passwords {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        Self {
            min_length: reader.take("passwords.min_length", integer(8..=64)).unwrap_or(default.min_length),
            max_length: reader
                .take("passwords.max_length", integer(128..=Self::LONGEST as i64))
                .unwrap_or(default.max_length),
            threads: reader.take("passwords.threads", integer(0..=1024)).unwrap_or(default.threads),
            queue_per_thread: reader
                .take("passwords.queue_per_thread", integer(1..=10_000))
                .unwrap_or(default.queue_per_thread),
            kernel: reader
                .take("passwords.kernel", word(&[("auto", Kernel::Auto), ("portable", Kernel::Portable)]))
                .unwrap_or(default.kernel),
            idle_memory_after: reader
                .take(
                    "passwords.idle_memory_after",
                    duration(Duration::from_secs(1)..=Duration::from_secs(3_600)),
                )
                .unwrap_or(default.idle_memory_after),
            cost: HashCost::read(reader),
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("passwords.min_length", self.min_length.to_string()),
            ("passwords.max_length", self.max_length.to_string()),
            ("passwords.threads", self.threads.to_string()),
            ("passwords.queue_per_thread", self.queue_per_thread.to_string()),
            ("passwords.kernel", quote(if self.kernel == Kernel::Portable { "portable" } else { "auto" })),
            ("passwords.idle_memory_after", quote(&show_duration(self.idle_memory_after))),
            ("passwords.cost.memory_kib", self.cost.memory_kib.to_string()),
            ("passwords.cost.iterations", self.cost.iterations.to_string()),
            ("passwords.cost.parallelism", self.cost.parallelism.to_string()),
        ]
    }
}
