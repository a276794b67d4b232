//! What ten thousand unknown keys a second at a guard leave to those who send good tokens, and what reaches the issuer.
//!
//! `scripts/bench unknown_keys`, or `cargo bench --bench unknown_keys`. The issuer is an actix-web server in this process that
//! counts who asks for its JWK Set; the guard knows its URL alone. One thread has good tokens verified, one after the other,
//! by a verifier that remembers them and by one that proves each anew; both share their keys. In every second round another
//! thread sends both of them tokens whose keys nobody has, ten each millisecond. Each call of a good token is timed; the
//! ratios are those of a round with the flood and the one before it, of which the median is printed.
//!
//! Ends with an error when the issuer was asked more than once in a cool-down.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod load;

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use load::clocks;
use load::figures::{goal, median, percentile};
use serde_json::{Value, json};
use signet_guard::{Clock, KeySource, Reason, RemoteKeys, Verifier};
use tracing_subscriber::util::SubscriberInitExt as _;

const ROUNDS: usize = 61;
const ROUND: Duration = Duration::from_millis(250);
/// Shorter than the guard's own of ten seconds, to see more of its ends.
const COOL_DOWN: Duration = Duration::from_secs(1);
const BURST: u32 = 10;
const BURST_EVERY: Duration = Duration::from_millis(1);

fn main() {
    // Refusals are logged as in production, but to /dev/null.
    let nowhere = Arc::new(std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap());
    let lines = tracing_subscriber::fmt().compact().with_ansi(false).with_writer(nowhere);
    lines.with_max_level(tracing::Level::INFO).finish().init();
    let issuer = Issuer::start();
    let keys = RemoteKeys::new(&issuer.url).unwrap().cool_down(COOL_DOWN);
    let verifier = |remembered| {
        let source = KeySource::Remote(keys.clone());
        Verifier::builder(&issuer.url, &issuer.url, source).verdict_cache(remembered).build().unwrap()
    };
    let verifiers = [verifier(10_000), verifier(0)];
    let began = Instant::now();
    keys.start();
    while keys.load().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    let (flood, mut rounds) = (Flood::start(verifiers.clone(), &issuer.url), Vec::new());
    // Like the flood ahead of all other threads where the system allows it: so a wait is the guard's and no neighbour's.
    clocks::nice(-15);
    for round in 0..=ROUNDS {
        let quiet = time(&verifiers, &issuer.token);
        flood.is_on.store(true, Relaxed);
        let flooded = time(&verifiers, &issuer.token);
        flood.is_on.store(false, Relaxed);
        // The first warms caches up.
        if round > 0 {
            rounds.push((quiet, flooded));
        }
    }
    let allowed = 1 + began.elapsed().as_secs() / COOL_DOWN.as_secs();
    let sent = flood.sent.load(Relaxed);
    let rate = sent as f64 / (ROUND.as_secs_f64() * (ROUNDS + 1) as f64);
    println!(
        "{sent} unknown keys, {rate:.0} a second, in {ROUNDS} rounds of {ROUND:?} beside as many quiet ones\n"
    );
    println!("| A good token | | quiet | amid unknown keys | ratio |");
    println!("|---|---|---|---|---|");
    let mut p99s = Vec::new();
    for (kind, name) in ["remembered", "proven anew"].into_iter().enumerate() {
        for hundredths in [50.0, 99.0] {
            let of = |times: &Times| percentile(&times[kind], hundredths).as_secs_f64() * 1e6;
            let quiet = median(rounds.iter().map(|(quiet, _)| of(quiet)).collect());
            let flooded = median(rounds.iter().map(|(_, flooded)| of(flooded)).collect());
            let ratio = median(rounds.iter().map(|(quiet, flooded)| of(flooded) / of(quiet)).collect());
            println!("| {name} | p{hundredths} | {quiet:.2} µs | {flooded:.2} µs | {ratio:.2} |");
            if hundredths > 98.0 {
                p99s.push((name, ratio));
            }
        }
    }
    println!("\n| Goal | Measured | Wanted | |");
    println!("|---|---|---|---|");
    let mut held = true;
    for (name, ratio) in p99s {
        held &= goal(&format!("p99 of a good token, {name}: flood / quiet"), ratio, "", 1.5, true);
    }
    held &= goal("unknown keys a second", rate, "", 9_900.0, false);
    let fetches = issuer.fetches.load(Relaxed);
    let is_spared = goal("fetches at the issuer", fetches as f64, "", allowed as f64, true);
    if !held {
        println!("\nnot every goal was reached");
    }
    if !is_spared {
        println!("\nFAILED: the issuer was asked more than once in a cool-down");
        std::process::exit(1);
    }
}

/// How long each call took, sorted: of the verifier that remembers, and of the other.
type Times = [Vec<Duration>; 2];

fn time(verifiers: &[Verifier; 2], token: &str) -> Times {
    let (started, mut times) = (Instant::now(), Times::default());
    while started.elapsed() < ROUND {
        for (verifier, times) in verifiers.iter().zip(&mut times) {
            let asked = Instant::now();
            // A request whose key is known never waits.
            let Poll::Ready(outcome) =
                pin!(verifier.verify(black_box(token))).poll(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("a good token waited")
            };
            times.push(asked.elapsed());
            black_box(outcome.unwrap());
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    times
}

/// A thread that sends unknown keys while it is told to.
struct Flood {
    is_on: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Flood {
    fn start(verifiers: [Verifier; 2], issuer: &str) -> Self {
        let flood = Self { is_on: Arc::default(), sent: Arc::default() };
        let (is_on, sent) = (flood.is_on.clone(), flood.sent.clone());
        let payload = b64(claims(issuer).to_string());
        thread::spawn(move || {
            clocks::nice(-15);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut due = Instant::now();
            for burst in 0u64.. {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if !is_on.load(Relaxed) {
                    due = Instant::now() + BURST_EVERY;
                    continue;
                }
                // What a wait for a fetch delays is made up for.
                due += BURST_EVERY;
                for number in 0..BURST {
                    let header =
                        json!({ "typ": "at+jwt", "alg": "RS256", "kid": format!("random-{burst}-{number}") });
                    let token = format!("{}.{payload}.{}", b64(header.to_string()), b64([7; 256]));
                    let verifier = &verifiers[number as usize % 2];
                    let refusal = runtime.block_on(verifier.verify(&token)).unwrap_err();
                    assert_eq!(refusal.reason(), Reason::UnknownKey);
                    sent.fetch_add(1, Relaxed);
                }
            }
        });
        flood
    }
}

/// An issuer that publishes one key and counts who asks for it.
struct Issuer {
    url: String,
    token: String,
    fetches: Arc<AtomicU64>,
}

impl Issuer {
    fn start() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let n = b64(key.public_key().modulus().big_endian_without_leading_zero());
        let e = b64(key.public_key().exponent().big_endian_without_leading_zero());
        let set = json!({ "keys": [{ "kty": "RSA", "kid": "k", "n": n, "e": e }] }).to_string();
        let fetches = Arc::<AtomicU64>::default();
        let url = serve(set, fetches.clone());
        let header = json!({ "typ": "at+jwt", "alg": "RS256", "kid": "k" });
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims(&url).to_string()));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        Self { token: format!("{signed}.{}", b64(signature)), url, fetches }
    }
}

fn serve(set: String, fetches: Arc<AtomicU64>) -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let make = move || {
                let (set, fetches) = (set.clone(), fetches.clone());
                let jwks = move || {
                    fetches.fetch_add(1, Relaxed);
                    let mut answer = HttpResponse::Ok();
                    answer.insert_header((CACHE_CONTROL, "public, max-age=300"));
                    answer.insert_header((ETAG, "\"1\""));
                    std::future::ready(answer.body(set.clone()))
                };
                App::new()
                    .route("/.well-known/oauth-authorization-server", web::get().to(metadata))
                    .route("/jwks", web::get().to(jwks))
            };
            let server = HttpServer::new(make).workers(1).bind("127.0.0.1:0").unwrap();
            tell.send(format!("http://{}", server.addrs()[0])).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn metadata(request: HttpRequest) -> HttpResponse {
    let issuer = format!("http://{}", request.connection_info().host());
    HttpResponse::Ok().json(json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks") }))
}

fn claims(issuer: &str) -> Value {
    let now = Clock::System.now().as_seconds();
    json!({
        "iss": issuer, "sub": "6e8f2f0a-6f0e-4f5b-9a53-8d7e1f0a2b3c", "aud": issuer, "iat": now, "exp": now + 3600,
        "jti": "3kXDZTbfqVrLQ4m0uW2TpA", "client_id": "first-party", "scope": "signet:account", "auth_time": now,
        "roles": ["admin", "editor", "reviewer"],
    })
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
