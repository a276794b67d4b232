//! Hashes in turn, in the same rounds, in CPU time: on a machine that has other work too, nothing else can be compared.
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use std::hint::black_box;
use std::sync::Barrier;

use argon2::{Algorithm, Argon2, Version};
use rustix::time::{ClockId, clock_gettime};
use signet_argon2id::{Argon2id, Inputs, Memory, Pages, Params};

const ROUNDS: usize = 15;
const HASHES: u32 = 4;

/// Memory in KiB and passes: the two first choices of OWASP's password storage cheat sheet, one lane.
const COSTS: [(u32, u32); 2] = [(19_456, 2), (47_104, 1)];

pub(crate) const PASSWORD: &[u8] = b"moonlit harbour";
pub(crate) const SALT: &[u8] = b"0123456789abcdef";

/// One hash after the other, in memory that is kept between them.
pub(crate) type Hash = Box<dyn FnMut() -> [u8; 32]>;

/// Who takes part: the name, and what makes the hash of memory in KiB and passes.
pub(crate) type Contender = (&'static str, fn(u32, u32) -> Hash);

/// Prints the table. The first of our own is what all are compared with.
pub(crate) fn run(others: &[Contender]) {
    let own: [Contender; 6] = [
        ("argon2 crate, memory kept", |memory, passes| the_crate(memory, passes, Pages::Ordinary)),
        ("argon2 crate, huge pages", |memory, passes| the_crate(memory, passes, Pages::Huge)),
        ("ours, ordinary pages", |memory, passes| ours(memory, passes, Pages::Ordinary, false)),
        ("ours, ordinary pages, wiped", |memory, passes| ours(memory, passes, Pages::Ordinary, true)),
        ("ours, huge pages", |memory, passes| ours(memory, passes, Pages::Huge, false)),
        ("ours, huge pages, wiped", |memory, passes| ours(memory, passes, Pages::Huge, true)),
    ];
    let contenders = [&own, others].concat();
    let kernel = Argon2id::new(Params::new(8, 1, 1).unwrap()).kernel();
    println!(
        "kernel {kernel:?}; CPU time of a hash in ms, median [least..most] of {ROUNDS} rounds; ratio to the first"
    );
    for (memory, passes) in COSTS {
        for threads in [1, 2] {
            println!("m={memory} t={passes}, {threads} thread(s)");
            race(&contenders, memory, passes, threads);
        }
        after_giving_back(memory, passes);
    }
}

fn race(contenders: &[Contender], memory: u32, passes: u32, threads: usize) {
    // Behind each barrier all threads run the same contender.
    let barrier = Barrier::new(threads);
    let columns: Vec<Vec<Vec<f64>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut hashes: Vec<_> =
                        contenders.iter().map(|(_, make)| make(memory, passes)).collect();
                    let outputs: Vec<_> = hashes.iter_mut().map(|hash| hash()).collect();
                    assert!(outputs.iter().all(|output| *output == outputs[0]), "not the same hash");
                    let mut times = vec![Vec::new(); hashes.len()];
                    for _ in 0..ROUNDS {
                        for (hash, times) in hashes.iter_mut().zip(&mut times) {
                            barrier.wait();
                            times.push(
                                cpu_ms(|| (0..HASHES).for_each(|_| _ = black_box(hash())))
                                    / f64::from(HASHES),
                            );
                        }
                    }
                    times
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let column = |at: usize| -> Vec<f64> {
        let sum = |round: usize| columns.iter().map(|thread| thread[at][round]).sum::<f64>();
        (0..ROUNDS).map(|round| sum(round) / threads as f64).collect()
    };
    let first = column(0);
    for (at, (name, _)) in contenders.iter().enumerate() {
        let times = column(at);
        let (least, middle, most) = spread(times.clone());
        let (_, ratio, _) = spread(first.iter().zip(&times).map(|(first, time)| first / time).collect());
        println!("  {name:<34} {middle:>7.2} [{least:.2}..{most:.2}]  {ratio:>5.2} x as fast");
    }
}

/// The first hash in fresh memory against one in memory that is warm.
fn after_giving_back(memory_kib: u32, passes: u32) {
    println!("m={memory_kib} t={passes}, after the memory was given back");
    let argon2id = Argon2id::new(Params::new(memory_kib, passes, 1).unwrap());
    for (name, pages, wiped) in [
        ("huge pages", Pages::Huge, false),
        ("huge pages, wiped after each", Pages::Huge, true),
        ("ordinary pages", Pages::Ordinary, false),
    ] {
        let mut memory = Memory::with_pages(pages);
        let hash = |memory: &mut Memory| {
            cpu_ms(|| {
                black_box(own_hash(&argon2id, memory));
                if wiped {
                    memory.wipe();
                }
            })
        };
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            hash(&mut memory);
            let warm = (hash(&mut memory) + hash(&mut memory)) / 2.0;
            memory.release();
            rounds.push((warm, hash(&mut memory)));
        }
        let (_, warm, _) = spread(rounds.iter().map(|(warm, _)| *warm).collect());
        let (_, first, _) = spread(rounds.iter().map(|(_, first)| *first).collect());
        let (least, ratio, most) = spread(rounds.iter().map(|(warm, first)| first / warm).collect());
        println!(
            "  {name:<28} warm {warm:>6.2}  first {first:>6.2}  {ratio:>5.2} x as long [{least:.2}..{most:.2}]"
        );
    }
}

fn the_crate(memory_kib: u32, passes: u32, pages: Pages) -> Hash {
    let params = argon2::Params::new(memory_kib, passes, 1, Some(32)).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut memory = Memory::with_pages(pages);
    Box::new(move || {
        let mut output = [0; 32];
        let blocks = memory.at_least(argon2.params().block_count()).unwrap();
        argon2.hash_password_into_with_memory(PASSWORD, SALT, &mut output, blocks).unwrap();
        output
    })
}

fn ours(memory_kib: u32, passes: u32, pages: Pages, wiped: bool) -> Hash {
    let argon2id = Argon2id::new(Params::new(memory_kib, passes, 1).unwrap());
    let mut memory = Memory::with_pages(pages);
    Box::new(move || {
        let output = own_hash(&argon2id, &mut memory);
        if wiped {
            memory.wipe();
        }
        output
    })
}

fn own_hash(argon2id: &Argon2id, memory: &mut Memory) -> [u8; 32] {
    let mut output = [0; 32];
    let blocks = memory.at_least(argon2id.params().block_count()).unwrap();
    argon2id.hash_into(&Inputs::new(PASSWORD, SALT), blocks, &mut output).unwrap();
    output
}

fn cpu_ms(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    };
    let started = now();
    work();
    now() - started
}

/// Least, median and most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}
