//! `signet hash-cost`.

use std::time::Duration;

use serde::Serialize;
use signet_argon2id::Kernel;

use super::{Failure, print_json, say};
use crate::config::{HashCost, parse_duration};
use crate::password::{Offer, kernel_of, offers};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How long a hash may take: 10ms to 5s.
    #[arg(long, value_name = "SPAN", default_value = "250ms", value_parser = target)]
    target: Duration,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn target(text: &str) -> Result<Duration, String> {
    parse_duration(text, Duration::from_millis(10)..=Duration::from_secs(5))
}

#[derive(Serialize)]
struct Line {
    kernel: &'static str,
    iterations: u32,
    memory_kib: u32,
    parallelism: u32,
    /// Milliseconds that a hash took.
    takes_ms: f64,
    /// Whether OWASP's password storage sheet recommends at least as much.
    is_enough: bool,
}

/// Measures the portable kernel and the fastest, if that is another.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let fastest = kernel_of(Kernel::Auto).map_err(Failure::of)?;
    let mut kernels = vec![("portable", Kernel::Portable)];
    if fastest != Kernel::Portable {
        kernels.push(("auto", fastest));
    }
    let mut lines = Vec::new();
    for (name, kernel) in kernels {
        let offers = offers(arguments.target, kernel).map_err(Failure::of)?;
        lines.extend(offers.into_iter().map(|offer| line(name, offer)));
    }
    if arguments.json {
        return print_json(&lines);
    }
    let millis = arguments.target.as_millis();
    say(format_args!(
        "What {millis} ms buy on this machine, one hash at a time (passwords.kernel, passwords.cost):"
    ))?;
    if lines.is_empty() {
        return say(format_args!("nothing: {} KiB in one pass take longer", HashCost::LEAST_MEMORY_KIB));
    }
    for Line { kernel, iterations, memory_kib, takes_ms, is_enough, .. } in lines {
        let remark = if is_enough { "" } else { "  less than OWASP recommends: refused" };
        say(format_args!(
            "kernel {kernel:8}  iterations = {iterations}  memory_kib = {memory_kib:7}  took {takes_ms:.1} ms{remark}"
        ))?;
    }
    Ok(())
}

fn line(kernel: &'static str, Offer { cost, takes }: Offer) -> Line {
    let HashCost { memory_kib, iterations, parallelism } = cost;
    Line {
        kernel,
        iterations,
        memory_kib,
        parallelism,
        takes_ms: takes.as_secs_f64() * 1000.0,
        is_enough: memory_kib >= HashCost::memory_floor(iterations),
    }
}
