//! What Signet's own layers cost on top of the crypto libraries.
//!
//! `cargo bench --bench crypto`. Every ratio compares two things measured alternately in the same rounds, because
//! absolute times on a shared machine move by a third from minute to minute. The median round is printed.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use jsonwebtoken::{EncodingKey, Header, encode};
use signet::config::{HashCost, Passwords};
use signet::jose::{PrivateKey, SigningKey};
use signet::password::{Hasher, Password};
use signet_guard::{AccessTokenClaims, Audience, Scope, Timestamp};

const ROUNDS: usize = 11;
const SIGNATURES: usize = 100;
const HASHES_PER_THREAD: usize = 10;
const COST: HashCost = HashCost { memory_kib: 19456, iterations: 2, parallelism: 1 };

fn main() {
    signatures();
    hashes();
    verdicts();
}

fn signatures() {
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let kid = key.public_jwk().kid().to_owned();
    let signing = SigningKey::from_pkcs8_der(&kid, &der).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    // The PKCS#1 key inside: what `jsonwebtoken` keeps and parses for each token.
    let at = der.windows(4).rposition(|window| window == [2, 1, 0, 2]).unwrap() - 4;
    let encoding = EncodingKey::from_rsa_der(&der[at..]);
    let header =
        Header { typ: Some("at+jwt".into()), kid: Some(kid), ..Header::new(jsonwebtoken::Algorithm::RS256) };
    let claims = claims();
    let token = signing.sign(&claims).unwrap();
    let message = token.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(encode(&header, &claims, &encoding).unwrap(), token, "RS256 is deterministic");
    let mut signature = vec![0; pair.public_modulus_len()];
    let rounds: Vec<[Duration; 3]> = (0..ROUNDS)
        .map(|_| {
            [
                time(|| {
                    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
                        .unwrap();
                }),
                time(|| drop(black_box(signing.sign(&claims).unwrap()))),
                time(|| drop(black_box(encode(&header, &claims, &encoding).unwrap()))),
            ]
        })
        .collect();
    println!("RS256/2048, {SIGNATURES} tokens a round, one thread");
    println!("  bare signature, key kept    {:>10.1?}", median(rounds.iter().map(|round| round[0])) / 100);
    println!("  SigningKey::sign            {:>10.2} × the bare signature", ratio(&rounds, 1, 0));
    println!("  jsonwebtoken::encode        {:>10.2} × SigningKey::sign", ratio(&rounds, 2, 1));
}

fn hasher(cost: HashCost, threads: usize) -> Hasher {
    Hasher::start(&Passwords {
        min_length: 15,
        max_length: 256,
        cost,
        threads,
        queue_per_thread: 40,
        kernel: signet_argon2id::Kernel::Auto,
        idle_memory_after: Duration::from_secs(10),
    })
    .unwrap()
}

/// Whether the time tells an unknown user from one whose hash is of today, older and cheaper, or corrupt.
fn verdicts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let made = |memory_kib, iterations| {
        let older = hasher(HashCost { memory_kib, iterations, parallelism: 1 }, 1);
        runtime.block_on(older.hash(Password::new("another one entirely".to_owned()))).unwrap().into_string()
    };
    let (present, older, much_older) = (made(19456, 2), made(12288, 3), made(4096, 3));
    let hasher = hasher(COST, 1);
    let stored = [None, Some(present.as_str()), Some(&*older), Some(&*much_older), Some("$2b$12$corrupt")];
    let rounds: Vec<[Duration; 5]> = (0..41)
        .map(|_| {
            stored.map(|stored| {
                let password = Password::new("moonlit harbour".to_owned());
                let started = Instant::now();
                black_box(runtime.block_on(hasher.verify(password, stored)).unwrap());
                started.elapsed()
            })
        })
        .collect();
    println!("Hasher::verify on a mismatch, against an unknown user");
    for (name, column) in [("present cost", 1), ("m=12288 t=3", 2), ("m=4096 t=3", 3), ("corrupt", 4)] {
        println!("  {name:<27} {:>10.2}", ratio(&rounds, column, 0));
    }
}

fn hashes() {
    let threads = std::thread::available_parallelism().unwrap().get();
    let hasher = hasher(COST, threads);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut memory: Vec<Vec<Block>> = (0..threads).map(|_| vec![Block::new(); 19456]).collect();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bare = {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for blocks in &mut memory {
                    scope.spawn(|| hash_bare(blocks));
                }
            });
            started.elapsed()
        };
        let pooled = {
            let started = Instant::now();
            runtime.block_on(async {
                let hashes = (0..threads * HASHES_PER_THREAD)
                    .map(|_| hasher.hash(Password::new("moonlit harbour".to_owned())));
                for hash in futures_util::future::join_all(hashes).await {
                    black_box(hash.unwrap());
                }
            });
            started.elapsed()
        };
        rounds.push([bare, pooled]);
    }
    println!("Argon2id m=19456 t=2 p=1, {HASHES_PER_THREAD} hashes a thread and round, {threads} threads");
    println!(
        "  bare argon2, memory kept    {:>10.1?}",
        median(rounds.iter().map(|round| round[0])) / u32::try_from(HASHES_PER_THREAD).unwrap()
    );
    println!("  Hasher::hash                {:>10.2} × the bare hash", ratio(&rounds, 1, 0));
}

/// At the pool's priority: otherwise the neighbours on the machine would decide the ratio.
fn hash_bare(blocks: &mut [Block]) {
    #[cfg(target_os = "linux")]
    {
        let thread = Some(rustix::thread::gettid());
        let nice = rustix::process::getpriority_process(thread).unwrap();
        rustix::process::setpriority_process(thread, (nice + 10).min(19)).unwrap();
    }
    let params = Params::new(COST.memory_kib, COST.iterations, COST.parallelism, Some(32)).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    for _ in 0..HASHES_PER_THREAD {
        let mut output = [0; 32];
        let salt = [7; 16];
        argon2.hash_password_into_with_memory(b"moonlit harbour", &salt, &mut output, &mut *blocks).unwrap();
        black_box(output);
    }
}

fn time(mut work: impl FnMut()) -> Duration {
    let started = Instant::now();
    for _ in 0..SIGNATURES {
        work();
    }
    started.elapsed()
}

/// The median over the rounds of one column against another of the same round.
fn ratio<const N: usize>(rounds: &[[Duration; N]], of: usize, to: usize) -> f64 {
    let mut ratios: Vec<f64> =
        rounds.iter().map(|round| round[of].as_secs_f64() / round[to].as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn claims() -> AccessTokenClaims {
    AccessTokenClaims {
        iss: "http://127.0.0.1:8080".into(),
        sub: "6e8f2f0a-6f0e-4f5b-9a53-8d7e1f0a2b3c".into(),
        aud: Audience::One("http://127.0.0.1:8080".into()),
        exp: Timestamp::from_seconds(2_000_000_600),
        nbf: None,
        iat: Timestamp::from_seconds(2_000_000_000),
        jti: "c3a1c9f2-4a2e-4b7e-9d55-0c9a8f1e2d3b".into(),
        client_id: "signet".into(),
        scope: Scope::parse("openid signet:account").unwrap(),
        auth_time: Some(Timestamp::from_seconds(2_000_000_000)),
        roles: vec!["admin".into(), "editor".into(), "reader".into()],
        sid: None,
        status: None,
        own: serde_json::Map::new(),
    }
}
