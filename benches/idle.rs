//! 10,000 silent connections, slow headers and slow bodies against the real program: all are closed by their
//! deadlines, and a real user is served meanwhile.
//!
//! `scripts/prove idle`, or `cargo bench --bench idle`; ends with 1 when a goal was missed. The program runs with the
//! settings it ships with, in a process of its own.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::connection::Connection;
use load::figures::{goal, ms, percentile};
use load::held::{Crowd, Way};
use load::probe::Probe;
use load::program::Program;
use load::{credentials, get, post};
use rustix::process::{Resource, getrlimit, setrlimit};

const WAVES: usize = 3;
const QUIET: Duration = Duration::from_secs(12);
const SILENT: usize = 10_000;
const SLOW: usize = 200;
/// `server.header_timeout` and `server.body_timeout` as they ship.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// What a look at all connections, and a busy machine, may add.
const SLACK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let program = Program::start(&[]);
    let address = program.address();
    // Ours alone: the server has to see to its own limit.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();

    let mut connection = Connection::open(address).unwrap();
    assert_eq!(connection.ask(&post("/api/v1/register", &credentials(0))).unwrap(), 201);
    assert_eq!(connection.ask(&post("/api/v1/login", &credentials(0))).unwrap(), 200);
    let answer: serde_json::Value = serde_json::from_slice(connection.body()).unwrap();
    let bearer = format!("authorization: Bearer {}\r\n", answer["access_token"].as_str().unwrap());
    let probe = || Probe::start(address, get("/api/v1/me", &bearer));

    let quiet = probe();
    std::thread::sleep(QUIET);
    let quiet = quiet.finish();
    let (mut crowded, mut silent, mut slow_header, mut slow_body, mut left) =
        (Vec::new(), Duration::ZERO, Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..WAVES {
        let started = Instant::now();
        let counts = [(Way::SlowBody, SLOW), (Way::SlowHeader, SLOW), (Way::Silent, SILENT)];
        let mut crowd = Crowd::open(address, &counts);
        println!("{} connections opened in {:.1?}", SILENT + 2 * SLOW, started.elapsed());
        let user = probe();
        let mut waits = Some(user);
        for tick in 1u32.. {
            std::thread::sleep(
                (started + tick * Duration::from_millis(250)).saturating_duration_since(Instant::now()),
            );
            if tick % 4 == 0 {
                crowd.drip();
            }
            // Only while all are there does the user's wait say what they cost.
            if started.elapsed() + Duration::from_millis(500) > HEADER_TIMEOUT
                && let Some(user) = waits.take()
            {
                crowded.extend(user.finish());
            }
            if waits.is_none() && crowd.look() == 0 || started.elapsed() > BODY_TIMEOUT * 3 {
                break;
            }
        }
        for (way, longest) in
            [(Way::Silent, &mut silent), (Way::SlowHeader, &mut slow_header), (Way::SlowBody, &mut slow_body)]
        {
            let (time, open) = crowd.longest(way);
            *longest = time.max(*longest);
            left += open;
        }
    }
    crowded.sort();
    let of = |waits: &[Duration], hundredths| ms(percentile(waits, hundredths));
    println!(
        "/api/v1/me: quiet p50 {:.2} p99 {:.2} ms of {}; in the crowd p50 {:.2} p99 {:.2} ms of {}\n",
        of(&quiet, 50.0),
        of(&quiet, 99.0),
        quiet.len(),
        of(&crowded, 50.0),
        of(&crowded, 99.0),
        crowded.len(),
    );
    println!("| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let by = |timeout: Duration| (timeout + SLACK).as_secs_f64();
    let mut held = goal("connections open in the end", left as f64, "", 0.0, true);
    held &= goal("silent: closed after", silent.as_secs_f64(), " s", by(HEADER_TIMEOUT), true);
    held &= goal("slow header: closed after", slow_header.as_secs_f64(), " s", by(HEADER_TIMEOUT), true);
    held &= goal("slow body: closed after", slow_body.as_secs_f64(), " s", by(BODY_TIMEOUT), true);
    held &= goal("a user's wait, median / quiet", of(&crowded, 50.0) / of(&quiet, 50.0), "", 2.0, true);
    held &= goal("a user's wait, p99 / quiet", of(&crowded, 99.0) / of(&quiet, 99.0), "", 2.0, true);
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
