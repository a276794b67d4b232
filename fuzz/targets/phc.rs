//! Stored hashes: what is read may be computed within the limits, and prints as it was read.
#![no_main]
#![allow(dead_code, reason = "the module also makes new hashes")]

use libfuzzer_sys::fuzz_target;
// For the module below, which names it as `crate::config`.
use signet::config;

// Its reader is private to the hasher, and nothing outside should need it.
#[path = "../../src/password/phc.rs"]
mod phc;

const COST: config::HashCost = config::HashCost { memory_kib: 19_456, iterations: 2, parallelism: 1 };

fuzz_target!(|text: &str| {
    let Ok(stored) = phc::Stored::parse(text, &COST) else { return };
    let (memory, passes) = (stored.params.m_cost(), stored.params.t_cost());
    assert!((1024..=256 * 1024).contains(&memory), "{memory} KiB");
    assert!(u64::from(memory) * u64::from(passes) <= 1024 * 1024, "{memory} KiB, {passes} times");
    assert!(stored.params.p_cost() <= 16);
    let printed = stored.print().expect("what was read cannot be printed");
    let again = phc::Stored::parse(printed.as_str(), &COST).ok().expect("what was printed cannot be read");
    assert_eq!(again.print().ok(), Some(printed));
});
