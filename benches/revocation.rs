//! From a log-out to the first refusal at another program's guarded API.
//!
//! `scripts/bench revocation`, or `cargo bench --bench revocation`. The real program runs in a process of its own with the
//! settings it ships with; the guards live in this one and know it by its URL alone: keys, long poll and status lists come
//! over HTTP. The first guard stands before a route of an actix-web server that is asked over a connection, the others are
//! asked by a call. Each guard has a status source of its own, as 20 programs would.
//!
//! A round: a sign-in; its token is accepted by every guard; a pause of chance, so that no round keeps step with the server's
//! own clocks; log-out; then every guard that still accepts is asked again each millisecond. Told is the time from the first
//! byte of the log-out request to the end of the first refusal, for each guard.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use load::connection::Connection;
use load::figures::{goal, ms, percentile};
use load::program::Program;
use load::{credentials, get, member, post};
use rand::RngExt as _;
use signet_guard::actix::AccessToken;
use signet_guard::{KeySource, StatusSource, Verifier};
use tokio::runtime::Runtime;

const LOGOUTS: usize = 200;
const GUARDS: [usize; 2] = [1, 20];
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// One that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let program = start();
    let mut server = Connection::open(program.address()).unwrap();
    assert_eq!(server.ask(&post("/api/v1/register", &credentials(0))).unwrap(), 201);
    let mut held = true;
    println!("{LOGOUTS} log-outs each\n");
    println!("| Guards | median, ms | p99, ms | longest, ms | median of the last guard, ms |");
    println!("|---|---|---|---|---|");
    let mut p99s = Vec::new();
    for count in GUARDS {
        let guards = Guards::build(&program.url(), count);
        let (mut all, mut last) = (Vec::new(), Vec::new());
        for _ in 0..LOGOUTS {
            let waits = log_out(&mut server, &guards);
            last.push(waits.iter().copied().max().unwrap());
            all.extend(waits);
        }
        all.sort();
        last.sort();
        let of = |hundredths| ms(percentile(&all, hundredths));
        let last = ms(percentile(&last, 50.0));
        println!("| {count} | {:.0} | {:.0} | {:.0} | {last:.0} |", of(50.0), of(99.0), of(100.0));
        p99s.push((count, of(99.0)));
    }
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    for (count, p99) in p99s {
        held &= goal(&format!("log-out to refusal, {count} following, p99"), p99, " ms", 1000.0, true);
    }
    if !held {
        println!("\nnot every goal was reached");
    }
}

/// The issuer's URL is what its tokens and its lists are known by, so the port is chosen before.
fn start() -> Program {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    Program::start(&[
        ("SIGNET_LISTEN", &free.to_string()),
        ("SIGNET_ISSUER", &url),
        ("SIGNET__THROTTLE__ADDRESS_SIGN_INS", "1000000"),
    ])
}

/// The guards of other people's programs.
struct Guards {
    runtime: Runtime,
    /// The address of the route behind the first.
    api: SocketAddr,
    others: Vec<Verifier>,
}

impl Guards {
    fn build(issuer: &str, count: usize) -> Self {
        let guard = || {
            Verifier::builder(issuer, issuer, KeySource::remote(issuer).unwrap())
                .status(StatusSource::remote(issuer).unwrap())
                .build()
                .unwrap()
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, api: api(guard()), others: (1..count).map(|_| guard()).collect() }
    }

    fn accepts(&self, guard: usize, api: &mut Connection, token: &str) -> bool {
        match guard.checked_sub(1) {
            None => {
                let request = get("/hello", &format!("authorization: Bearer {token}\r\n"));
                match api.ask(&request).unwrap() {
                    200 => true,
                    401 => false,
                    other => panic!("{other}"),
                }
            }
            Some(other) => self.runtime.block_on(self.others[other].verify(token)).is_ok(),
        }
    }
}

/// A guarded actix-web server, for as long as the process lives.
fn api(verifier: Verifier) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let make = move || {
                App::new().app_data(web::Data::new(verifier.clone())).route("/hello", web::get().to(hello))
            };
            let server = HttpServer::new(make).workers(1).bind("127.0.0.1:0").unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn hello(_token: AccessToken) -> HttpResponse {
    HttpResponse::Ok().body("hello")
}

/// One round: how long each guard went on accepting.
fn log_out(server: &mut Connection, guards: &Guards) -> Vec<Duration> {
    assert_eq!(server.ask(&post("/api/v1/login", &credentials(0))).unwrap(), 200);
    let access = member(server.body(), "access_token").to_owned();
    let refresh = member(server.body(), "refresh_token").to_owned();
    let mut api = Connection::open(guards.api).unwrap();
    let mut accepting: Vec<usize> = (0..=guards.others.len()).collect();
    for guard in &accepting {
        assert!(guards.accepts(*guard, &mut api, &access), "guard {guard} refuses a good token");
    }
    std::thread::sleep(LONGEST_PAUSE.mul_f64(rand::rng().random_range(0.0..1.0)));
    let started = Instant::now();
    let logout = post("/api/v1/logout", &format!(r#"{{"refresh_token":"{refresh}"}}"#));
    assert_eq!(server.ask(&logout).unwrap(), 204);
    let mut waits = Vec::new();
    while !accepting.is_empty() {
        assert!(started.elapsed() < PATIENCE, "still accepted by {accepting:?}");
        accepting.retain(|guard| {
            let accepts = guards.accepts(*guard, &mut api, &access);
            if !accepts {
                waits.push(started.elapsed());
            }
            accepts
        });
        std::thread::sleep(Duration::from_millis(1));
    }
    waits
}
