//! 500 sign-ins at once, half of the callers hanging up and all coming again; and what everybody else notices of it.
//!
//! `scripts/prove storm`, or `cargo bench --bench storm`; ends with 1 when a goal was missed. The real
//! application runs in this process with the settings it ships with. All callers connect first and then send at once;
//! whoever is refused comes again when told to. Two probes ask meanwhile, ahead of other threads where the system allows
//! it; the same probes before the storm say what is quiet.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use actix_web::dev::Service as _;
use load::callers::{Answer, Caller, storm};
use load::connection::Connection;
use load::figures::{goal, ms, percentile};
use load::polls::Polls;
use load::probe::Probe;
use load::server::Signet;
use load::{credentials, get, memory, post};
use signet::server::application;

const CALLERS: usize = 500;
const QUIET: Duration = Duration::from_secs(15);
const STORM: Duration = Duration::from_secs(30);
/// Beyond what the hashing threads hold, in MiB.
const REST_OF_THE_PROCESS: f64 = 150.0;

fn main() -> ExitCode {
    let cores = std::thread::available_parallelism().unwrap().get();
    let (signet, polls) = (Signet::build(cores), Polls::default());
    let watch = polls.clone();
    let address = signet.serve(move |app| {
        let watch = watch.clone();
        application(app).wrap_fn(move |request, service| watch.watch(service.call(request)))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let token = accounts(address);
    let probes = || {
        let bearer = format!("authorization: Bearer {token}\r\n");
        [get("/health/live", ""), get("/api/v1/me", &bearer)].map(|request| Probe::start(address, request))
    };

    let quiet = probes();
    std::thread::sleep(QUIET);
    let quiet = quiet.map(Probe::finish);
    let before = memory::resident();
    memory::forget_peak();
    drop(polls.take());

    let stormy = probes();
    let started = Instant::now();
    let (first, later) = runtime.block_on(storm(address, callers(), STORM));
    let lasted = started.elapsed();
    let stormy = stormy.map(Probe::finish);
    let (polls, peak) = (polls.take(), memory::peak());
    std::thread::sleep(signet.app.config.passwords.idle_memory_after + Duration::from_secs(3));

    println!("{CALLERS} callers, {lasted:.0?}, {cores} workers and hashing threads\n");
    println!("503 to those who sent at once in the beginning: longest {:.1} ms", ms(longest_refusal(&first)));
    let memory = [before, peak, memory::resident()];
    if report(&later, &quiet, &stormy, &polls, memory, cores) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An account for each caller, and a token of the first.
fn accounts(address: SocketAddr) -> String {
    std::thread::scope(|scope| {
        for first in 0..16 {
            scope.spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                for number in (first..CALLERS).step_by(16) {
                    assert_eq!(connection.ask(&post("/api/v1/register", &credentials(number))).unwrap(), 201);
                }
            });
        }
    });
    let mut connection = Connection::open(address).unwrap();
    assert_eq!(connection.ask(&post("/api/v1/login", &credentials(0))).unwrap(), 200);
    let answer: serde_json::Value = serde_json::from_slice(connection.body()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Every other caller hangs up, some at once, some while the hash is being made.
fn callers() -> Vec<Caller> {
    let caller = |number: usize| Caller {
        request: post("/api/v1/login", &credentials(number)),
        hangs_up_after: (number % 2 == 1).then(|| Duration::from_millis(5 + number as u64 % 300)),
    };
    (0..CALLERS).map(caller).collect()
}

fn longest_refusal(answers: &[Answer]) -> Duration {
    answers.iter().filter(|answer| answer.status == 503).map(|answer| answer.wait).max().unwrap_or_default()
}

fn report(
    answers: &[Answer],
    quiet: &[Vec<Duration>; 2],
    stormy: &[Vec<Duration>; 2],
    polls: &[Duration],
    [before, peak, after]: [f64; 3],
    threads: usize,
) -> bool {
    let waits_of = |status: u16| {
        let mut waits: Vec<_> = answers.iter().filter(|a| a.status == status).map(|a| a.wait).collect();
        waits.sort();
        waits
    };
    // Who has hung up ten times in a row has tried ten times, and must wait like anybody who guesses: 429.
    let (served, surplus, throttled) = (waits_of(200), waits_of(503), waits_of(429).len());
    let others = answers.len() - served.len() - surplus.len() - throttled;
    let silent = answers.iter().filter(|answer| answer.status != 200 && answer.retry_after.is_none()).count();
    let of = |times: &[Duration], hundredths| ms(percentile(times, hundredths));
    println!(
        "answered 200: {} (median {:.0} ms); 503: {}; 429: {throttled}; otherwise: {others}",
        served.len(),
        of(&served, 50.0),
        surplus.len()
    );
    println!(
        "503 after: median {:.1} ms, p99 {:.1}, longest {:.1}",
        of(&surplus, 50.0),
        of(&surplus, 99.0),
        of(&surplus, 100.0)
    );
    println!("memory: {before:.0} MiB before, {peak:.0} at most, {after:.0} when idle again");
    println!("polls: {}, median {:.3} ms, longest {:.3}", polls.len(), of(polls, 50.0), of(polls, 100.0));
    for (name, quiet, stormy) in
        [("/health/live", &quiet[0], &stormy[0]), ("/api/v1/me", &quiet[1], &stormy[1])]
    {
        println!(
            "{name}: quiet p50 {:.2} p99 {:.2} ms of {}; in the storm p50 {:.2} p99 {:.2} ms of {}",
            of(quiet, 50.0),
            of(quiet, 99.0),
            quiet.len(),
            of(stormy, 50.0),
            of(stormy, 99.0),
            stormy.len(),
        );
    }
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let pool = threads as f64 * 19.0;
    let mut held = goal("peak memory", peak, " MiB", pool + REST_OF_THE_PROCESS, true);
    held &= goal("memory given back when idle", peak - after, " MiB", pool * 0.9, false);
    held &= goal("503 after, p99", of(&surplus, 99.0), " ms", 100.0, true);
    held &= goal(
        "503 and 429 without Retry-After, and other answers but 200",
        (silent + others) as f64,
        "",
        0.0,
        true,
    );
    held &= goal("/health/live p99 / quiet", of(&stormy[0], 99.0) / of(&quiet[0], 99.0), "", 3.0, true);
    held &= goal("/api/v1/me p99 / quiet", of(&stormy[1], 99.0) / of(&quiet[1], 99.0), "", 3.0, true);
    held & goal("longest poll, p99.9, CPU time", of(polls, 99.9), " ms", 1.0, true)
}
