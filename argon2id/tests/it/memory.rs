//! Memory is kept, wiped, and given back.

use signet_argon2id::{Argon2id, Block, Inputs, Memory, OutOfMemory, Pages, Params};

fn all_are(blocks: &[Block], value: u64) -> bool {
    blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == value))
}

fn fill(blocks: &mut [Block], value: u64) {
    blocks.iter_mut().for_each(|block| block.as_mut().fill(value));
}

#[test]
fn blocks_are_kept_until_more_are_needed() {
    for pages in [Pages::Huge, Pages::Ordinary] {
        let mut memory = Memory::with_pages(pages);
        assert_eq!(memory.block_count(), 0);
        let blocks = memory.at_least(20).unwrap();
        assert!(blocks.len() == 20 && all_are(blocks, 0));
        fill(blocks, 7);
        assert!(all_are(memory.at_least(20).unwrap(), 7));
        assert!(all_are(memory.at_least(1).unwrap(), 7));
        assert_eq!(memory.block_count(), 20);
        let blocks = memory.at_least(300).unwrap();
        assert!(blocks.len() == 300 && all_are(blocks, 0), "fresh ones");
    }
}

#[test]
fn wiped_blocks_are_zero_and_still_there() {
    let mut memory = Memory::new();
    memory.wipe();
    fill(memory.at_least(20).unwrap(), 7);
    memory.wipe();
    assert_eq!(memory.block_count(), 20);
    assert!(all_are(memory.at_least(20).unwrap(), 0));
    memory.release();
    memory.release();
    assert_eq!(memory.block_count(), 0);
}

#[test]
fn no_blocks_are_no_fault() {
    let mut memory = Memory::new();
    assert!(memory.at_least(0).unwrap().is_empty());
    assert_eq!(memory.at_least(8).unwrap().len(), 8);
}

#[test]
fn impossible_amounts_are_an_error() {
    let mut memory = Memory::new();
    memory.at_least(8).unwrap();
    // Miri gives up at the last two instead of refusing.
    let amounts = [usize::MAX, usize::MAX / 1024, usize::MAX / 2048, (isize::MAX / 1024) as usize];
    for &blocks in if cfg!(miri) { &amounts[..2] } else { &amounts[..] } {
        assert_eq!(memory.at_least(blocks).err(), Some(OutOfMemory { blocks }));
        assert_eq!(memory.block_count(), 0);
    }
}

#[test]
fn memory_may_move_to_another_thread() {
    let mut memory = Memory::new();
    fill(memory.at_least(10).unwrap(), 7);
    let mut memory = std::thread::spawn(move || memory).join().unwrap();
    assert!(all_are(memory.at_least(10).unwrap(), 7));
}

#[test]
fn debug_output_shows_no_content() {
    let mut memory = Memory::new();
    fill(memory.at_least(10).unwrap(), 7777);
    assert_eq!(format!("{memory:?}"), "Memory { block_count: 10, pages: Huge, .. }");
}

/// What the kernel counts for this process, in KiB.
#[cfg(all(target_os = "linux", not(miri)))]
fn resident_kib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn released_memory_goes_back_to_the_system_at_once() {
    // More than all other tests of this process have at the same time.
    const KIB: u32 = 256 * 1024;
    let params = Params::new(KIB, 1, 1).unwrap();
    let mut memory = Memory::new();
    let blocks = memory.at_least(params.block_count()).unwrap();
    Argon2id::new(params).hash_into(&Inputs::new(b"", b"saltsalt"), blocks, &mut [0; 32]).unwrap();
    let busy = resident_kib("VmRSS");
    memory.release();
    let idle = resident_kib("VmRSS");
    assert!(busy > idle + u64::from(KIB) / 2, "{busy} KiB with the memory, {idle} without");
}
