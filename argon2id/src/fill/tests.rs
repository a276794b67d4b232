//! What the references follow from, and that they stay within RFC 9106's limits.

use std::collections::BTreeMap;

use super::*;

/// Pass, slice and lane, and the blocks that are referred to from there, in order.
type Trace = BTreeMap<(u32, usize, usize), Vec<usize>>;

fn trace(params: Params, password: &[u8]) -> Option<Trace> {
    let Some(kernel) = Avx2::detect() else {
        eprintln!("not run: this machine has no AVX2");
        return None;
    };
    let inputs = Inputs::new(password, b"one and the same salt");
    let mut memory = vec![Block::new(); params.block_count()];
    first_blocks(params, &inputs, 32, &mut memory).unwrap();
    let mut trace = Trace::new();
    all_passes(kernel, params, &mut memory, |segment, reference| {
        trace.entry(segment.name()).or_default().push(reference);
    });
    Some(trace)
}

/// Miri takes ten thousand times as long.
fn quick(costs: &[(u32, u32)]) -> &[(u32, u32)] {
    if cfg!(miri) { &costs[..1] } else { costs }
}

/// RFC 9106 §3.4.1.3: who watches the memory during the first half of the first pass learns nothing of the password.
#[test]
fn the_first_half_of_the_first_pass_looks_the_same_for_every_password() {
    // Segments of less than one address block, and of more.
    for &(memory_kib, lanes) in quick(&[(24, 1), (64, 2), (1200, 1), (2048, 3)]) {
        let params = Params::new(memory_kib, 2, lanes).unwrap();
        let (Some(one), Some(other)) = (trace(params, b"moonlit harbour"), trace(params, b"")) else {
            return;
        };
        assert_eq!(one.len(), other.len());
        assert_eq!(one.len(), 2 * SLICES * lanes as usize);
        for ((pass, slice, lane), references) in &one {
            let same = other[&(*pass, *slice, *lane)] == *references;
            assert_eq!(
                same,
                *pass == 0 && *slice < 2,
                "m={memory_kib} pass {pass} slice {slice} lane {lane}"
            );
        }
    }
}

/// RFC 9106 §3.4.2.
#[test]
fn a_reference_is_to_a_finished_block_and_not_to_the_one_before() {
    for &(memory_kib, lanes) in quick(&[(8, 1), (16, 2), (100, 3), (1200, 1)]) {
        let params = Params::new(memory_kib, 2, lanes).unwrap();
        let (length, lane_length) = (params.segment_length(), params.lane_length());
        for (pass, slice, lane) in (0..2)
            .flat_map(|pass| (0..8).map(move |at| (pass, at / 2, at % 2)))
            .filter(|at| at.2 < lanes as usize)
        {
            let segment = Segment::new(params, pass, slice, lane);
            for index in segment.first()..length {
                let step = segment.step(index, 0);
                for word in [0, 1, 0xFFFF_FFFF, 0x8000_0000, u64::MAX, 0x1_0000_0000, 0x2_7654_3210] {
                    let reference = segment.reference(index, word);
                    let (of_lane, in_lane) = (reference / lane_length, reference % lane_length);
                    assert!(of_lane < lanes as usize);
                    assert_ne!(reference, step.current);
                    assert_ne!(reference, step.previous);
                    let in_slice = in_lane / length;
                    if of_lane != lane {
                        assert!(pass > 0 || in_slice < slice, "only finished slices of other lanes");
                        assert_ne!(in_slice, slice, "not the slice that is being filled");
                    } else if pass == 0 {
                        assert!(reference < step.previous);
                    }
                }
            }
        }
    }
}
