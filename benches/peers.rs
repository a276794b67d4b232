//! Whole sign-ins of Signet beside those of two services that a developer would write instead, and beside bare hashes.
//!
//! `scripts/bench peers` installs what the two are made of; then `cargo bench --bench peers` does. Nothing else should run
//! on the machine.
//!
//! **The contenders** run in processes of their own on the same cores: the real program as it ships, and the services of
//! `benches/peers`, fastify with @node-rs/argon2 and jose, FastAPI with argon2-cffi and PyJWT. Each finds the account in an
//! SQLite file by its e-mail address, verifies the same Argon2id hash, makes a session durable (WAL, `synchronous=FULL`)
//! and signs a token with the same claims by a 2048-bit RSA key that it parsed once. Neither peer counts tries, knows
//! devices or writes an audit log or a log line, and each commits once where Signet commits twice: what they leave out is
//! in their favour. Each runs as one process and as one for each core; the better one counts for each goal.
//!
//! **A round** gives every contender and the bare hashes a turn, in an order that moves on with each round. A turn is so
//! many clients with a keep-alive connection each, which sign in again and again for two seconds, each time with another
//! of their accounts. CPU is that of all the contender's processes; the clients' is part of the wall time of each alike.
//! Bare hashes: the `argon2` crate with its memory kept, on as many threads as there are cores. Medians of the ratios
//! within the rounds.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use load::bare_hashes::BareHashes;
use load::connection::Connection;
use load::figures::{goal, median};
use load::peer::{MadeOf, Peer, Shape};
use load::program::Program;
use load::{credentials, member, post, processes};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::Value;
use signet::config::HashCost;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

const IN_FLIGHT: [usize; 2] = [8, 32];
/// Of each client, so that no account has more sessions than Signet keeps.
const ACCOUNTS_EACH: usize = 8;
const ACCOUNTS: usize = 32 * ACCOUNTS_EACH;
const ROUNDS: usize = 9;
const TURN: Duration = Duration::from_secs(2);
const HASHES: usize = 80;

const SCHEMA: &str = include_str!("peers/schema.sql");

fn main() {
    let mut bare = BareHashes::new(HashCost::default());
    let folder = tempfile::tempdir().unwrap();
    let mut contenders = contenders(folder.path(), &bare.phc());
    alike(&contenders);
    let mut held = true;
    for in_flight in IN_FLIGHT {
        let rounds: Vec<Round> =
            (0..=ROUNDS).map(|number| round(number, in_flight, &mut contenders, &mut bare)).collect();
        // The first warms caches up.
        held &= report(in_flight, &contenders, &rounds[1..]);
    }
    if !held {
        println!("\nnot every goal was reached");
    }
}

/// One who answers sign-ins.
struct Contender {
    name: String,
    /// `None`: Signet itself.
    made_of: Option<MadeOf>,
    address: SocketAddr,
    path: &'static str,
    id: u32,
    _running: Running,
}

#[allow(dead_code, reason = "held for its end")]
enum Running {
    Signet(Program),
    Peer(Peer),
}

impl Contender {
    fn sign_in(&self, connection: &mut Connection, account: usize) {
        let status = connection.ask(&post(self.path, &credentials(account))).unwrap();
        assert_eq!(status, 200, "{}: {}", self.name, String::from_utf8_lossy(connection.body()));
    }
}

/// Signet first.
fn contenders(folder: &Path, phc: &str) -> Vec<Contender> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let file = folder.join("signet.db");
    let program = Program::start(&[
        ("SIGNET_DATABASE_URL", &format!("sqlite://{}", file.display())),
        ("SIGNET__THROTTLE__ADDRESS_SIGN_INS", "1000000"),
    ]);
    runtime.block_on(async {
        let mut database =
            SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&file)).await.unwrap();
        let users = "INSERT INTO users (id, email, credential_version, created_at) VALUES ($1, $2, 0, 0)";
        seed(
            &mut database,
            &[users, "INSERT INTO passwords (user_id, phc, changed_at) VALUES ($1, $3, 0)"],
            phc,
        )
        .await;
    });
    let mut contenders = vec![Contender {
        name: "Signet".to_owned(),
        made_of: None,
        address: program.address(),
        path: "/api/v1/login",
        id: program.id(),
        _running: Running::Signet(program),
    }];
    let key = folder.join("key.pem");
    let pem =
        RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    std::fs::write(&key, pem).unwrap();
    for (number, (name, shape)) in shapes().into_iter().enumerate() {
        let file = folder.join(format!("peer{number}.db"));
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
            let mut database = SqliteConnection::connect_with(&options).await.unwrap();
            database.execute("PRAGMA journal_mode = WAL").await.unwrap();
            database.execute(SCHEMA).await.unwrap();
            seed(&mut database, &["INSERT INTO users (id, email, phc) VALUES ($1, $2, $3)"], phc).await;
        });
        let peer = Peer::start(shape, &file, &key);
        contenders.push(Contender {
            name: format!(
                "{name}, {} of {} hashing threads",
                processes_in_words(shape.workers),
                shape.threads
            ),
            made_of: Some(shape.made_of),
            address: peer.address(),
            path: "/login",
            id: peer.id(),
            _running: Running::Peer(peer),
        });
    }
    contenders
}

fn shapes() -> Vec<(&'static str, Shape)> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut shapes = Vec::new();
    for (name, made_of) in [("fastify", MadeOf::Fastify), ("FastAPI", MadeOf::FastApi)] {
        for workers in [1, cores] {
            shapes.push((name, Shape { made_of, workers, threads: cores }));
        }
    }
    shapes
}

fn processes_in_words(count: usize) -> String {
    if count == 1 { "1 process".to_owned() } else { format!("{count} processes") }
}

/// The same accounts for everybody: id, e-mail address and hash are parameters 1, 2 and 3.
async fn seed(database: &mut SqliteConnection, statements: &[&'static str], phc: &str) {
    let mut all = database.begin().await.unwrap();
    for number in 0..ACCOUNTS {
        let (id, email) =
            (format!("00000000-0000-4000-8000-{number:012x}"), format!("n{number}@example.com"));
        for statement in statements {
            sqlx::query(*statement).bind(&id).bind(&email).bind(phc).execute(&mut *all).await.unwrap();
        }
    }
    all.commit().await.unwrap();
}

/// All refuse a wrong password, and say the same in tokens of the same kind.
fn alike(contenders: &[Contender]) {
    let mut tokens = contenders.iter().map(|contender| {
        let mut connection = Connection::open(contender.address).unwrap();
        let wrong =
            post(contender.path, r#"{"email":"n0@example.com","password":"a quiet walk by the lake"}"#);
        assert_eq!(connection.ask(&wrong).unwrap(), 401, "{}", contender.name);
        contender.sign_in(&mut connection, 0);
        (&contender.name, kind_of(member(connection.body(), "access_token")))
    });
    let (_, signet) = tokens.next().unwrap();
    for (name, token) in tokens {
        assert_eq!(token, signet, "{name}");
    }
}

/// Names of all members of header and claims, `alg` and `typ`, and the bytes of the signature.
fn kind_of(token: &str) -> (BTreeSet<String>, [Value; 2], usize) {
    let parts: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let [header, claims] = [0, 1].map(|at| serde_json::from_slice::<Value>(&parts[at]).unwrap());
    let names = [&header, &claims].into_iter().flat_map(|it| it.as_object().unwrap().keys().cloned());
    (names.collect(), ["alg", "typ"].map(|name| header[name].clone()), parts[2].len())
}

/// Sign-ins, or hashes, in a second, and CPU milliseconds for each.
#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    cpu: f64,
}

impl Cost {
    fn of(count: usize, (wall, cpu): (Duration, Duration)) -> Self {
        Self { rate: count as f64 / wall.as_secs_f64(), cpu: cpu.as_secs_f64() * 1e3 / count as f64 }
    }
}

/// What each contender cost, in their order, and the bare hashes.
struct Round {
    sign_ins: Vec<Cost>,
    bare: Cost,
}

fn round(number: usize, in_flight: usize, contenders: &mut [Contender], bare: &mut BareHashes) -> Round {
    let mut sign_ins = vec![None; contenders.len()];
    let mut hashes = None;
    for turn in 0..=contenders.len() {
        let at = (number + turn) % (contenders.len() + 1);
        match contenders.get(at) {
            Some(contender) => sign_ins[at] = Some(sign_in(contender, in_flight)),
            None => hashes = Some(Cost::of(HASHES, bare.measure(HASHES))),
        }
    }
    Round { sign_ins: sign_ins.into_iter().map(Option::unwrap).collect(), bare: hashes.unwrap() }
}

/// One turn.
fn sign_in(contender: &Contender, in_flight: usize) -> Cost {
    let all_connected = Barrier::new(in_flight + 1);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..in_flight)
            .map(|client| {
                let all_connected = &all_connected;
                scope.spawn(move || {
                    let mut connection = Connection::open(contender.address).unwrap();
                    all_connected.wait();
                    let (started, mut count) = (Instant::now(), 0);
                    while started.elapsed() < TURN {
                        contender.sign_in(&mut connection, client * ACCOUNTS_EACH + count % ACCOUNTS_EACH);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let before = processes::cpu(contender.id);
        all_connected.wait();
        let started = Instant::now();
        let count = clients.into_iter().map(|client| client.join().unwrap()).sum();
        let wall = started.elapsed();
        Cost::of(count, (wall, processes::cpu(contender.id).saturating_sub(before)))
    })
}

fn report(in_flight: usize, contenders: &[Contender], rounds: &[Round]) -> bool {
    let cost = HashCost::default();
    println!(
        "\n{in_flight} in flight, {ROUNDS} rounds of {TURN:?} each; m={} t={} p={}\n",
        cost.memory_kib, cost.iterations, cost.parallelism
    );
    println!("| Contender | sign-ins/s | CPU, ms each | Signet's rate / its rate | its CPU / Signet's CPU |");
    println!("|---|---|---|---|---|");
    let of = |what: &dyn Fn(&Round) -> f64| median(rounds.iter().map(what).collect());
    let line = |name: &str, one: &dyn Fn(&Round) -> Cost| {
        let rate = of(&|round| round.sign_ins[0].rate / one(round).rate);
        let cpu = of(&|round| one(round).cpu / round.sign_ins[0].cpu);
        let (own_rate, own_cpu) = (of(&|round| one(round).rate), of(&|round| one(round).cpu));
        println!("| {name} | {own_rate:.1} | {own_cpu:.1} | {rate:.2} | {cpu:.2} |");
        (rate, cpu)
    };
    let mut ratios = Vec::new();
    for (at, contender) in contenders.iter().enumerate() {
        ratios.push((contender.made_of, line(&contender.name, &|round| round.sign_ins[at])));
    }
    let bare = line("bare `argon2` hashes", &|round| round.bare);
    // Of the shapes of one peer the hardest to beat.
    let hardest = |made_of: MadeOf| {
        let own = ratios.iter().filter(|(it, _)| *it == Some(made_of)).map(|(_, ratios)| *ratios);
        own.fold((f64::INFINITY, f64::INFINITY), |(rate, cpu), one| (rate.min(one.0), cpu.min(one.1)))
    };
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let mut held = true;
    for (one, many, wanted, (rate, cpu)) in [
        ("fastify sign-in", "fastify's", 1.3, hardest(MadeOf::Fastify)),
        ("FastAPI sign-in", "FastAPI's", 1.6, hardest(MadeOf::FastApi)),
        ("bare hash", "bare hashes", 1.35, bare),
    ] {
        held &= goal(&format!("Signet's sign-ins a second / {many}"), rate, "", wanted, false);
        held &= goal(&format!("CPU of a {one} / CPU of Signet's sign-in"), cpu, "", wanted, false);
    }
    held
}
