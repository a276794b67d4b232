//! proto
#![allow(clippy::unwrap_used)]
use argon2::{Algorithm, Argon2, Block, Params as P, Version};
use signet_argon2id::*;
use std::hint::black_box;
fn cpu() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}
fn main() {
    let rounds: usize = 11;
    for (m, t) in [(19456u32, 2u32), (47104, 1)] {
        let a = Argon2::new(Algorithm::Argon2id, Version::V0x13, P::new(m, t, 1, Some(32)).unwrap());
        let mut cm = vec![Block::new(); m as usize];
        let params = Params::new(m, t, 1).unwrap();
        let ours = Argon2id::with_kernel(params, Kernel::Avx2).unwrap();
        let (mut hm, mut om) = (Memory::new(), Memory::with_pages(Pages::Ordinary));
        let mut o = [0u8; 32];
        let inputs = Inputs::new(b"correct horse battery staple", b"0123456789abcdef");
        let mut f: Vec<(&str, Box<dyn FnMut()>, Vec<f64>)> = vec![
            (
                "crate",
                Box::new(|| {
                    let mut o = [0u8; 32];
                    a.hash_password_into_with_memory(inputs.password, inputs.salt, &mut o, &mut cm[..])
                        .unwrap();
                    black_box(o);
                }),
                vec![],
            ),
            (
                "ours 4k",
                Box::new(|| {
                    let mut o = [0u8; 32];
                    ours.hash_into(&inputs, om.at_least(m as usize).unwrap(), &mut o).unwrap();
                    black_box(o);
                }),
                vec![],
            ),
            (
                "ours huge",
                Box::new(|| {
                    ours.hash_into(&inputs, hm.at_least(m as usize).unwrap(), &mut o).unwrap();
                    black_box(o);
                }),
                vec![],
            ),
        ];
        for v in &mut f {
            (v.1)();
            (v.1)();
        }
        for _ in 0..rounds {
            for v in &mut f {
                let c = cpu();
                for _ in 0..5 {
                    (v.1)();
                }
                v.2.push((cpu() - c) / 5.0 * 1e3);
            }
        }
        let base = f[0].2.clone();
        for v in &mut f {
            let mut q: Vec<f64> = base.iter().zip(&v.2).map(|(a, b)| a / b).collect();
            q.sort_by(f64::total_cmp);
            v.2.sort_by(f64::total_cmp);
            println!(
                "m={m} t={t} {:<10} {:.2} ms [{:.2}..{:.2}] ratio {:.2}",
                v.0,
                v.2[rounds / 2],
                v.2[0],
                v.2[rounds - 1],
                q[rounds / 2]
            );
        }
    }
}
