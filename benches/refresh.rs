//! Refreshes a second beside what the machine allows, and what a million grants change.
//!
//! `scripts/bench refresh`, or `cargo bench --bench refresh`. The real application runs in this process; nothing else should
//! on the machine.
//!
//! **What the machine allows.** A refresh that rotates must sign a token and make one row durable. A bare loop does that and
//! nothing else: as many threads as there are cores sign 490 bytes with a 2048-bit RSA key (aws-lc-rs, parsed key kept), and
//! each signature is followed by one row in SQLite (`synchronous=FULL`) that a single writer commits. It runs in two shapes.
//! *Alone*: each row has a commit of its own, which is the goal's "signature plus one durable write". *Shared*: all rows that
//! wait when the last commit is done go into the next one, up to as many as there are clients; no service can do better than
//! that with RSA and SQLite. The goal is 0.8 of each. Signatures without writes, and writes without signatures, stand beside
//! them, to tell which of the two is short. All run alternately; medians of the ratios within the rounds.
//!
//! **Every refresh rotates**: the grace is zero here. 32 clients with a grant and a connection each; a client presents what it
//! was given last. The clients' CPU time is a part of the wall time, and not taken off the rate; it is told.
//!
//! **A million grants** beside a thousand: two applications, each on a file of its own, asked in turn by one client, each time
//! for a grant of its own choice by chance. The rows are put there in one statement, the tokens made by the real keyring.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use load::connection::Connection;
use load::durable::Durable;
use load::figures::{goal, median, ms, percentile};
use load::server::Signet;
use load::{clocks, credentials, grants, member, post};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use signet::grant::GrantId;
use signet::server::application;

const ROUTE: &str = "/api/v1/refresh";
/// Each use rotates.
const NO_GRACE: (&str, &str) = ("SIGNET__TOKENS__REFRESH_GRACE", "0s");
const CLIENTS: usize = 32;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(700);
const SIZES: [i64; 2] = [1_000, 1_000_000];
const SIZE_ROUNDS: usize = 20;
const ASKED_IN_A_ROUND: usize = 200;

fn main() {
    let rates_held = rates();
    let sizes_held = sizes();
    if !(rates_held && sizes_held) {
        println!("\nnot every goal was reached");
    }
}

/// One round: each a second.
struct Round {
    signatures: f64,
    writes: f64,
    shared_writes: f64,
    alone: f64,
    shared: f64,
    refreshes: f64,
    /// The clients' part of one core.
    clients: f64,
}

fn rates() -> bool {
    let cores = std::thread::available_parallelism().unwrap().get();
    let signet = Signet::build_with(cores, &[NO_GRACE]);
    let address = signet.serve(application);
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| Client::sign_in(address, number)).collect();
    let mut durable = Durable::new();
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let signatures = durable.signatures(cores, ROUND);
        let writes = durable.writes(1, ROUND);
        let shared_writes = durable.writes(CLIENTS, ROUND);
        let alone = durable.both(cores, CLIENTS, 1, ROUND);
        let shared = durable.both(cores, CLIENTS, CLIENTS, ROUND);
        let (refreshes, clients) = refresh_all(&mut clients);
        rounds.push(Round { signatures, writes, shared_writes, alone, shared, refreshes, clients });
    }
    // The first warms caches up.
    let rounds = &rounds[1..];
    let of = |what: fn(&Round) -> f64| median(rounds.iter().map(what).collect());
    println!("{CLIENTS} clients, {cores} cores and workers, {ROUNDS} rounds of {ROUND:?}; each a second\n");
    println!("| What | a second |");
    println!("|---|---|");
    println!("| signatures on {cores} threads | {:.0} |", of(|round| round.signatures));
    println!("| durable rows, a commit each | {:.0} |", of(|round| round.writes));
    println!("| durable rows, {CLIENTS} in a commit | {:.0} |", of(|round| round.shared_writes));
    println!("| signature and row, a commit each | {:.0} |", of(|round| round.alone));
    println!("| signature and row, commits shared | {:.0} |", of(|round| round.shared));
    println!("| refreshes | {:.0} |", of(|round| round.refreshes));
    println!("\nthe clients took {:.2} of one core meanwhile", of(|round| round.clients));
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let (alone, shared) =
        (of(|round| round.refreshes / round.alone), of(|round| round.refreshes / round.shared));
    let held = goal("refreshes / signature and row, a commit each", alone, "", 0.8, false);
    held & goal("refreshes / signature and row, commits shared", shared, "", 0.8, false)
}

/// A session and a connection.
struct Client {
    connection: Connection,
    token: String,
}

impl Client {
    fn sign_in(address: SocketAddr, number: usize) -> Self {
        let mut connection = Connection::open(address).unwrap();
        assert_eq!(connection.ask(&post("/api/v1/register", &credentials(number))).unwrap(), 201);
        assert_eq!(connection.ask(&post("/api/v1/login", &credentials(number))).unwrap(), 200);
        let token = member(connection.body(), "refresh_token").to_owned();
        Self { connection, token }
    }

    fn refresh(&mut self) {
        let status = refresh(&mut self.connection, &self.token);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(self.connection.body()));
        let next = member(self.connection.body(), "refresh_token");
        assert_ne!(next, self.token, "it was not rotated");
        next.clone_into(&mut self.token);
    }
}

fn refresh(connection: &mut Connection, token: &str) -> u16 {
    connection.ask(&post(ROUTE, &format!(r#"{{"refresh_token":"{token}"}}"#))).unwrap()
}

/// All clients refresh again and again for one round: how many in a second, and the clients' part of one core.
fn refresh_all(clients: &mut [Client]) -> (f64, f64) {
    let (started, stop) = (Instant::now(), AtomicBool::new(false));
    let (count, cpu) = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        client.refresh();
                        count += 1;
                    }
                    (count, clocks::thread())
                })
            })
            .collect();
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
        let outcomes = threads.into_iter().map(|thread| thread.join().unwrap());
        outcomes.fold((0, Duration::ZERO), |(all, cpu), (count, time)| (all + count, cpu + time))
    });
    let wall = started.elapsed().as_secs_f64();
    (f64::from(count) / wall, cpu.as_secs_f64() / wall)
}

/// An application with many grants, and tokens of some of them.
struct Many {
    _signet: Signet,
    address: SocketAddr,
    connection: Connection,
    tokens: Vec<String>,
}

impl Many {
    fn build(count: i64) -> Self {
        let signet = Signet::build_with(1, &[NO_GRACE]);
        let address = signet.serve(application);
        let mut first = Client::sign_in(address, 0);
        first.refresh();
        let started = Instant::now();
        let bytes = grants::add(&signet, count);
        println!("{count} grants: {bytes:.0} bytes of the file each; put there in {:.1?}", started.elapsed());
        let tokens = tokens(&signet, count);
        Self { connection: first.connection, address, _signet: signet, tokens }
    }

    /// A refresh of a grant that was not asked in this round.
    fn refresh(&mut self, at: usize) -> Duration {
        let token = &mut self.tokens[at];
        let started = Instant::now();
        assert_eq!(refresh(&mut self.connection, token), 200);
        let wait = started.elapsed();
        member(self.connection.body(), "refresh_token").clone_into(token);
        wait
    }
}

/// Tokens of grants chosen by chance, or of all there are.
fn tokens(signet: &Signet, count: i64) -> Vec<String> {
    let mut random = rand::rng();
    let wanted = SIZE_ROUNDS * ASKED_IN_A_ROUND;
    let mut serials: Vec<i64> = if count as usize <= wanted {
        (2..count + 2).collect()
    } else {
        (0..wanted).map(|_| random.random_range(2..count + 2)).collect()
    };
    serials.sort_unstable();
    serials.dedup();
    serials.shuffle(&mut random);
    let mut outside = signet.outside();
    let keys = signet.app.keyring.refresh_keys().unwrap();
    signet.block_on(async {
        let mut tokens = Vec::new();
        for serial in serials {
            let row = sqlx::query_as("SELECT id FROM grants WHERE serial = $1").bind(serial);
            let (id,): (Vec<u8>,) = row.fetch_one(&mut outside).await.unwrap();
            let id = GrantId::from_bytes(id.try_into().unwrap());
            let grant = signet.app.db.read(id, |tx, id| Box::pin(tx.grant(id))).await.unwrap().unwrap();
            tokens.push(keys.mint(&grant, grant.generation).unwrap().as_str().to_owned());
        }
        tokens
    })
}

fn sizes() -> bool {
    println!();
    let mut applications = SIZES.map(Many::build);
    // Theirs were idle for too long.
    for many in &mut applications {
        many.connection = Connection::open(many.address).unwrap();
    }
    let mut rounds: Vec<[Vec<Duration>; 2]> = Vec::new();
    for round in 0..SIZE_ROUNDS {
        let mut waits = [Vec::new(), Vec::new()];
        for asked in 0..ASKED_IN_A_ROUND {
            for (waits, many) in waits.iter_mut().zip(&mut applications) {
                let at = (round * ASKED_IN_A_ROUND + asked) % many.tokens.len();
                waits.push(many.refresh(at));
            }
        }
        waits.iter_mut().for_each(|waits| waits.sort());
        rounds.push(waits);
    }
    let rounds = &rounds[1..];
    let of = |size: usize, hundredths: f64| {
        median(rounds.iter().map(|round| ms(percentile(&round[size], hundredths))).collect())
    };
    println!("one client, {SIZE_ROUNDS} rounds of {ASKED_IN_A_ROUND} refreshes of each, in turn\n");
    println!("| Grants | p50, ms | p99, ms |");
    println!("|---|---|---|");
    for (size, count) in SIZES.iter().enumerate() {
        println!("| {count} | {:.2} | {:.2} |", of(size, 50.0), of(size, 99.0));
    }
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let ratio =
        |round: &[Vec<Duration>; 2]| ms(percentile(&round[1], 50.0)) / ms(percentile(&round[0], 50.0));
    let ratio = median(rounds.iter().map(ratio).collect());
    goal("refresh p50 with 1,000,000 grants / with 1,000", ratio, "", 1.2, true)
}
