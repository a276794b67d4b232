//! What Signet's routes cost beside a constant one, and a sign-in beside a bare hash.
//!
//! `scripts/bench http`, or `cargo bench --bench http`. The real application runs in this process on one
//! worker, with a route `hello` that answers a constant inside the same server and middleware; beside it a bare actix-web
//! server with that route alone. One client thread keeps 32 connections with one request each. All cases run alternately
//! in the same rounds; CPU is that of all threads but the client's. The medians of the rounds are printed.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web;
use load::bare_hashes::BareHashes;
use load::connection::Connection;
use load::figures::{goal, median};
use load::server::{Signet, bare};
use load::{clocks, credentials, get, post};
use signet::server::application;
use signet_guard::actix::AccessToken;

const CONNECTIONS: usize = 32;
/// Verifiers without a cool-down ask for the keys once for each token whose key they do not know.
const UNKNOWN: usize = 50;
const ROUNDS: usize = 61;
const ROUND: Duration = Duration::from_millis(50);
const LOGIN_ROUNDS: usize = 9;
const HASHES_PER_THREAD: usize = 20;
const ACCOUNTS: usize = 16;

fn main() {
    let signet = Signet::build(1);
    let whole = signet.serve(|app| {
        application(app).route("/hello", web::get().to(hello)).route("/hello-guarded", web::get().to(guarded))
    });
    let bare = bare(hello);
    for number in 0..ACCOUNTS {
        assert_eq!(
            Connection::open(whole).unwrap().ask(&post("/api/v1/register", &credentials(number))).unwrap(),
            201
        );
    }
    let routes_held = routes(whole, bare);
    let flood_held = flood(whole);
    let logins_held = logins(whole, &signet);
    if !(routes_held && flood_held && logins_held) {
        println!("\nnot every goal was reached");
    }
}

async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"message":"hello"}"#)
}

async fn guarded(_token: AccessToken) -> HttpResponse {
    hello().await
}

/// One case: what is asked of whom, and the status that must come back.
struct Case {
    name: &'static str,
    server: SocketAddr,
    request: Vec<u8>,
    status: u16,
}

/// CPU microseconds for each request, and requests in a second.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    rate: f64,
}

fn routes(whole: SocketAddr, bare: SocketAddr) -> bool {
    let mut asking = Connection::open(whole).unwrap();
    assert_eq!(asking.ask(&post("/api/v1/login", &credentials(0))).unwrap(), 200);
    let answer: serde_json::Value = serde_json::from_slice(asking.body()).unwrap();
    let bearer = format!("authorization: Bearer {}\r\n", answer["access_token"].as_str().unwrap());
    assert_eq!(asking.ask(&get("/.well-known/jwks.json", "")).unwrap(), 200);
    let known = format!("if-none-match: {}\r\n", asking.header("etag").unwrap());
    let case = |name, server, request, status| Case { name, server, request, status };
    let cases = [
        case("hello, bare actix-web", bare, get("/hello", ""), 200),
        case("hello", whole, get("/hello", ""), 200),
        case("JWK Set", whole, get("/.well-known/jwks.json", ""), 200),
        case("JWK Set, confirmed (304)", whole, get("/.well-known/jwks.json", &known), 304),
        case("health/live", whole, get("/health/live", ""), 200),
        case("hello, a token sent and ignored", whole, get("/hello", &bearer), 200),
        case("hello, guarded", whole, get("/hello-guarded", &bearer), 200),
        case("GET /api/v1/me", whole, get("/api/v1/me", &bearer), 200),
    ];
    let rounds = compare(&cases, 1, CONNECTIONS);
    let share = |column: usize| median(rounds.iter().map(|round| round[1].cpu / round[column].cpu).collect());
    let guard = median(rounds.iter().map(|round| round[6].cpu - round[5].cpu).collect());
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let mut held = goal("JWK Set: CPU of hello / its CPU", share(2), "", 0.93, false);
    held &= goal("JWK Set, 304: CPU of hello / its CPU", share(3), "", 0.93, false);
    held & goal("guard: CPU added to the same handler", guard, " µs", 3.0, true)
}

/// Fifty tokens with unknown keys are under way at verifiers that do not limit themselves: each fetches the set, whole,
/// compressed or only if it has changed, and as soon as it has it the next.
fn flood(whole: SocketAddr) -> bool {
    let mut asking = Connection::open(whole).unwrap();
    let set = "/.well-known/jwks.json";
    assert_eq!(asking.ask(&get(set, "")).unwrap(), 200);
    let known = format!("if-none-match: {}\r\n", asking.header("etag").unwrap());
    let gzip = "accept-encoding: gzip, deflate\r\n";
    let case = |name, path, more, status| Case { name, server: whole, request: get(path, more), status };
    let cases = [
        case("hello", "/hello", "", 200),
        case("JWK Set", set, "", 200),
        case("JWK Set, compressed", set, gzip, 200),
        case("JWK Set, confirmed (304)", set, &*known, 304),
        case("JWK Set, compressed, confirmed (304)", set, &*format!("{gzip}{known}"), 304),
    ];
    println!();
    let rounds = compare(&cases, 0, UNKNOWN);
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let mut held = true;
    for (column, case) in cases.iter().enumerate().skip(1) {
        let share = median(rounds.iter().map(|round| round[0].cpu / round[column].cpu).collect());
        held &= goal(&format!("{}: CPU of hello / its CPU", case.name), share, "", 0.93, false);
    }
    held
}

/// Measures all cases alternately and prints each beside the one in the column `hello`.
fn compare(cases: &[Case], hello: usize, connections: usize) -> Vec<Vec<Cost>> {
    let round = |_| cases.iter().map(|case| measure(case, connections)).collect();
    // The first warms caches up.
    let rounds: Vec<Vec<Cost>> = (0..=ROUNDS).map(round).skip(1).collect();
    let of = |what: &dyn Fn(&[Cost]) -> f64| median(rounds.iter().map(|round| what(round)).collect());
    println!("{connections} connections, 1 worker, {ROUNDS} rounds of {ROUND:?}\n");
    println!("| Route | CPU, µs a request | requests/s | CPU of hello / its CPU | its rate / hello's |");
    println!("|---|---|---|---|---|");
    for (column, case) in cases.iter().enumerate() {
        let (own, rates) = (of(&|round| round[column].cpu), of(&|round| round[column].rate));
        let cpu = of(&|round| round[hello].cpu / round[column].cpu);
        let rate = of(&|round| round[column].rate / round[hello].rate);
        println!("| {} | {own:.1} | {rates:.0} | {cpu:.2} | {rate:.2} |", case.name);
    }
    rounds
}

/// Asks for one round: a request on every connection, then the answer of each.
fn measure(case: &Case, connections: usize) -> Cost {
    let mut connections: Vec<_> = (0..connections).map(|_| Connection::open(case.server).unwrap()).collect();
    let (before, started) = (clocks::others(), Instant::now());
    let mut requests = 0u32;
    while started.elapsed() < ROUND {
        for connection in &mut connections {
            connection.send(&case.request).unwrap();
        }
        for connection in &mut connections {
            assert_eq!(connection.receive().unwrap(), case.status, "{}", case.name);
            requests += 1;
        }
    }
    let (cpu, wall) = (clocks::others().saturating_sub(before), started.elapsed());
    Cost {
        cpu: cpu.as_secs_f64() * 1e6 / f64::from(requests),
        rate: f64::from(requests) / wall.as_secs_f64(),
    }
}

fn logins(whole: SocketAddr, signet: &Signet) -> bool {
    let cost = signet.app.config.passwords.cost;
    let mut bare = BareHashes::new(cost);
    let threads = bare.threads();
    let hashes = threads * HASHES_PER_THREAD;
    let mut rounds = Vec::new();
    for _ in 0..=LOGIN_ROUNDS {
        let bare = bare.measure(hashes);
        let login = timed(|| sign_in(whole, hashes));
        rounds.push((bare, login));
    }
    let rounds = &rounds[1..];
    let each = |time: Duration| time.as_secs_f64() * 1e3 / hashes as f64;
    let bare = median(rounds.iter().map(|((_, cpu), _)| each(*cpu)).collect());
    let login = median(rounds.iter().map(|(_, (_, cpu))| each(*cpu)).collect());
    let cpu = median(
        rounds.iter().map(|((_, bare), (_, login))| bare.as_secs_f64() / login.as_secs_f64()).collect(),
    );
    let rate = median(
        rounds.iter().map(|((bare, _), (login, _))| bare.as_secs_f64() / login.as_secs_f64()).collect(),
    );
    let rates = median(rounds.iter().map(|(_, (wall, _))| hashes as f64 / wall.as_secs_f64()).collect());
    println!(
        "\nSign-ins, {threads} hashing threads, m={} t={} p={}",
        cost.memory_kib, cost.iterations, cost.parallelism
    );
    println!("bare argon2 {bare:.1} ms of CPU a hash; a sign-in {login:.1} ms of CPU, {rates:.0} a second\n");
    println!("| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let held = goal("sign-ins a second / bare hashes a second", rate, "", 1.35, false);
    held & goal("CPU of a bare hash / CPU of a sign-in", cpu, "", 1.35, false)
}

/// Wall time of the work, and the CPU of all threads but this one and those whose time the work returns.
fn timed(work: impl FnOnce() -> Duration) -> (Duration, Duration) {
    let (before, started) = (clocks::others(), Instant::now());
    let clients = work();
    (started.elapsed(), clocks::others().saturating_sub(before + clients))
}

/// So many sign-ins, never fewer than eight for each hashing thread under way; the clients' own CPU time.
fn sign_in(whole: SocketAddr, count: usize) -> Duration {
    let clients: Vec<_> = (0..ACCOUNTS)
        .map(|account| {
            std::thread::spawn(move || {
                let mut connection = Connection::open(whole).unwrap();
                let request = post("/api/v1/login", &credentials(account));
                for _ in (account..count).step_by(ACCOUNTS) {
                    assert_eq!(connection.ask(&request).unwrap(), 200);
                }
                clocks::thread()
            })
        })
        .collect();
    clients.into_iter().map(|client| client.join().unwrap()).sum()
}
